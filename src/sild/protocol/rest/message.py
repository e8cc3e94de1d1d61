"""The REST header part of a request or response, and its exact bytes.

A message keeps the bytes of its part: they are what is signed, hashed and logged. What they say
stands beside them.
"""

import hashlib
import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from sild.protocol.errors import (
    InconsistentResponse,
    InvalidClientIdentifier,
    InvalidIdentifier,
    InvalidRest,
)
from sild.protocol.ids import (
    ClientId,
    RepresentedParty,
    SecurityServerId,
    ServiceId,
    decode_segment,
    encode_segment,
    encode_segments,
)
from sild.protocol.rest import headers as names
from sild.protocol.rest.headers import Field, Fields


class Verb(StrEnum):
    """The HTTP methods that a REST message may have."""

    DELETE = "DELETE"
    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    PATCH = "PATCH"
    POST = "POST"
    PUT = "PUT"
    TRACE = "TRACE"

    @property
    def passes_body(self) -> bool:
        """Whether the body of such a request goes on to the service; it is signed in any case."""
        return self in _WITH_BODY


_WITH_BODY = frozenset({Verb.PATCH, Verb.POST, Verb.PUT})
_VERBS = {verb.value.encode("ascii"): verb for verb in Verb}


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A request: `part` is the exact bytes, path and query are still percent-encoded.

    `headers` are all that the part has, as the service gets them; `service_path` is empty or
    begins with a slash.
    """

    part: bytes
    verb: Verb
    path: str
    query: str | None
    headers: tuple[Field, ...]
    client: ClientId
    service: ServiceId
    service_path: str
    message_id: str
    request_id: str | None
    security_server: SecurityServerId | None
    represented_party: RepresentedParty | None

    def find_header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        return _find(self.headers, name)

    def url_at(self, address: str) -> str:
        """The address to call: that of the service, the rest of the path, the query."""
        path = self.service_path
        if path and address.endswith("/"):
            path = path[1:]
        query = "" if self.query is None else f"?{self.query}"
        return address + _NOT_ASCII.sub(lambda found: encode_segment(found[0]), path + query)

    @property
    def reduced_part(self) -> bytes:
        """The part as it is logged where bodies are not: no service path, query, other headers."""
        path = self.path.removesuffix(self.service_path)
        return b"\r\n".join((self.verb.encode(), path.encode(), _x_road_lines(self.part)))


@dataclass(frozen=True, slots=True)
class RestResponse:
    """A response: `part` is the exact bytes, `headers` are all that the part has."""

    part: bytes
    status: int
    reason: str
    headers: tuple[Field, ...]
    message_id: str
    request_hash: str
    client: ClientId | None
    service: ServiceId | None
    request_id: str | None

    def find_header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        return _find(self.headers, name)

    @property
    def reduced_part(self) -> bytes:
        """The part as it is logged where bodies are not: without other headers."""
        return b"\r\n".join((*self.part.splitlines()[:2], _x_road_lines(self.part)))


def _find(headers: Fields, name: bytes) -> bytes | None:
    return next((value for field, value in headers if field.lower() == name), None)


def _x_road_lines(part: bytes) -> bytes:
    _, _, fields = _read_lines(part)
    return names.write_fields(
        field for field in fields if field[0].lower().startswith(names.PREFIX)
    )


def build_rest_request(
    verb: bytes,
    target: bytes,
    headers: Fields,
    request_id: str,
    instance: str,
    make_id: Callable[[], str],
) -> RestRequest:
    """The request that an information system makes, from its HTTP method, target and headers.

    `request_id` is a new UUID; `make_id` gives another one where the client sent no X-Road-Id.

    Raises InvalidRest, InvalidIdentifier, or InvalidClientIdentifier where nobody calls.
    """
    names.check_fields(headers)
    kept = names.wire_fields(headers, names.DROPPED_FROM_REQUEST)
    names.check_text(request_id.encode() + instance.encode())
    kept.append((names.REQUEST_ID, request_id.encode()))
    sent_id = [value for name, value in kept if name.lower() == names.MESSAGE_ID]
    if not sent_id:
        kept.append((names.MESSAGE_ID, f"{instance}-{make_id()}".encode()))
    elif not sent_id[-1]:
        # A peer would do the work and then send a response that nobody may accept.
        raise InvalidRest("the X-Road-Id header is empty")
    part = b"%b\r\n%b\r\n%b" % (verb, target, names.write_fields(kept))
    return _request(part, verb, target, kept)


def read_rest_request(part: bytes) -> RestRequest:
    """The request that a message part holds.

    Raises InvalidRest, InvalidIdentifier, or InvalidClientIdentifier where nobody calls.
    """
    verb, target, fields = _read_lines(part)
    return _request(part, verb, target, fields)


def _read_lines(part: bytes) -> tuple[bytes, bytes, list[Field]]:
    """The two first lines and the headers; peers take CRLF, LF and CR as line ends alike."""
    lines = part.splitlines()
    if len(lines) < 2:
        raise InvalidRest("a REST message without its two first lines")
    fields: list[Field] = []
    for line in lines[2:]:
        name, colon, value = line.partition(b":")
        if not colon or name.lower() in names.DROPPED:
            raise InvalidRest(f"a REST message may not have the header line {line[:100]!r}")
        fields.append((name, value))
    names.check_fields(fields)
    return lines[0], lines[1], fields


_PATH_CHARACTERS = r"A-Za-z0-9\-._~!$&'()*+,;=:@/\x80-\U0010ffff"
_ESCAPE = "%[0-9A-Fa-f]{2}"
_TARGET = re.compile(
    rf"(/[{_PATH_CHARACTERS}]*+(?:{_ESCAPE}[{_PATH_CHARACTERS}]*+)*+)"
    rf"(?:\?([{_PATH_CHARACTERS}?\[\]]*+(?:{_ESCAPE}[{_PATH_CHARACTERS}?\[\]]*+)*+))?"
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_PREFIX_PARTS, _WHOLE_PARTS = 7, 8


def _read_target(target: bytes) -> tuple[str, str | None]:
    """Path and query, still encoded; peers refuse what is no URI reference (RFC 2396)."""
    text = names.text_of(target)
    match = _TARGET.fullmatch(text)
    if match is None or not (text.isascii() or text.isprintable()):
        raise InvalidRest("the request target is no path and query, or is not percent-encoded")
    return match[1], match[2]


def _request(part: bytes, verb: bytes, target: bytes, fields: list[Field]) -> RestRequest:
    if verb not in _VERBS:
        raise InvalidRest(f"{verb[:20]!r} is no HTTP method of a REST message")
    path, query = _read_target(target)
    parts = path.split("/", _WHOLE_PARTS - 1)
    if len(parts) < _PREFIX_PARTS or parts[1] != "r1":
        raise InvalidRest(
            "the path is not /r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE with an optional rest"
        )
    said = _RequestFields(fields)
    if said.client is None:
        raise InvalidClientIdentifier("the X-Road-Client header is missing")
    if said.message_id is None:
        raise InvalidRest("the X-Road-Id header is missing")
    return RestRequest(
        part=part,
        verb=_VERBS[verb],
        path=path,
        query=query,
        headers=names.http_fields(fields, part),
        client=said.client,
        service=_service("/".join(parts[2:7])),
        service_path=f"/{parts[7]}" if len(parts) == _WHOLE_PARTS else "",
        message_id=said.message_id,
        request_id=said.request_id,
        security_server=said.security_server,
        represented_party=said.represented_party,
    )


class _RequestFields:
    """What the X-Road headers of a request say; of repeated ones the last."""

    __slots__ = ("client", "message_id", "represented_party", "request_id", "security_server")

    def __init__(self, fields: Fields) -> None:
        self.client: ClientId | None = None
        self.message_id: str | None = None
        self.request_id: str | None = None
        self.security_server: SecurityServerId | None = None
        self.represented_party: RepresentedParty | None = None
        for name, value in fields:
            lower = name.lower()
            if lower == names.CLIENT:
                self.client = _client(_ascii(value))
            elif lower == names.MESSAGE_ID:
                self.message_id = names.text_of(value)
            elif name == names.REQUEST_ID:  # the one name that peers match by its case
                self.request_id = names.text_of(value)
            elif lower == names.SECURITY_SERVER:
                self.security_server = _security_server(_ascii(value))
            elif lower == names.REPRESENTED_PARTY:
                self.represented_party = _represented_party(_ascii(value))


def _ascii(value: bytes) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidIdentifier(
            f"{value[:100]!r} has a character that must be percent-encoded"
        ) from None


def build_rest_response(
    request: RestRequest, status: int, reason: bytes, headers: Fields, request_hash: str
) -> RestResponse:
    """The response of a service to a request, from its HTTP status, reason and headers."""
    if request.request_id is None:
        raise InvalidRest("the request has no x-road-request-id")
    names.check_fields(headers)
    kept = names.wire_fields(headers, names.DROPPED_FROM_RESPONSE)
    kept += [
        (names.MESSAGE_ID, request.message_id.encode()),
        (names.CLIENT, _encoded(request.client)),
        (names.SERVICE, _encoded(request.service)),
        (names.REQUEST_ID, request.request_id.encode()),
        (names.REQUEST_HASH, request_hash.encode()),
    ]
    first_lines = b"%d\r\n%b\r\n" % (status, names.to_wire(reason))
    return _response(first_lines + names.write_fields(kept), b"%d" % status, reason, kept)


def read_rest_response(part: bytes) -> RestResponse:
    """The response that a message part holds; raises InvalidRest or InvalidIdentifier."""
    status, reason, fields = _read_lines(part)
    return _response(part, status, names.from_wire(reason), fields)


_STATUS = re.compile(rb"[2-9][0-9]{2}")


def _response(part: bytes, status: bytes, reason: bytes, fields: list[Field]) -> RestResponse:
    if not _STATUS.fullmatch(status):
        raise InvalidRest(f"{status[:20]!r} is no final HTTP status")
    names.check_text(reason)
    said: dict[bytes, bytes] = {}
    client: ClientId | None = None
    service: ServiceId | None = None
    for name, value in fields:
        lower = name.lower()
        if lower == names.CLIENT:
            client = _client(_ascii(value))
        elif lower == names.SERVICE:
            service = _service(_ascii(value))
        else:
            said[lower] = value
    if not said.get(names.MESSAGE_ID):
        raise InvalidRest("the response has no x-road-id")
    request_id = said.get(names.REQUEST_ID)
    return RestResponse(
        part=part,
        status=int(status),
        reason=reason.decode("latin-1"),
        headers=names.http_fields(fields, part),
        message_id=names.text_of(said[names.MESSAGE_ID]),
        request_hash=_read_hash(said.get(names.REQUEST_HASH, b"")),
        client=client,
        service=service,
        request_id=None if request_id is None else names.text_of(request_id),
    )


def _read_hash(value: bytes) -> str:
    try:
        digest = a2b_base64(value)
    except (Base64Error, ValueError):
        digest = b""
    if not digest:
        raise InvalidRest("the response has no readable x-road-request-hash")
    return b64encode(digest).decode("ascii")


def request_hash(part_digest: bytes, body_digest: bytes | None) -> str:
    """What a response says of its request, in base64, from the SHA-512 digests of its parts.

    An empty body part counts, a missing one does not.
    """
    digest = part_digest
    if body_digest is not None:
        digest = hashlib.sha512(part_digest + body_digest).digest()
    return b64encode(digest).decode("ascii")


def check_response_belongs(
    request: RestRequest, response: RestResponse, expected_hash: str
) -> None:
    """Raise InconsistentResponse unless the response says that it answers this request."""
    for what, asked, answered in (
        ("client", request.client, response.client),
        ("x-road-id", request.message_id, response.message_id),
        ("service", request.service, response.service),
        ("x-road-request-id", request.request_id, response.request_id),
        ("request hash", expected_hash, response.request_hash),
    ):
        if asked != answered:
            raise InconsistentResponse(f"the {what} of the response is not that of the request")


_CACHED_TEXT = 512
_TEXT_LIMIT = 16_000


def _client(text: str) -> ClientId:
    return _cached_client(text) if len(text) <= _CACHED_TEXT else _decode_client(text)


def _service(text: str) -> ServiceId:
    return _cached_service(text) if len(text) <= _CACHED_TEXT else _decode_service(text)


def _decode_client(text: str) -> ClientId:
    match _segments(text):
        case [instance, member_class, member_code]:
            return ClientId(instance, member_class, member_code)
        case [instance, member_class, member_code, subsystem_code]:
            return ClientId(instance, member_class, member_code, subsystem_code)
        case _:
            raise InvalidIdentifier(f"{text[:100]!r} is no client: it needs 3 or 4 segments")


def _decode_service(text: str) -> ServiceId:
    match _segments(text):
        case [instance, member_class, member_code, subsystem_code, service_code]:
            provider = ClientId(instance, member_class, member_code, subsystem_code)
            return ServiceId(provider, service_code)
        case _:
            raise InvalidIdentifier(f"{text[:100]!r} is no service: it needs 5 segments")


# The same few clients and services call all day.
_cached_client = lru_cache(maxsize=1024)(_decode_client)
_cached_service = lru_cache(maxsize=1024)(_decode_service)


def _security_server(text: str) -> SecurityServerId:
    match _segments(text):
        case [instance, member_class, member_code, server_code]:
            return SecurityServerId(ClientId(instance, member_class, member_code), server_code)
        case _:
            raise InvalidIdentifier(f"{text[:100]!r} is no security server: it needs 4 segments")


def _represented_party(text: str) -> RepresentedParty | None:
    if text and not text.strip("/"):
        return None  # as peers read it
    match _segments(text.rstrip("/")):
        case [party_code]:
            return RepresentedParty(None, party_code)
        case [party_class, party_code]:
            return RepresentedParty(party_class, party_code)
        case _:
            raise InvalidIdentifier(f"{text[:100]!r} is no represented party: too many segments")


def _segments(text: str) -> Sequence[str]:
    if len(text) > _TEXT_LIMIT:
        raise InvalidIdentifier(f"an identifier of {len(text)} characters is too long")
    return [decode_segment(segment) for segment in text.split("/", 6)]


@lru_cache(maxsize=1024)
def _encoded(identifier: ClientId | ServiceId) -> bytes:
    return encode_segments(identifier.parts).encode("ascii")
