"""What the Central Server's own settings are tried with: tokens, anchors and requests in memory."""

from dataclasses import replace
from datetime import timedelta

from sild.components.centralserver.cluster import Cluster
from sild.components.centralserver.initialization import Initialization, Wanted
from sild.components.centralserver.management_services import ManagementServices
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_tables import MEMBER_CLASS
from sild.components.centralserver.system import Node, System
from sild.model.tokens import SOFT_TOKEN_ID, Token, TokenStatus
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock
from sild.runtime.rpc import RpcUnavailable

PIN = "Secret-1234"
WANTED = Wanted("DEV", "cs.example.org", PIN)
OWNER = ClientId("DEV", "GOV", "M1")
PROVIDER = OWNER.subsystem("management")
SERVER = SecurityServerId(OWNER, "SS1")


class PolicyFailure(ProtocolError):
    """What the signer raises for a weak PIN."""

    code = "token_weak_pin"


class Tokens:
    """One software token, whose PIN needs ten characters."""

    def __init__(self):
        self.token = Token(SOFT_TOKEN_ID, "soft", TokenStatus.NOT_INITIALIZED, logged_in=False)
        self.broken = None

    async def tokens(self):
        if self.broken is not None:
            raise self.broken
        return (self.token,)

    async def initialize(self, pin):
        if self.broken is not None:
            raise self.broken
        if len(pin) < 10 or not pin.isascii():
            raise PolicyFailure("a PIN needs more")
        self.token = replace(self.token, status=TokenStatus.OK)


class BackupKeys:
    """Remembers the keys that were asked for."""

    def __init__(self):
        self.names = []
        self.broken = None

    async def make_key(self, name):
        if self.broken is not None:
            raise self.broken
        self.names.append(name)


class Anchors:
    """Counts how often they were made anew."""

    def __init__(self):
        self.made = 0
        self.broken = None

    async def recreate_anchors(self, connection):
        if self.broken is not None:
            raise self.broken
        self.made += 1


class Registrations:
    """Links clients to servers."""

    def __init__(self, clock):
        self._clock = clock

    async def register_client(self, connection, server, client):
        await RegistryRows(connection, self._clock.now()).add_client(server, client)


class Instance:
    """A node of an instance on a database."""

    def __init__(self, database, node=None):
        self.database = database
        self.node = node or Node()
        self.clock = TurnedClock()
        self.tokens = Tokens()
        self.backup_keys = BackupKeys()
        self.anchors = Anchors()
        self.system = System(database, self.node, self.anchors, "0.1")
        self.cluster = Cluster(database, self.node, timedelta(seconds=60), self.clock)
        self.initialization = Initialization(
            database, self.node, self.tokens, self.backup_keys, self.clock
        )
        self.management = ManagementServices(
            database, self.node, Registrations(self.clock), self.clock
        )

    async def add_provider(self):
        """A member with a server and a subsystem."""
        async with self.database.transaction() as connection:
            await connection.execute(
                MEMBER_CLASS.insert().values(code="GOV", description="Government")
            )
            rows = RegistryRows(connection, self.clock.now())
            await rows.add_member(OWNER, "First member")
            await rows.add_subsystem(PROVIDER, "Management")
            await rows.add_server(SERVER, "ss1.example.org")


SILENT = RpcUnavailable("nobody serves")
