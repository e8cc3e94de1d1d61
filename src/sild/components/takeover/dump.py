"""What pg_dump wrote: the rows of some tables, from a plain SQL file or an archive of its own.

The archive ("custom format") has no document but its source: a head, a table of contents, and the
data of each table in pieces, each piece with its length before it. Versions 1.12 to 1.16 are read,
of PostgreSQL 9 to 18.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from sild.components.takeover.copytext import CopyHead, CopyRows, Row, find_copy_head
from sild.components.takeover.errors import BackupUnreadable

_MAGIC = b"PGDMP"
_PLAIN = b"--"
_OLDEST, _NEWEST = (1, 12), (1, 16)
_WITH_ACCESS_METHOD, _WITH_ALGORITHM, _WITH_KIND = (1, 14), (1, 15), (1, 16)
_CUSTOM_FORMAT = 1
_GZIP = 1
_ALGORITHMS = {0: "none", _GZIP: "gzip", 2: "lz4", 3: "zstd"}
_DATA, _LARGE_OBJECTS = 1, 3
_TABLE_DATA = "TABLE DATA"
_LARGEST_TEXT = 16 * 1024 * 1024
_LARGEST_PIECE = 64 * 1024 * 1024
_INFLATED_AT_ONCE = 1024 * 1024
_PLAIN_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DumpLimits:
    """How much of a dump is read."""

    rows: int = 2_000_000
    """Of one table."""
    contents: int = 100_000
    """How many things the table of contents may name."""
    inflated: int = 8 * 1024**3
    """Of all tables that are read, in bytes."""


def read_dump(
    file: BinaryIO, tables: Collection[str], limits: DumpLimits
) -> Mapping[str, tuple[Row, ...]]:
    """The rows of those of the tables that the dump has; raises BackupUnreadable."""
    start = file.read(len(_MAGIC))
    if start == _MAGIC:
        found = _Archive(file, tables, limits).read()
    elif start.startswith(_PLAIN):
        found = _read_plain(start, file, tables, limits)
    else:
        raise BackupUnreadable("the database in the backup is no dump of PostgreSQL")
    return {collected.head.table: tuple(collected.rows) for collected in found}


def _read_plain(
    start: bytes, file: BinaryIO, tables: Collection[str], limits: DumpLimits
) -> list[CopyRows]:
    found = _Wanted(tables, limits)
    collecting: CopyRows | None = None
    skipping = False
    for line in _lines(start, file):
        if collecting is not None:
            collecting.feed_line(line)
            collecting = None if collecting.ended else collecting
        elif skipping:
            skipping = line != b"\\."
        elif line.startswith(b"COPY "):
            head = find_copy_head(line.decode("utf-8", "replace"))
            collecting = found.begin(head) if head else None
            skipping = collecting is None
    if collecting is not None or skipping:
        raise BackupUnreadable("the dump of the database is cut short")
    return found.collected


def _lines(start: bytes, file: BinaryIO) -> Iterator[bytes]:
    line = start + file.readline(_PLAIN_LINE)
    while line:
        if not line.endswith(b"\n") and len(line) >= _PLAIN_LINE:
            raise BackupUnreadable("a line of the dump of the database is too long")
        yield line.rstrip(b"\r\n") if line.endswith(b"\n") else line
        line = file.readline(_PLAIN_LINE)


class _Wanted:
    """Those of the tables that are met."""

    def __init__(self, tables: Collection[str], limits: DumpLimits) -> None:
        self._tables = tables
        self._limits = limits
        self.collected: list[CopyRows] = []

    def begin(self, head: CopyHead) -> CopyRows | None:
        """What collects the rows of a table, if they are wanted."""
        if head.table not in self._tables:
            return None
        if any(each.head.table == head.table for each in self.collected):
            raise BackupUnreadable(f"the dump has the table {head.table} twice")
        self.collected.append(CopyRows(head, self._limits.rows))
        return self.collected[-1]


class _Archive:
    def __init__(self, file: BinaryIO, tables: Collection[str], limits: DumpLimits) -> None:
        self._file = file
        self._limits = limits
        self._wanted = _Wanted(tables, limits)
        self._inflated = 0

    def read(self) -> list[CopyRows]:
        self._read_head()
        heads = self._read_contents()
        while kind := self._file.read(1):
            if kind[0] == _DATA:
                head = heads.pop(self._integer(), None)
                collecting = self._wanted.begin(head) if head else None
                self._read_data(collecting)
            elif kind[0] == _LARGE_OBJECTS:
                self._integer()
                self._skip_large_objects()
            else:
                raise BackupUnreadable("the dump of the database is damaged: no block begins there")
        if heads:
            table = next(iter(heads.values())).table
            raise BackupUnreadable(f"the dump of the database lacks the rows of {table}")
        return self._wanted.collected

    def _read_head(self) -> None:
        major, minor, _ = self._take(3)
        self._version = (major, minor)
        if not _OLDEST <= self._version <= _NEWEST:
            raise BackupUnreadable(f"the dump is of format {major}.{minor}, which is not known")
        self._integer_size, self._offset_size, kind = self._take(3)
        if kind != _CUSTOM_FORMAT or not 2 <= self._integer_size <= 8:
            raise BackupUnreadable("the dump of the database is of another form than pg_dump -Fc's")
        if self._version >= _WITH_ALGORITHM:
            (algorithm,) = self._take(1)
        else:
            algorithm = _GZIP if self._integer() else 0
        if algorithm not in (0, _GZIP):
            name = _ALGORITHMS.get(algorithm, "something unknown")
            raise BackupUnreadable(f"the dump is compressed by {name}: only gzip is read")
        self._compressed = algorithm == _GZIP
        for _ in range(7):  # when it was made
            self._integer()
        for _ in range(3):  # the database's name, the versions of server and program
            self._text()

    def _read_contents(self) -> dict[int, CopyHead]:
        """The statements of the tables that are wanted, by the number of their data."""
        count = self._integer()
        if not 0 <= count <= self._limits.contents:
            raise BackupUnreadable(f"the dump of the database has {count} parts")
        found = {}
        for _ in range(count):
            number, has_data, description, statement = self._read_content()
            if description == _TABLE_DATA and has_data:
                head = find_copy_head((statement or "").strip())
                if head is None:
                    raise BackupUnreadable("a table of the dump is not written by COPY")
                if number in found:
                    raise BackupUnreadable("the dump of the database is damaged: a number is twice")
                found[number] = head
        return found

    def _read_content(self) -> tuple[int, bool, str | None, str | None]:
        number, has_data = self._integer(), bool(self._integer())
        for _ in range(3):  # table OID, OID, tag
            self._text()
        description = self._text()
        self._integer()  # section
        for _ in range(2):  # how it is made, and dropped
            self._text()
        statement = self._text()
        for _ in range(2):  # namespace, tablespace
            self._text()
        if self._version >= _WITH_ACCESS_METHOD:
            self._text()
        if self._version >= _WITH_KIND:
            self._integer()
        for _ in range(2):  # owner, with OIDs
            self._text()
        while self._text() is not None:  # what it depends on
            pass
        self._take(1 + self._offset_size)  # where its data is
        return number, has_data, description, statement

    def _read_data(self, collecting: CopyRows | None) -> None:
        inflating = zlib.decompressobj() if self._compressed else None
        for piece in self._pieces():
            if collecting is None:
                continue
            if inflating is None:
                self._count(len(piece))
                collecting.feed(piece)
                continue
            try:
                data = piece
                while data and not inflating.eof:
                    inflated = inflating.decompress(data, _INFLATED_AT_ONCE)
                    self._count(len(inflated))
                    collecting.feed(inflated)
                    data = inflating.unconsumed_tail
            except zlib.error as error:
                raise BackupUnreadable("the dump of the database is damaged") from error
        if collecting is not None:
            if inflating is not None:
                collecting.feed(inflating.flush())
            if not collecting.ended:
                raise BackupUnreadable(f"the rows of {collecting.head.table} are cut short")

    def _count(self, size: int) -> None:
        self._inflated += size
        if self._inflated > self._limits.inflated:
            raise BackupUnreadable(f"the dump holds more than {self._limits.inflated} bytes")

    def _pieces(self) -> Iterator[bytes]:
        while size := self._integer():
            if not 0 < size <= _LARGEST_PIECE:
                raise BackupUnreadable("the dump of the database is damaged: a length is none")
            yield self._take(size)

    def _skip_large_objects(self) -> None:
        while self._integer():
            for _ in self._pieces():
                pass

    def _integer(self) -> int:
        sign, *digits = self._take(1 + self._integer_size)
        number = int.from_bytes(bytes(digits), "little")
        return -number if sign else number

    def _text(self) -> str | None:
        size = self._integer()
        if size < 0:
            return None
        if size > _LARGEST_TEXT:
            raise BackupUnreadable("the dump of the database is damaged: a text is too long")
        return self._take(size).decode("utf-8", "replace")

    def _take(self, size: int) -> bytes:
        taken = self._file.read(size)
        if len(taken) != size:
            raise BackupUnreadable("the dump of the database is cut short")
        return taken
