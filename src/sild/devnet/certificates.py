"""Certificates for development only: what they say, and how they are made."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from sild.devnet.credentials import Credential, PrivateKey, generate_key
from sild.devnet.errors import DevnetError
from sild.model.tokens import KeyAlgorithm
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.runtime.clock import Clock

WARNING = "development only, trust nothing signed by this"

# Clocks differ, and a turned one may be turned back a little.
HEAD_START = timedelta(days=1)
_LONG = timedelta(days=3650)
_SERIAL_BYTES = 16
# X.520: a common name has at most 64 characters.
_LONGEST_NAME = 64
_CA_USAGE = frozenset({"key_cert_sign", "crl_sign"})
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Terms:
    """What a certificate says beside whose it is; only a CA has a path length."""

    not_before: datetime
    not_after: datetime
    usage: frozenset[str]
    extended: tuple[ObjectIdentifier, ...] = ()
    path_length: int | None = None
    dns_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose a certificate is."""

    name: x509.Name
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs a certificate."""

    name: x509.Name
    key: PrivateKey

    @classmethod
    def of(cls, credential: Credential) -> "Issuer":
        """The holder of a CA certificate."""
        return cls(credential.certificate.x509.subject, credential.key)


def name_of(instance: str, role: str) -> x509.Name:
    """The name of one of the devnet's own services, with the warning in it."""
    common_name = f"{role} ({WARNING})"
    if len(common_name) > _LONGEST_NAME:
        raise DevnetError(f"the name {role!r} is too long to stand before the warning")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{instance} devnet"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def ca_terms(now: datetime, path_length: int) -> Terms:
    """What a CA certificate says."""
    return Terms(now - HEAD_START, now + _LONG, _CA_USAGE, path_length=path_length)


def service_terms(now: datetime, extended: ObjectIdentifier) -> Terms:
    """What the certificate of an OCSP responder or time-stamper says."""
    usage = frozenset({"digital_signature"})
    return Terms(now - HEAD_START, now + _LONG, usage, extended=(extended,))


def make_certificate(subject: Subject, issuer: Issuer, terms: Terms, clock: Clock) -> Certificate:
    """A signed certificate with a random serial number."""
    serial = int.from_bytes(clock.random_bytes(_SERIAL_BYTES), "big") >> 1 or 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(issuer.name)
        .public_key(subject.key)
        .serial_number(serial)
        .not_valid_before(terms.not_before)
        .not_valid_after(terms.not_after)
    )
    for extension, critical in _extensions(subject, issuer.key, terms):
        builder = builder.add_extension(extension, critical)
    return read_certificate(builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER))


def make_self_signed(name: x509.Name, algorithm: KeyAlgorithm, clock: Clock) -> Credential:
    """A fresh key with a certificate that it signed itself, for uses where only the key counts."""
    key = generate_key(algorithm)
    now = clock.now()
    terms = Terms(now - HEAD_START, now + _LONG, frozenset({"digital_signature"}))
    subject = Subject(name, key.public_key())
    return Credential(make_certificate(subject, Issuer(name, key), terms, clock), key)


def _extensions(
    subject: Subject, issuer: PrivateKey, terms: Terms
) -> Iterable[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(terms.path_length is not None, terms.path_length), True
    yield x509.KeyUsage(**{name: name in terms.usage for name in _KEY_USAGES}), True
    yield x509.SubjectKeyIdentifier.from_public_key(subject.key), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False
    if terms.extended:
        # RFC 3161, 2.3: a time-stamper's only extended usage, and critical.
        critical = terms.extended == (ExtendedKeyUsageOID.TIME_STAMPING,)
        yield x509.ExtendedKeyUsage(terms.extended), critical
    if terms.extended == (ExtendedKeyUsageOID.OCSP_SIGNING,):
        yield x509.OCSPNoCheck(), False
    if terms.dns_names:
        yield x509.SubjectAlternativeName(map(x509.DNSName, terms.dns_names)), False
