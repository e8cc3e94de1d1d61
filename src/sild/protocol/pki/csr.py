"""Certificate signing requests (PKCS #10), as the reference asks for certificates.

Prepared here, signed by whoever holds the key, finished here.
"""

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
        rsa = self.algorithm.family is KeyFamily.RSA
        return der.sequence(self.tbs, _RSA_SHA256 if rsa else _ECDSA_SHA256, der.bits(signature))


def prepare_csr(
    subject: bytes, public_key: PublicKeyTypes, use: CertificateUse, dns_name: str | None = None
) -> UnsignedCsr:
    """A request for a subject in DER, to be signed with SHA-256."""
    algorithm = SignatureAlgorithm.for_key(public_key, DigestAlgorithm.SHA256)
    extensions = [der.sequence(der.identifier(_KEY_USAGE), der.octets(use.value))]
    if dns_name:
        extensions.insert(0, _alternative_name(dns_name))
    attribute = der.sequence(
        der.identifier(_EXTENSION_REQUEST), der.set_of(der.sequence(*extensions))
    )
    key = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    tbs = der.sequence(der.integer(0), subject, key, der.tagged(0xA0, attribute))
    return UnsignedCsr(tbs, algorithm)


def _alternative_name(dns_name: str) -> bytes:
    if not dns_name.isascii() or len(dns_name) > _DNS_NAME_LIMIT:
        raise IncorrectCertificate(
            f"{dns_name!r} is no DNS name: internationalised names go as xn--"
        )
    names = der.sequence(der.tagged(0x82, dns_name.encode("ascii")))
    return der.sequence(der.identifier(_ALTERNATIVE_NAME), der.octets(names))
