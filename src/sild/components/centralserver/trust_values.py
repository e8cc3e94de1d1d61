"""Trust services as the Central Server keeps them, each with its id."""

from dataclasses import dataclass, fields, replace

from sild.protocol.globalconf.shared_parameters import (
    CostType,
    CsrFormat,
    OcspResponderEntry,
    TimestampingService,
)
from sild.protocol.pki.certificate import Certificate


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What may change of a certification service; a blank text stands for none.

    `profile` is the reference implementation's class name. The ACME texts count only together
    with a directory's address.
    """

    profile: str
    csr_format: CsrFormat
    authentication_only: bool = False
    acme_directory_url: str = ""
    acme_ip_addresses: str = ""
    acme_authentication_profile: str = ""
    acme_signing_profile: str = ""


@dataclass(frozen=True, slots=True)
class ServiceChanges:
    """New settings of a certification service: `None` leaves one as it is, a blank removes it."""

    profile: str | None = None
    csr_format: CsrFormat | None = None
    authentication_only: bool | None = None
    acme_directory_url: str | None = None
    acme_ip_addresses: str | None = None
    acme_authentication_profile: str | None = None
    acme_signing_profile: str | None = None

    def applied_to(self, settings: ServiceSettings) -> ServiceSettings:
        """The settings after the changes."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return replace(settings, **{name: value for name, value in named if value is not None})


@dataclass(frozen=True, slots=True)
class ApprovedCa:
    """A certification service; its name and certificate stay as they were approved."""

    id: int
    name: str
    certificate: Certificate
    settings: ServiceSettings


@dataclass(frozen=True, slots=True)
class IntermediateCa:
    """An intermediate CA of a certification service."""

    id: int
    service_id: int
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Responder:
    """An OCSP responder of a CA certificate."""

    id: int
    entry: OcspResponderEntry


@dataclass(frozen=True, slots=True)
class ApprovedTsa:
    """A time-stamping service."""

    id: int
    service: TimestampingService


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A file as it was uploaded, with the name that it had."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class TrustAddress:
    """What is said of an OCSP responder or time-stamping service: `None` leaves it as it is."""

    url: str | None = None
    cost: CostType | None = None
    certificate: CertificateFile | None = None
