"""Management requests over a registry, and an ecosystem whose CA approves certificates."""

from datetime import timedelta

from clocks import StoppedClock
from components.centralserver.registry_builder import (
    CERTIFICATE,
    MEMBER,
    OTHER,
    PORTAL,
    SERVER,
    SUBSYSTEM,
    registered,
)
from pki_builder import NOON, TestCa
from sild.components.centralserver.request_tables import REQUEST
from sild.components.centralserver.requests import Requests
from sild.components.centralserver.system import Node, Parameter, set_parameter
from sild.model.registration import AutomaticApproval, Origin
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.verify import Ecosystem

__all__ = ["CERTIFICATE", "MEMBER", "OTHER", "PORTAL", "SERVER", "SUBSYSTEM"]

CENTER, SERVERS_OWN = Origin.CENTER, Origin.SECURITY_SERVER
NEW_CLIENT = OTHER.subsystem("new")
STRANGER = ClientId("DEV", "COM", "M9")
NEW_SERVER = SecurityServerId(OTHER, "SS9")
NODE = Node()


class Ecosystems:
    """The instance, trusting one CA."""

    def __init__(self, ca, management_services=None):
        self.now = Ecosystem(ca.trust(), management_services)

    async def ecosystem(self):
        return self.now


class Requested:
    """The use cases over one database."""

    def __init__(self, made, ca):
        self.database = made.database
        self.registered = made
        self.ca = ca
        self.clock = StoppedClock()
        self.clock.turn_to(NOON)
        self.certificate = ca.issue_auth("SS9", instance="EE").certificate.der
        self.requests = self.with_automatic()

    def with_automatic(self, **automatic):
        return Requests(
            self.database,
            NODE,
            self.clock,
            Ecosystems(self.ca),
            AutomaticApproval(**automatic),
        )

    def new_certificate(self, **wish):
        return self.ca.issue_auth("SS9", instance="EE", **wish).certificate.der

    async def submit(self, request, origin=SERVERS_OWN, comments=None):
        return await self.requests.submit(request, origin, comments)

    async def provide(self, provider):
        """Let a subsystem provide the management services."""
        values = (
            (Parameter.PROVIDER_CLASS, provider.member_class),
            (Parameter.PROVIDER_CODE, provider.member_code),
            (Parameter.PROVIDER_SUBSYSTEM, provider.subsystem_code or ""),
        )
        async with self.database.transaction() as connection:
            for parameter, value in values:
                await set_parameter(connection, NODE, parameter, value)

    async def read(self, question):
        return await self.registered.read(question)

    async def change(self, change):
        return await self.registered.change(change)

    async def clients_of(self, server):
        return {link.client for link in await self.read(lambda rows: rows.clients_of(server))}

    async def count(self):
        """How many requests are kept."""
        async with self.database.reading() as connection:
            return len((await connection.execute(REQUEST.select())).all())

    def later(self):
        self.clock.turn(timedelta(minutes=1))


async def requested(database):
    return Requested(await registered(database), TestCa.create())
