"""Certificates as values, with all that the protocols ask of them read once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    ObjectIdentifier,
)

from sild.protocol.errors import IncorrectCertificate, InvalidSignatureValue
from sild.protocol.pki import der
from sild.protocol.pki.names import common_name, name_key, name_text
from sild.protocol.pki.signed import Signed, Strength

_SIZE_LIMIT = 64 * 1024
_PEM = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What a key is for: `None` stands for an extension that is absent."""

    usage: x509.KeyUsage | None
    extended: frozenset[ObjectIdentifier] | None
    constraints: x509.BasicConstraints | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Certificate:
    """An X.509 certificate; two are equal if their bytes are.

    Names stand in three forms: `_der` for bytes that go into other documents, `_text` as the
    reference prints them (RFC 2253), `_key` for comparing (RFC 5280, 7.1).
    """

    der: bytes
    x509: x509.Certificate
    public_key: PublicKeyTypes
    public_key_der: bytes
    sha1: bytes
    sha256: bytes
    sha512: bytes
    subject_der: bytes
    issuer_der: bytes
    subject_text: str
    issuer_text: str
    subject_key: bytes
    issuer_key: bytes
    serial: int
    not_before: datetime
    not_after: datetime
    key_usage: KeyUsage = field(repr=False)
    # The SHA-1 of the bare key bits, by which OCSP and key identifiers name a key.
    key_sha1: bytes
    ocsp_urls: tuple[str, ...]

    @property
    def name(self) -> str:
        """What to call its subject in a sentence: the common name, else all of the name."""
        return common_name(self.subject_text)

    @property
    def issuer_name(self) -> str:
        """What to call its issuer in a sentence."""
        return common_name(self.issuer_text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<Certificate {self.subject_text!r} serial {self.serial}>"

    @property
    def authority(self) -> tuple[bytes, bytes]:
        """Name and key: what makes two certificates stand for the same CA (RFC 5280, 6.1.1 d)."""
        return self.subject_key, self.public_key_der

    @property
    def is_authentication(self) -> bool:
        """Whether a server may prove itself with it on TLS connections."""
        if ExtendedKeyUsageOID.CLIENT_AUTH in (self.key_usage.extended or ()):
            return True
        usage = self.key_usage.usage
        return usage is not None and (
            usage.digital_signature or usage.key_encipherment or usage.data_encipherment
        )

    @property
    def is_signing(self) -> bool:
        """Whether a member may sign messages with it: key usage nonRepudiation."""
        usage = self.key_usage.usage
        return usage is not None and usage.content_commitment

    @property
    def is_self_signed(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject_key == self.issuer_key

    @property
    def is_ca(self) -> bool:
        """Whether it says of itself that it may issue certificates."""
        constraints, usage = self.key_usage.constraints, self.key_usage.usage
        return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)

    @property
    def path_length(self) -> int | None:
        """How many CA certificates may stand between it and a leaf; no limit if `None`."""
        constraints = self.key_usage.constraints
        return None if constraints is None else constraints.path_length

    def has_extended_usage(self, usage: ObjectIdentifier) -> bool:
        """Whether its extended key usages name this one."""
        return usage in (self.key_usage.extended or ())

    def is_valid_at(self, at: datetime) -> bool:
        """Whether the moment lies in its validity, both ends included."""
        return self.not_before <= at <= self.not_after

    def check_issued_by(self, issuer: "Certificate", strength: Strength) -> None:
        """Raise InvalidSignatureValue unless the issuer has its name and signed it."""
        if self.issuer_key != issuer.subject_key:
            raise InvalidSignatureValue(f"{self.name} is not issued by {issuer.name}")
        _signed(self.x509).check(issuer.public_key, strength)


def _signed(certificate: x509.Certificate) -> Signed:
    try:
        scheme = certificate.signature_algorithm_parameters
        digest = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        scheme = digest = None
    if digest is None or not isinstance(scheme, padding.PKCS1v15 | padding.PSS | ec.ECDSA):
        oid = certificate.signature_algorithm_oid.dotted_string
        raise InvalidSignatureValue(f"the certificate signature algorithm {oid} is not supported")
    return Signed(certificate.tbs_certificate_bytes, certificate.signature, scheme, digest.name)


def read_certificate(data: bytes) -> Certificate:
    """A certificate from DER or PEM; raises IncorrectCertificate.

    Cheap to repeat for the same bytes.
    """
    if len(data) > _SIZE_LIMIT:
        raise IncorrectCertificate(f"a certificate of {len(data)} bytes is too long")
    return _read(bytes(data))


@lru_cache(maxsize=4096)
def _read(data: bytes) -> Certificate:
    try:
        return _from_x509(_load(data))
    # A warning is an error where warnings are made errors; each is about a breach of RFC 5280.
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm, Warning) as error:
        raise IncorrectCertificate(f"a certificate cannot be read: {error}") from None
    except (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as error:
        raise IncorrectCertificate(f"a certificate breaks its standard: {error}") from None


def _load(data: bytes) -> x509.Certificate:
    if data.lstrip().startswith(_PEM):
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


def _from_x509(certificate: x509.Certificate) -> Certificate:
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    issuer, subject, public_key_der = _fields(certificate.tbs_certificate_bytes)
    extensions = {extension.oid: extension.value for extension in certificate.extensions}
    if certificate.serial_number <= 0:
        raise IncorrectCertificate("a certificate with a serial number below 1 is not accepted")
    public_key = certificate.public_key()
    return Certificate(
        der=encoded,
        x509=certificate,
        public_key=public_key,
        public_key_der=public_key_der,
        sha1=hashlib.sha1(encoded, usedforsecurity=False).digest(),
        sha256=hashlib.sha256(encoded).digest(),
        sha512=hashlib.sha512(encoded).digest(),
        subject_der=subject,
        issuer_der=issuer,
        subject_text=name_text(subject),
        issuer_text=name_text(issuer),
        subject_key=name_key(subject),
        issuer_key=name_key(issuer),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key_usage=_key_usage(extensions),
        key_sha1=_key_sha1(public_key),
        ocsp_urls=_ocsp_urls(extensions),
    )


def _fields(tbs: bytes) -> tuple[bytes, bytes, bytes]:
    # The library's own reading of names warns of each country that has no two letters, and
    # instances stand in their place.
    parts = der.parts_of(tbs)
    fields = parts[1:] if parts[0][0] == _VERSION else parts
    return fields[_ISSUER], fields[_SUBJECT], fields[_KEY]


# Behind the version stand serial number, algorithm, issuer, validity, subject, public key.
_VERSION, _ISSUER, _SUBJECT, _KEY = 0xA0, 2, 4, 5

Extensions = Mapping[ObjectIdentifier, x509.ExtensionType]


def _key_usage(extensions: Extensions) -> KeyUsage:
    usage = extensions.get(x509.KeyUsage.oid)
    extended = extensions.get(x509.ExtendedKeyUsage.oid)
    constraints = extensions.get(x509.BasicConstraints.oid)
    return KeyUsage(
        usage if isinstance(usage, x509.KeyUsage) else None,
        frozenset(extended) if isinstance(extended, x509.ExtendedKeyUsage) else None,
        constraints if isinstance(constraints, x509.BasicConstraints) else None,
    )


def _key_sha1(key: PublicKeyTypes) -> bytes:
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return x509.SubjectKeyIdentifier.from_public_key(key).digest
    raise IncorrectCertificate(f"certificates with {type(key).__name__} are not supported")


def _ocsp_urls(extensions: Extensions) -> tuple[str, ...]:
    access = extensions.get(x509.AuthorityInformationAccess.oid)
    if not isinstance(access, x509.AuthorityInformationAccess):
        return ()
    return tuple(
        description.access_location.value.strip()
        for description in access
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )
