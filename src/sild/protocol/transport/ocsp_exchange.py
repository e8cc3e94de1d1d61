"""The OCSP response retrieval request and its multipart answer.

A security server that is called is asked for the OCSP responses of its certificates before a
message goes out to it: GET with the hashes in the query, an answer with one part a certificate.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidMessage, InvalidRequest
from sild.protocol.mime import MimeLimits, MultipartWriter, boundary_of, split_parts
from sild.protocol.transport.grammar import OCSP_TYPE


@dataclass(frozen=True, slots=True)
class OcspLimits:
    """How many certificates are asked about at once, and how long a response may be."""

    certificates: int = 16
    response: int = 64 * 1024
    target: int = 8 * 1024
    mime: MimeLimits = field(default_factory=MimeLimits)


_DEFAULT_LIMITS = OcspLimits()


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """Which certificate is asked about, by the digest of its DER form."""

    algorithm: DigestAlgorithm
    digest: bytes


def write_ocsp_target(certificates: Sequence[bytes]) -> str:
    """The request target that asks for the responses of these DER certificates.

    Peers up to 7.3 know SHA-1 in `cert` only, and later ones still read that.
    """
    queries = [
        *(f"cert={hashlib.sha1(der, usedforsecurity=False).hexdigest()}" for der in certificates),
        *(f"cert_hash={hashlib.sha256(der).hexdigest()}" for der in certificates),
    ]
    return f"/?{'&'.join(queries)}"


_QUERIES = {
    "cert": (DigestAlgorithm.SHA1, re.compile("[0-9A-Fa-f]{40}")),
    "cert_hash": (DigestAlgorithm.SHA256, re.compile("[0-9A-Fa-f]{64}")),
}


def read_ocsp_target(
    target: bytes, limits: OcspLimits = _DEFAULT_LIMITS
) -> tuple[CertificateHash, ...]:
    """The certificates that a request asks about, in order; the path does not matter.

    SHA-256 hashes count where there is no SHA-1 hash beside them. Raises InvalidRequest.
    """
    if len(target) > limits.target:
        raise InvalidRequest(f"a request target of {len(target)} bytes is too long")
    found: dict[str, list[CertificateHash]] = {name: [] for name in _QUERIES}
    _, _, query = target.decode("latin-1").partition("?")
    for entry in query.split("&"):
        name, _, value = entry.partition("=")
        if name not in _QUERIES:
            continue
        algorithm, pattern = _QUERIES[name]
        if not pattern.fullmatch(value):
            raise InvalidRequest(f"{value[:100]!r} is no {algorithm.text} hash")
        found[name].append(CertificateHash(algorithm, bytes.fromhex(value)))
    hashes = found["cert"] or found["cert_hash"]
    if not 1 <= len(hashes) <= limits.certificates:
        raise InvalidRequest(f"{len(hashes)} certificates, not 1 to {limits.certificates}")
    return tuple(hashes)


def write_ocsp_answer(responses: Sequence[bytes], boundary: str) -> tuple[str, bytes]:
    """The content type and body that give these responses, one for each hash, in order."""
    writer = MultipartWriter(boundary)
    pieces: list[bytes] = []
    for der in responses:
        pieces += (writer.start_part(OCSP_TYPE), der)
    content_type = f'multipart/related; type="{OCSP_TYPE}"; charset=UTF-8; boundary={boundary}'
    return content_type, b"".join([*pieces, writer.close()])


def read_ocsp_answer(
    content_type: str, body: bytes, expected: int, limits: OcspLimits = _DEFAULT_LIMITS
) -> tuple[bytes, ...]:
    """The responses in an answer, as many as were asked for; parts of other types are ignored.

    Raises InvalidContentType, MimeParsingFailed or InvalidMessage.
    """
    parts = split_parts(body, boundary_of(content_type), limits.mime)
    found = [(start, end) for headers, start, end in parts if headers.media_type == OCSP_TYPE]
    if len(found) != expected:
        raise InvalidMessage(f"{len(found)} OCSP responses where {expected} were asked for")
    if any(end - start > limits.response for start, end in found):
        raise InvalidMessage(f"an OCSP response is longer than {limits.response} bytes")
    return tuple(body[start:end] for start, end in found)
