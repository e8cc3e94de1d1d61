"""A signature document as a value, judged for what it must be whatever form it is read from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import IncorrectCertificate, InvalidReference, MalformedSignature
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.signature.chaindocuments import STRONG_DIGESTS, PartDigest
from sild.protocol.signature.names import MESSAGE, SIG_HASH_CHAIN_RESULT, is_attachment

# Certificates above the signer's, OCSP responses, parts: more than any message has.
_MOST_VALUES = 100
_SIGNING_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class StatedDigest:
    """A digest as a document states it: what of, the algorithm's URI, the value."""

    uri: str
    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found in a signature document, before anything of it is judged."""

    signed_info: bytes
    signature_algorithm: str
    value: bytes
    signed_properties: bytes
    properties_digest: StatedDigest
    references: Sequence[StatedDigest]
    certificate: bytes
    signing_certificate: StatedDigest
    signing_time: str
    certificate_refs: Sequence[StatedDigest]
    certificates: Mapping[str, bytes]
    ocsp: tuple[bytes, ...]
    timestamps: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SignatureDocument:
    """A signature document that has the right form; nothing in it is verified yet."""

    signed_info: bytes
    """The canonical bytes that the signature value is over."""
    algorithm: SignatureAlgorithm
    value: bytes
    """The signature value; ECDSA has r and s side by side."""
    signed_properties: bytes
    """The canonical bytes of the signed properties, as their reference wants them."""
    properties_digest: PartDigest
    references: Mapping[str, PartDigest]
    """The digests of the signed parts, or of the hash chain result, by name."""
    certificate: Certificate
    certificate_digest: PartDigest
    """The digest of the signing certificate that the signed properties state."""
    signing_time: datetime
    """When the signer says that it signed."""
    extra_certificates: tuple[Certificate, ...]
    ocsp: tuple[bytes, ...]
    timestamps: tuple[bytes, ...]
    """DER of the embedded time-stamps."""
    is_settled: bool = True
    """Whether no byte could be another without another meaning; see `plainxml`."""

    @property
    def is_chained(self) -> bool:
        """Whether a hash chain stands between the signature and the parts."""
        return SIG_HASH_CHAIN_RESULT in self.references


def to_document(reading: Reading) -> SignatureDocument:
    """The document that a reader found; raises MalformedSignature."""
    return SignatureDocument(
        signed_info=reading.signed_info,
        algorithm=_signature_algorithm(reading.signature_algorithm),
        value=reading.value,
        signed_properties=reading.signed_properties,
        properties_digest=_digest(reading.properties_digest),
        references=_references(reading.references),
        certificate=_certificate(reading.certificate),
        certificate_digest=_digest(reading.signing_certificate),
        signing_time=_signing_time(reading.signing_time),
        extra_certificates=_extra_certificates(reading),
        ocsp=_ocsp(reading.ocsp),
        timestamps=reading.timestamps,
    )


def _signature_algorithm(uri: str) -> SignatureAlgorithm:
    try:
        algorithm = SignatureAlgorithm.from_uri(uri)
    except UnsupportedAlgorithm as error:
        raise MalformedSignature(str(error)) from None
    if algorithm.digest_algorithm not in STRONG_DIGESTS:
        raise MalformedSignature(f"{algorithm.name} is too weak for a signature")
    return algorithm


def _digest(stated: StatedDigest) -> PartDigest:
    try:
        algorithm = DigestAlgorithm.from_uri(stated.algorithm)
    except UnsupportedAlgorithm as error:
        raise MalformedSignature(str(error)) from None
    if algorithm not in STRONG_DIGESTS:
        raise MalformedSignature(f"{algorithm.text} is too weak for the digest of {stated.uri}")
    if len(stated.value) != algorithm.size:
        raise MalformedSignature(
            f"the {algorithm.text} digest of {stated.uri} has {len(stated.value)} bytes"
        )
    return PartDigest(algorithm, stated.value)


def _references(stated: Sequence[StatedDigest]) -> dict[str, PartDigest]:
    references: dict[str, PartDigest] = {}
    for reference in stated:
        uri = reference.uri
        if uri not in {MESSAGE, SIG_HASH_CHAIN_RESULT} and not is_attachment(uri):
            raise InvalidReference(f"the signature refers to {uri!r}, which is no message part")
        if uri in references:
            raise InvalidReference(f"the signature refers to {uri} more than once")
        references[uri] = _digest(reference)
    if SIG_HASH_CHAIN_RESULT in references:
        if len(references) > 1:
            raise InvalidReference("the signature refers to a hash chain and to parts beside it")
    elif MESSAGE not in references:
        raise MalformedSignature("the signature refers to no message and no hash chain")
    return references


def _certificate(der: bytes) -> Certificate:
    try:
        certificate = read_certificate(der)
    except IncorrectCertificate as error:
        raise MalformedSignature(str(error)) from None
    if certificate.der != der:
        raise MalformedSignature("a certificate in the signature is not in DER")
    return certificate


def _extra_certificates(reading: Reading) -> tuple[Certificate, ...]:
    if len(reading.certificate_refs) > _MOST_VALUES:
        raise MalformedSignature(f"a signature with {len(reading.certificate_refs)} certificates")
    found = []
    for reference in reading.certificate_refs:
        der = reading.certificates.get(reference.uri.removeprefix("#"))
        if der is None:
            raise MalformedSignature(f"the certificate {reference.uri!r} is not in the signature")
        certificate, digest = _certificate(der), _digest(reference)
        if digest.algorithm.digest(certificate.der) != digest.value:
            raise MalformedSignature(f"the certificate {reference.uri!r} has another digest")
        found.append(certificate)
    return tuple(found)


def _ocsp(responses: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if not 1 <= len(responses) <= _MOST_VALUES:
        raise MalformedSignature(f"a signature with {len(responses)} OCSP responses")
    return responses


def _signing_time(text: str) -> datetime:
    if not _SIGNING_TIME.fullmatch(text):
        raise MalformedSignature(f"{text!r} is no signing time")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedSignature(f"{text!r} is no signing time") from None
