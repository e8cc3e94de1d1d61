"""The parts of a SOAP message package, as events; between security servers the same ones travel."""

from dataclasses import dataclass

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidContentType, InvalidMessage
from sild.protocol.mime import MimeEvent, PartChunk, PartEnd, PartHeaders, PartStart


@dataclass(frozen=True, slots=True)
class SoapPart:
    """A SOAP envelope, exact bytes, not read, and their digest."""

    raw: bytes
    headers: PartHeaders
    digest: bytes

    @property
    def content_type(self) -> str:
        """The content type as it came."""
        return self.headers.content_type


@dataclass(frozen=True, slots=True)
class AttachmentStart:
    """An attachment begins; its headers are passed on as they came."""

    headers: PartHeaders


@dataclass(frozen=True, slots=True)
class AttachmentChunk:
    """The next bytes of an attachment, still in their transfer encoding, never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AttachmentEnd:
    """An attachment is complete; the digest is over its bytes as they travel."""

    digest: bytes


AttachmentEvent = AttachmentStart | AttachmentChunk | AttachmentEnd
PackageEvent = SoapPart | AttachmentEvent


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment; its bytes are here only if the message was read as a whole."""

    headers: PartHeaders
    digest: bytes
    data: bytes | None


class AttachmentHasher:
    """Makes the events of attachments, hashing what passes; no more of them than the limit."""

    def __init__(self, algorithm: DigestAlgorithm, limit: int) -> None:
        self._algorithm = algorithm
        self._limit = limit
        self._count = 0
        self._digest = algorithm.new()

    def take(self, event: MimeEvent) -> AttachmentEvent | None:
        """What an event of the multipart with the attachments says of them.

        Raises InvalidContentType for an attachment without a content type, InvalidMessage for one
        too many.
        """
        match event:
            case PartChunk(data):
                self._digest.update(data)
                return AttachmentChunk(data)
            case PartStart(headers):
                return self._start(headers)
            case PartEnd():
                return AttachmentEnd(self._digest.digest())
            case _:
                return None

    def whole(self, headers: PartHeaders, data: bytes) -> list[AttachmentEvent]:
        """The events of an attachment that is in memory; raises what `take` does."""
        chunks = [AttachmentChunk(data)] if data else []
        return [self._start(headers), *chunks, AttachmentEnd(self._algorithm.digest(data))]

    def _start(self, headers: PartHeaders) -> AttachmentStart:
        self._count += 1
        if self._count > self._limit:
            raise InvalidMessage(f"more than {self._limit} attachments")
        if not headers.content_type:
            raise InvalidContentType("an attachment has no content type")
        self._digest = self._algorithm.new()
        return AttachmentStart(headers)
