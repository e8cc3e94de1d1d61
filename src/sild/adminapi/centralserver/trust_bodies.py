"""Trust services as the contract lays them out, in bodies and forms."""

from typing import Annotated, Self

from fastapi import File, Form, Path, Request, UploadFile
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

from sild.adminapi.bodies import Body, Instant, Plain, read_upload
from sild.adminapi.certificates import CertificateDetails
from sild.components.centralserver.trust_values import (
    ApprovedCa,
    ApprovedTsa,
    CertificateFile,
    IntermediateCa,
    Responder,
    TrustAddress,
)
from sild.protocol.globalconf.shared_parameters import CostType, CsrFormat
from sild.protocol.pki.certificate import Certificate

_LONGEST_URL = 255
_LARGEST_ID = 2**31 - 1
# The reference knows no other; nothing reads it from the global configuration.
_TIMESTAMPING_INTERVAL = 60

Id = Annotated[int, Path(ge=1, le=_LARGEST_ID)]
"""A parameter of an operation: the id of something, in the path."""

FormText = Annotated[str, StringConstraints(strip_whitespace=True), Plain]
"""A text in a form."""

FormUrl = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_LONGEST_URL), Plain
]
"""An address in a form."""


def _to_text(given: object) -> object:
    return str(given).lower() if isinstance(given, bool) else given


def _check_boolean(text: str) -> str:
    # What is neither must not pass for a no: the CA would be approved for signing as well.
    if text.strip().lower() not in {"true", "false", ""}:
        raise PydanticCustomError("InvalidValue", "must be true or false")
    return text.strip().lower()


BooleanText = Annotated[str, AfterValidator(_check_boolean), BeforeValidator(_to_text)]
"""A text that stands for a truth value."""


class CertificationServiceSettings(Body):
    """What to change of a certification service."""

    certificate_profile_info: FormText | None = None
    tls_auth: BooleanText | None = None
    default_csr_format: CsrFormat | None = None
    acme_server_directory_url: FormText | None = None
    acme_server_ip_address: FormText | None = None
    authentication_certificate_profile_id: FormText | None = None
    signing_certificate_profile_id: FormText | None = None


class ApprovedCertificationServiceListItem(Body):
    """A certification service in a list."""

    id: int
    name: str
    not_before: Instant
    not_after: Instant

    @classmethod
    def of(cls, ca: ApprovedCa) -> Self:
        """Lay out a certification service."""
        return cls(
            id=ca.id,
            name=ca.name,
            not_before=ca.certificate.not_before,
            not_after=ca.certificate.not_after,
        )


class ApprovedCertificationService(Body):
    """A certification service with its settings."""

    id: int
    name: str
    issuer_distinguished_name: str
    subject_distinguished_name: str
    not_before: Instant
    not_after: Instant
    certificate_profile_info: str
    tls_auth: bool
    default_csr_format: CsrFormat
    acme_server_directory_url: str | None = None
    acme_server_ip_address: str | None = None
    authentication_certificate_profile_id: str | None = None
    signing_certificate_profile_id: str | None = None

    @classmethod
    def of(cls, ca: ApprovedCa) -> Self:
        """Lay out a certification service."""
        certificate, settings = CertificateDetails.of(ca.certificate), ca.settings
        return cls(
            id=ca.id,
            name=ca.name,
            issuer_distinguished_name=certificate.issuer_distinguished_name,
            subject_distinguished_name=certificate.subject_distinguished_name,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            certificate_profile_info=settings.profile,
            tls_auth=settings.authentication_only,
            default_csr_format=settings.csr_format,
            acme_server_directory_url=settings.acme_directory_url or None,
            acme_server_ip_address=settings.acme_ip_addresses or None,
            authentication_certificate_profile_id=settings.acme_authentication_profile or None,
            signing_certificate_profile_id=settings.acme_signing_profile or None,
        )


class CertificateAuthority(Body):
    """An intermediate CA."""

    id: int
    ca_certificate: CertificateDetails

    @classmethod
    def of(cls, ca: IntermediateCa) -> Self:
        """Lay out an intermediate CA."""
        return cls(id=ca.id, ca_certificate=CertificateDetails.of(ca.certificate))


class OcspResponder(Body):
    """An OCSP responder."""

    id: int
    url: str
    cost_type: CostType
    has_certificate: bool

    @classmethod
    def of(cls, responder: Responder) -> Self:
        """Lay out an OCSP responder."""
        entry = responder.entry
        return cls(
            id=responder.id,
            url=entry.url,
            cost_type=entry.cost or CostType.UNDEFINED,
            has_certificate=entry.certificate is not None,
        )


class TimestampingService(Body):
    """A time-stamping service."""

    id: int
    url: str
    cost_type: CostType
    certificate: CertificateDetails
    timestamping_interval: int

    @classmethod
    def of(cls, tsa: ApprovedTsa) -> Self:
        """Lay out a time-stamping service."""
        return cls(
            id=tsa.id,
            url=tsa.service.url,
            cost_type=tsa.service.cost or CostType.UNDEFINED,
            certificate=CertificateDetails.of(tsa.service.certificate),
            timestamping_interval=_TIMESTAMPING_INTERVAL,
        )


async def read_file(upload: UploadFile) -> CertificateFile:
    """Give an uploaded certificate file."""
    return CertificateFile(upload.filename or "", await read_upload(upload))


async def find_file(upload: UploadFile | None) -> CertificateFile | None:
    """Give an uploaded certificate file; a form's field that was left empty is none."""
    if upload is None or (not upload.filename and not upload.size):
        return None
    return await read_file(upload)


async def address_of(
    request: Request,
    url: Annotated[FormUrl | None, Form()] = None,
    cost_type: Annotated[CostType | None, Form()] = None,
    certificate: Annotated[UploadFile | None, File()] = None,
) -> TrustAddress:
    """Read what is to change; an address that is left blank is one, and will be refused."""
    if url is None and "url" in await request.form():
        url = ""
    return TrustAddress(url, cost_type, await find_file(certificate))


async def new_address_of(
    url: Annotated[FormUrl, Form()],
    cost_type: Annotated[CostType, Form()],
    certificate: Annotated[UploadFile | None, File()] = None,
) -> TrustAddress:
    """Read what is said of something new."""
    return TrustAddress(url, cost_type, await find_file(certificate))


def told_hash(certificate: Certificate | None, prefix: str) -> dict[str, str]:
    """Give what an audit record says of a certificate, in fields that begin so."""
    if certificate is None:
        return {}
    return {
        f"{prefix}Hash": certificate.sha256.hex(":").upper(),
        f"{prefix}HashAlgorithm": "SHA-256",
    }


def told_responder(responder: Responder) -> dict[str, object]:
    """Give what an audit record says of an OCSP responder."""
    entry = responder.entry
    return {
        "ocspId": responder.id,
        "ocspUrl": entry.url,
        "ocspCostType": (entry.cost or CostType.UNDEFINED).value,
        **told_hash(entry.certificate, "ocspCert"),
    }
