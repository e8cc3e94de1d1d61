"""Shared parameters as documents of versions 2 to 6, each saying what its version can say."""

from collections.abc import Mapping

from sild.protocol.errors import InvalidXml, MalformedGlobalConf
from sild.protocol.globalconf.document import LIMITS, refusing
from sild.protocol.globalconf.plaintext import Text
from sild.protocol.globalconf.shared_parameters import (
    SCHEMAS,
    AcmeServer,
    CaEntry,
    CertificationService,
    ConfigurationSource,
    CostType,
    GlobalGroup,
    Member,
    MemberClass,
    SecurityServer,
    SharedParameters,
    TimestampingService,
)
from sild.protocol.ids import ClientId
from sild.protocol.safexml import Schema, read_xml

LATEST_VERSION = 6
_SHA256_HASHES = _SOURCES = _ACME = 3
_ACME_PROFILES = 4
_SUBSYSTEM_NAMES = _MAINTENANCE = 5
_COSTS = _CSR_FORMATS = 6
_NO_HASHES: Mapping[bytes, bytes] = {}


def write_shared_parameters(
    parameters: SharedParameters,
    version: int = LATEST_VERSION,
    sha1_of: Mapping[bytes, bytes] = _NO_HASHES,
) -> bytes:
    """The shared parameters as a document; raises MalformedGlobalConf for what cannot be said.

    Authentication certificates are given by SHA-256. Version 2 writes the SHA-1 that `sha1_of`
    has for each.
    """
    with refusing(MalformedGlobalConf, "the shared parameters"):
        if version not in SCHEMAS:
            raise InvalidXml(f"version {version} is not supported")
        document = _Writer(parameters, version, sha1_of).write()
        Schema.load(SCHEMAS[version]).check(read_xml(document, LIMITS))
        return document


class _Writer:
    """Writes one document, giving each member and subsystem the XML id that servers refer to."""

    def __init__(
        self, parameters: SharedParameters, version: int, sha1_of: Mapping[bytes, bytes]
    ) -> None:
        self._parameters = parameters
        self._version = version
        self._sha1_of = sha1_of
        self._text = Text()
        self._xml_ids: dict[ClientId, str] = {}

    def write(self) -> bytes:
        parameters, text = self._parameters, self._text
        text.add("instanceIdentifier", parameters.instance)
        for source in parameters.sources if self._version >= _SOURCES else ():
            self._add_source(source)
        for service in parameters.certification_services:
            self._add_certification(service)
        for tsa in parameters.timestamping_services:
            self._add_timestamping(tsa)
        for member in parameters.members:
            self._add_member(member)
        for server in parameters.servers:
            self._add_server(server)
        for group in parameters.groups:
            self._add_group(group)
        text.open("globalSettings")
        for member_class in parameters.member_classes:
            self._add_member_class(member_class)
        text.add("ocspFreshnessSeconds", str(parameters.ocsp_freshness_seconds))
        text.close("globalSettings")
        return text.document()

    def _new_id(self, client: ClientId) -> str:
        if client.instance != self._parameters.instance:
            raise InvalidXml(f"{client} is not of the instance {self._parameters.instance}")
        xml_id = f"id{len(self._xml_ids)}"
        if self._xml_ids.setdefault(client, xml_id) != xml_id:
            raise InvalidXml(f"{client} is listed twice")
        return xml_id

    def _id_of(self, client: ClientId) -> str:
        if client not in self._xml_ids:
            raise InvalidXml(f"{client} is on a security server, but not among the members")
        return self._xml_ids[client]

    def _add_source(self, source: ConfigurationSource) -> None:
        self._text.open("source")
        self._text.add("address", source.address)
        for certificate in source.internal_certificates:
            self._text.add_base64("internalVerificationCert", certificate.der)
        for certificate in source.external_certificates:
            self._text.add_base64("externalVerificationCert", certificate.der)
        self._text.close("source")

    def _add_certification(self, service: CertificationService) -> None:
        text = self._text
        text.open("approvedCA")
        text.add("name", service.name)
        text.add("authenticationOnly", "true" if service.authentication_only else "false")
        self._add_ca("topCA", service.top)
        for intermediate in service.intermediates:
            self._add_ca("intermediateCA", intermediate)
        text.add("certificateProfileInfo", service.profile)
        if service.csr_format is not None and self._version >= _CSR_FORMATS:
            text.add("defaultCsrFormat", service.csr_format.value)
        if service.acme is not None and self._version >= _ACME:
            self._add_acme(service.acme)
        text.close("approvedCA")

    def _add_ca(self, name: str, ca: CaEntry) -> None:
        text = self._text
        text.open(name)
        text.add_base64("cert", ca.certificate.der)
        for responder in ca.responders:
            text.open("ocsp")
            text.add("url", responder.url)
            if responder.certificate is not None:
                text.add_base64("cert", responder.certificate.der)
            self._add_cost(responder.cost)
            text.close("ocsp")
        text.close(name)

    def _add_cost(self, cost: CostType | None) -> None:
        if cost is not None and self._version >= _COSTS:
            self._text.add("costType", cost.value)

    def _add_acme(self, acme: AcmeServer) -> None:
        text = self._text
        text.open("acmeServer")
        text.add("directoryURL", acme.directory_url)
        text.add("ipAddress", acme.ip_addresses)
        if self._version >= _ACME_PROFILES:
            text.add("authenticationCertificateProfileId", acme.authentication_profile)
            text.add("signingCertificateProfileId", acme.signing_profile)
        text.close("acmeServer")

    def _add_timestamping(self, service: TimestampingService) -> None:
        self._text.open("approvedTSA")
        self._text.add("name", service.name)
        self._text.add("url", service.url)
        self._text.add_base64("cert", service.certificate.der)
        self._add_cost(service.cost)
        self._text.close("approvedTSA")

    def _add_member(self, member: Member) -> None:
        text = self._text
        text.open(f'member id="{self._new_id(member.id)}"')
        self._add_member_class(MemberClass(member.id.member_class, member.class_description))
        text.add("memberCode", member.id.member_code)
        text.add("name", member.name)
        for subsystem in member.subsystems:
            if subsystem.id.member != member.id or subsystem.id.subsystem_code is None:
                raise InvalidXml(f"{subsystem.id} is not a subsystem of {member.id}")
            text.open(f'subsystem id="{self._new_id(subsystem.id)}"')
            text.add("subsystemCode", subsystem.id.subsystem_code)
            if self._version >= _SUBSYSTEM_NAMES:
                text.add("subsystemName", subsystem.name)
            text.close("subsystem")
        text.close("member")

    def _add_server(self, server: SecurityServer) -> None:
        text = self._text
        text.open("securityServer")
        text.add("owner", self._id_of(server.id.owner))
        text.add("serverCode", server.id.server_code)
        text.add("address", server.address)
        for digest in server.auth_cert_hashes:
            text.add_base64("authCertHash", self._auth_cert_hash(digest))
        for client in self._published_clients(server):
            text.add("client", self._id_of(client))
        if server.maintenance is not None and self._version >= _MAINTENANCE:
            text.open("inMaintenanceMode")
            text.add("message", server.maintenance or None)
            text.close("inMaintenanceMode")
        text.close("securityServer")

    def _auth_cert_hash(self, sha256: bytes) -> bytes:
        if self._version >= _SHA256_HASHES:
            return sha256
        if sha256 not in self._sha1_of:
            raise InvalidXml(f"the SHA-1 of the certificate {sha256.hex()} is not known")
        return self._sha1_of[sha256]

    def _published_clients(self, server: SecurityServer) -> tuple[ClientId, ...]:
        # Versions that cannot say "in maintenance" leave out whom others would call there.
        if server.maintenance is None or self._version >= _MAINTENANCE:
            return server.clients
        return tuple(client for client in server.clients if not client.is_subsystem)

    def _add_group(self, group: GlobalGroup) -> None:
        if group.id.instance != self._parameters.instance:
            raise InvalidXml(f"{group.id} is not of the instance {self._parameters.instance}")
        self._text.open("globalGroup")
        self._text.add("groupCode", group.id.group_code)
        self._text.add("description", group.description)
        for member in group.members:
            self._text.add_client("groupMember", member)
        self._text.close("globalGroup")

    def _add_member_class(self, member_class: MemberClass) -> None:
        self._text.open("memberClass")
        self._text.add("code", member_class.code)
        self._text.add("description", member_class.description)
        self._text.close("memberClass")
