"""Keys with their certificates, made afresh or read again from a directory."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sild.devnet.errors import DevnetError
from sild.model.tokens import KeyAlgorithm
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.runtime.files import FileError, make_private_directory, read_bounded, write_private

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CERTIFICATE_BEGINS = b"-----BEGIN CERTIFICATE-----"
_SIZE_LIMIT = 16_000_000
_RSA_BITS = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}


def generate_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """A fresh key."""
    if algorithm is KeyAlgorithm.EC_P256:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, _RSA_BITS[algorithm])


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its key."""

    certificate: Certificate
    key: PrivateKey = field(repr=False, compare=False)

    @property
    def asn1_family(self) -> str:
        """What kind of signature the key makes, in the words of ASN.1 algorithm names."""
        return "rsa" if isinstance(self.key, rsa.RSAPrivateKey) else "ecdsa"

    def sign(self, data: bytes, digest: DigestAlgorithm = DigestAlgorithm.SHA512) -> bytes:
        """A signature over the data: PKCS #1 v1.5, or ECDSA in DER."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), digest.primitive)
        return self.key.sign(data, ec.ECDSA(digest.primitive))


class CredentialStore:
    """Where credentials, and notes about them, outlive the process; nowhere without a path."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            make_private_directory(path)

    def find_or_make(self, name: str, now: datetime, make: Callable[[], Credential]) -> Credential:
        """The credential that was kept under a name, or a new one, which is then kept.

        Raises DevnetError for one that cannot be read or is out of its validity.
        """
        if self._path is None:
            return make()
        path = self._path / f"{name}.pem"
        if path.exists():
            kept = _read(path)
            if not kept.certificate.is_valid_at(now):
                raise DevnetError(
                    f"{path} is valid until {kept.certificate.not_after}: remove the directory"
                )
            return kept
        made = make()
        write_private(path, _pem(made))
        return made

    def read_notes(self, name: str) -> Any:
        """What was noted under a name, `None` if nothing was."""
        if self._path is None:
            return None
        path = self._path / f"{name}.json"
        try:
            return json.loads(read_bounded(path, _SIZE_LIMIT))
        except FileNotFoundError:
            return None
        except (OSError, FileError, ValueError) as error:
            raise DevnetError(f"{path} cannot be read: {error}") from None

    def write_notes(self, name: str, notes: Any) -> None:
        """Keep what JSON can say, under a name."""
        if self._path is not None:
            write_private(self._path / f"{name}.json", json.dumps(notes, indent=1).encode())


def _pem(credential: Credential) -> bytes:
    key = credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + credential.certificate.x509.public_bytes(Encoding.PEM)


def _read(path: Path) -> Credential:
    try:
        text = read_bounded(path, _SIZE_LIMIT)
        key = load_pem_private_key(text, None)
        certificate = read_certificate(text[max(0, text.find(_CERTIFICATE_BEGINS)) :])
    except (OSError, FileError, ValueError, TypeError, IncorrectCertificate) as error:
        raise DevnetError(f"{path} cannot be read: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise DevnetError(f"{path} holds a key of type {type(key).__name__}")
    return Credential(certificate, key)
