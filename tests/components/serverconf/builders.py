"""A store of a server's configuration in a file of its own."""

from contextlib import asynccontextmanager
from dataclasses import replace

from components.serverconf.worlds import FixedWorld
from sild.components.serverconf.client_states import ClientStates
from sild.components.serverconf.clients import Clients
from sild.components.serverconf.groups import LocalGroups
from sild.components.serverconf.new_descriptions import ServiceParameters, rest_description
from sild.components.serverconf.rights import Rights
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.snapshot_source import SnapshotSource
from sild.components.serverconf.store import ConfigurationStore
from sild.model.services import Client, ClientStatus
from sild.model.tokens import OcspStatus
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.migrations import migrate

OWNER = ClientId("DEV", "GOV", "M1")
SERVER = SecurityServerId(OWNER, "SS1")
PROVIDER = OWNER.subsystem("registry")
CALLER = ClientId("DEV", "COM", "M2", "portal")


class FixedTokens:
    """Tokens that hold what they were given, and OCSP responses about some certificates."""

    def __init__(self):
        self.held = ()
        self.statuses = {}

    async def tokens(self):
        return self.held

    def ocsp_status(self, certificate):
        return self.statuses.get(certificate, OcspStatus.MISSING)


class Conf:
    """The use cases over one store."""

    def __init__(self, database):
        self.database = database
        self.clock = SystemClock()
        self.store = ConfigurationStore(database)
        self.world = FixedWorld()
        self.tokens = FixedTokens()
        self.states = ClientStates(self.store)
        self.clients = Clients(self.store, self.world, self.tokens, self.tokens)
        self.groups = LocalGroups(self.store, self.world, self.clock)
        self.rights = Rights(self.store, self.world, self.clock)

    async def snapshot(self, generation=1):
        return await SnapshotSource(self.store).read(generation)

    async def add_client(self, client=PROVIDER, *, registered=True):
        added = Client(client, ClientStatus.REGISTERED if registered else ClientStatus.SAVED)
        async with self.store.transaction() as kept:
            await kept.add_client(added)
        return added

    async def add_service(self, code="people", provider=PROVIDER):
        parameters = ServiceParameters("https://service.test/api")
        description = rest_description(provider, code, parameters)
        async with self.store.transaction() as kept:
            return replace(description, id=await kept.add_description(description))


@asynccontextmanager
async def empty_conf(path, url=None):
    """A configuration without an identity, in SQLite unless an URL is given."""
    async with Database.open(url or f"sqlite:///{path / 'db' / 'serverconf.db'}") as database:
        await migrate(database, MIGRATIONS)
        yield Conf(database)


@asynccontextmanager
async def server_conf(path, url=None):
    """The configuration of a server with a provider, which has a service."""
    async with empty_conf(path, url) as conf:
        await conf.clients.set_server(SERVER)
        await conf.add_client()
        await conf.add_service()
        yield conf
