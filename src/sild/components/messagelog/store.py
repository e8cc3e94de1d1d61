"""The message log in SQL: what journals held, in one total order, and what proves it.

A signature must stay for at least `SIGNATURE_MEMORY_SECONDS` after it was taken last, even when no
record refers to it: a writer that remembers it does not write it again.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.errors import JournalDamaged, RecordNotFound
from sild.components.messagelog.intake import Intake, Unfinished
from sild.components.messagelog.records import (
    KeptRecord,
    RecordSummary,
    Timestamp,
    kept_of,
    owner_values,
    record_values,
    select_summaries,
    select_whole,
    summary_of,
)
from sild.components.messagelog.tables import (
    JOURNAL,
    PIECE,
    RECORD,
    SIGNATURE,
    TIMESTAMP,
    UNFINISHED,
)
from sild.protocol.ids import ClientId
from sild.runtime.database import Database
from sild.runtime.journal import Position

_PAGE = 500
# Where a journal stands before anything was taken of it.
_START = Position(0, 0)


class Taking:
    """One transaction in which entries of a journal become part of the log."""

    def __init__(self, connection: AsyncConnection, journal_id: int, position: Position) -> None:
        self._connection = connection
        self._journal_id = journal_id
        self.position = position
        """What stands at or before it has been taken."""

    async def unfinished(self) -> dict[str, Unfinished]:
        """The bodies whose record has not come yet."""
        query = select(UNFINISHED).where(UNFINISHED.c.journal_id == self._journal_id)
        rows = await self._connection.execute(query)
        return {row.body_key: Unfinished(row.pieces, row.size) for row in rows}

    async def add(self, intake: Intake, position: Position) -> None:
        """Add what was taken up to this position; raises JournalDamaged."""
        await self._add_signatures(intake)
        await self._add_bodies(intake)
        await self._insert(RECORD, [record_values(new, self._journal_id) for new in intake.records])
        await self._connection.execute(
            update(JOURNAL)
            .where(JOURNAL.c.id == self._journal_id)
            .values(segment=position.segment, place=position.offset)
        )

    async def _add_signatures(self, intake: Intake) -> None:
        needed = {new.entry.signature_digest for new in intake.records}
        digests = needed | intake.signatures.keys()
        query = select(SIGNATURE.c.digest).where(SIGNATURE.c.digest.in_(digests))
        known = set((await self._connection.execute(query)).scalars())
        if missing := needed - known - intake.signatures.keys():
            message = f"no signature {min(missing).hex()} stands before a record that needs it"
            raise JournalDamaged(message)
        fresh = ((key, doc) for key, doc in intake.signatures.items() if key not in known)
        await self._insert(SIGNATURE, [{"digest": key, "document": doc} for key, doc in fresh])

    async def _add_bodies(self, intake: Intake) -> None:
        if intake.dropped:
            await self._connection.execute(
                delete(PIECE).where(PIECE.c.body_key.in_(intake.dropped))
            )
        pieces = [
            {"body_key": piece.body_key, "number": piece.number, "content": piece.content}
            for piece in intake.pieces
        ]
        await self._insert(PIECE, pieces)
        owned = UNFINISHED.c.journal_id == self._journal_id
        await self._connection.execute(delete(UNFINISHED).where(owned))
        unfinished = [
            {"body_key": key, "journal_id": self._journal_id, "pieces": u.pieces, "size": u.size}
            for key, u in intake.unfinished.items()
        ]
        await self._insert(UNFINISHED, unfinished)

    async def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Add rows whose values need no conversion: handed to the driver they cost half."""
        if not rows:
            return
        dialect, columns = self._connection.dialect, list(rows[0])
        compiled = insert(table).compile(dialect=dialect, column_keys=columns)
        values = itemgetter(*(compiled.positiontup or columns))
        await self._connection.exec_driver_sql(str(compiled), [values(row) for row in rows])


class MessageStore:
    """The message log's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def taking(self, journal: str) -> AsyncIterator[Taking]:
        """Take from the journal of this name: all of the block or, when it raises, nothing."""
        async with self._database.transaction() as connection:
            query = select(JOURNAL).where(JOURNAL.c.name == journal)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                values = {"name": journal, "segment": _START.segment, "place": _START.offset}
                yield Taking(connection, await _insert_one(connection, JOURNAL, values), _START)
            else:
                yield Taking(connection, row.id, Position(row.segment, row.place))

    async def find_position(self, journal: str) -> Position | None:
        """Up to where a journal has been taken."""
        query = select(JOURNAL).where(JOURNAL.c.name == journal)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Position(row.segment, row.place)

    async def count(self) -> int:
        """How many records there are."""
        async with self._database.reading() as connection:
            return int(await connection.scalar(select(func.count()).select_from(RECORD)) or 0)

    async def find_by_query_id(self, query_id: str) -> tuple[RecordSummary, ...]:
        """The records of the messages with this id, which clients may have given twice."""
        return await self._summaries(select_summaries().where(RECORD.c.query_id == query_id))

    async def find_by_request_id(self, request_id: str) -> tuple[RecordSummary, ...]:
        """The records of one exchange."""
        return await self._summaries(select_summaries().where(RECORD.c.request_id == request_id))

    async def find_of(
        self, query_id: str, owner: ClientId, *, is_response: bool
    ) -> tuple[RecordSummary, ...]:
        """The records of an owner's requests or responses with this id."""
        wanted = {"query_id": query_id, "is_response": is_response, **owner_values(owner)}
        conditions = [RECORD.c[name] == value for name, value in wanted.items()]
        return await self._summaries(select_summaries().where(*conditions))

    async def in_order(self) -> AsyncIterator[RecordSummary]:
        """Every record in the order of the log, those included that come meanwhile."""
        last = 0
        while page := await self._summaries(
            select_summaries().where(RECORD.c.id > last).limit(_PAGE)
        ):
            for summary in page:
                yield summary
            last = page[-1].id

    async def get_record(self, record_id: int) -> KeptRecord:
        """A whole record with its body; raises RecordNotFound."""
        async with self._database.reading() as connection:
            query = select_whole().where(RECORD.c.id == record_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise RecordNotFound(f"there is no message record {record_id}")
            body = row.body
            if row.body_key is not None:
                body = b"".join(await _pieces(connection, row.body_key))
        return kept_of(row, body)

    async def add_timestamp(self, record_id: int, timestamp: Timestamp) -> Timestamp:
        """Keep a record's time-stamp, and give the one that it has: the first stays."""
        async with self._database.transaction() as connection:
            query = select_whole().where(RECORD.c.id == record_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise RecordNotFound(f"there is no message record {record_id}")
            if row.token is not None:
                return Timestamp(row.token, row.stamped_at)
            values = {"token": timestamp.token, "stamped_at": timestamp.stamped_at}
            added = await _insert_one(connection, TIMESTAMP, values)
            await connection.execute(
                update(RECORD).where(RECORD.c.id == record_id).values(timestamp_id=added)
            )
        return timestamp

    async def _summaries(self, query: Select[Any]) -> tuple[RecordSummary, ...]:
        async with self._database.reading() as connection:
            return tuple(summary_of(row) for row in await connection.execute(query))


async def _insert_one(connection: AsyncConnection, table: Table, values: dict[str, Any]) -> int:
    key = (await connection.execute(insert(table).values(values))).inserted_primary_key
    assert key is not None  # noqa: S101 - each table has one
    return int(key[0])


async def _pieces(connection: AsyncConnection, body_key: str) -> Iterable[bytes]:
    query = select(PIECE.c.content).where(PIECE.c.body_key == body_key).order_by(PIECE.c.number)
    return (await connection.execute(query)).scalars()
