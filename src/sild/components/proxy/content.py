"""What a message is made of: its first part, and what follows it.

What follows is the body of a REST message or the attachments of a SOAP package. Where it is small
it is a list of events, else they come as the bytes do. Either way each part is hashed once, here.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from typing import Protocol

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import MissingSoap
from sild.protocol.soap.package import PackageReader, read_package
from sild.protocol.soap.parts import AttachmentEnd, PackageEvent, SoapPart
from sild.protocol.transport.events import BodyChunk, BodyEnd, Event, RestHeader

SMALL_BODY = 64 * 1024
"""Messages and bodies up to here are handled in memory, as a whole."""

DIGEST = DigestAlgorithm.SHA512
"""What the parts of own messages are hashed with."""

Head = RestHeader | SoapPart
Content = Sequence[Event] | AsyncIterable[Event]


class Source(Protocol):
    """The body of an HTTP request or answer as it comes in."""

    async def gather(self, limit: int) -> bytes | None:
        """The whole body, if it has no more than so many bytes; else it is to be iterated."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


def bytes_of(head: Head) -> bytes:
    """The exact bytes of the first part: what is signed, logged and hashed as /message.xml."""
    return head.part if isinstance(head, RestHeader) else head.raw


def digest_of(event: Event) -> bytes | None:
    """The digest of a part of the content that this event ends."""
    return event.digest if isinstance(event, BodyEnd | AttachmentEnd) else None


def whole_body(body: bytes) -> list[Event]:
    """A REST body that is in memory; without bytes it is a body all the same."""
    chunks: list[Event] = [BodyChunk(body)] if body else []
    return [*chunks, BodyEnd(DIGEST.digest(body))]


async def read_body(source: Source, *, empty_counts: bool) -> Content:
    """A REST body; `empty_counts` says whether one without bytes is one."""
    whole = await source.gather(SMALL_BODY)
    if whole is None:
        return _streamed_body(source)
    return whole_body(whole) if whole or empty_counts else ()


async def _streamed_body(source: Source) -> AsyncGenerator[Event, None]:
    digest = DIGEST.new()
    async for chunk in source:
        digest.update(chunk)
        yield BodyChunk(chunk)
    yield BodyEnd(digest.digest())


async def open_package(content_type: str, source: Source) -> tuple[SoapPart, Content]:
    """The SOAP part of what an information system posts or answers, and its attachments.

    Returns as soon as the SOAP part is complete; raises what `PackageReader` does, later too.
    """
    whole = await source.gather(SMALL_BODY)
    if whole is not None:
        first, *attachments = read_package(content_type, whole, DIGEST)
        return _soap(first), attachments
    reader = PackageReader(content_type, DIGEST)
    chunks = aiter(source)
    async for chunk in chunks:
        if events := reader.feed(chunk):
            return _soap(events[0]), _attachments(events[1:], chunks, reader)
    first, *attachments = reader.finish()
    return _soap(first), attachments


def _soap(event: PackageEvent) -> SoapPart:
    if not isinstance(event, SoapPart):
        message = "the package does not begin with its SOAP part"
        raise MissingSoap(message)
    return event


async def _attachments(
    events: list[PackageEvent], chunks: AsyncIterator[bytes], reader: PackageReader
) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
    for event in reader.finish():
        yield event
