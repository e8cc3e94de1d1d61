"""The ecosystem that the tests of this folder share: who is in it, and what they offer.

Two security servers run as they would anywhere. A third, the one of HOLDER, is registered like
them, but its keys and its code are the test's own (`held.py`).
"""

from dataclasses import replace

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredGroup,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)
from sild.devnet.faults import Broken
from sild.devnet.topology import (
    PlannedGlobalGroup,
    PlannedMember,
    PlannedServer,
    PlannedSubsystem,
    Topology,
)
from sild.model.services import ConnectionType, ServiceType
from sild.model.tokens import KeyAlgorithm
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SecurityServerId

INSTANCE = "TEST"
OPERATOR = ClientId(INSTANCE, "GOV", "70000000")
POLICE = ClientId(INSTANCE, "GOV", "70000001")
HEALTH = ClientId(INSTANCE, "GOV", "70000002")
HOLDER = ClientId(INSTANCE, "COM", "10000003")
LAPSED = ClientId(INSTANCE, "COM", "10000004")

PORTAL = POLICE.subsystem("portal")
COUNTER = POLICE.subsystem("counter")
KIOSK = POLICE.subsystem("kiosk")
LICENCES = POLICE.subsystem("licences")
UNREGISTERED = POLICE.subsystem("unregistered")
REGISTER = HEALTH.subsystem("register")
HAND = HOLDER.subsystem("hand")
SHOP = LAPSED.subsystem("shop")
NOBODY = ClientId(INSTANCE, "GOV", "79999999", "nobody")

POLICE_SERVER = SecurityServerId(POLICE, "police-1")
HEALTH_SERVER = SecurityServerId(HEALTH, "health-1")
HELD_SERVER = SecurityServerId(HOLDER, "held-1")
HELD_ADDRESS = "127.0.0.33"

EVERYBODY = GlobalGroupId(INSTANCE, "everybody")
FRIENDS = LocalGroupId("friends")

TOPOLOGY = Topology(
    instance=INSTANCE,
    member_classes=(("GOV", "Authorities"), ("COM", "Companies")),
    members=(
        PlannedMember(OPERATOR, "Operator", (PlannedSubsystem(OPERATOR.subsystem("m"), "M"),)),
        PlannedMember(
            POLICE,
            "Police",
            tuple(
                PlannedSubsystem(each, each.subsystem_code or "")
                for each in (PORTAL, COUNTER, KIOSK, LICENCES, UNREGISTERED)
            ),
        ),
        PlannedMember(HEALTH, "Health", (PlannedSubsystem(REGISTER, "Register"),)),
        PlannedMember(HOLDER, "Holder", (PlannedSubsystem(HAND, "Hand"),)),
        PlannedMember(LAPSED, "Lapsed", (PlannedSubsystem(SHOP, "Shop"),)),
    ),
    servers=(
        PlannedServer(POLICE_SERVER, "127.0.0.31", (PORTAL, COUNTER, KIOSK, LICENCES, SHOP)),
        PlannedServer(HEALTH_SERVER, "127.0.0.32", (REGISTER,), signing_key=KeyAlgorithm.RSA_2048),
    ),
    management=OPERATOR.subsystem("m"),
    groups=(PlannedGlobalGroup(EVERYBODY, "All who call", (PORTAL, COUNTER, KIOSK, HAND, SHOP)),),
    central_address="127.0.0.30",
    broken=Broken(revoked_signing=(LAPSED,)),
)

SECONDS_OF_QUICK = 1


def _open(code: str, url: str) -> DeclaredService:
    return DeclaredService(code, url, (DeclaredRight(EVERYBODY),))


def _soap(code: str, url: str) -> DeclaredService:
    return replace(_open(code, url), type=ServiceType.WSDL)


def police_declaration(url: str, kiosk_certificate: bytes) -> ServerDeclaration:
    """The police server: three ways to connect, and one service to show that routes differ."""
    return ServerDeclaration(
        POLICE_SERVER,
        (
            DeclaredClient(PORTAL, ConnectionType.NOSSL),
            DeclaredClient(COUNTER, ConnectionType.SSLNOAUTH),
            DeclaredClient(KIOSK, ConnectionType.SSLAUTH, (kiosk_certificate,)),
            DeclaredClient(
                LICENCES,
                ConnectionType.NOSSL,
                services=(DeclaredService("valid", f"{url}/police", (DeclaredRight(PORTAL),)),),
            ),
            DeclaredClient(UNREGISTERED, ConnectionType.NOSSL),
            DeclaredClient(SHOP, ConnectionType.NOSSL),
        ),
    )


def health_declaration(url: str, dead_url: str) -> ServerDeclaration:
    """The health server: what is open, closed, limited to endpoints, disabled, or dead."""
    services = (
        _open("open", f"{url}/open"),
        DeclaredService("closed", f"{url}/closed"),
        DeclaredService("own", f"{url}/own", (DeclaredRight(PORTAL),)),
        DeclaredService("friendly", f"{url}/friendly", (DeclaredRight(FRIENDS),)),
        DeclaredService(
            "limited",
            f"{url}/limited",
            (
                DeclaredRight(PORTAL, "GET", "/people/*"),
                DeclaredRight(PORTAL, "POST", "/people"),
                DeclaredRight(PORTAL, "*", "/tree/**"),
                DeclaredRight(COUNTER, "GET", "/people/*/name"),
                DeclaredRight(HAND, "*", "/tree/**"),
            ),
        ),
        replace(_open("disabled", f"{url}/disabled"), disabled_notice="closed for the summer"),
        _open("dead", dead_url),
        replace(_open("quick", f"{url}/quick"), timeout_seconds=SECONDS_OF_QUICK),
        replace(_soap("getPerson", f"{url}/soap/?wsdl=1"), version="v1"),
        replace(_soap("getClosed", f"{url}/soap"), rights=(DeclaredRight(PORTAL),)),
        replace(_soap("getDisabled", f"{url}/soap"), disabled_notice="closed for the summer"),
        _soap("getDead", dead_url),
    )
    groups = (DeclaredGroup(FRIENDS.group_code, (COUNTER,), "Friends"),)
    register = DeclaredClient(REGISTER, ConnectionType.NOSSL, services=services, groups=groups)
    return ServerDeclaration(HEALTH_SERVER, (register,))
