"""Fed bytes, gives the events of a transport message, hashing parts as they pass."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidContentType, InvalidMessage, Malformed
from sild.protocol.mime import (
    MimeEvent,
    MimeLimits,
    MultipartReader,
    PartChunk,
    PartEnd,
    PartHeaders,
    PartStart,
    boundary_of,
    media_type_of,
    split_parts,
)
from sild.protocol.soap.fault import find_fault, read_fault
from sild.protocol.soap.parts import AttachmentEnd, AttachmentHasher, AttachmentStart, SoapPart
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
    TransportMessage,
)
from sild.protocol.transport.grammar import XML_TYPE, Direction, Part, next_part

if TYPE_CHECKING:
    import hashlib

_KIB, _MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes the parts of a message may have, and how many attachments.

    The REST body and the bytes of attachments have no limit here. Whoever stores or forwards them
    limits them: they are what is not kept.
    """

    ocsp: int = 64 * _KIB
    ocsp_parts: int = 16
    soap: int = 32 * _MIB
    rest_header: int = _MIB
    hash_chain: int = _MIB
    signature: int = _MIB
    fault: int = _MIB
    attachments: int = 1000
    mime: MimeLimits = field(default_factory=MimeLimits)


@lru_cache(maxsize=16)
def _sizes(limits: Limits) -> Mapping[Part, int]:
    return {
        Part.OCSP: limits.ocsp,
        Part.SOAP: limits.soap,
        Part.REST_HEADER: limits.rest_header,
        Part.HASH_CHAIN_RESULT: limits.hash_chain,
        Part.HASH_CHAIN: limits.hash_chain,
        Part.SIGNATURE: limits.signature,
        Part.FAULT: limits.fault,
    }


_PLAIN: Mapping[Part, Callable[[bytes], Event]] = {
    Part.OCSP: OcspPart,
    Part.HASH_CHAIN_RESULT: HashChainResult,
    Part.HASH_CHAIN: HashChain,
    Part.SIGNATURE: SignaturePart,
}

_DEFAULT_LIMITS = Limits()

# An element of this name; that a message merely holds the word costs no second reading.
_FAULT_TAG = re.compile(rb"[<:]Fault[ \t\r\n/>]")


class _Walk:
    """Walks the grammar part by part; both readers use it, so that they cannot disagree."""

    def __init__(
        self, direction: Direction, algorithm: DigestAlgorithm | None, limits: Limits
    ) -> None:
        self._direction = direction
        self._algorithm = algorithm
        self._limits = limits
        self._sizes = _sizes(limits)
        self._ocsp_parts = 0
        self._headers = PartHeaders("", "")
        self.part = Part.START
        self.limit: int | None = None

    @property
    def algorithm(self) -> DigestAlgorithm:
        """What parts are hashed with; raises Malformed where the message did not say it."""
        if self._algorithm is None:
            raise Malformed("the message names no hash algorithm")
        return self._algorithm

    def attachments(self) -> tuple[str, AttachmentHasher]:
        """The boundary of the nested multipart that begins, and what hashes its parts."""
        hasher = AttachmentHasher(self.algorithm, self._limits.attachments)
        return boundary_of(self._headers.content_type), hasher

    def start(self, headers: PartHeaders) -> Part:
        """A part begins: say what it is, and check that it may stand here."""
        self.part = part = next_part(self._direction, self.part, headers.media_type)
        self._headers = headers
        self.limit = self._sizes.get(part)
        if part is Part.OCSP:
            self._ocsp_parts += 1
            if self._ocsp_parts > self._limits.ocsp_parts:
                raise InvalidMessage(f"more than {self._limits.ocsp_parts} OCSP responses")
        return part

    def check_size(self, size: int) -> None:
        """Raise InvalidMessage for a part that is too long."""
        if self.limit is not None and size > self.limit:
            raise InvalidMessage(f"the {self.part.name} part is longer than {self.limit} bytes")

    def end(self, data: bytes) -> Event:
        """The part is complete: the event that it makes."""
        plain = _PLAIN.get(self.part)
        if plain is not None:
            return plain(data)
        if self.part is Part.REST_HEADER:
            return RestHeader(data, self.algorithm.digest(data))
        return self._fault(data) if self.part is Part.FAULT else self._soap(data)

    def _fault(self, data: bytes) -> Event:
        fault = find_fault(data)
        if fault is None:
            raise InvalidContentType("a SOAP message where a signature or a fault belongs")
        return FaultPart(fault, data)

    def _soap(self, data: bytes) -> Event:
        """A SOAP part of a response may be a fault instead; what else it says is not read here."""
        may_be_fault = self._direction is Direction.RESPONSE and len(data) <= self._limits.fault
        if may_be_fault and _may_hold_fault(data) and (fault := find_fault(data)) is not None:
            self.part = Part.FAULT
            return FaultPart(fault, data)
        # Peers do not miss the name of the algorithm in a response that they need not hash.
        algorithm = self._algorithm or DigestAlgorithm.SHA512
        return SoapPart(data, self._headers, algorithm.digest(data))


def _may_hold_fault(data: bytes) -> bool:
    # Looking for a word first is many times as fast as the expression alone.
    return b"Fault" in data and _FAULT_TAG.search(data) is not None


class TransportReader:
    """Reads a transport message in chunks of any size.

    Only the body and attachments are handed on in pieces.
    What the message is over with is said by `finish`. Every error is a ProtocolError, after which
    the reader is of no more use.
    """

    def __init__(
        self,
        direction: Direction,
        content_type: str,
        hash_algorithm: DigestAlgorithm | None,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        self._walk = _Walk(direction, hash_algorithm, limits)
        self._multipart: MultipartReader | None = None
        if _is_multipart(direction, content_type):
            self._multipart = MultipartReader(boundary_of(content_type), limits.mime)
        else:
            self._walk.part, self._walk.limit = Part.FAULT, limits.fault
        self._pieces: list[bytes] = []
        self._size = 0
        self._body_digest: hashlib._Hash | None = None
        self._mime_limits = limits.mime
        self._nested: tuple[MultipartReader, AttachmentHasher] | None = None
        self._small: list[Event] = []

    @property
    def message(self) -> TransportMessage:
        """The parts so far, without the bytes of the body and of attachments."""
        return TransportMessage.from_events(self._small).without_bodies()

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._multipart is None:
            self._keep(data)
            return []
        events: list[Event] = []
        for event in self._multipart.feed(data):
            self._take(event, events)
        return events

    def finish(self) -> list[Event]:
        """Say that no bytes follow; raises MimeParsingFailed if the message is cut short."""
        if self._multipart is not None:
            self._multipart.finish()
            return []
        whole = b"".join(self._pieces)
        events: list[Event] = [FaultPart(read_fault(whole), whole), End()]
        self._small += events
        return events

    def _take(self, event: MimeEvent, events: list[Event]) -> None:
        match event:
            case PartChunk(data) if self._body_digest is not None:
                self._body_digest.update(data)
                events.append(BodyChunk(data))
            case PartChunk(data) if self._nested is not None:
                self._take_nested(data, self._nested, events)
            case PartChunk(data):
                self._keep(data)
            case PartStart(headers):
                self._start_part(self._walk.start(headers))
            case PartEnd() if self._body_digest is not None:
                self._end_part(BodyEnd(self._body_digest.digest()), events)
            case PartEnd() if self._nested is not None:
                self._nested[0].finish()
                self._nested = None
            case PartEnd():
                self._end_part(self._walk.end(b"".join(self._pieces)), events)
            case _:
                self._end_part(End(), events)

    def _start_part(self, part: Part) -> None:
        if part is Part.REST_BODY:
            self._body_digest = self._walk.algorithm.new()
        elif part is Part.ATTACHMENTS:
            boundary, hasher = self._walk.attachments()
            self._nested = MultipartReader(boundary, self._mime_limits), hasher

    def _take_nested(
        self, data: bytes, nested: tuple[MultipartReader, AttachmentHasher], events: list[Event]
    ) -> None:
        multipart, hasher = nested
        for part in multipart.feed(data):
            event = hasher.take(part)
            if isinstance(event, AttachmentStart | AttachmentEnd):
                self._small.append(event)
            if event is not None:
                events.append(event)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        self._walk.check_size(self._size)
        self._pieces.append(data)

    def _end_part(self, event: Event, events: list[Event]) -> None:
        self._pieces.clear()
        self._size, self._body_digest = 0, None
        self._small.append(event)
        events.append(event)


def _is_multipart(direction: Direction, content_type: str) -> bool:
    """Whether the message has parts; if not, it is a fault, which only a response may be."""
    media_type = media_type_of(content_type)
    if media_type == "multipart/mixed":
        return True
    if media_type == XML_TYPE and direction is Direction.RESPONSE:
        return False
    raise InvalidContentType(f"a {direction.value} may not be {media_type}")


def read_events(
    direction: Direction,
    content_type: str,
    body: bytes,
    hash_algorithm: DigestAlgorithm | None,
    limits: Limits = _DEFAULT_LIMITS,
) -> list[Event]:
    """The events of a message that is in memory; those of TransportReader, each body in one."""
    walk = _Walk(direction, hash_algorithm, limits)
    if not _is_multipart(direction, content_type):
        walk.part, walk.limit = Part.FAULT, limits.fault
        walk.check_size(len(body))
        return [FaultPart(read_fault(body), body), End()]
    events: list[Event] = []
    for headers, start, end in split_parts(body, boundary_of(content_type), limits.mime):
        part = walk.start(headers)
        walk.check_size(end - start)
        data = body[start:end]
        if part is Part.REST_BODY:
            if data:
                events.append(BodyChunk(data))
            events.append(BodyEnd(walk.algorithm.digest(data)))
        elif part is Part.ATTACHMENTS:
            boundary, hasher = walk.attachments()
            for inner, first, last in split_parts(data, boundary, limits.mime):
                events += hasher.whole(inner, data[first:last])
        else:
            events.append(walk.end(data))
    events.append(End())
    return events


def read_whole(
    direction: Direction,
    content_type: str,
    body: bytes,
    hash_algorithm: DigestAlgorithm | None,
    limits: Limits = _DEFAULT_LIMITS,
) -> TransportMessage:
    """A message that is in memory; agrees with TransportReader on every input."""
    return TransportMessage.from_events(
        read_events(direction, content_type, body, hash_algorithm, limits)
    )
