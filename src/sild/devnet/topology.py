"""What an ecosystem is made of, as values: members, servers, services, rights, and what is broken.

`DEMO` is the default: three organisations with a security server each, and a company whose signing
certificate is revoked. `ports.free_ports` finds ports for all its addresses.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from sild.devnet.errors import DevnetError
from sild.devnet.faults import Broken
from sild.devnet.providers import PHOTO_PATH, PROVIDERS
from sild.model.services import ANY_METHOD, ANY_PATH, ConnectionType, ServiceType
from sild.model.tokens import KeyAlgorithm
from sild.protocol.ids import (
    ClientId,
    GlobalGroupId,
    LocalGroupId,
    SecurityServerId,
    ServiceId,
    SubjectId,
)


class CertificateProfile(Enum):
    """How certificates name members and servers; the values are the reference's class names.

    EE needs member codes of eight digits, the first of which tells the member class.
    """

    BASIC = "ee.ria.xroad.common.certificateprofile.impl.BasicCertificateProfileInfoProvider"
    EJBCA = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider"
    EE = "ee.ria.xroad.common.certificateprofile.impl.SkKlass3CertificateProfileInfoProvider"
    FI = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
    FO = "ee.ria.xroad.common.certificateprofile.impl.FoCertificateProfileInfoProvider"
    IS = "ee.ria.xroad.common.certificateprofile.impl.IsCertificateProfileInfoProvider"


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may call a method and path of a service, or by default all of it."""

    subject: SubjectId
    method: str = ANY_METHOD
    path: str = ANY_PATH


@dataclass(frozen=True, slots=True)
class PlannedService:
    """A service: which provider application answers, at or below which of its paths."""

    code: str
    provider: str
    path: str = ""
    grants: tuple[Grant, ...] = ()
    type: ServiceType = ServiceType.REST
    version: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedLocalGroup:
    """A local group of a subsystem."""

    code: str
    members: tuple[ClientId, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class PlannedSubsystem:
    """A subsystem, how its information systems connect, and what it offers."""

    id: ClientId
    name: str
    connection_type: ConnectionType = ConnectionType.NOSSL
    services: tuple[PlannedService, ...] = ()
    groups: tuple[PlannedLocalGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """An organisation."""

    id: ClientId
    name: str
    subsystems: tuple[PlannedSubsystem, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedServer:
    """A security server with its own loopback address, since peers are found by address alone."""

    id: SecurityServerId
    address: str
    clients: tuple[ClientId, ...] = ()
    signing_key: KeyAlgorithm = KeyAlgorithm.EC_P256
    authentication_key: KeyAlgorithm = KeyAlgorithm.EC_P256

    @property
    def signers(self) -> tuple[ClientId, ...]:
        """The members that need a signing certificate here: the owner, and those of the clients."""
        return tuple(dict.fromkeys((self.id.owner, *(client.member for client in self.clients))))


@dataclass(frozen=True, slots=True)
class PlannedGlobalGroup:
    """A global group."""

    id: GlobalGroupId
    description: str
    members: tuple[ClientId, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """One instance; made of parts that do not fit together it raises DevnetError.

    `central_address` is where the authorities and the global configuration are.
    """

    instance: str
    member_classes: tuple[tuple[str, str], ...]
    members: tuple[PlannedMember, ...]
    servers: tuple[PlannedServer, ...]
    management: ClientId
    groups: tuple[PlannedGlobalGroup, ...] = ()
    profile: CertificateProfile = CertificateProfile.BASIC
    has_intermediate_ca: bool = False
    tsas: tuple[str, ...] = ("tsa",)
    central_address: str = "127.0.0.10"
    broken: Broken = field(default_factory=Broken)

    def __post_init__(self) -> None:
        _Check(self).run()

    @property
    def subsystems(self) -> Iterator[PlannedSubsystem]:
        """All subsystems of all members."""
        return (subsystem for member in self.members for subsystem in member.subsystems)

    @property
    def services(self) -> Iterator[tuple[ServiceId, PlannedService]]:
        """All services of all subsystems."""
        return (
            (ServiceId(subsystem.id, service.code), service)
            for subsystem in self.subsystems
            for service in subsystem.services
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that the ecosystem listens on."""
        return (self.central_address, *(server.address for server in self.servers))

    def get_member(self, member: ClientId) -> PlannedMember:
        """The member of a member or subsystem; raises DevnetError if there is none."""
        return _only(self.members, member.member)

    def get_subsystem(self, subsystem: ClientId) -> PlannedSubsystem:
        """A subsystem; raises DevnetError if there is none."""
        return _only(self.subsystems, subsystem)

    def get_server(self, server: SecurityServerId) -> PlannedServer:
        """A server; raises DevnetError if there is none."""
        return _only(self.servers, server)

    def servers_of(self, client: ClientId) -> tuple[PlannedServer, ...]:
        """The servers where a member or subsystem is owner or client."""
        return tuple(
            server for server in self.servers if client in (server.id.owner, *server.clients)
        )


_Planned = TypeVar("_Planned", PlannedMember, PlannedSubsystem, PlannedServer)


def _only(planned: Iterable[_Planned], wanted: ClientId | SecurityServerId) -> _Planned:
    for each in planned:
        if each.id == wanted:
            return each
    raise DevnetError(f"{wanted} is not in the topology")


class _Check:
    """Whether the parts of a topology fit together."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._members = [member.id for member in topology.members]
        self._subsystems = [subsystem.id for subsystem in topology.subsystems]
        self._clients = frozenset((*self._members, *self._subsystems))
        self._servers = [server.id for server in topology.servers]
        self._groups = [group.id for group in topology.groups]

    def run(self) -> None:
        topology = self._topology
        self._check_unique(self._members, self._subsystems, self._servers, self._groups)
        self._check_unique(topology.addresses, topology.tsas)
        for member in topology.members:
            self._check_member(member)
        for server in topology.servers:
            self._check_known(server.id.owner, *server.clients)
        for group in topology.groups:
            self._check_known(*group.members)
        self._check_known(topology.management)
        self._check_broken(topology.broken)

    def _check_unique(self, *several: Sequence[Hashable]) -> None:
        for names in several:
            for name, count in Counter(names).items():
                if count > 1:
                    raise DevnetError(f"{name} is in the topology twice")

    def _check_known(self, *clients: ClientId) -> None:
        for client in clients:
            if client not in self._clients:
                raise DevnetError(f"{client} is not in the topology")

    def _check_member(self, member: PlannedMember) -> None:
        topology = self._topology
        classes = {code for code, _ in topology.member_classes}
        if member.id.instance != topology.instance or member.id.member_class not in classes:
            raise DevnetError(f"{member.id} is of another instance or an unknown member class")
        for subsystem in member.subsystems:
            if subsystem.id.member != member.id or not subsystem.id.is_subsystem:
                raise DevnetError(f"{subsystem.id} is no subsystem of {member.id}")
            self._check_unique([service.code for service in subsystem.services])
            self._check_unique([group.code for group in subsystem.groups])
            for group in subsystem.groups:
                self._check_known(*group.members)
            for service in subsystem.services:
                self._check_service(subsystem, service)

    def _check_service(self, subsystem: PlannedSubsystem, service: PlannedService) -> None:
        if service.provider not in PROVIDERS:
            raise DevnetError(f"there is no provider {service.provider!r}")
        local = {LocalGroupId(group.code) for group in subsystem.groups}
        known: frozenset[SubjectId] = self._clients | {*self._groups} | local
        for grant in service.grants:
            if grant.subject not in known:
                raise DevnetError(
                    f"{grant.subject} has a right to {service.code} of {subsystem.id}, but is"
                    " not in the topology"
                )

    def _check_broken(self, broken: Broken) -> None:
        members = {*broken.revoked_signing} | {
            faulty.of for faulty in broken.ocsp if isinstance(faulty.of, ClientId)
        }
        servers = {*broken.revoked_authentication} | {
            faulty.of for faulty in broken.ocsp if isinstance(faulty.of, SecurityServerId)
        }
        unknown = [
            *(members - {*self._members}),
            *(servers - {*self._servers}),
            *({*broken.silent_tsas} - {*self._topology.tsas}),
        ]
        if unknown:
            raise DevnetError(f"{unknown[0]} is broken, but not in the topology")


def _member(member_class: str, code: str) -> ClientId:
    return ClientId("DEV", member_class, code)


OPERATOR = _member("GOV", "79990000")
POLICE = _member("GOV", "79990001")
HEALTH = _member("GOV", "79990002")
TAX = _member("GOV", "79990003")
LAPSED = _member("COM", "19990004")

MANAGEMENT = OPERATOR.subsystem("management")
POLICE_PORTAL = POLICE.subsystem("portal")
POLICE_REGISTER = POLICE.subsystem("register")
HEALTH_REGISTER = HEALTH.subsystem("register")
TAX_REGISTER = TAX.subsystem("register")
LAPSED_SHOP = LAPSED.subsystem("shop")

POLICE_SERVER = SecurityServerId(POLICE, "police-1")
HEALTH_SERVER = SecurityServerId(HEALTH, "health-1")
TAX_SERVER = SecurityServerId(TAX, "tax-1")

OWNERS = GlobalGroupId("DEV", "security-server-owners")
AUTHORITIES = GlobalGroupId("DEV", "authorities")
REGISTRARS = LocalGroupId("registrars")

DEMO = Topology(
    instance="DEV",
    member_classes=(("GOV", "Authorities of the state"), ("COM", "Companies")),
    members=(
        PlannedMember(
            OPERATOR,
            "Data exchange operator (invented)",
            (PlannedSubsystem(MANAGEMENT, "Management services"),),
        ),
        PlannedMember(
            POLICE,
            "Police board (invented)",
            (
                PlannedSubsystem(POLICE_PORTAL, "Portal of the police"),
                PlannedSubsystem(
                    POLICE_REGISTER,
                    "Registers of the police",
                    services=(
                        PlannedService(
                            "licences", "police", "/licences", (Grant(AUTHORITIES, "GET", "/*"),)
                        ),
                        PlannedService("vehicles", "police", "/vehicles", (Grant(TAX_REGISTER),)),
                        PlannedService("penalties", "police", "/penalties"),
                        PlannedService(
                            "licencePhoto",
                            "police",
                            PHOTO_PATH,
                            (Grant(HEALTH_REGISTER),),
                            ServiceType.WSDL,
                            "v1",
                        ),
                    ),
                ),
            ),
        ),
        PlannedMember(
            HEALTH,
            "Health insurance fund (invented)",
            (
                PlannedSubsystem(
                    HEALTH_REGISTER,
                    "Register of the insured",
                    services=(
                        PlannedService(
                            "insurance",
                            "health-insurance",
                            "/insurance",
                            (Grant(POLICE_PORTAL), Grant(REGISTRARS), Grant(LAPSED_SHOP)),
                        ),
                        PlannedService(
                            "exercises", "health-insurance", grants=(Grant(POLICE_PORTAL),)
                        ),
                    ),
                    groups=(
                        PlannedLocalGroup(
                            REGISTRARS.group_code, (TAX_REGISTER,), "Keepers of other registers"
                        ),
                    ),
                ),
            ),
        ),
        PlannedMember(
            TAX,
            "Tax board (invented)",
            (
                PlannedSubsystem(
                    TAX_REGISTER,
                    "Register of taxpayers",
                    services=(
                        PlannedService("income", "tax-board", "/income", (Grant(POLICE_PORTAL),)),
                        PlannedService("debt", "tax-board", "/debt"),
                    ),
                ),
            ),
        ),
        PlannedMember(
            LAPSED,
            "Lapsed Ltd (invented)",
            (PlannedSubsystem(LAPSED_SHOP, "Shop of a company whose certificate is revoked"),),
        ),
    ),
    servers=(
        PlannedServer(POLICE_SERVER, "127.0.0.11", (POLICE_PORTAL, POLICE_REGISTER, LAPSED_SHOP)),
        PlannedServer(
            HEALTH_SERVER, "127.0.0.12", (HEALTH_REGISTER,), signing_key=KeyAlgorithm.RSA_2048
        ),
        PlannedServer(TAX_SERVER, "127.0.0.13", (TAX_REGISTER, MANAGEMENT)),
    ),
    management=MANAGEMENT,
    groups=(
        PlannedGlobalGroup(OWNERS, "Owners of security servers", (POLICE, HEALTH, TAX)),
        PlannedGlobalGroup(AUTHORITIES, "Authorities", (HEALTH_REGISTER, TAX_REGISTER)),
    ),
    broken=Broken(revoked_signing=(LAPSED,)),
)
