"""Keys for TLS, with a certificate that each signs itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sild.model.tokens import KeyAlgorithm

TlsKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""A private key that TLS can use."""

_RSA_BITS = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}
_VALIDITY = timedelta(days=7300)
_CLOCKS_DIFFER = timedelta(minutes=5)
_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True, slots=True)
class TlsSubject:
    """What a server's own certificates say: its host, what else it is called, and its key's kind.

    Names may be host names or IP addresses.
    """

    host: str
    others: tuple[str, ...] = ()
    algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the host's first."""
        return tuple(dict.fromkeys((self.host, *self.others)))


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """A key with its certificate."""

    key: TlsKey
    certificate: x509.Certificate


def make_self_signed(subject: TlsSubject, now: datetime) -> SelfSigned:
    """Make a key, and a certificate that it signs itself."""
    key = _make_key(subject.algorithm)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.host[:_LONGEST_COMMON_NAME])])
    alternatives = x509.SubjectAlternativeName([_alternative(each) for each in subject.names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _VALIDITY)
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    return SelfSigned(key, certificate)


def _make_key(algorithm: KeyAlgorithm) -> TlsKey:
    if algorithm in _RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[algorithm])
    return ec.generate_private_key(ec.SECP256R1())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
