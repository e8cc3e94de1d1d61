"""The server's internal TLS key and certificate: shown to information systems and services."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from sild.runtime.files import read_bounded, write_private
from sild.runtime.tls import TlsIdentity, TlsSetupError

_LIMIT = 1024 * 1024
_YEARS = 20


@dataclass(frozen=True, slots=True)
class _SelfSigned:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_internal_tls(path: Path, host: str, now: datetime) -> None:
    """Make a key and a self-signed certificate for the host, unless there is one already."""
    if path.exists():
        return
    made = _self_signed(host, now)
    key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, key + made.certificate.public_bytes(Encoding.PEM))


def _self_signed(host: str, now: datetime) -> _SelfSigned:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _SelfSigned(key, certificate)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def read_internal_tls(path: Path) -> TlsIdentity:
    """The key and its chain, leaf first; raises TlsSetupError."""
    try:
        content = read_bounded(path, _LIMIT)
        key = load_pem_private_key(content, None)
        chain = x509.load_pem_x509_certificates(content)
    except (OSError, ValueError, TypeError) as error:
        message = f"{path} does not hold a private key and its certificate, in PEM: {error}"
        raise TlsSetupError(message) from error
    return TlsIdentity(key, tuple(each.public_bytes(Encoding.DER) for each in chain))  # type: ignore[arg-type]
