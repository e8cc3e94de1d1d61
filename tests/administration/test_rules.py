"""The rules of every API, as a security server that stands alone keeps them."""

import json
import socket
import ssl
from contextlib import nullcontext, suppress

import httpx
import pytest

from administration.askers import KEY, api_of, new_lines, standing_alone
from administration.operations import PREFIX
from administration.world import FIRST, PASSWORD, USER

pytestmark = pytest.mark.anyio

USER_PATH, KEYS = f"{PREFIX}/user", f"{PREFIX}/api-keys"
SYS = "XROAD_SYSTEM_ADMINISTRATOR"
_PER_MINUTE = 60


@pytest.fixture(scope="module")
async def standing(tmp_path_factory, anyio_backend):
    async with standing_alone(tmp_path_factory.mktemp("rules")) as standing:
        yield standing


@pytest.fixture
async def server(standing):
    return standing[0]


@pytest.fixture
async def keys(standing):
    """Who has which role, by a key."""
    return {asker.role: asker.http for asker in standing[1] if asker.how == KEY}


async def log_in(http, name=USER, password=PASSWORD):
    """Have a session."""
    answer = await http.post("/login", data={"username": name, "password": password})
    if answer.status_code == 200:
        http.headers["x-xsrf-token"] = http.cookies["XSRF-TOKEN"]
    return answer


@pytest.mark.feature("US-06")
async def test_a_session_begins_and_ends_and_changes_need_its_token(server):
    async with api_of(server) as http:
        answer = await log_in(http)
        for cookie in answer.headers.get_list("set-cookie"):
            assert "; Secure" in cookie
            assert "; SameSite=strict" in cookie
        http.headers.pop("x-xsrf-token")
        assert (await http.get(USER_PATH)).json()["username"] == USER
        assert (await http.post(KEYS, json=[SYS])).status_code == 403
        http.headers["x-xsrf-token"] = http.cookies["XSRF-TOKEN"]
        session = http.cookies["JSESSIONID"]
        status = f"{PREFIX}/notifications/session-status"
        assert (await http.get(status)).json() == {"valid": True}
        assert (await http.post("/logout")).status_code == 200
        http.cookies["JSESSIONID"] = session
        assert (await http.get(USER_PATH)).status_code == 401


@pytest.mark.feature("US-07")
async def test_a_key_is_made_of_own_roles_shown_once_changed_and_revoked(server):
    async with api_of(server) as http:
        await log_in(http, "sys")
        refused = await http.post(KEYS, json=["XROAD_SECURITY_OFFICER"])
        assert refused.status_code == 403
        made = (await http.post(KEYS, json=[SYS])).json()
        place = f"{KEYS}/{made['id']}"
        assert (await http.get(place)).json() == {"id": made["id"], "roles": [SYS]}
        proof = {"authorization": f"X-Road-ApiKey token={made['key']}"}
        async with api_of(server, proof) as by_key:
            assert (await by_key.get(USER_PATH)).status_code == 200
            assert (await http.delete(place)).status_code == 200
            assert (await by_key.get(USER_PATH)).status_code == 401


@pytest.mark.feature("AP-03")
async def test_what_warns_is_done_when_warnings_are_ignored(keys):
    async def upload(query=None):
        files = {"file": ("warned.gpg", b"\x90backup")}
        return await keys["SYS"].post(f"{PREFIX}/backups/upload", files=files, params=query)

    assert (await upload()).status_code == 201
    warned = await upload()
    assert warned.status_code == 400
    assert warned.json()["error"]["code"] == "warnings_detected"
    (warning,) = warned.json()["warnings"]
    assert warning == {"code": "warning_file_already_exists", "metadata": ["warned.gpg"]}
    assert (await upload({"ignore_warnings": "true"})).status_code == 201


@pytest.mark.feature("AP-04")
async def test_fields_that_are_wrong_are_named(keys):
    body = {
        "owner_member_class": "COM",
        "owner_member_code": "a:b",
        "security_server_code": "x/y",
        "software_token_pin": "Secret-1234",
    }
    answer = await keys["SYS"].post(f"{PREFIX}/initialization", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "validation_failure",
        "validation_errors": {
            "initialServerConfDto.ownerMemberCode": ["IdentifierChars"],
            "initialServerConfDto.securityServerCode": ["IdentifierChars"],
        },
    }


@pytest.mark.feature("AP-05")
async def test_a_request_is_called_the_same_in_the_answer_and_in_the_audit_log(server, keys):
    _, seen = new_lines(server.layout.audit_log, 0)
    answer = await keys["OBS"].delete(f"{PREFIX}/tokens/0")
    told, _ = new_lines(server.layout.audit_log, seen)
    (record,) = told[answer.headers["x-road-ui-correlation-id"]]
    assert record["event"] == "Delete token failed"


@pytest.mark.feature("AP-07")
async def test_the_api_is_served_over_tls_of_now_with_a_certificate_of_its_own(server):
    for version, taken in (
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ):
        context = ssl.create_default_context(cafile=server.layout.api_tls)
        context.check_hostname = False
        with nullcontext() if taken else pytest.warns(DeprecationWarning, match="TLS"):
            context.minimum_version = context.maximum_version = version
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60) as http:
            try:
                answer = await http.get(f"{server.url}/")
            except httpx.ConnectError:
                assert not taken
            else:
                assert taken
                assert answer.status_code == 200


@pytest.fixture(scope="module")
async def narrow(tmp_path_factory, anyio_backend):
    """A server with limits that are soon reached, and the log daemon that hears from it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(60)
        limits = {
            "allowed-hostnames": [FIRST, "ss.example.org"],
            "rate-limit-enabled": True,
            "rate-limit-requests-per-second": -1,
            "rate-limit-requests-per-minute": _PER_MINUTE,
            "request-size-limit-regular": 1000,
            "regular-api-whitelist": ["192.0.2.0/24"],
            "key-management-api-whitelist": ["192.0.2.0/24"],
            "audit-syslog": f"127.0.0.1:{daemon.getsockname()[1]}",
        }
        folder = tmp_path_factory.mktemp("narrow")
        async with standing_alone(folder, admin_api=limits) as (server, askers):
            by_name = {asker.name: asker.http for asker in askers}
            yield server, by_name, daemon


@pytest.mark.feature("US-08")
async def test_keys_are_used_and_managed_from_where_that_is_allowed(narrow):
    server, askers, _ = narrow
    refused = await askers["SYS by key"].get(USER_PATH)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "not_authenticated")
    async with api_of(server) as http:
        assert (await http.get(KEYS, auth=(USER, PASSWORD))).status_code == 401
    assert (await askers["SYS by session"].get(KEYS)).status_code == 200


@pytest.mark.feature("AP-06")
async def test_another_host_is_not_served(narrow):
    http = narrow[1]["SYS by session"]
    for host, status in (("ss.example.org", 200), ("evil.example.org", 400)):
        answer = await http.get(USER_PATH, headers={"host": host})
        assert answer.status_code == status
    assert answer.json()["error"]["code"] == "invalid_host"


@pytest.mark.feature("AU-04")
async def test_the_audit_log_is_forwarded_to_a_log_daemon(narrow):
    server, askers, daemon = narrow
    daemon.setblocking(False)
    with suppress(BlockingIOError):
        while daemon.recv(65_536):
            pass
    daemon.settimeout(60)
    await askers["OBS by session"].delete(f"{PREFIX}/tokens/0")
    sent = daemon.recv(65_536).decode()
    assert sent.startswith("<134>")
    assert sent.removeprefix("<134>") == server.layout.audit_log.read_text().splitlines()[-1]
    record = json.loads(sent.partition(" - ")[2])
    assert (record["event"], record["user"]) == ("Delete token failed", "obs")


@pytest.mark.feature("AP-02")
async def test_who_asks_for_too_much_or_too_often_is_refused(narrow):
    http = narrow[1]["SYS by session"]
    answer = await http.post(f"{PREFIX}/initialization", json={"x": "y" * 1000})
    assert answer.status_code == 413
    answers = [await http.get(USER_PATH)]
    while answers[-1].status_code == 200 and len(answers) < 100 * _PER_MINUTE:
        answers.append(await http.get(USER_PATH))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert answers[-1].headers["retry-after"]
