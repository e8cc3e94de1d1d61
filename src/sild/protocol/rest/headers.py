"""Which HTTP headers are set, dropped or passed through, and how they travel.

Header names and values are bytes, as HTTP has them. In a REST message part they stand as UTF-8:
each byte of a value is taken as a character of ISO 8859-1, as HTTP libraries of peers do, and
back again on the other side, so that information systems see the bytes that were sent.
"""

from collections.abc import Iterable, Sequence

from sild.protocol.errors import InvalidRest

Field = tuple[bytes, bytes]
Fields = Sequence[Field]

CLIENT = b"x-road-client"
MESSAGE_ID = b"x-road-id"
REQUEST_HASH = b"x-road-request-hash"
REQUEST_ID = b"x-road-request-id"
REPRESENTED_PARTY = b"x-road-represented-party"
SECURITY_SERVER = b"x-road-security-server"
SERVICE = b"x-road-service"
USER_ID = b"x-road-userid"
ISSUE = b"x-road-issue"
ERROR = b"X-Road-Error"
PREFIX = b"x-road-"

# These concern one connection, or the software at its ends. A peer refuses a message part that
# holds any of them, so none may pass.
DROPPED = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"user-agent",
    }
)
DROPPED_FROM_REQUEST = DROPPED | {REQUEST_ID, REQUEST_HASH}
# The service's own X-Road-Service stays; the one that is appended comes later and wins.
DROPPED_FROM_RESPONSE = DROPPED | {MESSAGE_ID, REQUEST_HASH, CLIENT, REQUEST_ID}

_NAME_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE_BYTES = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_MOST_FIELDS = 1000


def check_fields(fields: Fields) -> None:
    """Raise InvalidRest for names that are no tokens, and for control characters in values."""
    if len(fields) > _MOST_FIELDS:
        raise InvalidRest(f"more than {_MOST_FIELDS} headers")
    if b"".join([name for name, _ in fields]).translate(None, _NAME_BYTES):
        raise InvalidRest("a header name has a character that none may have")
    if not all([name for name, _ in fields]):  # noqa: C419 - a list is faster here
        raise InvalidRest("a header without a name")
    check_text(b"".join([value for _, value in fields]))


def check_text(text: bytes) -> None:
    """Raise InvalidRest for control characters: they could end a line and begin another."""
    if text.translate(None, _VALUE_BYTES):
        raise InvalidRest("a header value or reason has a control character")


def wire_fields(fields: Fields, dropped: frozenset[bytes]) -> list[Field]:
    """The HTTP headers that travel, in their order and case, as they stand in a message part."""
    return [
        (name, to_wire(value.strip(b" \t")))
        for name, value in fields
        if name.lower() not in dropped
    ]


def http_fields(fields: Fields, part: bytes) -> tuple[Field, ...]:
    """The headers of this message part as HTTP has them; raises InvalidRest."""
    if part.isascii():
        return tuple(fields)
    return tuple([(name, from_wire(value)) for name, value in fields])


def to_wire(value: bytes) -> bytes:
    """A value of HTTP as it stands in a message part."""
    return value if value.isascii() else value.decode("latin-1").encode("utf-8")


def from_wire(value: bytes) -> bytes:
    """A value of a message part as HTTP has it; raises InvalidRest."""
    return value if value.isascii() else text_of(value).encode("latin-1", "replace")


def text_of(value: bytes) -> str:
    """A value of a message part as text; raises InvalidRest."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRest("a REST message that is no UTF-8") from None


def write_fields(fields: Iterable[Field]) -> bytes:
    """The fields as lines of a message part, without a space behind the colon."""
    return b"".join([b"%b:%b\r\n" % field for field in fields])
