"""A SOAP message as information systems post and answer it: alone, or as a package of parts.

"The SOAP request must be the first part" of a package (PR-MESS 2.4). Services may choose the part
by the `start` parameter of the content type instead, or undo a transfer encoding first, and would
then heed another message than the one that was read here, judged and signed: such packages are
refused, on both sides.
"""

from dataclasses import dataclass, field

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InvalidContentType, InvalidMessage, MissingSoap
from sild.protocol.mime import (
    MimeEvent,
    MimeLimits,
    MultipartReader,
    MultipartWriter,
    PartChunk,
    PartEnd,
    PartHeaders,
    PartStart,
    boundary_of,
    find_parameter,
    media_type_of,
    split_parts,
)
from sild.protocol.soap.http_headers import check_soap_type, write_soap_type
from sild.protocol.soap.parts import (
    AttachmentChunk,
    AttachmentEnd,
    AttachmentHasher,
    AttachmentStart,
    PackageEvent,
    SoapPart,
)

PACKAGE_TYPE = "multipart/related"

_UNENCODED = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class PackageLimits:
    """How many bytes the SOAP part may have, and how many attachments there may be.

    Whoever stores or forwards attachments limits their bytes: they are not kept here.
    """

    soap: int = 32 * 1024 * 1024
    attachments: int = 1000
    mime: MimeLimits = field(default_factory=MimeLimits)


_DEFAULT_LIMITS = PackageLimits()


class _Package:
    """What the content type says of a message: whether it is a package, and where its root is."""

    def __init__(self, content_type: str) -> None:
        self.boundary: str | None = None
        self._root: str | None = None
        if media_type_of(content_type) != PACKAGE_TYPE:
            check_soap_type(content_type)
            return
        self.boundary = boundary_of(content_type)
        self._root = _content_id(find_parameter(content_type, "start") or "")

    def check_soap(self, headers: PartHeaders) -> None:
        """Raise InvalidContentType unless the first part can be the message itself."""
        check_soap_type(headers.content_type)
        for value in _values(headers, "content-transfer-encoding"):
            if value.lower() not in _UNENCODED:
                raise InvalidContentType(f"the SOAP part is encoded as {value[:40]!r}")

    def check_attachment(self, headers: PartHeaders) -> None:
        """Raise InvalidContentType for an attachment that the package calls the message."""
        if self.boundary is None:
            raise InvalidContentType("attachments of a message that is no package")
        if self._root and self._root in map(_content_id, _values(headers, "content-id")):
            raise InvalidContentType("the package names another part than the first as its message")


def _values(headers: PartHeaders, name: str) -> list[str]:
    return [value.strip() for found, value in headers.others if found.lower() == name]


def _content_id(value: str) -> str:
    return value.strip().removeprefix("<").removesuffix(">").strip()


class PackageReader:
    """Reads what an information system posts or answers, in chunks of any size.

    Gives the SOAP part, hashed, as soon as it is complete, then the events of attachments. Every
    error is a ProtocolError, after which the reader is of no more use.
    """

    def __init__(
        self,
        content_type: str,
        algorithm: DigestAlgorithm = DigestAlgorithm.SHA512,
        limits: PackageLimits = _DEFAULT_LIMITS,
    ) -> None:
        self._package = _Package(content_type)
        self._algorithm = algorithm
        self._limit = limits.soap
        self._headers = PartHeaders(media_type_of(content_type), content_type)
        self._multipart: MultipartReader | None = None
        if self._package.boundary is not None:
            self._multipart = MultipartReader(self._package.boundary, limits.mime)
        self._attachments = AttachmentHasher(algorithm, limits.attachments)
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_empty = True
        self._has_soap = False

    def feed(self, data: bytes) -> list[PackageEvent]:
        """The events that these bytes complete."""
        if self._multipart is None:
            self._keep(data)
            return []
        self._is_empty = self._is_empty and not data
        events: list[PackageEvent] = []
        for event in self._multipart.feed(data):
            self._take(event, events)
        return events

    def finish(self) -> list[PackageEvent]:
        """Say that no bytes follow.

        Raises MissingSoap for a package without parts, MimeParsingFailed for one that is cut short.
        """
        if self._multipart is None:
            return [self._soap()]
        if self._is_empty:
            raise MissingSoap("the package has no parts")
        self._multipart.finish()
        return []

    def _take(self, event: MimeEvent, events: list[PackageEvent]) -> None:
        if self._has_soap:
            attachment = self._attachments.take(event)
            if isinstance(attachment, AttachmentStart):
                self._package.check_attachment(attachment.headers)
            if attachment is not None:
                events.append(attachment)
            return
        match event:
            case PartStart(headers):
                self._package.check_soap(headers)
                self._headers = headers
            case PartChunk(data):
                self._keep(data)
            case PartEnd():
                events.append(self._soap())
            case _:
                raise MissingSoap("the package has no parts")

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        _check_size(self._size, self._limit)
        self._pieces.append(data)

    def _soap(self) -> SoapPart:
        raw = b"".join(self._pieces)
        self._pieces.clear()
        self._has_soap = True
        return SoapPart(raw, self._headers, self._algorithm.digest(raw))


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise InvalidMessage(f"the SOAP message is longer than {limit} bytes")


def read_package(
    content_type: str,
    body: bytes,
    algorithm: DigestAlgorithm = DigestAlgorithm.SHA512,
    limits: PackageLimits = _DEFAULT_LIMITS,
) -> list[PackageEvent]:
    """The events of a message that is in memory; agrees with PackageReader on every input."""
    package = _Package(content_type)
    if package.boundary is None:
        _check_size(len(body), limits.soap)
        headers = PartHeaders(media_type_of(content_type), content_type)
        return [SoapPart(body, headers, algorithm.digest(body))]
    parts = split_parts(body, package.boundary, limits.mime) if body else []
    if not parts:
        raise MissingSoap("the package has no parts")
    headers, start, end = parts[0]
    package.check_soap(headers)
    _check_size(end - start, limits.soap)
    soap = body[start:end]
    events: list[PackageEvent] = [SoapPart(soap, headers, algorithm.digest(soap))]
    attachments = AttachmentHasher(algorithm, limits.attachments)
    for headers, start, end in parts[1:]:
        package.check_attachment(headers)
        events += attachments.whole(headers, body[start:end])
    return events


class PackageWriter:
    """Writes a message as the other information system posted or answered it.

    `content_type` is the original one, of which a package keeps the boundary; `encoding` is that
    of the SOAP document. Raises InvalidContentType where the two sides would see other parts.
    """

    def __init__(self, content_type: str, encoding: str) -> None:
        self._package = _Package(content_type)
        self._multipart: MultipartWriter | None = None
        self._delimiter = b""
        self.content_type = write_soap_type(encoding)
        if self._package.boundary is not None:
            self._multipart = MultipartWriter(self._package.boundary)
            self._delimiter = b"\n--" + self._package.boundary.encode("ascii")
            self.content_type = content_type
        self._tail = b""
        self._has_soap = self._in_attachment = False

    def write(self, event: PackageEvent) -> bytes:
        """The bytes of one event; raises InvalidMessage for events out of order."""
        opens = isinstance(event, SoapPart | AttachmentStart)
        in_order = self._has_soap is not isinstance(event, SoapPart)
        if not in_order or opens is self._in_attachment:
            raise InvalidMessage("the parts of a package are out of order")
        match event:
            case SoapPart(raw, headers):
                self._package.check_soap(headers)
                self._has_soap = True
                return self._start(headers) + self._free(raw)
            case AttachmentStart(headers):
                self._package.check_attachment(headers)
                self._in_attachment = True
                return self._start(headers)
            case AttachmentChunk(data):
                return self._free(data)
            case AttachmentEnd():
                self._in_attachment = False
                return b""

    def close(self) -> bytes:
        """What ends the message."""
        if not self._has_soap or self._in_attachment:
            raise InvalidMessage("a package ends behind its SOAP part or an attachment")
        return b"" if self._multipart is None else self._multipart.close()

    def _start(self, headers: PartHeaders) -> bytes:
        if self._multipart is None:
            return b""
        if any(name.startswith("--") for name, _ in headers.others):
            raise InvalidMessage("the header of a part looks like a boundary")
        self._tail = b"\n"
        return self._multipart.start_part(headers.content_type, headers.others)

    def _free(self, data: bytes) -> bytes:
        """The content of a part, which must be free of what would end it."""
        if self._multipart is not None:
            seen = self._tail + data
            if self._delimiter in seen:
                raise InvalidMessage("a part of the package holds the boundary of the package")
            self._tail = seen[-len(self._delimiter) :]
        return data
