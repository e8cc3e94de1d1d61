"""Shared parameters as a document of version 6, the one that is published."""

from sild.protocol.errors import InvalidXml, MalformedGlobalConf
from sild.protocol.globalconf.document import (
    add_base64,
    new_document,
    refusing,
    write_document,
)
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
from sild.protocol.idsxml import write_identifier
from sild.protocol.safexml import Element, sub_element

_VERSION = 6


def write_shared_parameters(parameters: SharedParameters) -> bytes:
    """The shared parameters as a document; raises MalformedGlobalConf for what cannot be said."""
    with refusing(MalformedGlobalConf, "the shared parameters"):
        root = new_document("conf")
        _Writer(parameters).write(root)
        return write_document(root, SCHEMAS[_VERSION])


class _Writer:
    """Writes one document, giving each member and subsystem the XML id that servers refer to."""

    def __init__(self, parameters: SharedParameters) -> None:
        self._parameters = parameters
        self._xml_ids: dict[ClientId, str] = {}

    def write(self, root: Element) -> None:
        parameters = self._parameters
        sub_element(root, "instanceIdentifier", parameters.instance)
        for source in parameters.sources:
            _add_source(sub_element(root, "source"), source)
        for service in parameters.certification_services:
            _add_certification(sub_element(root, "approvedCA"), service)
        for tsa in parameters.timestamping_services:
            _add_timestamping(sub_element(root, "approvedTSA"), tsa)
        for member in parameters.members:
            self._add_member(root, member)
        for server in parameters.servers:
            self._add_server(sub_element(root, "securityServer"), server)
        for group in parameters.groups:
            self._add_group(sub_element(root, "globalGroup"), group)
        settings = sub_element(root, "globalSettings")
        for member_class in parameters.member_classes:
            _add_member_class(settings, member_class)
        sub_element(settings, "ocspFreshnessSeconds", str(parameters.ocsp_freshness_seconds))

    def _new_id(self, client: ClientId) -> dict[str, str]:
        if client.instance != self._parameters.instance:
            raise InvalidXml(f"{client} is not of the instance {self._parameters.instance}")
        xml_id = f"id{len(self._xml_ids)}"
        if self._xml_ids.setdefault(client, xml_id) != xml_id:
            raise InvalidXml(f"{client} is listed twice")
        return {"id": xml_id}

    def _id_of(self, client: ClientId) -> str:
        if client not in self._xml_ids:
            raise InvalidXml(f"{client} is on a security server, but not among the members")
        return self._xml_ids[client]

    def _add_member(self, root: Element, member: Member) -> None:
        element = sub_element(root, "member", attributes=self._new_id(member.id))
        description = member.class_description
        _add_member_class(element, MemberClass(member.id.member_class, description))
        sub_element(element, "memberCode", member.id.member_code)
        sub_element(element, "name", member.name)
        for subsystem in member.subsystems:
            if subsystem.id.member != member.id or subsystem.id.subsystem_code is None:
                raise InvalidXml(f"{subsystem.id} is not a subsystem of {member.id}")
            child = sub_element(element, "subsystem", attributes=self._new_id(subsystem.id))
            sub_element(child, "subsystemCode", subsystem.id.subsystem_code)
            _add_optional(child, "subsystemName", subsystem.name)

    def _add_server(self, element: Element, server: SecurityServer) -> None:
        sub_element(element, "owner", self._id_of(server.id.owner))
        sub_element(element, "serverCode", server.id.server_code)
        _add_optional(element, "address", server.address)
        for digest in server.auth_cert_hashes:
            add_base64(element, "authCertHash", digest)
        for client in server.clients:
            sub_element(element, "client", self._id_of(client))
        if server.maintenance is not None:
            mode = sub_element(element, "inMaintenanceMode")
            _add_optional(mode, "message", server.maintenance or None)

    def _add_group(self, element: Element, group: GlobalGroup) -> None:
        if group.id.instance != self._parameters.instance:
            raise InvalidXml(f"{group.id} is not of the instance {self._parameters.instance}")
        sub_element(element, "groupCode", group.id.group_code)
        sub_element(element, "description", group.description)
        for member in group.members:
            write_identifier(element, "groupMember", member)


def _add_optional(parent: Element, name: str, text: str | None) -> None:
    if text is not None:
        sub_element(parent, name, text)


def _add_source(element: Element, source: ConfigurationSource) -> None:
    sub_element(element, "address", source.address)
    for certificate in source.internal_certificates:
        add_base64(element, "internalVerificationCert", certificate.der)
    for certificate in source.external_certificates:
        add_base64(element, "externalVerificationCert", certificate.der)


def _add_certification(element: Element, service: CertificationService) -> None:
    sub_element(element, "name", service.name)
    sub_element(element, "authenticationOnly", "true" if service.authentication_only else "false")
    _add_ca(sub_element(element, "topCA"), service.top)
    for intermediate in service.intermediates:
        _add_ca(sub_element(element, "intermediateCA"), intermediate)
    sub_element(element, "certificateProfileInfo", service.profile)
    if service.csr_format is not None:
        sub_element(element, "defaultCsrFormat", service.csr_format.value)
    if service.acme is not None:
        _add_acme(sub_element(element, "acmeServer"), service.acme)


def _add_ca(element: Element, ca: CaEntry) -> None:
    add_base64(element, "cert", ca.certificate.der)
    for responder in ca.responders:
        child = sub_element(element, "ocsp")
        sub_element(child, "url", responder.url)
        if responder.certificate is not None:
            add_base64(child, "cert", responder.certificate.der)
        _add_cost(child, responder.cost)


def _add_cost(parent: Element, cost: CostType | None) -> None:
    _add_optional(parent, "costType", None if cost is None else cost.value)


def _add_acme(element: Element, acme: AcmeServer) -> None:
    sub_element(element, "directoryURL", acme.directory_url)
    _add_optional(element, "ipAddress", acme.ip_addresses)
    _add_optional(element, "authenticationCertificateProfileId", acme.authentication_profile)
    _add_optional(element, "signingCertificateProfileId", acme.signing_profile)


def _add_timestamping(element: Element, service: TimestampingService) -> None:
    sub_element(element, "name", service.name)
    sub_element(element, "url", service.url)
    add_base64(element, "cert", service.certificate.der)
    _add_cost(element, service.cost)


def _add_member_class(parent: Element, member_class: MemberClass) -> None:
    element = sub_element(parent, "memberClass")
    sub_element(element, "code", member_class.code)
    sub_element(element, "description", member_class.description)
