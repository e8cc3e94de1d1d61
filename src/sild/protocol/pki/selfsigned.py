"""Self-signed certificates that carry a configuration signing key, as the reference makes them.

Nothing but the public key in them counts (PR-GCONF 2.2). Prepared here, signed by whoever holds
the key, finished here.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sild.protocol.algorithms import DigestAlgorithm, KeyFamily, SignatureAlgorithm
from sild.protocol.pki import der
from sild.protocol.pki.names import write_name

_RSA_SHA512 = der.algorithm("1.2.840.113549.1.1.13")
_ECDSA_SHA512 = der.algorithm("1.2.840.10045.4.3.4", b"")
_KEY_USAGE = "2.5.29.15"
_BASIC_CONSTRAINTS = "2.5.29.19"
# nonRepudiation and keyCertSign.
_SIGNING_BITS = der.bits(b"\x44", 2)
_UTC_TIME = 0x17
# The reference's own, whenever a key is made: 1970 to 2038.
_VALIDITY = der.sequence(
    der.tagged(_UTC_TIME, b"700101000000Z"), der.tagged(_UTC_TIME, b"380101000000Z")
)


@dataclass(frozen=True, slots=True)
class UnsignedCertificate:
    """A certificate that waits for its signature over `tbs`, by the algorithm that it states."""

    tbs: bytes
    algorithm: SignatureAlgorithm

    @property
    def digest_to_sign(self) -> bytes:
        """The digest that a token signs."""
        return self.algorithm.digest_algorithm.digest(self.tbs)

    def finish(self, signature: bytes) -> bytes:
        """The whole certificate in DER; an ECDSA signature is given in DER too."""
        return der.sequence(self.tbs, _identifier(self.algorithm), der.bits(signature))


def prepare_self_signed(common_name: str, public_key: PublicKeyTypes) -> UnsignedCertificate:
    """A certificate that a key gives itself, to be signed with SHA-512."""
    algorithm = SignatureAlgorithm.for_key(public_key, DigestAlgorithm.SHA512)
    name = write_name([("CN", common_name)])
    extensions = der.sequence(
        _critical(_KEY_USAGE, _SIGNING_BITS), _critical(_BASIC_CONSTRAINTS, der.sequence(der.TRUE))
    )
    tbs = der.sequence(
        der.tagged(0xA0, der.integer(2)),
        der.integer(1),
        _identifier(algorithm),
        name,
        _VALIDITY,
        name,
        public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        der.tagged(0xA3, extensions),
    )
    return UnsignedCertificate(tbs, algorithm)


def _identifier(algorithm: SignatureAlgorithm) -> bytes:
    return _RSA_SHA512 if algorithm.family is KeyFamily.RSA else _ECDSA_SHA512


def _critical(oid: str, value: bytes) -> bytes:
    return der.sequence(der.identifier(oid), der.TRUE, der.octets(value))
