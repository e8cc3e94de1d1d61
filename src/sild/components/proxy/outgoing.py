"""Send a message in the order that makes it evidence: sign, save, then let the signature leave.

A message that is in memory goes out in one piece, after the save. A larger body goes out as it
comes; the signature that gives it meaning follows the save. If anything fails on the way, the
message ends with a fault or is cut off: either way it has no signature and means nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass

from sild.components.proxy.ports import MessageLog
from sild.components.proxy.receive import spool_more
from sild.components.proxy.record import Subject, check_loggable, make_record
from sild.components.proxy.signing import SigningQueues
from sild.components.proxy.steps import Steps
from sild.components.proxy.verification import SignedParts
from sild.components.proxy.view import SigningKey
from sild.protocol.algorithms import DigestAlgorithm
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
    RestHeader,
    SignaturePart,
)
from sild.protocol.transport.writer import TransportWriter
from sild.runtime.clock import Clock
from sild.runtime.files import SpoolDirectory, SpooledBytes

_DIGEST = DigestAlgorithm.SHA512
_FLUSH = 64 * 1024


@dataclass(slots=True)
class Outgoing:
    """What is to be sent, and whether its record is durable: nobody can have answered it before."""

    subject: Subject
    ocsp: Sequence[bytes]
    part: bytes
    key: SigningKey
    is_saved: bool = False


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
        self, outgoing: Outgoing, body: bytes | None, writer: TransportWriter, steps: Steps
    ) -> bytes:
        """A small message, signed and saved, as the bytes to send."""
        if body is not None:
            check_loggable(len(body), self._log)
        digests = [("/message.xml", _DIGEST.digest(outgoing.part))]
        if body is not None:
            digests.append(("/attachment1", _DIGEST.digest(body)))
        signed = await self._sign_and_save(outgoing, digests, body, steps)
        events = (*_opening(outgoing, digests[0][1], body), *_closing(signed))
        return b"".join([writer.write(event) for event in events])

    async def streamed(
        self, outgoing: Outgoing, body: AsyncIterable[bytes], writer: TransportWriter, steps: Steps
    ) -> AsyncGenerator[bytes, None]:
        """A message with a large body, as pieces to send while the body comes in."""
        part_digest = _DIGEST.digest(outgoing.part)
        yield b"".join([writer.write(event) for event in _opening(outgoing, part_digest, None)])
        digest = _DIGEST.new()
        size = 0
        with self._spool.spool() as kept:
            async for chunk in body:
                digest.update(chunk)
                await self._keep(kept, chunk, size)
                size += len(chunk)
                check_loggable(size, self._log)
                yield writer.write(BodyChunk(chunk))
            if size == 0 and not outgoing.subject.is_response:
                digests = [("/message.xml", part_digest)]
            else:
                digests = [("/message.xml", part_digest), ("/attachment1", digest.digest())]
            tail = writer.write(BodyEnd(b"")) if len(digests) > 1 else b""
            steps.mark("body sent", f"{size} bytes")
            signed = await self._sign_and_save(
                outgoing, digests, kept if len(digests) > 1 else None, steps
            )
        yield tail + b"".join([writer.write(event) for event in _closing(signed)])

    async def _keep(self, kept: SpooledBytes, chunk: bytes, size: int) -> None:
        room = self._log.body_kept - size
        if room > 0:
            await spool_more(kept, chunk if len(chunk) <= room else chunk[:room])

    async def _sign_and_save(
        self,
        outgoing: Outgoing,
        digests: list[tuple[str, bytes]],
        body: bytes | SpooledBytes | None,
        steps: Steps,
    ) -> SignedMessage:
        signed = await self._queues.sign(outgoing.key, Leaf(tuple(digests)))
        steps.mark("signed", str(outgoing.key.member))
        parts = SignedParts(
            signed.signature, signed.hash_chain_result, signed.hash_chain, dict(digests)
        )
        record = make_record(outgoing.subject, outgoing.part, parts, self._clock.now())
        await self._log.save(record, body)
        outgoing.is_saved = True
        steps.mark("saved", "request" if not outgoing.subject.is_response else "response")
        return signed


def _opening(outgoing: Outgoing, part_digest: bytes, body: bytes | None) -> list[Event]:
    events: list[Event] = [OcspPart(response) for response in outgoing.ocsp]
    events.append(RestHeader(outgoing.part, part_digest))
    if body:
        events.append(BodyChunk(body))
    if body is not None:
        events.append(BodyEnd(b""))
    return events


def _closing(signed: SignedMessage) -> list[Event]:
    events: list[Event] = []
    if signed.hash_chain_result is not None and signed.hash_chain is not None:
        events += [HashChainResult(signed.hash_chain_result), HashChain(signed.hash_chain)]
    events += (SignaturePart(signed.signature), End())
    return events
