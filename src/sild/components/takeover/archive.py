"""The tar that a reference server's backup is: read in one go, never unpacked by its own names.

    security_XROAD_7.1_<SERVER>         a volume label that says of what server it is
    etc/xroad/...                       settings, keys, the anchor
    var/lib/xroad/dbdump.dat            what pg_dump wrote of the configuration

What is read may be hostile: names lead nowhere, as nothing is written by them; links and devices
are never followed; and each entry, and all together, have limits.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from sild.components.takeover.errors import BackupUnreadable

_BLOCK = 512
_MAGICS = (b"ustar\x0000", b"ustar  \0")
_OCTAL = re.compile(rb" *[0-7]*[ \0]*")
_PAX = re.compile(rb"(\d{1,7}) ([^=]{1,100})=")
_LONGEST_NAME = 4096
_LONGEST_EXTENSION = 64 * 1024
_GZIP, _XZ, _BZIP2 = b"\x1f\x8b", b"\xfd7zXZ", b"BZh"
_FILE_TYPES, _LINK_TYPES, _DIRECTORY, _LABEL = b"0\0" + b"7", b"12", b"5", b"V"
_EXTENSIONS = b"LKxg"


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much of a backup is read."""

    entries: int = 100_000
    size: int = 8 * 1024**3
    """Of all entries together, in bytes."""


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """An entry; `content` gives its bytes, and must be read before the next entry is asked for."""

    name: str
    size: int
    is_file: bool
    is_label: bool
    content: BinaryIO


def read_entries(file: IO[bytes], limits: ArchiveLimits) -> Iterator[ArchiveEntry]:
    """The entries of a tar in order; raises BackupUnreadable."""
    header = file.read(_BLOCK)
    _check_kind(header)
    count = total = 0
    named: str | None = None
    sized: int | None = None
    while header != bytes(_BLOCK):
        entry = _read_header(header)
        size = entry.size if sized is None or entry.kind in _EXTENSIONS else sized
        count, total = count + 1, total + size
        if count > limits.entries or total > limits.size:
            raise BackupUnreadable(
                f"the backup holds more than {limits.entries} files or {limits.size} bytes"
            )
        content = _Content(file, size)
        if entry.kind in _EXTENSIONS:
            named, sized = _extended(entry.kind, content, named, sized)
        else:
            yield _entry(entry, named, size, content)
            named = sized = None
        content.skip()
        _take(file, -size % _BLOCK)
        header = _take(file, _BLOCK)


def is_tar(start: bytes) -> bool:
    """Whether a file that begins so is a tar; its first 512 bytes tell."""
    try:
        _check_kind(start[:_BLOCK])
        _read_header(start[:_BLOCK])
    except BackupUnreadable:
        return False
    return True


def _check_kind(header: bytes) -> None:
    for start, name in ((_GZIP, "gzip"), (_XZ, "xz"), (_BZIP2, "bzip2")):
        if header.startswith(start):
            raise BackupUnreadable(
                f"the file is compressed by {name}, which no backup of a server is: unpack it first"
            )
    if len(header) < _BLOCK or not _is_header(header):
        raise BackupUnreadable("the file is no tar, as a backup of a server is")


def _is_header(header: bytes) -> bool:
    # A label is written without a magic.
    return header[257:265] in _MAGICS or header[156:157] == _LABEL


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    size: int
    kind: bytes


def _read_header(header: bytes) -> _Header:
    if not _is_header(header):
        raise BackupUnreadable("an entry of the backup is damaged")
    summed = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _number(header[148:156]) != summed:
        raise BackupUnreadable("an entry of the backup is damaged: its checksum is wrong")
    # Only POSIX's own form has a prefix there; GNU's has times.
    prefix = header[345:500] if header[257:265] == _MAGICS[0] else b""
    parts = [_text(part.split(b"\0", 1)[0]) for part in (prefix, header[:100])]
    name = "/".join(part for part in parts if part)
    return _Header(name, _number(header[124:136]), header[156:157])


def _entry(header: _Header, named: str | None, size: int, content: "_Content") -> ArchiveEntry:
    name = header.name if named is None else named
    kind = header.kind
    if kind not in _FILE_TYPES + _LINK_TYPES + _DIRECTORY + _LABEL:
        raise BackupUnreadable(f"{name!r} is neither a file nor a directory nor a link")
    if kind != _LABEL:
        _check_name(name)
    if kind in _LINK_TYPES + _DIRECTORY and size:
        raise BackupUnreadable(f"{name!r} is no file and has a content")
    is_file = kind in _FILE_TYPES and not name.endswith("/")
    return ArchiveEntry(name, size, is_file, kind == _LABEL, io.BufferedReader(content))


def _check_name(name: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise BackupUnreadable(f"{name!r} leads out of the backup")
    if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise BackupUnreadable(f"no file of a backup is named {name[:200]!r}")


def _extended(
    kind: bytes, content: "_Content", named: str | None, sized: int | None
) -> tuple[str | None, int | None]:
    """The name and size that the next entry has, by what stands before it."""
    if content.size > _LONGEST_EXTENSION:
        raise BackupUnreadable("an entry of the backup has too much said about it")
    said = content.readall()
    match kind:
        case b"L":
            return _text(said.rstrip(b"\0")), sized
        case b"x":
            records = dict(_pax_records(said))
            path, size = records.get(b"path"), records.get(b"size")
            if size is not None and not (size.isdigit() and len(size) < 20):
                raise BackupUnreadable("an entry of the backup has no size")
            return (
                named if path is None else _text(path),
                sized if size is None else int(size),
            )
        case _:
            return named, sized


def _pax_records(said: bytes) -> Iterator[tuple[bytes, bytes]]:
    while said:
        found = _PAX.match(said)
        length = int(found[1]) if found else 0
        if found is None or not found.end() < length <= len(said) or said[length - 1] != ord("\n"):
            raise BackupUnreadable("what is said about an entry of the backup cannot be read")
        yield found[2], said[found.end() : length - 1]
        said = said[length:]


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if not _OCTAL.fullmatch(field):
        raise BackupUnreadable("an entry of the backup is damaged: a number is none")
    return int(field.strip(b" \0") or b"0", 8)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise BackupUnreadable("a name in the backup is no UTF-8") from error


def _take(file: IO[bytes], size: int) -> bytes:
    taken = file.read(size)
    if len(taken) != size:
        raise BackupUnreadable("the backup is cut short")
    return taken


class _Content(io.RawIOBase):
    """The next bytes of a file, and no more."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self._file = file
        self.size = size
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._left)
        taken = self._file.read(wanted)
        if len(taken) < wanted:
            raise BackupUnreadable("the backup is cut short")
        buffer[:wanted] = taken
        self._left -= wanted
        return wanted

    def skip(self) -> None:
        """Leave what was not read."""
        for piece in iter(lambda: self._file.read(min(self._left, 1024 * 1024)), b""):
            self._left -= len(piece)
        if self._left:
            raise BackupUnreadable("the backup is cut short")


def read_whole(entry: ArchiveEntry, limit: int) -> bytes:
    """The bytes of an entry; raises BackupUnreadable where they are more than the limit."""
    if entry.size > limit:
        raise BackupUnreadable(f"{entry.name!r} has {entry.size} bytes, more than {limit}")
    return entry.content.read()
