"""Receive a transport message: small ones at once, large bodies to the spool; trust nothing yet."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sild.components.proxy.verification import SignedParts
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import IoError, MimeParsingFailed, MissingRest, MissingSignature, inside
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
from sild.protocol.transport.reader import TransportReader, read_whole
from sild.runtime.files import SpoolDirectory, SpooledBytes, SpoolError
from sild.runtime.http_wire import BodyReader

_LOG = logging.getLogger(__name__)

Body = bytes | SpooledBytes | None

SMALL_BODY = 64 * 1024
"""Messages and bodies up to here are handled in memory, as a whole."""


@dataclass(slots=True)
class Received:
    """The parts of a transport message as they came; close it to let go of its body."""

    ocsp: list[bytes] = field(default_factory=list)
    header: RestHeader | None = None
    body: Body = None
    body_digest: bytes | None = None
    hash_chain_result: bytes | None = None
    hash_chain: bytes | None = None
    signature: bytes | None = None
    fault: FaultPart | None = None

    @property
    def rest_header(self) -> RestHeader:
        """The REST message part; raises MissingRest."""
        if self.header is None:
            message = "the message has no REST message part"
            raise MissingRest(message)
        return self.header

    @property
    def signed_parts(self) -> SignedParts:
        """What a signature must cover; raises MissingRest or MissingSignature."""
        header = self.rest_header
        if self.signature is None:
            message = "the message has no signature"
            raise MissingSignature(message)
        digests = {"/message.xml": header.digest}
        if self.body_digest is not None:
            digests["/attachment1"] = self.body_digest
        return SignedParts(self.signature, self.hash_chain_result, self.hash_chain, digests)

    @property
    def body_size(self) -> int:
        """The bytes of the body."""
        body = self.body
        if body is None:
            return 0
        return body.size if isinstance(body, SpooledBytes) else len(body)

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


OnHeader = Callable[[Received], None]


async def receive(
    incoming: Incoming, spool: SpoolDirectory, received: Received, on_header: OnHeader
) -> None:
    """Fill `received`, calling `on_header` as soon as the header part is there.

    What `on_header` raises ends the reading: nothing of the body is spooled for a caller who may
    not call. What the reader refuses is of the stage `service_failed`, but for broken MIME in a
    request, which peers know without a stage.
    """
    complete = await incoming.body.gather(SMALL_BODY)
    if complete is not None:
        with _staged(incoming.direction):
            _take_whole(incoming, complete, received)
        if received.header is not None:
            on_header(received)
        return
    with _staged(incoming.direction):
        reader = TransportReader(incoming.direction, incoming.content_type, incoming.hash_algorithm)
    async for data in incoming.body:
        with _staged(incoming.direction):
            events = reader.feed(data)
        for event in events:
            await _take(event, spool, received)
            if isinstance(event, RestHeader):
                on_header(received)
    with _staged(incoming.direction):
        events = reader.finish()
    for event in events:
        await _take(event, spool, received)


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


def _take_whole(incoming: Incoming, complete: bytes, received: Received) -> None:
    message = read_whole(
        incoming.direction, incoming.content_type, complete, incoming.hash_algorithm
    )
    received.ocsp = list(message.ocsp)
    received.header = message.header
    received.body = message.body
    received.body_digest = message.body_digest
    received.hash_chain_result = message.hash_chain_result
    received.hash_chain = message.hash_chain
    received.signature = message.signature
    received.fault = message.fault


async def _take(  # noqa: C901 - one case an event
    event: Event, spool: SpoolDirectory, received: Received
) -> None:
    match event:
        case BodyChunk(data):
            if not isinstance(received.body, SpooledBytes):
                received.body = spool.spool()
            await spool_more(received.body, data)
        case BodyEnd(digest):
            received.body_digest = digest
            if received.body is None:
                received.body = b""
        case OcspPart(der):
            received.ocsp.append(der)
        case RestHeader():
            received.header = event
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
