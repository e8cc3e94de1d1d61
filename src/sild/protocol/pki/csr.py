"""Certificate signing requests (PKCS #10), as the reference asks for certificates.

Prepared here, signed by whoever holds the key, finished here.
"""

import base64
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sild.protocol.algorithms import DigestAlgorithm, KeyFamily, SignatureAlgorithm
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki import der

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_KEY_USAGE = "2.5.29.15"
_ALTERNATIVE_NAME = "2.5.29.17"
_RSA_SHA256 = der.algorithm("1.2.840.113549.1.1.11")
_ECDSA_SHA256 = der.algorithm("1.2.840.10045.4.3.2", b"")
_SHA256 = der.algorithm("2.16.840.1.101.3.4.2.1")
_MGF1 = der.sequence(der.identifier("1.2.840.113549.1.1.8"), _SHA256)
# RFC 4055, 3.1: digest, mask, and the length of the salt.
_PSS_SHA256 = der.algorithm(
    "1.2.840.113549.1.1.10",
    der.sequence(
        der.tagged(0xA0, _SHA256), der.tagged(0xA1, _MGF1), der.tagged(0xA2, der.integer(32))
    ),
)
_ALGORITHMS = {
    KeyFamily.RSA: _RSA_SHA256,
    KeyFamily.RSA_PSS: _PSS_SHA256,
    KeyFamily.EC: _ECDSA_SHA256,
}
_PEM_LINE = 64
_DNS_NAME_LIMIT = 253


class CertificateUse(Enum):
    """What a certificate is asked for; the value is its key usage as a written BIT STRING."""

    # nonRepudiation and keyCertSign: the second serves nothing, but CAs know this form.
    SIGNING = der.bits(b"\x44", 2)
    # digitalSignature, keyEncipherment and dataEncipherment.
    AUTHENTICATION = der.bits(b"\xb0", 4)


@dataclass(frozen=True, slots=True)
class UnsignedCsr:
    """A request that waits for its signature over `tbs`, by the algorithm that it states."""

    tbs: bytes
    algorithm: SignatureAlgorithm

    @property
    def digest_to_sign(self) -> bytes:
        """The digest that a token signs."""
        return self.algorithm.digest_algorithm.digest(self.tbs)

    def finish(self, signature: bytes) -> bytes:
        """The whole request in DER; an ECDSA signature is given in DER too."""
        return der.sequence(self.tbs, _ALGORITHMS[self.algorithm.family], der.bits(signature))


def prepare_csr(
    subject: bytes,
    public_key: PublicKeyTypes,
    use: CertificateUse,
    dns_name: str | None = None,
    *,
    pss: bool = False,
) -> UnsignedCsr:
    """A request for a subject in DER, to be signed with SHA-256; an RSA key may sign by PSS."""
    algorithm = SignatureAlgorithm.for_key(public_key, DigestAlgorithm.SHA256)
    if pss and algorithm.family is KeyFamily.RSA:
        algorithm = SignatureAlgorithm.PSS_SHA256
    extensions = [der.sequence(der.identifier(_KEY_USAGE), der.octets(use.value))]
    if dns_name:
        extensions.insert(0, _alternative_name(dns_name))
    attribute = der.sequence(
        der.identifier(_EXTENSION_REQUEST), der.set_of(der.sequence(*extensions))
    )
    key = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    tbs = der.sequence(der.integer(0), subject, key, der.tagged(0xA0, attribute))
    return UnsignedCsr(tbs, algorithm)


def csr_pem(request: bytes) -> bytes:
    """A request in DER as PEM."""
    text = base64.b64encode(request).decode("ascii")
    lines = [text[start : start + _PEM_LINE] for start in range(0, len(text), _PEM_LINE)]
    begin, end = "-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"
    return "\n".join([begin, *lines, end, ""]).encode("ascii")


def _alternative_name(dns_name: str) -> bytes:
    if not dns_name.isascii() or len(dns_name) > _DNS_NAME_LIMIT:
        raise IncorrectCertificate(
            f"{dns_name!r} is no DNS name: internationalised names go as xn--"
        )
    names = der.sequence(der.tagged(0x82, dns_name.encode("ascii")))
    return der.sequence(der.identifier(_ALTERNATIVE_NAME), der.octets(names))
