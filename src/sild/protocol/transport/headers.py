"""Names and values of the HTTP headers between security servers, and the versions they demand."""

import re

from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import ClientProxyVersionNotSupported, Malformed

Field = tuple[bytes, bytes]

# Peers look response headers up by exactly these names, in lower case.
CONTENT_TYPE = b"content-type"
HASH_ALGORITHM = b"x-hash-algorithm"
MESSAGE_TYPE = b"x-road-message-type"
ORIGINAL_CONTENT_TYPE = b"x-original-content-type"
ORIGINAL_SOAP_ACTION = b"x-original-soapaction"
PROXY_VERSION = b"x-proxy-version"
REQUEST_ID = b"x-road-request-id"

REST = b"REST"

# What is announced is the level of the protocol, not the version of this software: peers compare
# it as a semantic version with the oldest reference release that they talk to, 7.6.0 in the
# country packages, and refuse what is older or no version.
PROTOCOL_LEVEL = "7.8.0"

# Weaker digests would let one signed part pass for another.
_ALGORITHMS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


def write_rest_request_headers(
    content_type: str, request_id: str, original_content_type: bytes = b""
) -> list[Field]:
    """The headers of a REST request to the provider's security server.

    `original_content_type` is that of the information system, empty where it sent none.
    """
    return [
        (HASH_ALGORITHM, DigestAlgorithm.SHA512.text.encode("ascii")),
        (PROXY_VERSION, PROTOCOL_LEVEL.encode("ascii")),
        (ORIGINAL_CONTENT_TYPE, original_content_type),
        (MESSAGE_TYPE, REST),
        (REQUEST_ID, request_id.encode("ascii")),
        (CONTENT_TYPE, content_type.encode("ascii")),
    ]


def write_soap_request_headers(
    content_type: str, request_id: str, original_content_type: bytes, soap_action: bytes | None
) -> list[Field]:
    """The headers of a SOAP request to the provider's security server.

    The original content type and SOAPAction are those of the information system; a SOAPAction that
    it did not send does not travel.
    """
    action = [] if soap_action is None else [(ORIGINAL_SOAP_ACTION, soap_action)]
    return [
        (HASH_ALGORITHM, DigestAlgorithm.SHA512.text.encode("ascii")),
        (PROXY_VERSION, PROTOCOL_LEVEL.encode("ascii")),
        (ORIGINAL_CONTENT_TYPE, original_content_type),
        *action,
        (REQUEST_ID, request_id.encode("ascii")),
        (CONTENT_TYPE, content_type.encode("ascii")),
    ]


def write_response_headers(content_type: str) -> list[Field]:
    """The headers of a response that has parts; a fault as the whole body has no hash algorithm."""
    return [
        (HASH_ALGORITHM, DigestAlgorithm.SHA512.text.encode("ascii")),
        (CONTENT_TYPE, content_type.encode("ascii")),
    ]


def write_soap_response_headers(content_type: str, original_content_type: bytes) -> list[Field]:
    """The headers of a SOAP response that has parts; peers fail without the service's own type."""
    return [
        *write_response_headers(content_type),
        (ORIGINAL_CONTENT_TYPE, original_content_type),
    ]


def read_hash_algorithm(value: bytes | None) -> DigestAlgorithm:
    """What the parts of a message are hashed with, by name in any case.

    Raises Malformed where it is not said, unknown, or no longer safe.
    """
    if value is None:
        raise Malformed("the message names no hash algorithm")
    try:
        algorithm = DigestAlgorithm.from_text(value[:20].decode("latin-1"))
    except UnsupportedAlgorithm as error:
        # Between servers the code of its own is not known.
        raise Malformed(error.message) from None
    if algorithm not in _ALGORITHMS:
        raise Malformed(f"the hash algorithm {algorithm.text} is no longer accepted")
    return algorithm


_NUMBER = r"(0|[1-9][0-9]{0,9})"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_VERSION_LIMIT = 100

_Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def check_proxy_version(value: bytes | None, minimum: str | None) -> None:
    """Raise ClientProxyVersionNotSupported for a caller below the minimum, if there is one.

    Both are semantic versions: 7.6.0-SNAPSHOT is older than 7.6.0, and what is no version is
    older than any.
    """
    if minimum is None:
        return
    lowest = _precedence(minimum)
    found = _precedence((value or b"").decode("latin-1"))
    if lowest is None or found is None or found < lowest:
        raise ClientProxyVersionNotSupported(
            f"the minimum supported version of the calling security server is {minimum}"
        )


def _precedence(text: str) -> _Precedence | None:
    match = _VERSION.fullmatch(text) if len(text) <= _VERSION_LIMIT else None
    if match is None:
        return None
    identifiers = match[4].split(".") if match[4] else []
    before_release = tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part) for part in identifiers
    )
    return int(match[1]), int(match[2]), int(match[3]), not before_release, before_release
