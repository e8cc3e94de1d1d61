"""Signatures on certificates, OCSP responses and time-stamps, and how strong they must be."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from asn1crypto.algos import SignedDigestAlgorithm
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from sild.protocol.errors import InvalidSignatureValue

Scheme = padding.PKCS1v15 | padding.PSS | ec.ECDSA

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - only under Strength.HISTORIC
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_SMALLEST_CURVE = 256
_PKCS1 = padding.PKCS1v15()
# The hash here only completes the value: the one that is used is named beside it.
_ECDSA = ec.ECDSA(_HASHES["sha256"])


class Strength(Enum):
    """What a signature of an authority must be made with; each value is the smallest RSA key.

    HISTORIC also takes SHA-1 and short RSA keys, for evidence from the years when these were
    usual. MD5 is refused in both.
    """

    CURRENT = 2048
    HISTORIC = 1024

    def check_hash(self, name: str) -> None:
        """Raise InvalidSignatureValue for a hash that is too weak or unknown."""
        if name not in _HASHES or (name == "sha1" and self is not Strength.HISTORIC):
            raise InvalidSignatureValue(f"a signature made with {name} is not accepted")

    def check_key(self, key: PublicKeyTypes) -> None:
        """Raise InvalidSignatureValue for a key that is too short or of a kind that is unused."""
        match key:
            case rsa.RSAPublicKey() if key.key_size >= self.value:
                return
            case ec.EllipticCurvePublicKey() if key.curve.key_size >= _SMALLEST_CURVE:
                return
            case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
                raise InvalidSignatureValue(f"a signature by a key of {key.key_size} bits is weak")
            case _:
                raise InvalidSignatureValue(f"keys of type {type(key).__name__} are not supported")


@dataclass(frozen=True, slots=True)
class Signed:
    """Signed bytes beside their signature and what the signature says of itself."""

    data: bytes
    signature: bytes
    scheme: Scheme
    hash_name: str

    def check(self, key: PublicKeyTypes, strength: Strength) -> None:
        """Raise InvalidSignatureValue unless the key signed the data, strongly enough."""
        strength.check_hash(self.hash_name)
        strength.check_key(key)
        digest = _HASHES[self.hash_name]
        try:
            match key, self.scheme:
                case rsa.RSAPublicKey(), padding.PKCS1v15() | padding.PSS():
                    key.verify(self.signature, self.data, self.scheme, digest)
                case ec.EllipticCurvePublicKey(), ec.ECDSA():
                    key.verify(self.signature, self.data, ec.ECDSA(digest))
                case _:
                    raise InvalidSignatureValue("the key cannot have made this kind of signature")
        except InvalidSignature:
            raise InvalidSignatureValue("the signature value does not match") from None
        except (UnsupportedAlgorithm, ValueError) as error:
            raise InvalidSignatureValue(f"the signature cannot be checked: {error}") from None


def read_signed(data: bytes, signature: bytes, algorithm: SignedDigestAlgorithm) -> Signed:
    """Signed bytes by an ASN.1 algorithm identifier; raises InvalidSignatureValue."""
    try:
        kind, hash_name = algorithm.signature_algo, algorithm.hash_algo
        scheme = _read_scheme(kind, algorithm["parameters"])
    except (ValueError, TypeError, KeyError):
        raise InvalidSignatureValue("the signature algorithm is not supported") from None
    return Signed(data, signature, scheme, str(hash_name))


def _read_scheme(kind: str, parameters: Any) -> Scheme:
    match kind:
        case "rsassa_pkcs1v15":
            return _PKCS1
        case "rsassa_pss":
            generator = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
            digest = _HASHES[generator]
            return padding.PSS(padding.MGF1(digest), parameters["salt_length"].native)
        case "ecdsa":
            return _ECDSA
        case _:
            raise InvalidSignatureValue(f"the signature algorithm {kind} is not supported")
