"""Files and settings to approve trust services with."""

from sild.components.centralserver.trust_values import (
    CertificateFile,
    ServiceSettings,
    TrustAddress,
)
from sild.protocol.globalconf.shared_parameters import CostType, CsrFormat
from sild.protocol.pki.profiles import PROFILE_NAMES

BASIC, ACME = PROFILE_NAMES[:2]


def file_of(certificate, name="certificate.der"):
    """The certificate as a file that somebody uploads."""
    return CertificateFile(name, certificate.der)


def settings_of(**fields):
    """Settings of a certification service."""
    return ServiceSettings(**({"profile": BASIC, "csr_format": CsrFormat.DER} | fields))


def address_of(url="http://ocsp.test/", cost=CostType.FREE, certificate=None):
    """What is said of a responder or authority."""
    return TrustAddress(url, cost, None if certificate is None else file_of(certificate))
