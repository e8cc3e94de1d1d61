"""The segments of a journal: what their bytes say, and what of them is good.

A directory holds numbered segments and a mark. A segment is a header and then records:

    header  magic 8, version 2, size of the header 2, salt 4, segment number 8,
            end of the segment before 8, checksum 4
    record  salt 4, length 4, number in the segment 8, how many of the segment's records were
            durable when this one was written 8, checksum of the payload 4, of the rest 4, payload

All numbers are big-endian, checksums CRC-32. A segment that has a successor ends where the
successor's header says. The newest ends where the mark says (`journal_mark.py`).

The salt is random, so that no payload can pass for records. The count of durable records is what
tells damage from the torn end of a crash: bytes that were durable before a later record was
written cannot have been torn.
"""

import fcntl
import itertools
import mmap
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sild.runtime.files import sync_directory

_MAGIC = b"SILDJRNL"
_VERSION = 1
_HEADER = struct.Struct(">8sHHIQQ")
_RECORD = struct.Struct(">IIQQI")
_CHECKSUM = struct.Struct(">I")

HEADER_SIZE = _HEADER.size + _CHECKSUM.size
RECORD_SIZE = _RECORD.size + _CHECKSUM.size

_NAME = re.compile(r"([0-9]{10})\.journal")
_READ_AHEAD = 256 * 1024


class JournalError(Exception):
    """A journal cannot do what it was asked."""


class JournalCorrupt(JournalError):
    """Bytes that were durable are missing or changed; names the file and the place."""


class JournalLocked(JournalError):
    """Another process has the journal open."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a record begins: never given to two records of a journal, and growing with time."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """A durable record."""

    position: Position
    payload: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment's first bytes say."""

    salt: int
    number: int
    previous_end: int

    def to_bytes(self) -> bytes:
        """Write it, with its checksum."""
        fields = (_MAGIC, _VERSION, HEADER_SIZE, self.salt, self.number, self.previous_end)
        content = _HEADER.pack(*fields)
        return content + _CHECKSUM.pack(zlib.crc32(content))


@dataclass(frozen=True, slots=True)
class _Found:
    """A good record in a segment."""

    offset: int
    number: int
    durable: int
    payload: bytes

    @property
    def end(self) -> int:
        return self.offset + RECORD_SIZE + len(self.payload)


class _BadRecordError(Exception):
    def __init__(self, offset: int, number: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.number = number


def checksum(payload: bytes) -> int:
    """Give the checksum that a record carries of its payload."""
    return zlib.crc32(payload)


def record_head(salt: int, number: int, durable: int, payload: bytes, payload_sum: int) -> bytes:
    """Write what stands before a payload."""
    head = _RECORD.pack(salt, len(payload), number, durable, payload_sum)
    return head + _CHECKSUM.pack(zlib.crc32(head, salt))


def segment_path(directory: Path, number: int) -> Path:
    """Name a segment's file."""
    return directory / f"{number:010d}.journal"


def segment_numbers(directory: Path) -> list[int]:
    """List the segments there are; raise JournalCorrupt when one between others is missing."""
    names = (_NAME.fullmatch(entry.name) for entry in directory.iterdir())
    numbers = sorted(int(name[1]) for name in names if name)
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            raise JournalCorrupt(f"{segment_path(directory, before + 1)} is missing")
    return numbers


def create_segment(directory: Path, header: Header) -> int:
    """Make a segment and give its descriptor; it and its name are durable before it is there."""
    path = segment_path(directory, header.number)
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.pwrite(descriptor, header.to_bytes(), 0) != HEADER_SIZE:
            raise OSError(f"{temporary} took a part of its header")
        os.fsync(descriptor)
        temporary.replace(path)
        sync_directory(directory)
    except BaseException:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    return descriptor


class Segment:
    """One segment's file, open for reading."""

    def __init__(self, directory: Path, number: int) -> None:
        self.path = segment_path(directory, number)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.size = os.fstat(self._descriptor).st_size
            self.header = self._read_header(number)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._ahead = b""
        self._ahead_offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._descriptor)

    def _read_header(self, number: int) -> Header:
        content = os.pread(self._descriptor, HEADER_SIZE, 0)
        fields, stated = content[: _HEADER.size], content[_HEADER.size :]
        if len(content) != HEADER_SIZE or _CHECKSUM.pack(zlib.crc32(fields)) != stated:
            raise JournalCorrupt(f"{self.path}, offset 0: the header is damaged")
        magic, version, size, salt, stated_number, previous_end = _HEADER.unpack(fields)
        if (magic, version, size, stated_number) != (_MAGIC, _VERSION, HEADER_SIZE, number):
            raise JournalCorrupt(f"{self.path}, offset 0: not version {_VERSION} of this segment")
        return Header(salt, number, previous_end)

    def records(self, end: int, start: int = HEADER_SIZE) -> Iterator[_Found]:
        """Read the records from one offset to another; raise JournalCorrupt at a bad one."""
        try:
            yield from self._records(start, end)
        except _BadRecordError as bad:
            raise JournalCorrupt(f"{self.path}, offset {bad.offset}: {bad}") from bad

    def find_durable_end(self, marked_end: int) -> tuple[int, int]:
        """Give the offset after the last good record, and how many there are.

        What follows is the torn end of a crash, unless the mark or a later record tells that it
        was durable: then raise JournalCorrupt.
        """
        end, count, torn_durable, reason = HEADER_SIZE, 0, False, "the segment ends"
        try:
            for found in self._records(HEADER_SIZE, self.size):
                end, count = found.end, found.number + 1
        except _BadRecordError as bad:
            torn_durable, reason = self._was_durable(bad), str(bad)
        if torn_durable or marked_end > end:
            raise JournalCorrupt(f"{self.path}, offset {end}: {reason}, and more was durable")
        return end, count

    def _records(self, start: int, end: int) -> Iterator[_Found]:
        offset, number = start, None if start != HEADER_SIZE else 0
        while offset < end:
            found = self._read(offset, end, number)
            yield found
            offset, number = found.end, found.number + 1

    def _read(self, offset: int, end: int, expected: int | None) -> _Found:
        wanted = expected or 0
        head = self._bytes(offset, RECORD_SIZE)
        if len(head) != RECORD_SIZE or offset + RECORD_SIZE > end:
            raise _BadRecordError(offset, wanted, "the head of a record is cut short")
        fields = head[: _RECORD.size]
        _, length, number, durable, payload_sum = _RECORD.unpack(fields)
        if head[_RECORD.size :] != _CHECKSUM.pack(zlib.crc32(fields, self.header.salt)):
            raise _BadRecordError(offset, wanted, "the head of a record is damaged")
        if expected is not None and number != expected:
            raise _BadRecordError(offset, wanted, f"record {number} where {expected} was due")
        if offset + RECORD_SIZE + length > min(end, self.size):
            raise _BadRecordError(offset, wanted, "a record is cut short")
        payload = self._bytes(offset + RECORD_SIZE, length)
        if len(payload) != length or zlib.crc32(payload) != payload_sum:
            raise _BadRecordError(offset, wanted, "the payload of a record is damaged")
        return _Found(offset, number, durable, payload)

    def _bytes(self, offset: int, size: int) -> bytes:
        start = offset - self._ahead_offset
        if start < 0 or start + size > len(self._ahead):
            self._ahead = os.pread(self._descriptor, max(size, _READ_AHEAD), offset)
            self._ahead_offset, start = offset, 0
        return self._ahead[start : start + size]

    def _was_durable(self, bad: _BadRecordError) -> bool:
        """Say whether a record after the bad one was written when the bad one was durable."""
        salt = _CHECKSUM.pack(self.header.salt)
        with mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as content:
            offset = content.find(salt, bad.offset + 1)
            while offset != -1:
                try:
                    if self._read(offset, self.size, None).durable > bad.number:
                        return True
                except _BadRecordError:
                    pass
                offset = content.find(salt, offset + 1)
        return False


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the only writer of the directory; raise JournalLocked when another is."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(directory / "lock", flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalLocked(f"another process has the journal {directory} open") from error
        yield
    finally:
        os.close(descriptor)
