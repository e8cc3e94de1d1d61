"""RFC 3161 time-stamps: requests, tokens, and their verification against approved authorities.

A token is a CMS SignedData (RFC 5652) whose signed attributes name the signer's certificate
(RFC 2634, RFC 5035). Stricter than the reference: that certificate must have been valid at the
time that it states, and be for time-stamping if it says what it is for.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import algos, cms, tsp
from cryptography.x509 import SubjectKeyIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    InvalidSignatureValue,
    MalformedSignature,
    TimestampRefused,
    TrustError,
    TspCertificateNotFound,
)
from sild.protocol.pki import der
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.names import name_key
from sild.protocol.pki.signed import Signed, Strength, read_signed
from sild.protocol.pki.trust import ApprovedTsa

_SIZE_LIMIT = 256 * 1024
_OIDS = {
    DigestAlgorithm.SHA256: "2.16.840.1.101.3.4.2.1",
    DigestAlgorithm.SHA384: "2.16.840.1.101.3.4.2.2",
    DigestAlgorithm.SHA512: "2.16.840.1.101.3.4.2.3",
}
_NAMING_HASHES = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512"})
_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
_CERTIFICATES, _SIGNED_ATTRIBUTES = 0xA0, 0x31


@dataclass(frozen=True, slots=True)
class SignerId:
    """Which certificate signed: its issuer (as names are compared) and serial, or its key."""

    issuer: bytes | None
    serial: int | None
    key_identifier: bytes | None

    def matches(self, certificate: Certificate) -> bool:
        """Whether this is the certificate."""
        if self.issuer is not None:
            return (certificate.issuer_key, certificate.serial) == (self.issuer, self.serial)
        return _key_identifier(certificate) == self.key_identifier


def _key_identifier(certificate: Certificate) -> bytes:
    for extension in certificate.x509.extensions:
        if isinstance(extension.value, SubjectKeyIdentifier):
            return extension.value.digest
    return certificate.key_sha1


@dataclass(frozen=True, slots=True)
class NamedCertificate:
    """How a signed attribute names the signer's certificate: a hash, perhaps issuer and serial."""

    hash_name: str
    digest: bytes
    issuer: bytes | None
    serial: int | None

    def matches(self, certificate: Certificate) -> bool:
        """Whether this is the certificate."""
        digest = hashlib.new(self.hash_name, certificate.der, usedforsecurity=False).digest()
        if digest != self.digest or (self.serial not in (None, certificate.serial)):
            return False
        return self.issuer is None or self.issuer == certificate.issuer_key


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """A time-stamp token, read but not verified."""

    der: bytes
    gen_time: datetime
    imprint_hash: str
    imprint: bytes
    content_hash: str
    nonce: int | None
    signer: SignerId
    named: tuple[NamedCertificate, ...]
    signed: Signed


@dataclass(frozen=True, slots=True)
class VerifiedTimestamp:
    """Proof that the stamped bytes existed at a time, by an approved authority."""

    gen_time: datetime
    tsa: ApprovedTsa


def build_timestamp_request(
    digest: bytes, algorithm: DigestAlgorithm = DigestAlgorithm.SHA512, nonce: int | None = None
) -> bytes:
    """A request for a stamp over a digest, without policy and certReq as the reference asks."""
    imprint = der.sequence(der.algorithm(_OIDS[algorithm]), der.octets(digest))
    extra = b"" if nonce is None else der.integer(nonce)
    return der.sequence(der.integer(1), imprint, extra)


def read_timestamp_response(data: bytes) -> TimestampToken:
    """The token of a granted answer; raises TimestampRefused."""
    if len(data) > _SIZE_LIMIT:
        raise TimestampRefused(f"a time-stamp response of {len(data)} bytes is too long")
    try:
        parts = der.parts_of(data)
        status = tsp.PKIStatusInfo.load(parts[0], strict=True)
        answered = status["status"].native
        reasons = status["status_string"].native or []
    except _READ_ERRORS as error:
        raise TimestampRefused(f"a time-stamp response cannot be read: {error}") from None
    if answered not in ("granted", "granted_with_mods"):
        raise TimestampRefused(f"the time-stamping authority answered {answered}: {reasons}")
    if len(parts) != len(("status", "token")):
        raise TimestampRefused("the time-stamping authority granted a stamp and sent none")
    return read_timestamp_token(parts[1])


def read_timestamp_token(data: bytes) -> TimestampToken:
    """A token from DER; raises TimestampRefused."""
    if len(data) > _SIZE_LIMIT:
        raise TimestampRefused(f"a time-stamp token of {len(data)} bytes is too long")
    try:
        return _from_asn1(data, cms.ContentInfo.load(data, strict=True))
    except _READ_ERRORS as error:
        raise TimestampRefused(f"a time-stamp token cannot be read: {error}") from None
    except (TrustError, InvalidSignatureValue) as error:
        raise TimestampRefused(error.message) from None


def _from_asn1(data: bytes, info: Any) -> TimestampToken:
    if info["content_type"].native != "signed_data":
        raise TimestampRefused("a time-stamp token is no signed data")
    signed_data = info["content"]
    encapsulated = signed_data["encap_content_info"]
    if encapsulated["content_type"].native != "tst_info":
        raise TimestampRefused("what a time-stamp token signs is no time-stamp")
    if len(signed_data["signer_infos"]) != 1:
        raise TimestampRefused("a time-stamp token needs exactly one signer")
    content: bytes = bytes(encapsulated["content"])
    stamp = tsp.TSTInfo.load(content, strict=True)
    signer = signed_data["signer_infos"][0]
    attributes = _attributes(signer["signed_attrs"])
    content_hash = signer["digest_algorithm"]["algorithm"].native
    _check_content(attributes, content, content_hash)
    _check_extensions(stamp["extensions"])
    return TimestampToken(
        der=data,
        gen_time=_moment(stamp["gen_time"].native),
        imprint_hash=stamp["message_imprint"]["hash_algorithm"]["algorithm"].native,
        imprint=stamp["message_imprint"]["hashed_message"].native,
        content_hash=content_hash,
        nonce=stamp["nonce"].native,
        signer=_signer_id(signer["sid"]),
        named=_named_certificates(attributes),
        signed=_read_signature(signer),
    )


def _moment(moment: object) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise TimestampRefused("a time-stamp states a time without a zone")
    return moment


def _attributes(values: Any) -> dict[str, Any]:
    """The only value of each signed attribute (RFC 5652, 11: one attribute, one value)."""
    found: dict[str, Any] = {}
    for attribute in values if values.native is not None else ():
        name = attribute["type"].native
        if name in found or len(attribute["values"]) != 1:
            raise TimestampRefused(f"a time-stamp token has more than one attribute {name}")
        found[name] = attribute["values"][0]
    return found


def _check_content(attributes: dict[str, Any], content: bytes, hash_name: str) -> None:
    if "content_type" not in attributes or attributes["content_type"].native != "tst_info":
        raise TimestampRefused("the signed attributes of a time-stamp do not state its type")
    digest = attributes.get("message_digest")
    if digest is None or hashlib.new(hash_name, content).digest() != digest.native:
        raise TimestampRefused("the signed digest of a time-stamp is not that of its content")


def _check_extensions(extensions: Any) -> None:
    for extension in extensions if extensions.native is not None else ():
        if extension["critical"].native:
            raise TimestampRefused("a time-stamp has a critical extension, which is not understood")


def _signer_id(value: Any) -> SignerId:
    if value.name == "issuer_and_serial_number":
        named = value.chosen
        return SignerId(name_key(named["issuer"].dump()), named["serial_number"].native, None)
    return SignerId(None, None, value.chosen.native)


def _named_certificates(attributes: dict[str, Any]) -> tuple[NamedCertificate, ...]:
    named = []
    if "signing_certificate" in attributes:
        named.append(_named(attributes["signing_certificate"]["certs"][0], "sha1"))
    if "signing_certificate_v2" in attributes:
        first = attributes["signing_certificate_v2"]["certs"][0]
        named.append(_named(first, first["hash_algorithm"]["algorithm"].native))
    if not named:
        raise TimestampRefused("a time-stamp token does not name its signer's certificate")
    return tuple(named)


def _named(value: Any, hash_name: str) -> NamedCertificate:
    if hash_name not in _NAMING_HASHES:
        raise TimestampRefused(f"a time-stamp names its signer's certificate by {hash_name}")
    issuer_serial = value["issuer_serial"]
    if issuer_serial.native is None:
        return NamedCertificate(hash_name, value["cert_hash"].native, None, None)
    names = [name for name in issuer_serial["issuer"] if name.name == "directory_name"]
    issuer = name_key(names[0].chosen.chosen.untag().dump()) if names else None
    serial = issuer_serial["serial_number"].native
    return NamedCertificate(hash_name, value["cert_hash"].native, issuer, serial)


def _read_signature(signer: Any) -> Signed:
    algorithm = signer["signature_algorithm"]
    if algorithm["algorithm"].native in ("rsassa_pkcs1v15", "ecdsa"):
        # The signature names no hash: it is that of the digest (RFC 5652, 5.4; RFC 3370, 3.2).
        hash_name = signer["digest_algorithm"]["algorithm"].native
        family = algorithm["algorithm"].native.removeprefix("rsassa_pkcs1v15") or "rsa"
        algorithm = algos.SignedDigestAlgorithm({"algorithm": f"{hash_name}_{family}"})
    attributes = signer["signed_attrs"]
    # They are signed as a SET, though they stand under a tag of their own (RFC 5652, 5.4).
    signed = der.tagged(_SIGNED_ATTRIBUTES, der.contents_of(attributes.dump()))
    return read_signed(signed, signer["signature"].native, algorithm)


def verify_timestamp(
    token: TimestampToken,
    stamped: bytes,
    tsas: Sequence[ApprovedTsa],
    strength: Strength = Strength.CURRENT,
) -> VerifiedTimestamp:
    """Prove that one of the approved authorities stamped the bytes.

    Raises MalformedSignature for a stamp over other bytes, TspCertificateNotFound for a signer
    that is not approved, TimestampRefused for one that does not bear out its token.
    """
    _check_imprint_hash(token, strength)
    digest = hashlib.new(token.imprint_hash, stamped).digest()
    return verify_stamped_digest(token, digest, tsas, strength)


def verify_stamped_digest(
    token: TimestampToken,
    digest: bytes,
    tsas: Sequence[ApprovedTsa],
    strength: Strength = Strength.CURRENT,
) -> VerifiedTimestamp:
    """Prove that one of the approved authorities stamped what has this digest, by the token's hash.

    Raises what `verify_timestamp` raises.
    """
    _check_imprint_hash(token, strength)
    if digest != token.imprint:
        raise MalformedSignature("the time-stamp is over other bytes")
    tsa = next((tsa for tsa in tsas if token.signer.matches(tsa.certificate)), None)
    if tsa is None:
        raise TspCertificateNotFound("the signer of the time-stamp is no approved authority")
    certificate = tsa.certificate
    if not all(name.matches(certificate) for name in token.named):
        raise TimestampRefused(f"the time-stamp names another certificate than {tsa.name} has")
    if certificate.key_usage.extended is not None and not certificate.has_extended_usage(
        ExtendedKeyUsageOID.TIME_STAMPING
    ):
        raise TimestampRefused(f"the certificate of {tsa.name} is not for time-stamping")
    if not certificate.is_valid_at(token.gen_time):
        raise TimestampRefused(f"the certificate of {tsa.name} was not valid at {token.gen_time}")
    try:
        strength.check_hash(token.content_hash)
        token.signed.check(certificate.public_key, strength)
    except InvalidSignatureValue as error:
        raise TimestampRefused(f"the time-stamp is not good: {error.message}") from None
    return VerifiedTimestamp(token.gen_time, tsa)


def _check_imprint_hash(token: TimestampToken, strength: Strength) -> None:
    try:
        strength.check_hash(token.imprint_hash)
    except InvalidSignatureValue as error:
        raise MalformedSignature(f"the time-stamp is too weak: {error.message}") from None


def with_certificate(token: TimestampToken, certificate: Certificate) -> bytes:
    """The token in DER with the certificate of its signer among its certificates."""
    try:
        content_type, explicit = der.parts_of(token.der)
        signed_data = der.parts_of(der.contents_of(explicit))
        # Version, digest algorithms and content come first, then the certificates, if any.
        head, tail = signed_data[:3], signed_data[3:]
        held = {certificate.der}
        if tail[0][0] == _CERTIFICATES:
            held.update(der.parts_of(tail.pop(0)))
    except _READ_ERRORS as error:
        raise TimestampRefused(f"a time-stamp token cannot be taken apart: {error}") from None
    certificates = der.tagged(_CERTIFICATES, *sorted(held))
    content = der.sequence(*head, certificates, *tail)
    return der.sequence(content_type, der.tagged(0xA0, content))
