"""Fed the events of a transport message, gives bytes."""

from collections.abc import Iterable, Mapping
from string import ascii_letters

from sild.protocol.errors import InvalidMessage
from sild.protocol.mime import MultipartWriter, PartHeaders
from sild.protocol.soap.parts import (
    AttachmentChunk,
    AttachmentEnd,
    AttachmentStart,
    SoapPart,
)
from sild.protocol.transport.events import (
    BodyChunk,
    BodyEnd,
    End,
    Event,
    FaultPart,
    HashChain,
    HashChainResult,
    OcspPart,
    RestHeader,
    SignaturePart,
)
from sild.protocol.transport.grammar import TYPES_OF_PART, Direction, Part, check_sent

BOUNDARY_ENTROPY = 30
_LETTERS = (ascii_letters.encode("ascii") * 5)[:256]

_PARTS: Mapping[type[Event], Part] = {
    OcspPart: Part.OCSP,
    SoapPart: Part.SOAP,
    AttachmentStart: Part.ATTACHMENTS,
    AttachmentChunk: Part.ATTACHMENTS,
    AttachmentEnd: Part.ATTACHMENTS,
    RestHeader: Part.REST_HEADER,
    BodyChunk: Part.REST_BODY,
    BodyEnd: Part.REST_BODY,
    HashChainResult: Part.HASH_CHAIN_RESULT,
    HashChain: Part.HASH_CHAIN,
    SignaturePart: Part.SIGNATURE,
    FaultPart: Part.FAULT,
    End: Part.END,
}


def make_boundary(entropy: bytes) -> str:
    """A boundary from 30 random bytes, in the form that peers use: xtop and 30 letters."""
    if len(entropy) < BOUNDARY_ENTROPY:
        raise InvalidMessage(f"a boundary needs {BOUNDARY_ENTROPY} random bytes")
    return "xtop" + entropy[:BOUNDARY_ENTROPY].translate(_LETTERS).decode("ascii")


def write_content_type(boundary: str) -> str:
    """The content type of a transport message."""
    return f"multipart/mixed; charset=UTF-8; boundary={boundary}"


_TYPES: Mapping[Direction, Mapping[Part, str]] = {
    direction: {
        **{part: names[0] for part, names in TYPES_OF_PART[direction].items()},
        Part.FAULT: "text/xml; charset=UTF-8",
    }
    for direction in Direction
}


class TransportWriter:
    """Writes a transport message, and only in the order that the grammar allows.

    The body goes in as any number of chunks and a BodyEnd; an empty one as BodyEnd alone. Each
    attachment goes in as a start, any number of chunks and an end. A fault may cut either short.
    """

    def __init__(self, direction: Direction, boundary: str) -> None:
        self._direction = direction
        self._multipart = MultipartWriter(boundary)
        self._nested_boundary = "xatt" + boundary.removeprefix("xtop")
        self._nested: MultipartWriter | None = None
        self._in_attachment = False
        self._in_body = False
        self.after = Part.START

    def write(self, event: Event) -> bytes:
        """The bytes of one event; raises InvalidMessage where it may not be sent."""
        part = _PARTS[type(event)]
        if part is Part.ATTACHMENTS:
            return self._attachment(event)
        if not (self._in_body and part is Part.REST_BODY):
            start = self._start(part, event)
            self._in_body = isinstance(event, BodyChunk)
            return start + _content(event)
        self._in_body = isinstance(event, BodyChunk)
        return _content(event)

    def _attachment(self, event: Event) -> bytes:
        if isinstance(event, AttachmentStart) is self._in_attachment:
            raise InvalidMessage("the bytes of an attachment stand between its start and its end")
        match event:
            case AttachmentStart(headers):
                return self._start_attachment(headers)
            case AttachmentChunk(data):
                return data
            case _:
                self._in_attachment = False
                return b""

    def _start(self, part: Part, event: Event) -> bytes:
        if self._in_body and part is not Part.FAULT:
            raise InvalidMessage(f"{part.name} may not be sent before the body is complete")
        if self._in_attachment and part is not Part.FAULT:
            raise InvalidMessage(f"{part.name} may not be sent before the attachment is complete")
        check_sent(self._direction, self.after, part)
        self.after = part
        closing = self._close_nested()
        if part is Part.END:
            return closing + self._multipart.close()
        if isinstance(event, SoapPart):
            return self._multipart.start_part(event.content_type, event.headers.others)
        return closing + self._multipart.start_part(_TYPES[self._direction][part])

    def _start_attachment(self, headers: PartHeaders) -> bytes:
        opening, nested = b"", self._nested
        if nested is None:
            check_sent(self._direction, self.after, Part.ATTACHMENTS)
            self.after = Part.ATTACHMENTS
            nested = self._nested = MultipartWriter(self._nested_boundary)
            content_type = write_content_type(self._nested_boundary)
            opening = self._multipart.start_part(content_type) + b"\r\n"
        self._in_attachment = True
        return opening + nested.start_part(headers.content_type, headers.others)

    def _close_nested(self) -> bytes:
        nested, self._nested = self._nested, None
        self._in_attachment = False
        return b"" if nested is None else nested.close()


def _content(event: Event) -> bytes:
    match event:
        case BodyChunk(data) | OcspPart(data) | RestHeader(data) | SoapPart(data):
            return data
        case HashChainResult(data) | HashChain(data) | SignaturePart(data):
            return data
        case FaultPart():
            return event.raw
        case _:
            return b""


def write_whole(direction: Direction, boundary: str, events: Iterable[Event]) -> bytes:
    """A whole message as one bytes object; the end is added."""
    writer = TransportWriter(direction, boundary)
    return b"".join([*map(writer.write, events), writer.write(End())])
