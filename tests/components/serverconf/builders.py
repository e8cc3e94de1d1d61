"""A store of a server's configuration in a file of its own."""

from contextlib import asynccontextmanager

from sild.components.serverconf.clients import Clients
from sild.components.serverconf.descriptions import Descriptions
from sild.components.serverconf.rights import Rights
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.snapshot_source import SnapshotSource
from sild.components.serverconf.store import ConfigurationStore
from sild.model.services import ConnectionType
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.migrations import migrate

OWNER = ClientId("DEV", "GOV", "M1")
SERVER = SecurityServerId(OWNER, "SS1")
PROVIDER = OWNER.subsystem("registry")
CALLER = ClientId("DEV", "COM", "M2", "portal")


class Conf:
    """The use cases over one store."""

    def __init__(self, database):
        self.database = database
        self.clock = SystemClock()
        self.store = ConfigurationStore(database)
        self.clients = Clients(self.store, self.clock)
        self.descriptions = Descriptions(self.store)
        self.rights = Rights(self.store, self.clock)

    async def snapshot(self, generation=1):
        return await SnapshotSource(self.store).read(generation)

    async def add_client(self, client=PROVIDER, *, registered=True):
        return await self.clients.add(client, ConnectionType.SSLAUTH, in_global_conf=registered)

    async def add_service(self, code="people", provider=PROVIDER):
        added = await self.descriptions.add_rest(provider, code, "https://service.test/api")
        await self.descriptions.enable(added.id)
        return added


@asynccontextmanager
async def empty_conf(path):
    """A configuration without an identity."""
    async with Database.open(f"sqlite:///{path / 'db' / 'serverconf.db'}") as database:
        await migrate(database, MIGRATIONS)
        yield Conf(database)


@asynccontextmanager
async def server_conf(path):
    """The configuration of a server with a provider, which has a service."""
    async with empty_conf(path) as conf:
        await conf.clients.set_server(SERVER)
        await conf.add_client()
        await conf.add_service()
        yield conf
