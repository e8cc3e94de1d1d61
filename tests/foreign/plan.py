"""Two organisations with a security server each: one asks, the other has a register."""

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)
from sild.devnet.ecosystem import Intervals
from sild.devnet.topology import (
    PlannedMember,
    PlannedServer,
    PlannedSubsystem,
    Topology,
)
from sild.model.services import ConnectionType, ServiceType
from sild.model.tokens import KeyAlgorithm
from sild.protocol.ids import ClientId, SecurityServerId

OFFICE = ClientId("TEST", "GOV", "70000001")
KEEPER = ClientId("TEST", "GOV", "70000002")
CLERK = OFFICE.subsystem("clerk")
STRANGER = OFFICE.subsystem("stranger")
REGISTER = KEEPER.subsystem("register")

CLERK_SERVER = SecurityServerId(OFFICE, "office-1")
REGISTER_SERVER = SecurityServerId(KEEPER, "keeper-1")

HOST = "127.0.0.82"
"""Of the register's security server and of the register itself."""

# Nothing goes stale by itself while tests run.
INTERVALS = Intervals(ocsp=600, ocsp_freshness=3600, configuration_expires=900)

TOPOLOGY = Topology(
    instance="TEST",
    member_classes=(("GOV", "Authorities"),),
    members=(
        PlannedMember(
            OFFICE,
            "Office",
            (PlannedSubsystem(CLERK, "Clerk"), PlannedSubsystem(STRANGER, "Stranger")),
        ),
        PlannedMember(KEEPER, "Keeper", (PlannedSubsystem(REGISTER, "Register"),)),
    ),
    servers=(
        PlannedServer(CLERK_SERVER, "127.0.0.81", (CLERK, STRANGER)),
        PlannedServer(REGISTER_SERVER, HOST, (REGISTER,), signing_key=KeyAlgorithm.RSA_2048),
    ),
    management=REGISTER,
    central_address="127.0.0.80",
)


def declarations(provider_url):
    """What an administrator tells each server; the register's services are SOAP services."""
    services = tuple(
        DeclaredService(code, provider_url, (DeclaredRight(CLERK),), type=ServiceType.WSDL)
        for code in ("findPerson", "copyDocuments")
    )
    open_clients = tuple(DeclaredClient(each, ConnectionType.NOSSL) for each in (CLERK, STRANGER))
    register = DeclaredClient(REGISTER, ConnectionType.NOSSL, services=services)
    return {
        CLERK_SERVER: ServerDeclaration(CLERK_SERVER, open_clients),
        REGISTER_SERVER: ServerDeclaration(REGISTER_SERVER, (register,)),
    }
