"""Two security servers become what files declare, and messages flow; again, nothing is done."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest

from administration.test_from_nothing import CONSUMER, OWNERS, PIN, PROVIDER, Founding, _exchange
from administration.world import PASSWORD, USER, World
from sild.apiclient.apply import apply
from sild.apiclient.apply_values import Happening, Options
from sild.apiclient.declared_reading import read_declared
from sild.apiclient.errors import ApiError
from sild.cli import main
from sild.runtime.files import write_private
from softhsm import USER_PIN
from standins.services import SOAP_CODES

pytestmark = pytest.mark.anyio

SUBJECT = {"C": "FI", "O": "Test member"}


class Authority:
    """The CA's form, filled in by a program."""

    def __init__(self, world):
        self._world = world

    async def certify(self, order):
        use = "auth" if order.usage == "AUTHENTICATION" else "sign"
        return await self._world.sign(order.csr, use)

    def wanted(self, order):
        return f"the CA to sign {order.name}"


class Applying:
    """Who declares both servers, and the Central Server's administrator, who approves."""

    def __init__(self, world):
        self.world = world
        self.founding = Founding(world)
        self.events = []

    async def declare(self):
        """What both servers are to be."""
        world, central = self.world, self.world.central
        await self.founding.found_centre()
        path = "/configuration-sources/INTERNAL/anchor/download"
        (world.folder / "anchor.xml").write_bytes((await central.client.call("GET", path)).content)
        write_private(world.folder / "pin", PIN.encode())
        write_private(world.folder / "card-pin", USER_PIN.encode())
        told = await central.ask("GET", "/management-services-configuration")
        management = {
            "type": "WSDL",
            "url": self.founding.wsdl_of(told),
            "service-url": told["services_address"],
            "verify-tls": False,
            "access": [OWNERS],
        }
        (card,) = (e for e in await world.ss1.ask("GET", "/tokens") if e["type"] == "HARDWARE")
        on_card = {"id": card["id"], "pin": {"file": "card-pin"}, "keys": [{"usage": "SIGNING"}]}
        both = {
            "anchor": "anchor.xml",
            "pin": {"file": "pin"},
            "fields": SUBJECT,
            "timestamping": "all",
            "maintenance": False,
        }
        self.first = both | {
            "owner": "DEV:COM:1234",
            "code": "SS0",
            "address": world.ss0.address,
            "clients": [
                {
                    "id": "DEV:COM:1234:MANAGEMENT",
                    "connection-type": "HTTP",
                    "register": False,
                    "services": [management],
                },
                {
                    "id": PROVIDER,
                    "connection-type": "HTTP",
                    "groups": [{"code": "friends", "description": "Ours", "members": [CONSUMER]}],
                    "services": self._services(),
                },
            ],
        }
        self.second = both | {
            "owner": "DEV:COM:4321",
            "code": "SS1",
            "address": world.ss1.address,
            "tokens": [{"keys": [{"usage": "AUTHENTICATION"}]}, on_card],
            "clients": [{"id": CONSUMER, "name": "Test client", "connection-type": "HTTP"}],
        }

    def _services(self):
        services = self.world.services
        return [
            {
                "type": "WSDL",
                "url": services.wsdl_url,
                "service-url": services.soap_url,
                "services": [{"code": f"{code}.v1", "access": [CONSUMER]} for code in SOAP_CODES],
            },
            {"type": "REST", "code": "mock1", "url": services.rest_url, "access": ["friends"]},
            {
                "type": "OPENAPI3",
                "code": "restapi",
                "url": services.openapi_url,
                "service-url": services.url,
                "endpoints": [{"method": "GET", "path": "/api/members", "access": [CONSUMER]}],
            },
        ]

    async def apply(self, server, declared, **options):
        """Make one of the servers so; gives what was changed."""
        wished = Options(self.world.folder, Authority(self.world), timeout=300)
        wished = replace(wished, **options)
        self.events.clear()
        outcome = await apply(read_declared(declared), server.client, wished, self.events.append)
        return outcome.changes

    async def approve(self):
        """Approve whatever waits, again and again, and have SS0 carry the management services."""
        ask = self.world.central.ask
        while True:
            query = {"status": "WAITING", "limit": 100}
            for request in (await ask("GET", "/management-requests", query=query))["items"]:
                with contextlib.suppress(ApiError):
                    await ask("POST", f"/management-requests/{request['id']}/approval")
            told = await ask("GET", "/management-services-configuration")
            if not told.get("security_server_id"):
                with contextlib.suppress(ApiError):
                    await ask(
                        "POST",
                        "/management-services-configuration/register-provider",
                        {"security_server_id": "DEV:COM:1234:SS0"},
                    )
            await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def applied(tmp_path_factory):
    """Both servers, applied from nothing."""
    async with await World(tmp_path_factory.mktemp("applied")).start(device=True) as world:
        applying = Applying(world)
        await applying.declare()
        async with asyncio.TaskGroup() as tasks:
            approving = tasks.create_task(applying.approve())
            await asyncio.gather(
                applying.apply(world.ss0, applying.first),
                applying.apply(world.ss1, applying.second),
            )
            approving.cancel()
        yield applying


async def test_messages_flow(applied):
    for server in (applied.world.ss0, applied.world.ss1):
        await server.ask("POST", "/api/sild/v1/refresh")
    await _exchange(applied.world.ss1)


async def test_a_second_run_changes_nothing_and_asks_little(applied):
    for server, declared in (
        (applied.world.ss0, applied.first),
        (applied.world.ss1, applied.second),
    ):
        assert await applied.apply(server, declared) == ()
        assert applied.events == []


async def test_a_change_changes_just_that_and_back(applied):
    server, first = applied.world.ss0, applied.first
    management, provider = first["clients"]
    services = provider["services"]
    changed = first | {"clients": [management, provider | {"services": [services[0], services[2]]}]}
    assert await applied.apply(server, changed, dry_run=True) == (
        f"remove REST mock1 of {PROVIDER}",
    )
    assert {event.happening for event in applied.events} == {Happening.WOULD}
    assert await applied.apply(server, changed) == (f"remove REST mock1 of {PROVIDER}",)
    assert await applied.apply(server, changed) == ()
    assert await applied.apply(server, first) == (
        f"add REST mock1 to {PROVIDER}",
        f"let friends call mock1 of {PROVIDER}",
        f"enable REST mock1 of {PROVIDER}",
    )
    assert await applied.apply(server, first) == ()
    # No maintenance: that of who carries the management services is refused by the Central Server.
    renamed = applied.second | {
        "clients": [applied.second["clients"][0] | {"connection-type": "HTTPS"}]
    }
    assert await applied.apply(applied.world.ss1, renamed) == (f"let {CONSUMER} connect by HTTPS",)
    await applied.apply(applied.world.ss1, applied.second)


async def sild(server, capsys, *words):
    """What a command prints that goes to a server."""
    capsys.readouterr()
    key = server.home / "ctl.key"
    options = ("--server", server.url, "--insecure", "--api-key-file", str(key))
    if not key.exists():
        roles = [
            f"XROAD_{name}"
            for name in (
                *("SYSTEM_ADMINISTRATOR", "SECURITY_OFFICER"),
                *("REGISTRATION_OFFICER", "SERVICE_ADMINISTRATOR"),
            )
        ]
        write_private(key, (await server.ask("POST", "/api-keys", roles))["key"].encode())
    code = await asyncio.to_thread(main, [*words, *options])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.feature("CLI-06")
async def test_a_script_reads_the_identifier(applied, capsys):
    assert await sild(applied.world.ss1, capsys, "ctl", "id") == (0, "DEV:COM:4321:SS1\n", "")


@pytest.mark.feature("CLI-01")
async def test_keys_and_certificates_are_shown_and_changed_from_the_shell(applied, capsys):
    server = applied.world.ss1
    _, printed, _ = await sild(server, capsys, "ctl", "certificates", "list", "--json")
    by_usage = {each["usage"]: each for each in json.loads(printed)}
    assert {each["status"] for each in by_usage.values()} == {"REGISTERED"}
    sha256 = by_usage["SIGNING"]["certificate_details"]["hash"]
    assert (await sild(server, capsys, "ctl", "certificates", "disable", sha256))[0] == 0
    _, printed, _ = await sild(server, capsys, "ctl", "certificates", "show", sha256)
    assert "active: no" in printed
    assert (await sild(server, capsys, "ctl", "certificates", "activate", sha256))[0] == 0
    key = by_usage["SIGNING"]["key"]
    assert (await sild(server, capsys, "ctl", "keys", "rename", key, "on the card"))[0] == 0
    _, printed, _ = await sild(server, capsys, "ctl", "keys", "list")
    assert "on the card" in printed
    assert (await sild(server, capsys, "ctl", "keys", "delete", "FF" * 20))[0] == 1


@pytest.mark.feature("CLI-07")
async def test_a_person_gives_a_program_a_key_of_its_own(applied, capsys, monkeypatch):
    server = applied.world.ss0
    path = server.home / "program.key"
    write_private(server.home / "password", PASSWORD.encode())
    monkeypatch.setenv("SILD_CTL_PASSWORD_FILE", str(server.home / "password"))
    words = ("ctl", "api-keys", "save", str(path), "XROAD_SERVICE_ADMINISTRATOR")
    person = ("--server", server.url, "--insecure", "--user", USER)
    assert await asyncio.to_thread(main, [*words, *person]) == 0
    key = path.read_text().strip()
    assert key not in capsys.readouterr().out
    program = ("--server", server.url, "--insecure", "--api-key-file", str(path))
    assert await asyncio.to_thread(main, ["ctl", "call", "GET", "/user", "--json", *program]) == 0
    assert "ROLE_XROAD_SERVICE_ADMINISTRATOR" in capsys.readouterr().out
    # A key makes no keys.
    assert await asyncio.to_thread(main, ["ctl", "api-keys", "list", *program]) == 1
    assert await asyncio.to_thread(main, ["ctl", "api-keys", "list", *person]) == 0


@pytest.mark.parametrize(
    "words",
    [
        "clients list",
        f"clients show {PROVIDER}",
        f"groups list {PROVIDER}",
        f"rights list {PROVIDER}",
        f"rights show {PROVIDER} {CONSUMER}",
        f"rights candidates {PROVIDER}",
        f"descriptions list {PROVIDER}",
        f"services list {PROVIDER}",
        f"services clients {PROVIDER}:mock1",
        "tokens list",
        "keys list",
        "certificates list",
        "csrs list",
        "authorities list",
        "authorities fields {ca} SIGNING --member-id DEV:COM:1234",
        "timestamping list",
        "timestamping approved",
        "diagnostics configuration",
        "diagnostics ocsp",
        "diagnostics timestamping",
        "diagnostics addons",
        "diagnostics memory",
        "diagnostics downloads",
        "backups list",
        "maintenance show",
        "address show",
        "tls show",
        "system version",
        "system node-type",
        "instances list",
        "member-classes list",
        "members name COM 1234",
        "servers list",
        "me show",
        "alerts list",
        "init status",
        "anchor show",
        "mail status",
    ],
)
async def test_whatever_there_is_can_be_shown(applied, capsys, words):
    (authority,) = await applied.world.ss0.ask("GET", "/certificate-authorities")
    parts = [authority["name"] if part == "{ca}" else part for part in words.split()]
    code, printed, complained = await sild(applied.world.ss0, capsys, "ctl", *parts)
    assert (code, complained) == (0, "")
    assert printed.strip()
