"""A configuration that was stored without any use case, on SQLite or another engine."""

from contextlib import asynccontextmanager

from sild.components.serverconf.rows import Description
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.store import ConfigurationStore
from sild.model.services import Client, ClientStatus, Service, ServiceType
from sild.protocol.ids import ClientId, SecurityServerId, ServiceId
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.migrations import migrate

OWNER = ClientId("DEV", "GOV", "M1")
PROVIDER = OWNER.subsystem("registry")


class Stored:
    """A store, and what changes it at once."""

    def __init__(self, database):
        self.clock = SystemClock()
        self.store = ConfigurationStore(database)

    async def add_client(self, client):
        async with self.store.transaction() as conf:
            await conf.add_client(Client(client, ClientStatus.REGISTERED))

    async def add_service(self, code, version=None, provider=PROVIDER, title=None):
        url, kind = f"http://service.test/{code}/{version}", ServiceType.WSDL
        name = ServiceId(provider, code, version)
        service = Service(name, kind, url, title=title)
        async with self.store.transaction() as conf:
            await conf.add_description(Description(provider, kind, url, (service,)))

    async def add_endpoint(self, endpoint):
        """Add an endpoint; give its number."""
        return await self._add("serverconf_endpoint", lambda conf: conf.add_endpoint(endpoint))

    async def add_group(self, group):
        """Add a local group; give its number."""
        now = self.clock.now()
        return await self._add("serverconf_group", lambda conf: conf.add_group(group, now))

    async def _add(self, table, add):
        async with self.store.transaction() as conf:
            await add(conf)
            added = await conf.connection.exec_driver_sql(f"SELECT max(id) FROM {table}")
            return str(added.scalar_one())


_PREPARED = {}


async def prepare(path, make):
    """Put a database there as `make`, given one that is empty, fills it: that is done once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if make not in _PREPARED:
        async with Database.open(f"sqlite:///{path}") as database:
            await make(database)
        _PREPARED[make] = path.read_bytes()
    path.write_bytes(_PREPARED[make])
    path.chmod(0o600)
    return f"sqlite:///{path}"


@asynccontextmanager
async def stored_conf(path, url=None):
    """The configuration of a server with a provider, which has a service in two versions."""
    url = url or await prepare(path / "db" / "serverconf.db", _fill)
    async with Database.open(url) as database:
        if not url.startswith("sqlite:"):
            await _fill(database)
        yield Stored(database)


async def _fill(database):
    await migrate(database, MIGRATIONS)
    stored = Stored(database)
    async with stored.store.transaction() as conf:
        await conf.set_server(SecurityServerId(OWNER, "SS1"))
    await stored.add_client(OWNER)
    await stored.add_client(PROVIDER)
    await stored.add_service("people", "v1", title="Old people")
    await stored.add_service("people", "V2", title="People")
