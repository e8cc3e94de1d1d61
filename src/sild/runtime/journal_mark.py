"""The small file beside a journal's segments: how far they are durable, and how far released.

    mark      segment 8, offset 8, checksum 4: behind the last durable record
    released  the same: of the last record that was read before its segment was deleted

The writer sets the mark after each sync, and nobody syncs it, so that it may be behind the truth
but never ahead of it. The file is there before the first segment is, and never goes away. Whoever
has read a segment to its end may release it, and says so before, so that one that went otherwise
is missed.
"""

import mmap
import os
import struct
import zlib
from pathlib import Path

from sild.runtime.files import sync_directory
from sild.runtime.journal_segments import JournalCorrupt, Position, segment_numbers

_MARK = struct.Struct(">QQ")
_CHECKSUM = struct.Struct(">I")
_MARK_SIZE = _MARK.size + _CHECKSUM.size


class Mark:
    """Up to where the newest segment is durable, told by the writer to the readers.

    Behind it is room for what a reader tells: up to where segments were released.
    """

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(_mark_path(directory), flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if (lacking := 2 * _MARK_SIZE - size) > 0:
                os.pwrite(descriptor, bytes(lacking), size)
                os.fsync(descriptor)
                sync_directory(directory)
            # A store into memory where a write would give the interpreter away in the middle.
            self._content = mmap.mmap(descriptor, _MARK_SIZE)
        finally:
            os.close(descriptor)

    def write(self, position: Position) -> None:
        """Let readers read up to here."""
        self._content[:] = _position_bytes(position)

    def close(self) -> None:
        """Let go of the file."""
        self._content.close()


def find_mark(directory: Path) -> Position | None:
    """Read the mark, if there is one."""
    try:
        descriptor = os.open(_mark_path(directory), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Read in the middle of a store, the checksum fails and the next reading is good.
        for _ in range(10):
            if (found := _position_in(os.pread(descriptor, _MARK_SIZE, 0))) is not None:
                return found if found.segment else None
        return None
    finally:
        os.close(descriptor)


def _position_bytes(position: Position) -> bytes:
    fields = _MARK.pack(position.segment, position.offset)
    return fields + _CHECKSUM.pack(zlib.crc32(fields))


def _position_in(content: bytes) -> Position | None:
    fields, stated = content[: _MARK.size], content[_MARK.size :]
    if len(content) != _MARK_SIZE or _CHECKSUM.pack(zlib.crc32(fields)) != stated:
        return None
    return Position(*_MARK.unpack(fields))


def check_mark(directory: Path) -> None:
    """Raise JournalCorrupt where there are segments and somebody has taken the mark away."""
    path = _mark_path(directory)
    if segment_numbers(directory) and not path.exists():
        raise JournalCorrupt(f"{path} is missing")


def _mark_path(directory: Path) -> Path:
    return directory / "durable"


def find_released(directory: Path) -> Position | None:
    """Up to where segments were released; the offset is 0 where the next was read in part."""
    with _mark_path(directory).open("rb") as file:
        return _position_in(os.pread(file.fileno(), _MARK_SIZE, _MARK_SIZE))


def tell_released(directory: Path, position: Position) -> None:
    """Say up to where segments are about to be deleted; it is durable then."""
    # In its place: a full disk must not keep from releasing what fills it.
    with _mark_path(directory).open("r+b") as file:
        os.pwrite(file.fileno(), _position_bytes(position), _MARK_SIZE)
        os.fsync(file.fileno())
