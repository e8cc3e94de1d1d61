"""The system areas of a security server's API on a real socket."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, fields

from adminapi.api_builder import some_api
from components.confclient.test_anchor import Place
from components.serverconf.standing_worlds import AuthTokens, Sent, world_with
from components.serverconf.test_initialization import BackupKeys, SoftwareToken
from components.serverconf.worlds import FixedWorld
from protocol.globalconf.publisher import Publisher
from sild.adminapi.securityserver import initialization, mail, system
from sild.adminapi.securityserver.server import SecurityServer
from sild.components.serverconf.initialization import Initialization, InitializationPorts
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.standing import ServerStanding, StandingPorts
from sild.components.serverconf.store import ConfigurationStore
from sild.components.tlsidentity.identity import ServedTls
from sild.components.tlsidentity.selfsigned import TlsSubject
from sild.model.permissions import SECURITY_SERVER, Role
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database
from sild.runtime.migrations import migrate

AREAS = (initialization, mail, system)
OCTETS = {"content-type": "application/octet-stream"}
PIN = "Secret-1234"
INITIAL = {
    "owner_member_class": "GOV",
    "owner_member_code": "M1",
    "security_server_code": "SS1",
    "software_token_pin": PIN,
}


@dataclass
class Behind:
    """What is behind the operations."""

    place: Place
    world: FixedWorld
    token: SoftwareToken
    backup_keys: BackupKeys
    requests: Sent
    standing: ServerStanding
    store: ConfigurationStore
    tls: ServedTls


class Served:
    """A security server whose operations are asked for by those who may."""

    def __init__(self, api, behind):
        self.api = api
        self.behind = behind
        self.headers = {}

    async def ask(self, method, path, body=None, **headers):
        return await self.api.ask(method, f"/api/v1{path}", body, self.headers | headers)

    async def send(self, method, path, content):
        """Send a file as the whole body."""
        return await self.api.ask(method, f"/api/v1{path}", content, self.headers | OCTETS)

    async def get(self, path):
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    @property
    def told(self):
        """The last audit record."""
        record = self.api.audit.records[-1]
        return record.event.name, record.reason is None, record.data

    async def initialize(self):
        answer = await self.send("POST", "/system/anchor", self.behind.place.document)
        assert answer.status == 201
        answer = await self.ask("POST", "/initialization", INITIAL | {"ignore_warnings": True})
        assert answer.status == 201

    async def show(self, **changes):
        """Let the global configuration show the server so, and follow it."""
        self.behind.world.conf = world_with(**changes)
        await self.behind.standing.follow(self.behind.world.conf)


def refusal(answer):
    """The status and code of a refusal."""
    return answer.status, answer.json["error"]["code"]


def _behind(folder, database):
    clock = TurnedClock()
    place = Place(folder, Publisher())
    world, token, requests = FixedWorld(), SoftwareToken(), Sent()
    store = ConfigurationStore(database)
    ports = StandingPorts(world, requests, AuthTokens(), lambda *_: None)
    tls = ServedTls(folder / "internal-tls.pem", TlsSubject("ss1.test", ("192.0.2.1",)), clock)
    return Behind(
        place, world, token, BackupKeys(), requests, ServerStanding(store, ports, clock), store, tls
    )


def _server(behind):
    ports = InitializationPorts(behind.place.anchor, behind.world, behind.token, behind.backup_keys)
    made = dict.fromkeys(field.name for field in fields(SecurityServer))
    return SecurityServer(
        **made
        | {
            "initialization": Initialization(behind.store, ports),
            "anchor": behind.place.anchor,
            "internal_tls": behind.tls,
            "standing": behind.standing,
            "clock": TurnedClock(),
            "version": "0.1",
            "node_type": "STANDALONE",
        }
    )


@asynccontextmanager
async def served_system(folder):
    """The areas until the block ends, asked with a key of a system administrator and officer."""
    async with Database.open(f"sqlite:///{folder / 'db' / 'serverconf.db'}") as database:
        await migrate(database, MIGRATIONS)
        behind = _behind(folder, database)
        await behind.tls.make_if_missing()
        areas = [area.OPERATIONS for area in AREAS]
        async with some_api(folder, areas, roles=SECURITY_SERVER) as api:
            api.application.state.server = _server(behind)
            served = Served(api, behind)
            served.headers = await api.key(Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_OFFICER)
            yield served
