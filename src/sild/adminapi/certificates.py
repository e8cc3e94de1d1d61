"""Certificates as people read them: what Java prints of them, which existing clients show."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from sild.adminapi.bodies import Body, Instant
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.names import Attribute, read_name

_KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SURNAME",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T",
    "2.5.4.42": "GIVENNAME",
    "2.5.4.43": "INITIALS",
    "2.5.4.44": "GENERATION",
    "2.5.4.46": "DNQ",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "EMAILADDRESS",
}
_SPECIAL = frozenset(',+=\n<>#;\\"')


class KeyUsage(Enum):
    """What a certificate's key is for, as X.509 names it."""

    DIGITAL_SIGNATURE = "DIGITAL_SIGNATURE"
    NON_REPUDIATION = "NON_REPUDIATION"
    KEY_ENCIPHERMENT = "KEY_ENCIPHERMENT"
    DATA_ENCIPHERMENT = "DATA_ENCIPHERMENT"
    KEY_AGREEMENT = "KEY_AGREEMENT"
    KEY_CERT_SIGN = "KEY_CERT_SIGN"
    CRL_SIGN = "CRL_SIGN"
    ENCIPHER_ONLY = "ENCIPHER_ONLY"
    DECIPHER_ONLY = "DECIPHER_ONLY"


_SIGNATURES = {
    x509.SignatureAlgorithmOID.RSASSA_PSS: "RSASSA-PSS",
    x509.SignatureAlgorithmOID.ED25519: "Ed25519",
    x509.SignatureAlgorithmOID.ED448: "Ed448",
}

_NAMES: Mapping[type[x509.GeneralName], str] = {
    x509.RFC822Name: "email",
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP Address",
}

_USAGES = {
    KeyUsage.DIGITAL_SIGNATURE: "digital_signature",
    KeyUsage.NON_REPUDIATION: "content_commitment",
    KeyUsage.KEY_ENCIPHERMENT: "key_encipherment",
    KeyUsage.DATA_ENCIPHERMENT: "data_encipherment",
    KeyUsage.KEY_AGREEMENT: "key_agreement",
    KeyUsage.KEY_CERT_SIGN: "key_cert_sign",
    KeyUsage.CRL_SIGN: "crl_sign",
}
_USAGES_OF_AGREEMENT = {
    KeyUsage.ENCIPHER_ONLY: "encipher_only",
    KeyUsage.DECIPHER_ONLY: "decipher_only",
}


class CertificateDetails(Body):
    """What a certificate says."""

    hash: str
    issuer_common_name: str
    issuer_distinguished_name: str
    subject_common_name: str
    subject_distinguished_name: str
    subject_alternative_names: str | None = None
    not_before: Instant
    not_after: Instant
    serial: str
    version: int
    signature: str
    signature_algorithm: str
    public_key_algorithm: str
    rsa_public_key_exponent: int | None = None
    rsa_public_key_modulus: str | None = None
    ec_public_parameters: str | None = None
    ec_public_key_point: str | None = None
    key_usages: list[KeyUsage] | None = None

    @classmethod
    def of(cls, certificate: Certificate) -> Self:
        """Lay out a certificate."""
        read = certificate.x509
        return cls(
            hash=certificate.sha256.hex().upper(),
            issuer_common_name=certificate.issuer_name,
            issuer_distinguished_name=distinguished_name(certificate.issuer_der),
            subject_common_name=certificate.name,
            subject_distinguished_name=distinguished_name(certificate.subject_der),
            subject_alternative_names=_alternative_names(read),
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            serial=str(certificate.serial),
            version=read.version.value + 1,
            signature=read.signature.hex(),
            signature_algorithm=_signature_algorithm(read),
            key_usages=_key_usages(certificate.key_usage.usage),
            **_key_fields(certificate.public_key),
        )


def certificate_details(der: bytes) -> CertificateDetails:
    """Lay out a certificate; raises IncorrectCertificate."""
    return CertificateDetails.of(read_certificate(der))


def _key_fields(key: PublicKeyTypes) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {
            "public_key_algorithm": "RSA",
            "rsa_public_key_exponent": numbers.e,
            "rsa_public_key_modulus": f"{numbers.n:x}",
        }
    if isinstance(key, ec.EllipticCurvePublicKey):
        uncompressed = serialization.PublicFormat.UncompressedPoint
        return {
            "public_key_algorithm": "EC",
            "ec_public_parameters": key.curve.name,
            "ec_public_key_point": key.public_bytes(
                serialization.Encoding.X962, uncompressed
            ).hex(),
        }
    raise IncorrectCertificate(f"certificates with {type(key).__name__} are not supported")


def distinguished_name(name: bytes) -> str:
    """A name (DER) as Java's X500Principal.toString() has it: CN=first, O=second, C=third."""
    return ", ".join(" + ".join(map(_attribute, rdn)) for rdn in reversed(read_name(name)))


def _attribute(attribute: Attribute) -> str:
    keyword = _KEYWORDS.get(attribute.oid, f"OID.{attribute.oid}")
    if attribute.text is None:
        return f"{keyword}=#{attribute.value.hex()}"
    text = attribute.text
    if _SPECIAL.isdisjoint(text) and text == text.strip(" ") and "  " not in text:
        return f"{keyword}={text}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{keyword}="{escaped}"'


def _signature_algorithm(read: x509.Certificate) -> str:
    oid = read.signature_algorithm_oid
    if oid in _SIGNATURES:
        return _SIGNATURES[oid]
    try:
        digest, scheme = read.signature_hash_algorithm, read.signature_algorithm_parameters
    except (UnsupportedAlgorithm, ValueError):
        digest = scheme = None
    kind = "ECDSA" if isinstance(scheme, ec.ECDSA) else "RSA"
    return oid.dotted_string if digest is None else f"{digest.name.upper()}with{kind}"


def _key_usages(usage: x509.KeyUsage | None) -> list[KeyUsage] | None:
    if usage is None:
        return None
    names = _USAGES | (_USAGES_OF_AGREEMENT if usage.key_agreement else {})
    return [kind for kind, name in names.items() if getattr(usage, name)]


def _alternative_names(read: x509.Certificate) -> str | None:
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return ", ".join(map(_alternative_name, names)) or None


def _alternative_name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return f"DirName:{distinguished_name(name.value.public_bytes())}"
    if isinstance(name, x509.RegisteredID):
        return f"Registered ID:{name.value.dotted_string}"
    label = _NAMES.get(type(name))
    return "othername:<unsupported>" if label is None else f"{label}:{name.value}"
