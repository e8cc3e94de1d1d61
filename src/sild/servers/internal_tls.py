"""The server's internal TLS key and certificate: shown to information systems and services."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sild.components.tlsidentity.selfsigned import TlsSubject, make_self_signed
from sild.runtime.files import read_bounded, write_private
from sild.runtime.tls import TlsIdentity, TlsSetupError

_LIMIT = 1024 * 1024


def make_internal_tls(path: Path, host: str, now: datetime) -> None:
    """Make a key and a self-signed certificate for the host, unless there is one already."""
    if not path.exists():
        write_self_signed(path, TlsSubject(host), now)


def write_self_signed(path: Path, subject: TlsSubject, now: datetime) -> bytes:
    """Make a key and a self-signed certificate; give the certificate's SHA-256.

    Raises OSError, FileError, and ValueError for a name that no certificate can have.
    """
    made = make_self_signed(subject, now)
    key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, key + made.certificate.public_bytes(Encoding.PEM))
    return made.certificate.fingerprint(hashes.SHA256())


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
