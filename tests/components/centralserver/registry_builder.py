"""A registry with members, subsystems and servers, and deletions that are carried out at once."""

from sild.components.centralserver.global_groups import GlobalGroups
from sild.components.centralserver.member_classes import MemberClasses
from sild.components.centralserver.registered_servers import RegisteredServers
from sild.components.centralserver.registry import Registry
from sild.components.centralserver.registry_reading import read_registry
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.system import Node, Parameter, set_parameter
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock

MEMBER = ClientId("DEV", "GOV", "M1")
OTHER = ClientId("DEV", "COM", "M2")
SUBSYSTEM = MEMBER.subsystem("register")
PORTAL = OTHER.subsystem("portal")
SERVER = SecurityServerId(MEMBER, "SS1")
CERTIFICATE = b"one certificate"


class CarriedOut:
    """Deletion requests: carried out where there is something to delete, and remembered."""

    def __init__(self, clock):
        self._clock = clock
        self.left = []

    async def delete_client(self, connection, server, client, comments=None):
        rows = RegistryRows(connection, self._clock.now())
        if await rows.find_client_link(server, client) is not None:
            await rows.remove_client(server, client)
        self.left.append((server, client, comments))

    async def delete_auth_certificate(self, connection, server, der, comments=None):
        await RegistryRows(connection, self._clock.now()).remove_auth_certificate(server, der)
        self.left.append((server, der, comments))


class Registered:
    """The use cases over one database."""

    def __init__(self, database):
        self.database = database
        self.clock = TurnedClock()
        self.deletions = CarriedOut(self.clock)
        self.registry = Registry(database, self.clock, self.deletions)
        self.servers = RegisteredServers(database, self.clock, self.deletions)
        self.groups = GlobalGroups(database, self.clock)
        self.classes = MemberClasses(database)

    async def change(self, change):
        """Let a function change the rows in one transaction."""
        async with self.database.transaction() as connection:
            return await change(RegistryRows(connection, self.clock.now()))

    async def read(self, question):
        """Ask the rows within a transaction that only reads."""
        async with self.database.reading() as connection:
            return await question(RegistryRows(connection, self.clock.now()))

    async def contents(self):
        async with self.database.reading() as connection:
            return await read_registry(connection, "DEV")

    async def owners(self):
        """The members of the owners' group."""
        found = await self.read(lambda rows: rows.groups.all())
        assert [group.code for group in found][:1] in ([], ["security-server-owners"])
        groups = (await self.contents()).groups
        return set(groups[0].members) if groups else set()


async def initialized(database):
    """An instance that has a name, and nothing else."""
    async with database.transaction() as connection:
        await set_parameter(connection, Node(), Parameter.INSTANCE, "DEV")
    return Registered(database)


async def registered(database):
    """Two members with a subsystem each, and a server of the first that serves both subsystems."""
    made = await initialized(database)
    await made.classes.add("GOV", "Government")
    await made.classes.add("COM", "Companies")
    await made.registry.add_member("GOV", "M1", "First member")
    await made.registry.add_member("COM", "M2", "Second member")
    await made.registry.add_subsystem("GOV", "M1", "register", "The register")
    await made.registry.add_subsystem("COM", "M2", "portal", None)

    async def add_server(rows):
        await rows.add_server(SERVER, "ss1.example.org")
        await rows.add_auth_certificate(SERVER, CERTIFICATE)
        await rows.add_client(SERVER, SUBSYSTEM)
        await rows.add_client(SERVER, PORTAL)

    await made.change(add_server)
    return made
