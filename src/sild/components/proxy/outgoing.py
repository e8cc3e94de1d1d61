"""Send a message in the order that makes it evidence: sign, save, then let the signature leave.

A message that is in memory goes out in one piece, after the save. A larger one goes out as it
comes; the signature that gives it meaning follows the save. If anything fails on the way, the
message ends with a fault or is cut off: either way it has no signature and means nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass, field

from sild.components.proxy.content import Head, bytes_of, digest_of
from sild.components.proxy.ports import MessageLog
from sild.components.proxy.receive import spool_more
from sild.components.proxy.record import Subject, check_loggable, make_record
from sild.components.proxy.signing import SigningQueues
from sild.components.proxy.steps import Steps
from sild.components.proxy.verification import SignedParts
from sild.components.proxy.view import SigningKey
from sild.protocol.signature.batch import SignedMessage
from sild.protocol.signature.hashchain import Leaf
from sild.protocol.transport.events import (
    BodyChunk,
    BodyEnd,
    End,
    Event,
    HashChain,
    HashChainResult,
    OcspPart,
    SignaturePart,
)
from sild.protocol.transport.writer import TransportWriter
from sild.runtime.clock import Clock
from sild.runtime.files import SpoolDirectory, SpooledBytes


@dataclass(slots=True)
class Outgoing:
    """What is to be sent, and whether its record is durable: nobody can have answered it before."""

    subject: Subject
    ocsp: Sequence[bytes]
    head: Head
    key: SigningKey
    is_saved: bool = False
    content_digests: list[bytes] = field(default_factory=list)
    """The digest of each part behind the head, as far as it was sent."""

    def note(self, event: Event) -> None:
        """Keep the digest of a part that this event ends."""
        digest = digest_of(event)
        if digest is not None:
            self.content_digests.append(digest)

    @property
    def digests(self) -> list[tuple[str, bytes]]:
        """The digests of all parts by the names under which they are signed."""
        parts = enumerate(self.content_digests, 1)
        return [
            ("/message.xml", self.head.digest),
            *((f"/attachment{number}", digest) for number, digest in parts),
        ]


class Sender:
    """Signs, saves and writes messages."""

    def __init__(
        self, queues: SigningQueues, log: MessageLog, spool: SpoolDirectory, clock: Clock
    ) -> None:
        self._queues = queues
        self._log = log
        self._spool = spool
        self._clock = clock

    async def whole(
        self, outgoing: Outgoing, content: Sequence[Event], writer: TransportWriter, steps: Steps
    ) -> bytes:
        """A small message, signed and saved, as the bytes to send."""
        body: bytes | None = None
        for event in content:
            outgoing.note(event)
            if isinstance(event, BodyChunk | BodyEnd):
                body = (body or b"") + (event.data if isinstance(event, BodyChunk) else b"")
        if body is not None:
            check_loggable(len(body), self._log)
        signed = await self._sign_and_save(outgoing, body, steps)
        events = (*_opening(outgoing), *content, *_closing(signed))
        return b"".join([writer.write(event) for event in events])

    async def streamed(
        self,
        outgoing: Outgoing,
        content: AsyncIterable[Event],
        writer: TransportWriter,
        steps: Steps,
    ) -> AsyncGenerator[bytes, None]:
        """A large message, as pieces to send while its content comes in."""
        yield b"".join([writer.write(event) for event in _opening(outgoing)])
        size = 0
        with self._spool.spool() as kept:
            async for event in content:
                outgoing.note(event)
                if isinstance(event, BodyChunk):
                    await self._keep(kept, event.data, size)
                    size += len(event.data)
                    check_loggable(size, self._log)
                yield writer.write(event)
            steps.mark("content sent", f"{len(outgoing.content_digests)} parts")
            signed = await self._sign_and_save(outgoing, kept if size else None, steps)
        yield b"".join([writer.write(event) for event in _closing(signed)])

    async def _keep(self, kept: SpooledBytes, chunk: bytes, size: int) -> None:
        room = self._log.body_kept - size
        if room > 0:
            await spool_more(kept, chunk if len(chunk) <= room else chunk[:room])

    async def _sign_and_save(
        self, outgoing: Outgoing, body: bytes | SpooledBytes | None, steps: Steps
    ) -> SignedMessage:
        digests = outgoing.digests
        signed = await self._queues.sign(outgoing.key, Leaf(tuple(digests)))
        steps.mark("signed", str(outgoing.key.member))
        parts = SignedParts(
            signed.signature, signed.hash_chain_result, signed.hash_chain, dict(digests)
        )
        record = make_record(outgoing.subject, bytes_of(outgoing.head), parts, self._clock.now())
        await self._log.save(record, body)
        outgoing.is_saved = True
        steps.mark("saved", "request" if not outgoing.subject.is_response else "response")
        return signed


def _opening(outgoing: Outgoing) -> list[Event]:
    return [*(OcspPart(response) for response in outgoing.ocsp), outgoing.head]


def _closing(signed: SignedMessage) -> list[Event]:
    events: list[Event] = []
    if signed.hash_chain_result is not None and signed.hash_chain is not None:
        events += [HashChainResult(signed.hash_chain_result), HashChain(signed.hash_chain)]
    events += (SignaturePart(signed.signature), End())
    return events
