"""Tables to files of JSON lines and back, whichever engine they are on.

The first line names the columns, each further one holds a row. Bytes stand in base64, moments in
ISO 8601.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.backup.errors import BackupFailed, BackupRefused
from sild.runtime.database import Database, Moment

_BATCH = 500
_LONGEST_LINE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SavedDatabase:
    """A database by the name that it has in backups, and which of its tables are saved."""

    name: str
    database: Database
    metadata: tuple[MetaData, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables, those that others point to first."""
        return tuple(table for each in self.metadata for table in each.sorted_tables)


def check_can_be_saved(table: Table) -> None:
    """Raise BackupFailed for a table with a column of a type that has no form here."""
    for column in table.columns:
        _form_of(column)


async def dump_database(saved: SavedDatabase, folder: Path) -> None:
    """Write every table, all as they stand at one moment, to files of this directory."""
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
    async with saved.database.reading() as connection:
        for table in saved.tables:
            with (folder / f"{table.name}.jsonl").open("wb") as file:
                async for lines in _lines_of(connection, table):
                    await asyncio.to_thread(file.write, lines)


async def load_database(connection: AsyncConnection, saved: SavedDatabase, folder: Path) -> None:
    """Put what the files of a directory hold in the place of what is in the tables.

    All happens in the transaction of the connection. Raises BackupRefused.
    """
    tables = saved.tables
    _check_known(folder, tables)
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    for table in reversed(tables):
        await connection.execute(delete(table))
    for table in tables:
        path = folder / f"{table.name}.jsonl"
        if path.exists():
            await _load_table(connection, table, path)
        if connection.dialect.name == "postgresql":
            await _set_sequence(connection, table)
    if connection.dialect.name == "sqlite":
        # Now, as a commit that fails would be too late.
        check = await connection.exec_driver_sql("PRAGMA foreign_key_check")
        if (broken := check.mappings().first()) is not None:
            there, missing = broken["table"], broken["parent"]
            raise BackupRefused(f"a row of {there} would point to no row of {missing}")


async def _lines_of(connection: AsyncConnection, table: Table) -> AsyncIterator[bytes]:
    writers = [_form_of(column).write for column in table.columns]
    yield _line([column.name for column in table.columns])
    found = await connection.stream(select(table).order_by(*_order(table)))
    async for rows in found.partitions(_BATCH):
        yield b"".join(_line(_written(row, writers)) for row in rows)


def _written(row: Any, writers: Sequence[Callable[[Any], Any]]) -> list[Any]:
    pairs = zip(row, writers, strict=True)
    return [value if value is None else write(value) for value, write in pairs]


def _order(table: Table) -> list[Any]:
    """Rows that point into their own table come after those that they may point to."""
    own = [key.parent.is_not(None) for key in table.foreign_keys if key.column.table is table]
    return [*own, *table.primary_key.columns]


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _check_known(folder: Path, tables: Sequence[Table]) -> None:
    names = {f"{table.name}.jsonl" for table in tables}
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if unknown := found - names:
        raise BackupRefused(f"this server has no table for {min(unknown)}: is the backup newer?")


async def _load_table(connection: AsyncConnection, table: Table, path: Path) -> None:
    with path.open("rb") as file:
        lines = _lines(file)
        columns = _columns_of(table, await asyncio.to_thread(next, lines, b""))
        while rows := await asyncio.to_thread(_rows, table, columns, lines):
            try:
                await connection.execute(insert(table), rows)
            except (SQLAlchemyError, OverflowError) as error:
                why = getattr(error, "orig", None) or type(error).__name__
                message = f"the rows of {table.name} cannot be restored: {why}"
                raise BackupRefused(message) from error


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        if not line.endswith(b"\n"):
            raise BackupRefused("a row of the backup is too long or cut short")
        yield line


def _columns_of(table: Table, line: bytes) -> list[Column[Any]]:
    names = _parsed(table, line)
    known = {column.name: column for column in table.columns}
    if len({str(name) for name in names}) != len(names) or not known.keys() >= set(map(str, names)):
        raise BackupRefused(f"the backup's columns of {table.name} are not this server's")
    for name, column in known.items():
        if name not in names and not (column.nullable or column.default or column.server_default):
            raise BackupRefused(f"the backup is older than the column {table.name}.{name}")
    return [known[str(name)] for name in names]


def _rows(
    table: Table, columns: Sequence[Column[Any]], lines: Iterator[bytes]
) -> list[dict[str, Any]]:
    readers = [(column.name, _form_of(column)) for column in columns]
    rows = []
    for line in lines:
        values = _parsed(table, line)
        if len(values) != len(readers):
            raise BackupRefused(f"a row of {table.name} has not as many values as columns")
        rows.append(
            {name: form.checked(value) for (name, form), value in zip(readers, values, strict=True)}
        )
        if len(rows) == _BATCH:
            break
    return rows


def _parsed(table: Table, line: bytes) -> list[Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BackupRefused(f"a row of {table.name} cannot be read") from error
    if not isinstance(values, list):
        raise BackupRefused(f"a row of {table.name} cannot be read")
    return values


async def _set_sequence(connection: AsyncConnection, table: Table) -> None:
    """Let the next row that is added get a number that no row has.

    Never a lower one than it would have got: sequences know no transaction, and what is loaded now
    may yet be rolled back. No sequence knows 0 or less, which rows may have.
    """
    column = table.autoincrement_column
    if column is None:
        return
    quote = connection.dialect.identifier_preparer.quote
    sequence = "pg_get_serial_sequence(:table, :column)"
    highest = f"(SELECT max({quote(column.name)}) FROM {quote(table.name)})"  # noqa: S608 - ours
    reached = f"coalesce(greatest({highest}, pg_sequence_last_value({sequence}::regclass)), 0)"
    await connection.execute(
        text(f"SELECT setval({sequence}, greatest({reached}, 1), {reached} > 0)"),
        {"table": quote(table.name), "column": column.name},
    )


@dataclass(frozen=True, slots=True)
class _Form:
    """How values of a column stand in JSON: their type there, and the ways to and fro."""

    kind: type
    write: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Any] = lambda value: value

    def checked(self, value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not self.kind:
            raise BackupRefused("a value in the backup is of another type than its column")
        try:
            return self.read(value)
        except ValueError as error:
            raise BackupRefused("a value in the backup cannot be read") from error


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _read_bytes(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _read_moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return moment


_FORMS: tuple[tuple[type, _Form], ...] = (
    (Moment, _Form(str, datetime.isoformat, _read_moment)),
    (LargeBinary, _Form(str, _write_bytes, _read_bytes)),
    (Boolean, _Form(bool)),
    (Integer, _Form(int)),
    (Float, _Form(float, float)),
    (String, _Form(str)),
)


def _form_of(column: Column[Any]) -> _Form:
    for kind, form in _FORMS:
        if isinstance(column.type, kind):
            return form
    raise BackupFailed(f"{column} is of a type that cannot be backed up")
