"""Rows as PostgreSQL's COPY writes them: tabs between values, what is special escaped."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sild.components.takeover.errors import BackupUnreadable

Row: TypeAlias = Mapping[str, str | None]
"""A row of a table: its values by column, as texts; None is NULL."""

_NULL = b"\\N"
_END = b"\\."
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_NAMED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_STATEMENT = re.compile(
    r'COPY (?:(?:[\w$]+|"[^"]+")\.)?(?P<table>[\w$]+|"[^"]+")'
    r" \((?P<columns>[^()]*)\) FROM stdin;\s*"
)
_LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CopyHead:
    """Which table, and which columns in which order."""

    table: str
    columns: tuple[str, ...]


def find_copy_head(statement: str) -> CopyHead | None:
    """What a COPY statement says; None for anything else."""
    found = _STATEMENT.fullmatch(statement)
    if found is None:
        return None
    columns = tuple(name.strip().strip('"') for name in found["columns"].split(","))
    return CopyHead(found["table"].strip('"'), columns)


@dataclass(slots=True)
class CopyRows:
    """Collects the rows of one table from the pieces that its data comes in."""

    head: CopyHead
    limit: int
    rows: list[Row] = field(default_factory=list)
    ended: bool = False
    _rest: bytes = b""

    def feed(self, piece: bytes) -> None:
        """Take more of the data; raises BackupUnreadable."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise BackupUnreadable(f"a row of {self.head.table} is too long")
        for line in lines:
            self.feed_line(line)

    def feed_line(self, line: bytes) -> None:
        """Take a whole line; raises BackupUnreadable."""
        if self.ended:
            return
        if line == _END:
            self.ended = True
            return
        if len(self.rows) >= self.limit:
            raise BackupUnreadable(f"the table {self.head.table} has over {self.limit} rows")
        self.rows.append(_row(self.head, line))


def _row(head: CopyHead, line: bytes) -> Row:
    values = line.split(b"\t")
    if len(values) != len(head.columns):
        raise BackupUnreadable(f"a row of {head.table} has not as many values as columns")
    return dict(zip(head.columns, map(_value, values), strict=True))


def _value(written: bytes) -> str | None:
    if written == _NULL:
        return None
    try:
        return _ESCAPE.sub(_unescaped, written).decode()
    except UnicodeDecodeError as error:
        raise BackupUnreadable("the dump of the database is not in UTF-8") from error


def _unescaped(found: "re.Match[bytes]") -> bytes:
    said = found[1]
    if said[:1] == b"x" and len(said) > 1:
        return bytes([int(said[1:], 16)])
    if said.isdigit() and said < b"8":
        return bytes([int(said, 8) & 0xFF])
    return _NAMED.get(said, said)


def bytes_of_text(value: str) -> bytes:
    """The bytes that a bytea column holds, in its hexadecimal form; raises BackupUnreadable."""
    try:
        if not value.startswith("\\x"):
            raise ValueError(value[:2])
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise BackupUnreadable("a value of the database is no hexadecimal bytea") from error
