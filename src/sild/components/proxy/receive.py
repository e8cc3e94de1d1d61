"""Receive a transport message: small ones at once, large bodies to the spool; trust nothing yet."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from sild.components.proxy.content import SMALL_BODY, Head
from sild.components.proxy.verification import SignedParts
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    IoError,
    MimeParsingFailed,
    MissingRest,
    MissingSignature,
    MissingSoap,
    PeerFault,
    inside,
)
from sild.protocol.mime import NoParts
from sild.protocol.soap.package import PackageWriter
from sild.protocol.soap.parts import AttachmentEnd, PackageEvent, SoapPart
from sild.protocol.transport.events import (
    BodyChunk,
    BodyEnd,
    Event,
    FaultPart,
    HashChain,
    HashChainResult,
    OcspPart,
    RestHeader,
    SignaturePart,
)
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import TransportReader, read_events
from sild.runtime.files import SpoolDirectory, SpooledBytes, SpoolError
from sild.runtime.http_wire import BodyReader

_LOG = logging.getLogger(__name__)

Body = bytes | SpooledBytes | None


@dataclass(slots=True)
class Received:
    """The parts of a transport message as they came; close it to let go of its body.

    The body is that of a REST message, or the whole package of a SOAP message as the information
    system on this side gets it; `package` writes it, once the head has been read.
    """

    is_soap: bool
    ocsp: list[bytes] = field(default_factory=list)
    head: Head | None = None
    body: Body = None
    package: PackageWriter | None = None
    content_digests: list[bytes] = field(default_factory=list)
    hash_chain_result: bytes | None = None
    hash_chain: bytes | None = None
    signature: bytes | None = None
    fault: FaultPart | None = None

    @property
    def rest(self) -> RestHeader:
        """The REST message part; raises MissingRest."""
        if not isinstance(self.head, RestHeader):
            message = "the message has no REST message part"
            raise MissingRest(message)
        return self.head

    @property
    def soap(self) -> SoapPart:
        """The SOAP message part; raises MissingSoap."""
        if not isinstance(self.head, SoapPart):
            message = "the message has no SOAP message part"
            raise MissingSoap(message)
        return self.head

    @property
    def signed_parts(self) -> SignedParts:
        """What a signature must cover; raises MissingRest, MissingSoap or MissingSignature."""
        head = self.soap if self.is_soap else self.rest
        if self.signature is None:
            message = "the message has no signature"
            raise MissingSignature(message)
        digests = {"/message.xml": head.digest}
        for number, digest in enumerate(self.content_digests, 1):
            digests[f"/attachment{number}"] = digest
        return SignedParts(self.signature, self.hash_chain_result, self.hash_chain, digests)

    @property
    def logged_body(self) -> Body:
        """The body that is logged beside the head: that of REST, no attachments of SOAP."""
        return None if self.is_soap else self.body

    @property
    def logged_size(self) -> int:
        """The bytes of it."""
        body = self.logged_body
        if body is None:
            return 0
        return body.size if isinstance(body, SpooledBytes) else len(body)

    def take_fault(self) -> PeerFault:
        """The fault that came instead of a message; nothing that its traceback shows holds it."""
        assert self.fault is not None, "a fault is taken where there is one"  # noqa: S101
        part, self.fault = self.fault, None
        return part.fault

    def close(self) -> None:
        """Let go of a spooled body."""
        if isinstance(self.body, SpooledBytes):
            self.body.close()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A transport message on its way in."""

    direction: Direction
    content_type: str
    hash_algorithm: DigestAlgorithm | None
    body: BodyReader


OnHead = Callable[[Received], Awaitable[None]]


async def receive(
    incoming: Incoming, spool: SpoolDirectory, received: Received, on_head: OnHead
) -> None:
    """Fill `received`, calling `on_head` as soon as the first part of the message is there.

    What `on_head` raises ends the reading: nothing of the content is spooled for a caller who may
    not call. What the reader refuses is of the stage `service_failed`, but for broken MIME in a
    request, which peers know without a stage. A message in which no part begins is none that is
    cut short to them, but one that lacks its parts.
    """
    complete = await incoming.body.gather(SMALL_BODY)
    if complete is not None:
        await _take_whole(incoming, complete, received, on_head)
        return
    with _staged(incoming.direction):
        reader = TransportReader(incoming.direction, incoming.content_type, incoming.hash_algorithm)
    async for data in incoming.body:
        with _staged(incoming.direction):
            events = reader.feed(data)
        for event in events:
            await _take_streamed(event, spool, received, on_head)
    try:
        with _staged(incoming.direction):
            events = reader.finish()
    except NoParts:
        return
    for event in events:
        await _take_streamed(event, spool, received, on_head)
    if received.package is not None and isinstance(received.body, SpooledBytes):
        await spool_more(received.body, received.package.close())


class _staged(inside):  # noqa: N801 - read as a participle
    __slots__ = ("_direction",)

    def __init__(self, direction: Direction) -> None:
        super().__init__("service_failed")
        self._direction = direction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if not isinstance(error, MimeParsingFailed) or self._direction is not Direction.REQUEST:
            super().__exit__(kind, error, trace)


async def _take_whole(
    incoming: Incoming, complete: bytes, received: Received, on_head: OnHead
) -> None:
    try:
        with _staged(incoming.direction):
            events = read_events(
                incoming.direction, incoming.content_type, complete, incoming.hash_algorithm
            )
    except NoParts:
        return
    for event in events:
        _take(event, received)
    if received.head is None:
        return
    await on_head(received)
    if received.is_soap:
        with _staged(incoming.direction):
            received.body = _package(events, received)
    elif received.content_digests:
        received.body = b"".join([each.data for each in events if isinstance(each, BodyChunk)])


def _package(events: Iterable[Event], received: Received) -> bytes:
    package = received.package
    if package is None:
        return received.soap.raw
    written = [package.write(each) for each in events if isinstance(each, PackageEvent)]
    return b"".join([*written, package.close()])


async def _take_streamed(
    event: Event, spool: SpoolDirectory, received: Received, on_head: OnHead
) -> None:
    _take(event, received)
    if isinstance(event, RestHeader | SoapPart):
        await on_head(received)
    data: bytes | None = None
    if isinstance(event, BodyChunk | BodyEnd):
        data = event.data if isinstance(event, BodyChunk) else b""
    elif received.package is not None and isinstance(event, PackageEvent):
        with inside("service_failed"):
            data = received.package.write(event)
    if data is None:
        return
    if not isinstance(received.body, SpooledBytes):
        received.body = spool.spool()
    if data:
        await spool_more(received.body, data)


def _take(event: Event, received: Received) -> None:
    match event:
        case BodyEnd(digest) | AttachmentEnd(digest):
            received.content_digests.append(digest)
        case OcspPart(der):
            received.ocsp.append(der)
        case RestHeader() | SoapPart():
            received.head = event
        case HashChainResult(document):
            received.hash_chain_result = document
        case HashChain(document):
            received.hash_chain = document
        case SignaturePart(document):
            received.signature = document
        case FaultPart():
            received.fault = event
        case _:
            pass


async def spool_more(body: SpooledBytes, data: bytes) -> None:
    """Let more of a body rest until its signature is there; raises IoError where it cannot."""
    try:
        await body.append(data)
    except SpoolError as error:
        # Where this server keeps things is for its log, not for those who get the error.
        _LOG.error("a body was not spooled: %s", error)
        message = "there is no room where a body could rest until its signature is there"
        raise IoError(message) from error
