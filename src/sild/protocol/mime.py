"""Multipart as events: a reader fed bytes, a splitter of whole bodies, and a writer.

Both readers take what the peers' parser takes: CRLF or LF line ends, a preamble, an epilogue
(which is ignored), white space behind a boundary. They refuse what it would guess about: a body
without its closing delimiter, header lines that are none, other text behind a boundary.
Transfer encodings are not undone: digests are over the bytes of a part as they travel.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sild.protocol.errors import InvalidContentType, MimeParsingFailed


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """How long a header line, the header of a part and the preamble may be, in bytes."""

    line: int = 1000
    header: int = 10_000
    preamble: int = 10_000


_DEFAULT_LIMITS = MimeLimits()


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """The header of a part; the media type is in lower case, the rest as it came."""

    media_type: str
    content_type: str
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins."""

    headers: PartHeaders


@dataclass(frozen=True, slots=True)
class PartChunk:
    """The next bytes of a part, never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """A part is complete."""


@dataclass(frozen=True, slots=True)
class End:
    """The closing delimiter: what follows is no part of the message."""


MimeEvent = PartStart | PartChunk | PartEnd | End

_PART_END, _END = PartEnd(), End()

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# The type of signatures has two slashes.
_MEDIA_TYPE = re.compile(rf"[ \t]*({_NAME}(?:/{_NAME})+)[ \t]*")
_PARAMETER = re.compile(
    rf';[ \t]*(?:({_NAME})[ \t]*=[ \t]*("(?:[^"\\\r\n]|\\[^\r\n])*"|[^\s;"]*)[ \t]*)?'
)
_QUOTED_PAIR = re.compile(r"\\(.)")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_CONTENT_TYPE_LIMIT = 1000


@lru_cache(maxsize=128)
def media_type_of(content_type: str) -> str:
    """The type and subtype of a content type, in lower case; raises InvalidContentType."""
    match = _MEDIA_TYPE.match(content_type)
    if match is None or content_type[match.end() : match.end() + 1] not in {"", ";"}:
        raise InvalidContentType(f"{content_type[:100]!r} is no content type")
    return match[1].lower()


def boundary_of(content_type: str) -> str:
    """The boundary that a multipart content type names; raises InvalidContentType."""
    boundary = find_parameter(content_type, "boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise InvalidContentType(f"{content_type[:100]!r} names no usable boundary")
    return boundary


def find_parameter(content_type: str, name: str) -> str | None:
    """The value of a parameter, by its lower-case name; raises InvalidContentType for several."""
    values = [value for found, value in _parameters(content_type) if found == name]
    if len(values) > 1:
        raise InvalidContentType(f"the content type has more than one {name}")
    return values[0] if values else None


@lru_cache(maxsize=128)
def _parameters(content_type: str) -> tuple[tuple[str, str], ...]:
    media_type_of(content_type)
    found: list[tuple[str, str]] = []
    position = content_type.find(";")
    while 0 <= position < len(content_type):
        match = _PARAMETER.match(content_type, position)
        if match is None or len(content_type) > _CONTENT_TYPE_LIMIT:
            raise InvalidContentType(f"the parameters of {content_type[:100]!r} cannot be read")
        name, value = match.groups(default="")
        if value.startswith('"'):
            value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
        if name:
            found.append((name.lower(), value))
        position = match.end()
    return tuple(found)


_BLANK_LINE = re.compile(rb"\n\r?\n")
_HEADER_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):((?:[\t\x20-\x7e\x80-\xff]++|\r?\n[ \t])*+)\r?\n"
)
_FOLD = re.compile(rb"\r?\n")
_CACHED_HEADER = 200


def read_part_headers(block: bytes, limits: MimeLimits = _DEFAULT_LIMITS) -> PartHeaders:
    """The header lines of a part, each with its line end, without the blank line.

    A part without a content type is text/plain (RFC 2046, 5.1).
    """
    if len(block) > limits.header:
        raise MimeParsingFailed(f"the header of a part is longer than {limits.header} bytes")
    if len(block) <= _CACHED_HEADER <= limits.line:
        return _read_short_headers(block)
    if any(len(line) >= limits.line for line in block.split(b"\n")):
        raise MimeParsingFailed(f"a header line of a part is longer than {limits.line} bytes")
    return _parse_headers(block)


@lru_cache(maxsize=128)
def _read_short_headers(block: bytes) -> PartHeaders:
    return _parse_headers(block)


def _parse_headers(block: bytes) -> PartHeaders:
    content_type: str | None = None
    others: list[tuple[str, str]] = []
    position = 0
    while position < len(block):
        match = _HEADER_LINE.match(block, position)
        if match is None:
            raise MimeParsingFailed("the header of a part has a line that is none")
        name = match[1].decode("ascii")
        value = _FOLD.sub(b"", match[2]).decode("latin-1").strip(" \t")
        if name.lower() != "content-type":
            others.append((name, value))
        elif content_type is None:
            content_type = value
        else:
            raise MimeParsingFailed("a part has two content types")
        position = match.end()
    media_type = "text/plain" if content_type is None else media_type_of(content_type)
    return PartHeaders(media_type, content_type or "", tuple(others))


class NoParts(MimeParsingFailed):
    """A multipart body in which no delimiter stands; some protocols read it as an empty one."""


class _Line(Enum):
    OPEN = "a part follows"
    CLOSE = "no part follows"
    CONTENT = "only looks like a delimiter"
    UNDECIDED = "more bytes are needed to tell"


_PADDED_LINE_END = re.compile(rb"[ \t]{0,900}\r?\n")
_PADDING_SO_FAR = re.compile(rb"[ \t]{0,900}\r?")


def _delimiter_line(data: bytes, position: int) -> tuple[_Line, int]:
    """What stands behind a boundary, and for a delimiter where its line feed is."""
    if data.startswith(b"\r\n", position):
        return _Line.OPEN, position + 1
    if data.startswith(b"--", position):
        return _Line.CLOSE, position
    if match := _PADDED_LINE_END.match(data, position):
        return _Line.OPEN, match.end() - 1
    following = data[position : position + 1]
    if following not in b" \t\r-":
        return _Line.CONTENT, position
    if following == b"-" and position + 1 == len(data):
        return _Line.UNDECIDED, position
    if (match := _PADDING_SO_FAR.match(data, position)) and match.end() == len(data):
        return _Line.UNDECIDED, position
    raise MimeParsingFailed("a line that begins with the boundary has other text, or too long")


def _without_line_end(data: bytes, start: int, line_feed: int) -> int:
    """Where content ends whose last line end belongs to the delimiter behind it."""
    if line_feed > start and data[line_feed - 1] == ord("\r"):
        return line_feed - 1
    return max(line_feed, start)


def split_parts(
    data: bytes, boundary: str, limits: MimeLimits = _DEFAULT_LIMITS
) -> list[tuple[PartHeaders, int, int]]:
    """The parts of a whole body: the header of each, and where its content starts and ends.

    Agrees with `MultipartReader` on every input; raises MimeParsingFailed, and NoParts below it.
    """
    delimiter = b"\n--" + boundary.encode("ascii")
    parts: list[tuple[PartHeaders, int, int]] = []
    kind, line_feed = _Line.CONTENT, 0
    if data.startswith(delimiter[1:]):
        kind, line_feed = _delimiter_line(data, len(delimiter) - 1)
    if kind is _Line.CONTENT or kind is _Line.UNDECIDED:
        kind, at, line_feed = _find_delimiter(data, delimiter, 0, NoParts)
        if _without_line_end(data, 0, at) > limits.preamble:
            raise MimeParsingFailed(f"more than {limits.preamble} bytes precede the first part")
    while kind is _Line.OPEN:
        blank = _BLANK_LINE.search(data, line_feed, line_feed + limits.header + 3)
        if blank is None:
            raise MimeParsingFailed("the header of a part is too long or does not end")
        headers = read_part_headers(data[line_feed + 1 : blank.start() + 1], limits)
        start = blank.end()
        # The line end of the blank line may also be the one before a delimiter: an empty part.
        kind, at, line_feed = _find_delimiter(data, delimiter, start - 1)
        parts.append((headers, start, _without_line_end(data, start, at)))
    return parts


def _find_delimiter(
    data: bytes,
    delimiter: bytes,
    start: int,
    lacking: type[MimeParsingFailed] = MimeParsingFailed,
) -> tuple[_Line, int, int]:
    """The kind of the next delimiter, where the line feed before it is, and the one behind it."""
    at = data.find(delimiter, start)
    while at >= 0:
        kind, line_feed = _delimiter_line(data, at + len(delimiter))
        if kind is _Line.OPEN or kind is _Line.CLOSE:
            return kind, at, line_feed
        at = data.find(delimiter, at + 1)
    raise lacking("the multipart body is cut short")


class _State(Enum):
    PREAMBLE = "before the first delimiter"
    HEADER = "in the header of a part"
    CONTENT = "in the content of a part"
    EPILOGUE = "behind the closing delimiter"


class MultipartReader:
    """Reads a multipart body in chunks of any size, and holds back a few bytes at most.

    What it holds back may be the start of a delimiter, or the header of a part up to its limit.
    """

    def __init__(self, boundary: str, limits: MimeLimits = _DEFAULT_LIMITS) -> None:
        self._delimiter = b"\n--" + boundary.encode("ascii")
        self._limits = limits
        self._state = _State.PREAMBLE
        # A delimiter follows a line feed, so content is read from the line feed before it;
        # `_skip` says how many of the held bytes are not content themselves.
        self._held, self._skip = b"\n", 1
        self._preamble = 0

    def feed(self, data: bytes) -> list[MimeEvent]:
        """The events that are certain after these bytes; raises MimeParsingFailed."""
        events: list[MimeEvent] = []
        if self._state is _State.EPILOGUE:
            return events
        data = self._held + data if self._held else data
        position: int | None = 0
        while position is not None:
            if self._state is _State.HEADER:
                position = self._read_header(data, position, events)
            else:
                position = self._read_content(data, position, events)
        return events

    def finish(self) -> None:
        """Say that no bytes follow; raises MimeParsingFailed if the body is cut short.

        What is raised is NoParts where no part has begun.
        """
        if self._state is _State.PREAMBLE:
            raise NoParts("the multipart body is cut short")
        if self._state is not _State.EPILOGUE:
            raise MimeParsingFailed("the multipart body is cut short")

    def _read_header(self, data: bytes, line_feed: int, events: list[MimeEvent]) -> int | None:
        blank = _BLANK_LINE.search(data, line_feed, line_feed + self._limits.header + 3)
        if blank is None:
            if len(data) - line_feed >= self._limits.header + 3:
                raise MimeParsingFailed("the header of a part is too long or does not end")
            self._held = data[line_feed:]
            return None
        block = data[line_feed + 1 : blank.start() + 1]
        events.append(PartStart(read_part_headers(block, self._limits)))
        self._state, self._skip = _State.CONTENT, 1
        return blank.end() - 1

    def _read_content(self, data: bytes, position: int, events: list[MimeEvent]) -> int | None:
        start = position + self._skip
        at = data.find(self._delimiter, position)
        while at >= 0:
            kind, line_feed = _delimiter_line(data, at + len(self._delimiter))
            if kind is _Line.OPEN or kind is _Line.CLOSE:
                self._emit(data, start, _without_line_end(data, start, at), events)
                return self._end_part(kind, line_feed, events)
            if kind is _Line.UNDECIDED:
                break
            at = data.find(self._delimiter, at + 1)
        if at < 0:
            at = self._possible_delimiter(data, position)
        at = _held_from(data, start, at)
        self._emit(data, start, at, events)
        self._held, self._skip = data[at:], max(start - at, 0)
        return None

    def _possible_delimiter(self, data: bytes, position: int) -> int:
        """Where a delimiter may begin whose rest has not come yet, or the end of the data."""
        at = data.rfind(b"\n", max(position, len(data) - len(self._delimiter)))
        return at if at >= 0 and self._delimiter.startswith(data[at:]) else len(data)

    def _emit(self, data: bytes, start: int, end: int, events: list[MimeEvent]) -> None:
        if end <= start:
            return
        if self._state is _State.CONTENT:
            whole = start == 0 and end == len(data)
            events.append(PartChunk(data if whole else data[start:end]))
            return
        self._preamble += end - start
        if self._preamble > self._limits.preamble:
            raise MimeParsingFailed(
                f"more than {self._limits.preamble} bytes precede the first part"
            )

    def _end_part(self, kind: _Line, line_feed: int, events: list[MimeEvent]) -> int | None:
        if self._state is _State.CONTENT:
            events.append(_PART_END)
        if kind is _Line.OPEN:
            self._state = _State.HEADER
            return line_feed
        events.append(_END)
        self._state, self._held = _State.EPILOGUE, b""
        return None


def _held_from(data: bytes, start: int, at: int) -> int:
    """The carriage return before a possible delimiter is held back with it."""
    if at > start and data[at - 1] == ord("\r"):
        return at - 1
    return at


class MultipartWriter:
    """Writes a multipart body as peers do: lower-case header names, CRLF, no preamble."""

    def __init__(self, boundary: str) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise InvalidContentType(f"{boundary!r} cannot be a boundary")
        self._delimiter = b"--" + boundary.encode("ascii")
        self._started = False

    def start_part(self, content_type: str, others: tuple[tuple[str, str], ...] = ()) -> bytes:
        """What stands between the last part and the content of a new one."""
        lines = _header_line("content-type", content_type)
        for name, value in others:
            lines += _header_line(name, value)
        before = b"\r\n" if self._started else b""
        self._started = True
        return b"%b%b\r\n%b\r\n" % (before, self._delimiter, lines)

    def close(self) -> bytes:
        """What ends the body."""
        return b"\r\n" + self._delimiter + b"--\r\n"


@lru_cache(maxsize=128)
def _header_line(name: str, value: str) -> bytes:
    line = f"{name}: {value}\r\n".encode("latin-1", "replace")
    if not _HEADER_LINE.fullmatch(line) or line.count(b"\n") != 1:
        raise MimeParsingFailed(f"{line[:100]!r} cannot be a header line")
    return line
