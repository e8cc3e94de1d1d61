"""Shared parameters: members, servers, groups and approved services, versions 2 to 6 as one model.

The versions differ in what they may say. What a version cannot say is empty or `None` here:

    2   no sources; authentication certificates are known by SHA-1
    3   sources, ACME servers; authentication certificates by SHA-256 from here on
    4   certificate profiles of ACME servers
    5   subsystem names, maintenance mode
    6   costs of OCSP responders and time-stamping, the default CSR format
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from sild.protocol.errors import InvalidClientIdentifier, InvalidXml, MalformedGlobalConf
from sild.protocol.globalconf.document import (
    bytes_of,
    certificate_of,
    integer_of,
    is_true,
    read_document,
    refusing,
)
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId
from sild.protocol.idsxml import read_client_id
from sild.protocol.pki.certificate import Certificate
from sild.protocol.safexml import (
    Element,
    child_text,
    children,
    find_child,
    find_child_text,
    get_child,
    text_of,
)

SCHEMAS = {version: f"globalconf/v{version}/shared-parameters.xsd" for version in (2, 3, 4, 5, 6)}


class CostType(Enum):
    """Whether a trust service asks for payment."""

    FREE = "FREE"
    PAID = "PAID"
    UNDEFINED = "UNDEFINED"


class CsrFormat(Enum):
    """How a certification service takes certificate requests."""

    PEM = "PEM"
    DER = "DER"


@dataclass(frozen=True, slots=True)
class ConfigurationSource:
    """A central server or configuration proxy, and the certificates of its signing keys."""

    address: str
    internal_certificates: tuple[Certificate, ...] = ()
    external_certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class OcspResponderEntry:
    """An OCSP responder of a CA certificate."""

    url: str
    certificate: Certificate | None = None
    cost: CostType | None = None


@dataclass(frozen=True, slots=True)
class CaEntry:
    """One certificate of a certification service, and where its certificates are asked about."""

    certificate: Certificate
    responders: tuple[OcspResponderEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class AcmeServer:
    """Where a certification service takes orders over ACME."""

    directory_url: str
    ip_addresses: str | None = None
    authentication_profile: str | None = None
    signing_profile: str | None = None


@dataclass(frozen=True, slots=True)
class CertificationService:
    """An approved CA; `profile` is the reference implementation's class name."""

    name: str
    profile: str
    top: CaEntry
    intermediates: tuple[CaEntry, ...] = ()
    authentication_only: bool = False
    csr_format: CsrFormat | None = None
    acme: AcmeServer | None = None

    @property
    def entries(self) -> tuple[CaEntry, ...]:
        """The top certificate and the intermediate ones."""
        return (self.top, *self.intermediates)


@dataclass(frozen=True, slots=True)
class TimestampingService:
    """An approved TSA."""

    name: str
    url: str
    certificate: Certificate
    cost: CostType | None = None


@dataclass(frozen=True, slots=True)
class MemberClass:
    """A member class, and what it stands for."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Subsystem:
    """A subsystem of a member; before version 5 it has no name."""

    id: ClientId
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member with its subsystems."""

    id: ClientId
    name: str
    class_description: str = ""
    subsystems: tuple[Subsystem, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityServer:
    """A security server: `maintenance` is what it says about being in maintenance, if it is.

    Its owner is a client of it without being listed.
    """

    id: SecurityServerId
    address: str | None = None
    auth_cert_hashes: tuple[bytes, ...] = ()
    clients: tuple[ClientId, ...] = ()
    maintenance: str | None = None


@dataclass(frozen=True, slots=True)
class GlobalGroup:
    """A global group; members of other instances may belong to it."""

    id: GlobalGroupId
    description: str
    members: tuple[ClientId, ...] = ()


@dataclass(frozen=True, slots=True)
class SharedParameters:
    """The shared parameters of one instance."""

    instance: str
    sources: tuple[ConfigurationSource, ...] = ()
    certification_services: tuple[CertificationService, ...] = ()
    timestamping_services: tuple[TimestampingService, ...] = ()
    members: tuple[Member, ...] = ()
    servers: tuple[SecurityServer, ...] = ()
    groups: tuple[GlobalGroup, ...] = ()
    member_classes: tuple[MemberClass, ...] = ()
    ocsp_freshness_seconds: int = 3600


def read_shared_parameters(data: bytes, version: int) -> SharedParameters:
    """The shared parameters in a document of this version; raises MalformedGlobalConf."""
    with refusing(MalformedGlobalConf, "the shared parameters"):
        if version not in SCHEMAS:
            raise InvalidXml(f"version {version} is not supported")
        root = read_document(data, "conf", SCHEMAS[version])
        return _Reader(root).read()


class _Reader:
    """Reads one document, which fits its schema, remembering which XML id stands for whom."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._instance = child_text(root, "instanceIdentifier")
        self._by_xml_id: dict[str, ClientId] = {}

    def read(self) -> SharedParameters:
        root, settings = self._root, get_child(self._root, "globalSettings")
        return SharedParameters(
            instance=self._instance,
            sources=tuple(map(_source, children(root, "source"))),
            certification_services=tuple(map(_certification, children(root, "approvedCA"))),
            timestamping_services=tuple(map(_timestamping, children(root, "approvedTSA"))),
            members=tuple(map(self._member, children(root, "member"))),
            servers=tuple(map(self._server, children(root, "securityServer"))),
            groups=tuple(map(self._group, children(root, "globalGroup"))),
            member_classes=tuple(map(_member_class, children(settings, "memberClass"))),
            ocsp_freshness_seconds=integer_of(settings, "ocspFreshnessSeconds"),
        )

    def _member(self, element: Element) -> Member:
        member_class = get_child(element, "memberClass")
        code = child_text(member_class, "code")
        member = ClientId(self._instance, code, child_text(element, "memberCode"))
        self._remember(element, member)
        return Member(
            id=member,
            name=child_text(element, "name"),
            class_description=child_text(member_class, "description"),
            subsystems=tuple(self._subsystem(e, member) for e in children(element, "subsystem")),
        )

    def _subsystem(self, element: Element, member: ClientId) -> Subsystem:
        subsystem = member.subsystem(child_text(element, "subsystemCode"))
        self._remember(element, subsystem)
        return Subsystem(subsystem, find_child_text(element, "subsystemName"))

    def _remember(self, element: Element, client: ClientId) -> None:
        # The schema has seen to it that no id is there twice.
        if (xml_id := element.get("id")) is not None:
            self._by_xml_id[xml_id.strip()] = client

    def _referred(self, element: Element) -> ClientId:
        xml_id = text_of(element).strip()
        if xml_id not in self._by_xml_id:
            raise InvalidXml(f"no member or subsystem has the id {xml_id}")
        return self._by_xml_id[xml_id]

    def _server(self, element: Element) -> SecurityServer:
        owner = self._referred(get_child(element, "owner"))
        maintenance = find_child(element, "inMaintenanceMode")
        return SecurityServer(
            id=SecurityServerId(owner, child_text(element, "serverCode")),
            address=(find_child_text(element, "address") or "").strip() or None,
            auth_cert_hashes=tuple(bytes_of(e) for e in children(element, "authCertHash")),
            clients=tuple(self._referred(client) for client in children(element, "client")),
            maintenance=None
            if maintenance is None
            else find_child_text(maintenance, "message") or "",
        )

    def _group(self, element: Element) -> GlobalGroup:
        return GlobalGroup(
            id=GlobalGroupId(self._instance, child_text(element, "groupCode")),
            description=child_text(element, "description"),
            members=tuple(_group_members(children(element, "groupMember"))),
        )


def _group_members(elements: Iterable[Element]) -> Iterator[ClientId]:
    for element in elements:
        # As in the reference implementation, an identifier of which type and parts disagree
        # stands for nobody.
        with suppress(InvalidClientIdentifier):
            yield read_client_id(element)


def _source(element: Element) -> ConfigurationSource:
    return ConfigurationSource(
        address=child_text(element, "address").strip(),
        internal_certificates=_certificates(children(element, "internalVerificationCert")),
        external_certificates=_certificates(children(element, "externalVerificationCert")),
    )


def _certificates(holders: Iterable[Element]) -> tuple[Certificate, ...]:
    return tuple(certificate_of(holder) for holder in holders)


def _certification(element: Element) -> CertificationService:
    csr_format = find_child_text(element, "defaultCsrFormat")
    acme = find_child(element, "acmeServer")
    return CertificationService(
        name=child_text(element, "name"),
        profile=child_text(element, "certificateProfileInfo").strip(),
        top=_ca(get_child(element, "topCA")),
        intermediates=tuple(map(_ca, children(element, "intermediateCA"))),
        authentication_only=is_true(element, "authenticationOnly"),
        csr_format=None if csr_format is None else CsrFormat(csr_format),
        acme=None if acme is None else _acme(acme),
    )


def _ca(element: Element) -> CaEntry:
    certificate = certificate_of(get_child(element, "cert"))
    return CaEntry(certificate, tuple(map(_responder, children(element, "ocsp"))))


def _responder(element: Element) -> OcspResponderEntry:
    certificate = find_child(element, "cert")
    return OcspResponderEntry(
        url=child_text(element, "url").strip(),
        certificate=None if certificate is None else certificate_of(certificate),
        cost=_cost(element),
    )


def _cost(element: Element) -> CostType | None:
    cost = find_child_text(element, "costType")
    return None if cost is None else CostType(cost)


def _acme(element: Element) -> AcmeServer:
    return AcmeServer(
        directory_url=child_text(element, "directoryURL").strip(),
        ip_addresses=find_child_text(element, "ipAddress"),
        authentication_profile=find_child_text(element, "authenticationCertificateProfileId"),
        signing_profile=find_child_text(element, "signingCertificateProfileId"),
    )


def _timestamping(element: Element) -> TimestampingService:
    return TimestampingService(
        name=child_text(element, "name"),
        url=child_text(element, "url").strip(),
        certificate=certificate_of(get_child(element, "cert")),
        cost=_cost(element),
    )


def _member_class(element: Element) -> MemberClass:
    return MemberClass(child_text(element, "code"), child_text(element, "description"))
