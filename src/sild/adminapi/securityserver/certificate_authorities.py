"""Certification services that are approved, and what they want to read in requests."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Self

from fastapi import Depends, Path, Query
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Instant, Plain
from sild.adminapi.certificates import distinguished_name
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.csr_orders import ASK, IMPORT, purpose_of, refuse_acme
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.token_bodies import AcmeOrder, KeyUsageType
from sild.adminapi.securityserver.token_views import told_key
from sild.components.signer.acts import HeldKey
from sild.components.signer.authorities import ApprovedAuthority
from sild.components.signer.errors import (
    KeyNotFound,
    KeyOfCertificateNotFound,
    WrongKeyUsage,
)
from sild.model.audit import AuditEvent
from sild.model.costs import Strategy
from sild.model.permissions import Permission
from sild.model.tokens import OcspStatus
from sild.protocol.globalconf.shared_parameters import CostType, CsrFormat
from sild.protocol.pki.profiles import SubjectField

OPERATIONS = Operations("certificate-authorities")

_LONGEST_NAME, _LONGEST_MEMBER = 255, 767
_ASKED, _IMPORTED = tuple(ASK.values()), tuple(IMPORT.values())
_APPROVED = Permission.VIEW_APPROVED_CERTIFICATE_AUTHORITIES

NamePath = Annotated[str, Path(alias="ca_name", min_length=1, max_length=_LONGEST_NAME), Plain]
Usage = Annotated[KeyUsageType, Query(alias="key_usage_type")]
AnyUsage = Annotated[KeyUsageType | None, Query(alias="key_usage_type")]


class CertificateAuthorityOcspResponse(Enum):
    """What is known of the revocation of a CA's own certificate."""

    NOT_AVAILABLE = "NOT_AVAILABLE"
    OCSP_RESPONSE_UNKNOWN = "OCSP_RESPONSE_UNKNOWN"
    OCSP_RESPONSE_GOOD = "OCSP_RESPONSE_GOOD"
    OCSP_RESPONSE_SUSPENDED = "OCSP_RESPONSE_SUSPENDED"
    OCSP_RESPONSE_REVOKED = "OCSP_RESPONSE_REVOKED"


_OCSP = {
    OcspStatus.GOOD: CertificateAuthorityOcspResponse.OCSP_RESPONSE_GOOD,
    OcspStatus.REVOKED: CertificateAuthorityOcspResponse.OCSP_RESPONSE_REVOKED,
    OcspStatus.SUSPENDED: CertificateAuthorityOcspResponse.OCSP_RESPONSE_SUSPENDED,
    OcspStatus.UNKNOWN: CertificateAuthorityOcspResponse.OCSP_RESPONSE_UNKNOWN,
}


class OcspResponder(Body):
    """Where certificates are asked about, and whether that is paid for."""

    url: str
    cost_type: CostType


class CertificateAuthority(Body):
    """One certificate of an approved certification service."""

    name: str
    subject_distinguished_name: str
    issuer_distinguished_name: str
    ocsp_response: CertificateAuthorityOcspResponse
    not_after: Instant
    top_ca: bool
    path: str
    authentication_only: bool
    certificate_profile_info: str | None = None
    default_csr_format: CsrFormat | None = None
    acme_capable: bool | None = None
    acme_server_ip_addresses: list[str] | None = None
    ocsp_responders: list[OcspResponder] | None = None

    @classmethod
    def of(cls, authority: ApprovedAuthority) -> Self:
        """Lay out a certificate."""
        service, certificate = authority.service, authority.entry.certificate
        path = (distinguished_name(each.subject_der) for each in authority.path)
        addresses = service.acme.ip_addresses if service.acme else None
        return cls(
            name=service.name,
            subject_distinguished_name=distinguished_name(certificate.subject_der),
            issuer_distinguished_name=distinguished_name(certificate.issuer_der),
            ocsp_response=_OCSP.get(authority.ocsp, CertificateAuthorityOcspResponse.NOT_AVAILABLE),
            not_after=certificate.not_after,
            top_ca=authority.is_top,
            path=":".join(path),
            authentication_only=service.authentication_only,
            certificate_profile_info=service.profile,
            default_csr_format=service.csr_format,
            acme_capable=service.acme is not None,
            acme_server_ip_addresses=addresses.split(",") if addresses else None,
            ocsp_responders=[
                OcspResponder(url=each.url, cost_type=each.cost or CostType.UNDEFINED)
                for each in authority.entry.responders
            ],
        )


class CsrSubjectFieldDescription(Body):
    """A field of the subject that a certification service wants."""

    id: str
    label: str | None = None
    label_key: str | None = None
    default_value: str | None = None
    read_only: bool
    required: bool
    localized: bool

    @classmethod
    def of(cls, field: SubjectField) -> Self:
        """Lay out a field."""
        return cls(
            id=field.keyword,
            label_key=field.label,
            default_value=field.value,
            read_only=field.read_only,
            required=field.is_required,
            localized=True,
        )


@dataclass(frozen=True, slots=True)
class WantedSubject:
    """Whose subject is asked for."""

    usage: KeyUsageType
    member_id: str | None
    is_new_member: bool


def wanted_subject(
    usage: Usage,
    member_id: Annotated[str | None, Query(min_length=1, max_length=_LONGEST_MEMBER), Plain] = None,
    is_new_member: Annotated[bool, Query()] = False,
) -> WantedSubject:
    """Read whose subject is asked for."""
    return WantedSubject(usage, member_id, is_new_member)


class AcmeEabCredentialsStatus(Body):
    """Whether an ACME server wants credentials, and whether there are any."""

    acme_eab_required: bool
    has_acme_external_account_credentials: bool


@OPERATIONS.get(
    "/certificate-authorities",
    "getApprovedCertificateAuthorities",
    permission=(_APPROVED, *_ASKED),
    also=(400, 406, 409),
)
async def get_approved_certificate_authorities(
    asked: Asked,
    server: Served,
    usage: AnyUsage = None,
    include_intermediate_cas: Annotated[bool, Query()] = False,
) -> list[CertificateAuthority]:
    """List the approved services, those that issue for a usage if one is said."""
    asked.require(_APPROVED, ASK[usage or KeyUsageType.AUTHENTICATION])
    wanted = None if usage is None else usage.usage
    found = server.authorities.approved(wanted, with_intermediates=include_intermediate_cas)
    return [CertificateAuthority.of(each) for each in found]


@OPERATIONS.get(
    "/certificate-authorities/ocsp-prioritization-strategy",
    "getOcspPrioritizationStrategy",
    permission=_APPROVED,
    also=(400, 409),
)
async def get_ocsp_prioritization_strategy(server: Served) -> Strategy:
    """Say how the costs of OCSP responders decide about their use."""
    return server.authorities.strategy


@OPERATIONS.get(
    "/certificate-authorities/{ca_name}/csr-subject-fields",
    "getSubjectFieldDescriptions",
    permission=_ASKED,
    also=(400, 404, 406, 409),
)
async def get_subject_field_descriptions(
    name: NamePath,
    wanted: Annotated[WantedSubject, Depends(wanted_subject)],
    asked: Asked,
    server: Served,
    key_id: Annotated[str | None, Query(min_length=1), Plain] = None,
) -> list[CsrSubjectFieldDescription]:
    """Say what a request has to tell, and what is known of that."""
    asked.require(ASK[wanted.usage])
    if key_id is not None:
        held = await _asked_key(server, key_id)
        if held.key.usage not in {None, wanted.usage.usage}:
            raise WrongKeyUsage("key is for different usage")
    purpose = purpose_of(wanted.usage, wanted.member_id)
    fields = server.authorities.subject_fields(name, purpose, is_new_member=wanted.is_new_member)
    return [CsrSubjectFieldDescription.of(each) for each in fields]


@OPERATIONS.get(
    "/certificate-authorities/{ca_name}/has-acme-eab-credentials",
    "hasAcmeExternalAccountBindingCredentials",
    permission=_IMPORTED,
    also=(400, 404, 406, 409),
)
async def has_acme_external_account_binding_credentials(
    name: NamePath,
    usage: Usage,
    asked: Asked,
    server: Served,
    member_id: Annotated[str | None, Query(min_length=1, max_length=_LONGEST_NAME), Plain] = None,
) -> AcmeEabCredentialsStatus:
    """Say that there are no credentials for an ACME server."""
    del member_id
    asked.require(IMPORT[usage])
    server.authorities.get(name)
    return AcmeEabCredentialsStatus(
        acme_eab_required=False, has_acme_external_account_credentials=False
    )


@OPERATIONS.post(
    "/certificate-authorities/{ca_name}/acme-order",
    "orderAcmeCertificate",
    permission=_IMPORTED,
    event=AuditEvent.ACME_ORDER_CERTIFICATE,
    also=(400, 404, 409),
)
async def order_acme_certificate(
    name: NamePath, body: AcmeOrder, asked: Asked, server: Served
) -> Response:
    """Refuse to order a certificate: this server knows no ACME."""
    asked.require(IMPORT[body.key_usage_type])
    asked.tell(keyUsage=body.key_usage_type.value, certificationServiceName=name)
    server.authorities.get(name)
    held = await server.certificates.get_key_of_request(body.csr_id)
    asked.tell(**told_key(held), subjectName=held.get_request(body.csr_id).subject)
    refuse_acme()


async def _asked_key(server: SecurityServer, key_id: str) -> HeldKey:
    """Find the key that a request is to be made with; a wrong parameter where it is not there."""
    try:
        return await server.certificates.get_key(key_id)
    except KeyNotFound as error:
        raise KeyOfCertificateNotFound(error.message) from error
