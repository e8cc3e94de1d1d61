"""`sild ctl` makes the calls of the management API, and shows what comes back."""

import argparse
import asyncio
import io
import json
import re
import stat
from contextlib import asynccontextmanager

import pytest

from apiclient.pretended_server import PretendedServer
from apiclient.served import serving
from sild.adminapi.contract import read_description
from sild.apiclient.values import ApiKey, Login
from sild.cli import main
from sild.cli.ctl import OPERATIONS
from sild.cli.ctl_operations import Where
from sild.cli.ctl_printing import show
from sild.cli.ctl_server import add_server_options, server_of
from sild.runtime.files import write_private

pytestmark = pytest.mark.anyio

OWNER = "DEV:GOV:1"
PORTAL, REGISTER = f"{OWNER}:portal", f"{OWNER}:register"
SILENT = {
    "status_class": "FAIL",
    "error": {"code": "network_error", "metadata": ["It is silent.", "Look at the firewall."]},
}
# What both servers have beside the published description; and what no server implements.
BESIDE = {"/api-keys", "/api-keys/{id}", "/user", "/notifications/alerts"}
NOWHERE = {("PUT", "/language/{code}")}


class Shell:
    """A shell whose commands go to a server."""

    def __init__(self, served, server, folder, capsys):
        self.served = served
        self.server = server
        self.folder = folder
        self._capsys = capsys
        pin = served.pin.sha256.hex()
        self.options = ("--server", served.url, "--fingerprint", pin)

    async def __call__(self, *words, options=None):
        """Run a command; give its exit code, what it printed, and what it complained of."""
        self.server.asked.clear()
        self._capsys.readouterr()
        options = self.options if options is None else options
        code = await asyncio.to_thread(main, ["ctl", *words, *options])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    async def asks(self, *words):
        """The last call that a command makes."""
        code, _, complained = await self(*words)
        assert code == 0, complained
        return self.server.asked[-1]


@asynccontextmanager
async def a_shell(tmp_path, capsys):
    server = PretendedServer()
    server.owner, server.code, server.pin, server.anchor = OWNER, "ss1", "1234", b"<anchor/>"
    for name in (PORTAL, REGISTER):
        server.clients[name] = {"id": name, "status": "SAVED", "connection_type": "HTTP"}
    async with serving(server.application, tmp_path) as served:
        yield Shell(served, server, tmp_path, capsys)


def test_every_operation_of_the_api_has_a_command(contracts):
    published = read_description(contracts / "security-server.openapi.json")
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path)): body
        for path, operations in published["paths"].items()
        for method, body in operations.items()
        if isinstance(body, dict) and (method.upper(), path) not in NOWHERE
    }
    commands = {(each.method, re.sub(r"\{\w+\}", "{}", each.path)) for each in OPERATIONS}
    assert described.keys() - commands == set()
    assert {path for _, path in commands - described.keys()} == {
        re.sub(r"\{\w+\}", "{}", path) for path in BESIDE
    }


def test_queries_are_those_of_the_api(contracts):
    published = read_description(contracts / "security-server.openapi.json")
    for operation in OPERATIONS:
        described = published["paths"].get(operation.path, {}).get(operation.method.lower())
        if described is None:
            continue
        wanted = {
            each["name"]: bool(each.get("required"))
            for each in described.get("parameters", ())
            if each["in"] == "query"
        }
        taken = {
            each.key: not each.is_option
            for each in operation.arguments
            if each.where is Where.QUERY
        }
        if operation.rows is None and "current_server" not in wanted:
            assert taken == wanted, operation.words


def test_every_command_has_its_own_words_and_place():
    assert len({each.words for each in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        named = set(re.findall(r"\{(\w+)\}", operation.path))
        assert named <= {each.key for each in operation.arguments}, operation.words


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (
            ("clients", "list", "--member-class", "GOV", "--show-members", "no"),
            ("GET", "/clients", {"member_class": "GOV", "show_members": "false"}, b""),
        ),
        (
            ("clients", "connection", PORTAL, "HTTPS"),
            ("PATCH", f"/clients/{PORTAL}", {}, {"connection_type": "HTTPS"}),
        ),
        (("clients", "register", PORTAL), ("PUT", f"/clients/{PORTAL}/register", {}, b"")),
        (
            ("groups", "add", PORTAL, "friends", "Our friends"),
            (
                *("POST", f"/clients/{PORTAL}/local-groups", {}),
                {"code": "friends", "description": "Our friends"},
            ),
        ),
        (
            ("certificates", "register", "AB", "ss1.example"),
            ("PUT", "/token-certificates/AB/register", {}, {"address": "ss1.example"}),
        ),
        (("maintenance", "on"), ("PUT", "/system/maintenance-mode/enable", {}, {})),
        (
            ("maintenance", "on", "back at noon"),
            ("PUT", "/system/maintenance-mode/enable", {}, {"message": "back at noon"}),
        ),
        (("maintenance", "off"), ("PUT", "/system/maintenance-mode/disable", {}, b"")),
        (
            ("call", "GET", "/clients", "--query", "name=a b&c"),
            ("GET", "/clients", {"name": "a b&c"}, b""),
        ),
        (
            ("call", "PUT", "/api/v1/system/server-address", "--body", '{"address": "x"}'),
            ("PUT", "/system/server-address", {}, {"address": "x"}),
        ),
    ],
)
async def test_a_command_makes_its_call(tmp_path, capsys, words, call):
    async with a_shell(tmp_path, capsys) as shell:
        if "register" in words and words[0] == "certificates":
            shell.server.keys = [{"certificates": [certificate("AB")]}]
        assert await shell.asks(*words) == call


def certificate(sha256, **more):
    return {
        "owner_id": OWNER,
        "active": True,
        "status": "SAVED",
        "ocsp_status": "OCSP_RESPONSE_GOOD",
        "saved_to_configuration": True,
        "certificate_details": {"hash": sha256, "not_after": "2027-01-01T00:00:00Z"},
    } | more


def a_key(**more):
    return {
        "id": "K1",
        "name": "sign",
        "label": "sign",
        "usage": "SIGNING",
        "key_algorithm": "RSA",
        "available": True,
        "possible_actions": ["DELETE"],
        "certificates": [certificate("AB" * 32)],
        "certificate_signing_requests": [{"id": "R1", "owner_id": OWNER}],
    } | more


async def test_a_client_is_added_by_its_identifier(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        words = ("clients", "add", "DEV:COM:2:shop", "--name", "Shop", "--ignore-warnings")
        _, _, _, body = await shell.asks(*words)
        client = {"member_class": "COM", "member_code": "2", "subsystem_code": "shop"}
        named = client | {"subsystem_name": "Shop", "connection_type": "HTTPS"}
        assert body == {"client": named, "ignore_warnings": True}
        assert (await shell("clients", "add", "shop"))[0] == 2


async def test_lists_are_tables_and_json_on_demand(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        code, printed, _ = await shell("clients", "list")
        assert code == 0
        assert printed.splitlines()[0].split() == [
            *("ID", "MEMBER", "NAME", "SUBSYSTEM", "NAME", "STATUS", "CONNECTION", "TYPE", "OWNER")
        ]
        assert PORTAL in printed.splitlines()[1]
        _, printed, _ = await shell("clients", "list", "--json")
        assert json.loads(printed) == [*shell.server.clients.values()]


async def test_what_a_server_says_moves_no_cursor(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        shell.server.clients[PORTAL]["member_name"] = "evil\x1b[2Jname\n"
        _, printed, _ = await shell("clients", "list")
        assert "\x1b" not in printed
        assert len(printed.splitlines()) == 3


async def test_rights_are_granted_to_whom_the_subjects_name(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        server = shell.server
        await shell("groups", "add", REGISTER, "friends", "Our friends")
        add = ("descriptions", "add", REGISTER, "REST", "http://10.0.0.1/")
        await shell(*add, "--rest-service-code", "things")
        service = f"{REGISTER}:things"
        await shell("services", "grant", service, PORTAL, "DEV:security-server-owners", "friends")
        assert server.service_rights == {
            (PORTAL, "things"),
            ("DEV:security-server-owners", "things"),
            ("friends", "things"),
        }
        _, printed, _ = await shell("services", "clients", service)
        assert "LOCALGROUP" in printed
        await shell("services", "revoke", service, "friends", PORTAL)
        assert server.service_rights == {("DEV:security-server-owners", "things")}
        await shell("rights", "grant", REGISTER, "friends", "things")
        assert ("friends", "things") in server.service_rights


async def test_what_is_not_said_of_a_service_stays(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        add = ("descriptions", "add", REGISTER, "REST", "https://10.0.0.1/")
        await shell(*add, "--rest-service-code", "things")
        service = f"{REGISTER}:things"
        _, _, _, body = await shell.asks("services", "set", service, "--timeout", "9")
        assert body == {"url": "https://10.0.0.1/", "timeout": 9, "ssl_auth": True}
        _, _, _, body = await shell.asks("services", "set", service, "--url", "http://10.0.0.2/")
        assert body == {"url": "http://10.0.0.2/", "timeout": 9, "ssl_auth": False}
        _, printed, _ = await shell("services", "list", REGISTER)
        assert printed.splitlines()[1].split()[:3] == [service, "http://10.0.0.2/", "9"]
        (number,) = shell.server.descriptions
        update = ("descriptions", "update", number, "--url", "http://10.0.0.3/")
        _, _, _, body = await shell.asks(*update, "--code", "stuff")
        assert body == {
            "type": "REST",
            "url": "http://10.0.0.3/",
            "rest_service_code": "things",
            "new_rest_service_code": "stuff",
        }


async def test_a_time_stamping_service_is_known_by_its_name(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        assert (await shell("timestamping", "add", "tsa 1"))[0] == 0
        assert [each["name"] for each in shell.server.stamping] == ["tsa 1"]
        code, _, complained = await shell("timestamping", "add", "nobody")
        assert (code, "tsa 1, tsa 2" in complained) == (2, True)
        assert (await shell("timestamping", "remove", "http://tsa1.example/"))[0] == 0
        assert shell.server.stamping == []


@pytest.mark.feature("CLI-01")
async def test_tokens_keys_and_certificates_are_administered_from_the_shell(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        server = shell.server
        write_private(tmp_path / "pin", b"1234\n")
        assert (await shell("tokens", "login", "0", "--password-file", str(tmp_path / "pin")))[
            0
        ] == 0
        assert server.logged_in
        server.keys = [a_key()]
        _, printed, _ = await shell("tokens", "list")
        assert printed.splitlines()[1].split()[:2] == ["0", "softToken-0"]
        _, printed, _ = await shell("keys", "list")
        assert printed.splitlines()[1].split() == [
            "K1",
            "0",
            "sign",
            "SIGNING",
            "RSA",
            "yes",
            "DELETE",
        ]
        _, printed, _ = await shell("certificates", "list")
        assert printed.splitlines()[1].split()[:3] == ["AB" * 32, OWNER, "SIGNING"]
        _, printed, _ = await shell("csrs", "list")
        assert printed.splitlines()[1].split() == ["R1", "K1", "SIGNING", OWNER]
        _, printed, _ = await shell("clients", "sign-certificates", OWNER)
        assert "AB" * 32 in printed
        for words in (
            ("tokens", "rename", "0", "my token"),
            ("tokens", "logout", "0"),
            ("keys", "add", "0", "another"),
            ("keys", "rename", "K1", "mine"),
            ("keys", "delete", "K1", "--ignore-warnings"),
            ("certificates", "show", "AB" * 32),
            ("certificates", "activate", "AB" * 32),
            ("certificates", "disable", "AB" * 32),
            ("certificates", "delete", "AB" * 32),
        ):
            assert (await shell(*words))[0] == 0, words
        field = ("--field", "C=EE", "--field", "serialNumber=DEV/1")
        words = ("keys", "request", "0", "label", "SIGNING", "Test CA", "--member", OWNER, *field)
        _, _, _, body = await shell.asks(*words)
        assert body["csr_generate_request"]["subject_field_values"] == {
            "C": "EE",
            "serialNumber": "DEV/1",
        }
        assert body["csr_generate_request"]["csr_format"] == "DER"
        _, _, _, body = await shell.asks(*words, "--format", "PEM")
        assert body["csr_generate_request"]["csr_format"] == "PEM"
        wanted = str(tmp_path / "wanted.csr")
        words = ("csrs", "add", "K1", "SIGNING", "Test CA", "--member", OWNER, "-o", wanted)
        assert (await shell(*words))[0] == 0
        assert (tmp_path / "wanted.csr").read_bytes() == b"a request"
        (tmp_path / "made.pem").write_bytes(f"certificate of {server.keys[-1]['id']}".encode())
        assert (await shell("certificates", "import", str(tmp_path / "made.pem")))[0] == 0
        assert len(server.keys[-1]["certificates"]) == 1


async def test_a_secret_that_is_in_no_file_is_asked_for(tmp_path, capsys, monkeypatch):
    async with a_shell(tmp_path, capsys) as shell:
        monkeypatch.setattr("sys.stdin", io.StringIO("old\nnew\n"))
        _, _, _, body = await shell.asks("tokens", "pin", "0")
        assert body == {"old_pin": "old", "new_pin": "new"}


@pytest.mark.feature("CLI-06")
async def test_the_identifier_is_printed_alone(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        assert await shell("id") == (0, f"{OWNER}:ss1\n", "")
        _, printed, _ = await shell("id", "--json")
        assert json.loads(printed) == {"id": f"{OWNER}:ss1"}


@pytest.mark.feature("CLI-07")
async def test_an_api_key_for_a_program_goes_into_a_private_file(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        path = tmp_path / "program.key"
        words = ("api-keys", "save", str(path), "XROAD_MANAGEMENT_SERVICE")
        code, printed, complained = await shell(*words)
        assert code == 0
        assert "the-secret-key" not in printed + complained
        assert path.read_text() == "the-secret-key\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        code, _, complained = await shell(*words)
        assert (code, "is there already" in complained) == (2, True)
        assert shell.server.asked == []


async def test_files_are_uploaded_and_downloaded(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        (tmp_path / "new.xml").write_bytes(b"<new/>")
        _, _, _, body = await shell.asks("anchor", "replace", str(tmp_path / "new.xml"))
        assert body == b"<new/>"
        path = str(tmp_path / "got.xml")
        assert (await shell("anchor", "download", "-o", path))[1] == f"{path}\n"
        assert (tmp_path / "got.xml").read_bytes() == b"<new/>"
        words = ("backups", "upload", str(tmp_path / "new.xml"), "--ignore-warnings")
        _, _, query, body = await shell.asks(*words)
        assert query == {"ignore_warnings": "true"}
        assert b'name="file"; filename="new.xml"' in body
        assert (await shell("anchor", "replace", str(tmp_path / "none.xml")))[0] == 2


async def test_a_warning_is_told_with_what_goes_on_in_spite_of_it(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        code, _, complained = await shell("keys", "delete", "K1")
        assert code == 4
        assert "registered cert warning" in complained
        assert "--ignore-warnings" in complained


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("clients connection X FOO", "argument {HTTP,HTTPS,HTTPS_NO_AUTH}: invalid choice: 'FOO'"),
        ("services set X --timeout ten", "argument --timeout: 'ten' is no whole number"),
        ("services set X --ssl-auth maybe", "argument --ssl-auth: 'maybe' is neither yes nor no"),
    ],
)
def test_what_is_not_understood_is_told_in_words_of_the_command(capsys, words, told):
    with pytest.raises(SystemExit) as ended:
        main(["ctl", *words.split()])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("diagnostics ocsp", [{"distinguished_name": "CN=CA", "ocsp_responders": [SILENT]}]),
        ("diagnostics timestamping", [SILENT]),
        ("diagnostics downloads", [{"connection_status": SILENT}]),
    ],
)
def test_a_diagnosis_tells_what_to_do(words, found):
    (operation,) = (each for each in OPERATIONS if each.words == words)
    rows = operation.rows(found) if operation.rows else found
    assert "Look at the firewall." in show(rows, operation.columns)


def test_a_whole_number_is_shown_as_one():
    assert show({"used_memory": 107241472.0, "usage_percent": 0.4}) == (
        "used memory: 107241472\nusage percent: 0.4\n"
    )


async def test_a_refusal_is_a_sentence_and_an_exit_code(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        code, printed, complained = await shell("certificates", "show", "00")
        assert (code, printed) == (1, "")
        assert "there is no such thing; certificate not found" in complained


async def test_whoever_else_answers_is_given_no_secret(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        options = ("--server", shell.served.url, "--fingerprint", "00" * 32)
        code, _, complained = await shell("clients", "list", options=options)
        assert code == 3
        assert complained.endswith(
            "the server is not trusted: the server has another certificate than the one whose "
            "fingerprint is known\n"
        )
        assert shell.server.asked == []


async def test_a_server_that_is_not_there_is_another_exit_code(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        options = ("--server", "https://127.0.0.1:1", "--insecure")
        assert (await shell("clients", "list", options=options))[0] == 3


async def test_the_file_names_servers_and_keys(tmp_path, capsys, monkeypatch):
    async with a_shell(tmp_path, capsys) as shell:
        write_private(tmp_path / "ss1.key", b"my-key\n")
        text = f"""
            default = "ss1"
            [servers.ss1]
            url = "{shell.served.url}"
            ca-file = "{shell.served.file}"
            api-key-file = "ss1.key"
            [servers.other]
            url = "https://127.0.0.1:1"
        """
        write_private(tmp_path / "ctl.toml", text.encode())
        monkeypatch.setenv("SILD_CTL_CONFIG", str(tmp_path / "ctl.toml"))
        assert (await shell("id", options=()))[0] == 0
        assert (await shell("id", options=("--server", "other")))[0] == 3
        assert (await shell("id", options=("--server", "none")))[0] == 2
        monkeypatch.setenv("SILD_CTL_SERVER", "other")
        assert (await shell("id", options=()))[0] == 3
        (tmp_path / "ctl.toml").chmod(0o644)
        code, _, complained = await shell("id", options=())
        assert (code, "chmod 600" in complained) == (2, True)


@pytest.mark.parametrize(
    ("file", "said", "credentials"),
    [
        ({"user": "mari"}, {"PASSWORD": "secret"}, Login("mari", "secret")),
        ({"user": "mari", "password": "old"}, {"PASSWORD": "new"}, Login("mari", "new")),
        ({"user": "mari", "password": "secret"}, {"API_KEY": "key"}, ApiKey("key")),
        ({"api-key": "key"}, {"PASSWORD": "secret"}, ApiKey("key")),
        ({"api-key": "key"}, {"USER": "mari", "PASSWORD": "secret"}, Login("mari", "secret")),
    ],
)
def test_what_the_environment_says_goes_before_the_file(
    tmp_path, monkeypatch, file, said, credentials
):
    lines = "".join(f'{name} = "{value}"\n' for name, value in file.items())
    text = f'[servers.ss1]\nurl = "https://127.0.0.1:1"\n{lines}'
    write_private(tmp_path / "ctl.toml", text.encode())
    for name, value in said.items():
        monkeypatch.setenv(f"SILD_CTL_{name}", value)
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    asked = parser.parse_args(["--config", str(tmp_path / "ctl.toml")])
    assert server_of(asked).credentials == credentials


async def test_without_a_server_it_is_told_how_to_name_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    code = await asyncio.to_thread(main, ["ctl", "id"])
    assert (code, "SILD_CTL_SERVER" in capsys.readouterr().err) == (2, True)


async def test_the_fingerprint_that_a_server_shows_is_that_which_is_trusted(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        address = shell.served.url.removeprefix("https://")
        _, printed, _ = await shell("fingerprint", address, options=())
        assert printed.strip().replace(":", "").lower() == shell.served.pin.sha256.hex()
        options = ("--server", shell.served.url, "--fingerprint", printed.strip())
        assert (await shell("id", options=options))[0] == 0
        assert (await shell("fingerprint", "127.0.0.1:1", options=()))[0] == 3


async def test_any_call_can_be_made_with_a_body_from_a_file(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        (tmp_path / "body.json").write_text('{"address": "y"}')
        body = ("--body", f"@{tmp_path}/body.json")
        call = await shell.asks("call", "PUT", "/system/server-address", *body)
        assert call[3] == {"address": "y"}
        code, printed, _ = await shell("call", "GET", "/system/anchor/download")
        assert (code, printed) == (0, "<anchor/>")
        words = ("call", "PUT", "/system/server-address", "--body", "{")
        assert (await shell(*words))[0] == 2
        assert (await shell("call", "GET", "/clients", "--query", "x"))[0] == 2
