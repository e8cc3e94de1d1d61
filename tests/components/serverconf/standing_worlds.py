"""A server that stands with a Central Server, both of which tests lead."""

from dataclasses import replace
from datetime import UTC, datetime

from components.serverconf.client_worlds import certificate, conf_with, key, token
from components.serverconf.worlds import FIRST, SECOND, FixedWorld
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.standing import ServerStanding, StandingPorts
from sild.components.serverconf.store import ConfigurationStore
from sild.model.services import Client
from sild.model.tokens import KeyUsage
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.ids import SecurityServerId
from sild.runtime.clock import TurnedClock
from sild.runtime.migrations import migrate

SERVER = SecurityServerId(FIRST, "SS1")
CHANGED = SecurityServerId(SECOND, "SS1")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
_USUAL = {"address": "ss1.test", "maintenance": None}


def world_with(server=SERVER, *, clients=(), **changes):
    """A global configuration that shows the server so."""
    conf = conf_with()
    instance = conf.instances["DEV"]
    listed = SecurityServer(server, clients=tuple(clients), **(_USUAL | changes))
    shared = replace(instance.shared, servers=(listed,))
    return GlobalConf({"DEV": replace(instance, shared=shared)}, "DEV")


class Sent:
    """Management requests, of which the next may fail."""

    def __init__(self):
        self.sent = []
        self.failing = None

    def _send(self, *request):
        if self.failing is not None:
            raise self.failing
        self.sent.append(request)
        return len(self.sent)

    async def change_address(self, address):
        return self._send("address", address)

    async def enable_maintenance(self, message=None):
        return self._send("enable", message)

    async def disable_maintenance(self):
        return self._send("disable")


class AuthTokens:
    """A token with an authentication certificate, one that was only found, and one that signs."""

    def __init__(self):
        found = replace(certificate(None, b"found"), saved=False)
        self.held = (
            token(
                key("auth", certificate(None, b"auth"), found, usage=KeyUsage.AUTHENTICATION),
                key("sign", certificate(FIRST, b"sign")),
            ),
        )

    async def tokens(self):
        return self.held


class Standing:
    """The use cases over a store of a server that is initialised."""

    def __init__(self, database):
        self.database = database
        self.changes = 0
        self.store = ConfigurationStore(database, self.changed)
        self.world = FixedWorld()
        self.world.conf = world_with()
        self.requests = Sent()
        self.clock = TurnedClock()
        self.clock.turn_to(NOON)
        self.changed_to = None
        self.asked_with = None
        self.standing = self.made()

    def made(self):
        """The use cases, as after a restart."""
        ports = StandingPorts(self.world, self.requests, AuthTokens(), self.find_changed)
        return ServerStanding(self.store, ports, self.clock)

    async def changed(self):
        self.changes += 1

    def find_changed(self, server, certificates, conf):
        self.asked_with = (server, tuple(certificates))
        return self.changed_to

    async def show(self, server=SERVER, **changes):
        """Let the global configuration show the server so, and follow it."""
        self.world.conf = world_with(server, **changes)
        await self.standing.follow(self.world.conf)

    async def server(self):
        async with self.store.reading() as kept:
            return await kept.find_server()

    async def clients(self):
        async with self.store.reading() as kept:
            return {client.id for client in await kept.clients()}


async def some_standing(database, *, initialized=True):
    """A server that is registered, unless it is not even initialised."""
    await migrate(database, MIGRATIONS)
    made = Standing(database)
    if initialized:
        async with made.store.transaction() as kept:
            await kept.set_server(SERVER)
            await kept.add_client(Client(FIRST))
        made.changes = 0
    return made
