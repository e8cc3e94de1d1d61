"""Digest and signature algorithms: one table of names, URIs and implementations."""

import hashlib
from collections.abc import Callable
from enum import Enum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from sild.protocol.errors import InvalidSignatureValue, Malformed


class UnsupportedAlgorithm(Malformed):
    """An algorithm that the protocols do not name."""

    code = "unsupported_algorithm"


class DigestAlgorithm(Enum):
    """Digest algorithms by their XML signature URI."""

    SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
    SHA224 = "http://www.w3.org/2001/04/xmldsig-more#sha224"
    SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
    SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
    SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

    # By identity, in C: each message looks an algorithm up some thirty times.
    __hash__ = object.__hash__

    @property
    def uri(self) -> str:
        """The XML signature URI."""
        return self.value

    @property
    def text(self) -> str:
        """The name used in HTTP headers and archives, such as SHA-512."""
        return f"SHA-{self.name.removeprefix('SHA')}"

    @property
    def size(self) -> int:
        """The length of a digest, in bytes."""
        return _SIZES[self]

    def new(self) -> "hashlib._Hash":
        """A running digest."""
        return _HASHLIB[self]()

    def digest(self, data: bytes) -> bytes:
        """The digest of the data."""
        return _HASHLIB[self](data).digest()

    @property
    def primitive(self) -> hashes.HashAlgorithm:
        """The same algorithm as the cryptography library names it."""
        return _PRIMITIVES[self]

    @classmethod
    def from_uri(cls, uri: str) -> "DigestAlgorithm":
        """The algorithm that a URI names."""
        try:
            return cls(uri)
        except ValueError:
            message = f"digest algorithm {uri!r} is not supported"
            raise UnsupportedAlgorithm(message) from None

    @classmethod
    def from_text(cls, text: str) -> "DigestAlgorithm":
        """The algorithm that a name such as SHA-512 means, whatever its case."""
        try:
            return _BY_TEXT[text.upper()]
        except KeyError:
            message = f"digest algorithm {text!r} is not supported"
            raise UnsupportedAlgorithm(message) from None


_HASHLIB: dict[DigestAlgorithm, Callable[..., "hashlib._Hash"]] = {
    DigestAlgorithm.SHA1: hashlib.sha1,
    DigestAlgorithm.SHA224: hashlib.sha224,
    DigestAlgorithm.SHA256: hashlib.sha256,
    DigestAlgorithm.SHA384: hashlib.sha384,
    DigestAlgorithm.SHA512: hashlib.sha512,
}
_PRIMITIVES: dict[DigestAlgorithm, hashes.HashAlgorithm] = {
    DigestAlgorithm.SHA1: hashes.SHA1(),  # noqa: S303 - named by RFC 6960 and by version 2 of the global configuration
    DigestAlgorithm.SHA224: hashes.SHA224(),
    DigestAlgorithm.SHA256: hashes.SHA256(),
    DigestAlgorithm.SHA384: hashes.SHA384(),
    DigestAlgorithm.SHA512: hashes.SHA512(),
}
_SIZES = {algorithm: primitive.digest_size for algorithm, primitive in _PRIMITIVES.items()}
_BY_TEXT = {algorithm.text: algorithm for algorithm in DigestAlgorithm}


class KeyFamily(Enum):
    """What kind of key a signature algorithm needs, and how it pads."""

    RSA = "RSA"
    RSA_PSS = "RSA-PSS"
    EC = "EC"


class SignatureAlgorithm(Enum):
    """Signature algorithms by their XML signature URI."""

    RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
    RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    RSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
    RSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
    PSS_SHA256 = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
    PSS_SHA384 = "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"
    PSS_SHA512 = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"
    ECDSA_SHA1 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
    ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
    ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
    ECDSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"

    @property
    def uri(self) -> str:
        """The XML signature URI."""
        return self.value

    @property
    def family(self) -> KeyFamily:
        """What kind of key it needs."""
        return _FAMILIES[self.name.partition("_")[0]]

    @property
    def digest_algorithm(self) -> DigestAlgorithm:
        """The digest that is signed."""
        return DigestAlgorithm[self.name.partition("_")[2]]

    @property
    def jca_name(self) -> str:
        """The name that management requests use, such as SHA512withRSA."""
        digest, family = self.digest_algorithm.name, self.family
        return f"{digest}with{_JCA[family]}"

    @classmethod
    def from_uri(cls, uri: str) -> "SignatureAlgorithm":
        """The algorithm that a URI names."""
        try:
            return cls(uri)
        except ValueError:
            message = f"signature algorithm {uri!r} is not supported"
            raise UnsupportedAlgorithm(message) from None

    @classmethod
    def for_key(
        cls, key: PublicKeyTypes, digest: DigestAlgorithm = DigestAlgorithm.SHA512
    ) -> "SignatureAlgorithm":
        """The algorithm that a key of this kind signs with by default."""
        if isinstance(key, rsa.RSAPublicKey):
            return cls[f"RSA_{digest.name}"]
        if isinstance(key, ec.EllipticCurvePublicKey):
            return cls[f"ECDSA_{digest.name}"]
        message = f"keys of type {type(key).__name__} are not supported"
        raise UnsupportedAlgorithm(message)

    def verify(self, key: PublicKeyTypes, signature: bytes, data: bytes) -> None:
        """Return if the signature over the data is good.

        An ECDSA signature is DER; see `ecdsa_der_from_raw` for the form in XML.

        Raises InvalidSignatureValue, also where the key is of another kind.
        """
        digest = self.digest_algorithm.primitive
        try:
            if isinstance(key, rsa.RSAPublicKey) and self.family is KeyFamily.RSA:
                key.verify(signature, data, padding.PKCS1v15(), digest)
            elif isinstance(key, rsa.RSAPublicKey) and self.family is KeyFamily.RSA_PSS:
                scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
                key.verify(signature, data, scheme, digest)
            elif isinstance(key, ec.EllipticCurvePublicKey) and self.family is KeyFamily.EC:
                key.verify(signature, data, ec.ECDSA(digest))
            else:
                message = f"a {type(key).__name__} cannot have made a {self.name} signature"
                raise InvalidSignatureValue(message)
        except InvalidSignature:
            message = "the signature value does not match what was signed"
            raise InvalidSignatureValue(message) from None


_FAMILIES = {"RSA": KeyFamily.RSA, "PSS": KeyFamily.RSA_PSS, "ECDSA": KeyFamily.EC}
_JCA = {KeyFamily.RSA: "RSA", KeyFamily.RSA_PSS: "RSAandMGF1", KeyFamily.EC: "ECDSA"}


def ecdsa_der_from_raw(raw: bytes) -> bytes:
    """An ECDSA signature in DER from r and s side by side.

    The two halves are as wide as the longer of the two, not always as wide as the curve.

    Raises InvalidSignatureValue where there are no two halves.
    """
    half, odd = divmod(len(raw), 2)
    if odd or not 1 <= half <= _LONGEST_HALF:
        message = f"an ECDSA value of {len(raw)} bytes has no two halves"
        raise InvalidSignatureValue(message)
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    return utils.encode_dss_signature(r, s)


_LONGEST_HALF = 66  # P-521


def ecdsa_raw_from_der(der: bytes, width: int) -> bytes:
    """An ECDSA signature as r and s side by side, each `width` bytes, from DER."""
    try:
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    except (ValueError, OverflowError):
        message = "not an ECDSA signature in DER"
        raise InvalidSignatureValue(message) from None
