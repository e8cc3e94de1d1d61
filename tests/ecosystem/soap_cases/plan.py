"""Who is in the messages of the cases, and the circumstances in which the cases are asked."""

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)
from sild.devnet.topology import (
    PlannedGlobalGroup,
    PlannedMember,
    PlannedServer,
    PlannedSubsystem,
    Topology,
)
from sild.model.services import ConnectionType, ServiceType
from sild.model.tokens import KeyAlgorithm
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

INSTANCE = "EE"
NETWORK = "127.0.21"

OPERATOR = ClientId(INSTANCE, "BUSINESS", "operator")
CONSUMER = ClientId(INSTANCE, "BUSINESS", "consumer")
PRODUCER = ClientId(INSTANCE, "BUSINESS", "producer")
STRANGER = ClientId(INSTANCE, "BUSINESS", "stranger")
CONSUMER_PART = CONSUMER.subsystem("subsys1")
PRODUCER_PART = PRODUCER.subsystem("subsys2")

CONSUMER_SERVER = SecurityServerId(CONSUMER, "consumer-1")
PRODUCER_SERVER = SecurityServerId(PRODUCER, "producer-1")
STRANGER_SERVER = SecurityServerId(STRANGER, "stranger-1")
FALSE_ADDRESS = f"{NETWORK}.3"
"""Where somebody answers who says to be the producer's server, if a case wants it."""

CALLERS = GlobalGroupId(INSTANCE, "callers")

TOPOLOGY = Topology(
    instance=INSTANCE,
    member_classes=(("BUSINESS", "Businesses"),),
    members=(
        PlannedMember(OPERATOR, "Operator", (PlannedSubsystem(OPERATOR.subsystem("m"), "M"),)),
        PlannedMember(CONSUMER, "Consumer", (PlannedSubsystem(CONSUMER_PART, "Its part"),)),
        PlannedMember(PRODUCER, "Producer", (PlannedSubsystem(PRODUCER_PART, "Its part"),)),
        PlannedMember(STRANGER, "Stranger"),
    ),
    servers=(
        PlannedServer(CONSUMER_SERVER, f"{NETWORK}.1", (CONSUMER_PART,)),
        PlannedServer(
            PRODUCER_SERVER, f"{NETWORK}.2", (PRODUCER_PART,), signing_key=KeyAlgorithm.RSA_2048
        ),
    ),
    management=OPERATOR.subsystem("m"),
    groups=(PlannedGlobalGroup(CALLERS, "Who may call", (CONSUMER, CONSUMER_PART)),),
    central_address=f"{NETWORK}.10",
)


class Way(Enum):
    """What the global configuration says of the producer's servers."""

    DIRECT = auto()
    NO_ADDRESS = auto()
    MAINTENANCE = auto()
    FALSE_SERVER = auto()
    ONE_OF_THREE = auto()
    NONE_OF_THREE = auto()


@dataclass(frozen=True)
class Caller:
    """How the consumer's information systems must connect; the certificates are named."""

    type: ConnectionType = ConnectionType.NOSSL
    certificates: tuple = ()


@dataclass(frozen=True)
class Offer:
    """What the producer offers, to whom, and how its services are called."""

    place: str = "http"
    trusted: tuple = ()
    verify_tls: bool = False
    notice: str | None = None
    is_allowed: bool = True
    is_there: bool = True


@dataclass(frozen=True)
class Circumstances:
    """All that a case finds before it asks."""

    way: Way = Way.DIRECT
    caller: Caller = field(default_factory=Caller)
    offer: Offer = field(default_factory=Offer)


def registry_by(way, registry):
    """The global configuration, where all is well in the one that is given."""
    producer = registry.get_server(PRODUCER_SERVER)

    def elsewhere(number, address):
        server = SecurityServerId(PRODUCER, f"producer-{number}")
        return SecurityServer(server, address, producer.auth_cert_hashes)

    match way:
        case Way.DIRECT:
            return registry
        case Way.NO_ADDRESS:
            return registry.with_server(replace(producer, address=None))
        case Way.MAINTENANCE:
            return registry.with_server(replace(producer, maintenance="Maintenance mode is on"))
        case Way.FALSE_SERVER:
            return registry.with_server(replace(producer, address=FALSE_ADDRESS))
    if way is Way.NONE_OF_THREE:
        registry = registry.with_server(replace(producer, address="first.invalid."))
    second = registry.with_server(elsewhere(2, "second.invalid."))
    return second.with_server(elsewhere(3, "127.0.0,1"))


def consumer_declaration(caller, certificates):
    """The consumer's server; `certificates` are DER by name."""
    trusted = tuple(certificates[name] for name in caller.certificates)
    return ServerDeclaration(
        CONSUMER_SERVER,
        (
            DeclaredClient(CONSUMER, caller.type, trusted),
            DeclaredClient(CONSUMER_PART, caller.type, trusted),
        ),
    )


def producer_declaration(offer, places, certificates):
    """The producer's server; `places` are the addresses of its services by name."""
    rights = (DeclaredRight(CALLERS),) if offer.is_allowed else ()

    def client(provider, codes):
        services = tuple(
            DeclaredService(
                code,
                f"{places[offer.place]}/{code}",
                rights,
                verify_tls=offer.verify_tls,
                disabled_notice=offer.notice,
                type=ServiceType.WSDL,
            )
            for code in codes
            if offer.is_there
        )
        trusted = tuple(certificates[name] for name in offer.trusted)
        return DeclaredClient(provider, ConnectionType.NOSSL, trusted, services)

    return ServerDeclaration(
        PRODUCER_SERVER,
        (
            client(PRODUCER, ("getState", "test", "testQuery")),
            client(PRODUCER_PART, ("getState",)),
        ),
    )
