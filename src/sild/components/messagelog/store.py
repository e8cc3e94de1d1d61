"""The message log in SQL: what journals held, in one total order, and what proves it.

A signature must stay for at least `SIGNATURE_MEMORY_SECONDS` after it was taken last, even when no
record refers to it: a writer that remembers it does not write it again.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.encryption import RecordCipher, Seal
from sild.components.messagelog.errors import JournalDamaged, RecordNotFound
from sild.components.messagelog.intake import Intake, Piece, Unfinished
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
    timestamp_of,
)
from sild.components.messagelog.sealing import Sealing
from sild.components.messagelog.tables import (
    JOURNAL,
    PIECE,
    RECORD,
    SIGNATURE,
    TIMESTAMP,
    UNFINISHED,
)
from sild.components.messagelog.transparency import add_taken
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.ids import ClientId
from sild.runtime.database import Database
from sild.runtime.journal import Position

SHORTEST_STAY = timedelta(minutes=10)
"""How long any record stays, so that its signature does: many times what writers remember it."""

_PAGE = 500
_SHA256 = DigestAlgorithm.SHA256
_SHA512 = DigestAlgorithm.SHA512.digest
# Where a journal stands before anything was taken of it.
_START = Position(0, 0)


class Taking:
    """One transaction in which entries of a journal become part of the log."""

    def __init__(
        self,
        connection: AsyncConnection,
        journal_id: int,
        position: Position,
        cipher: RecordCipher | None = None,
    ) -> None:
        self.connection = connection
        self.journal_id = journal_id
        self._sealing = Sealing(cipher)
        self.position = position
        """What stands at or before it has been taken."""

    async def unfinished(self) -> dict[str, Unfinished]:
        """The bodies whose record has not come yet."""
        query = select(UNFINISHED).where(UNFINISHED.c.journal_id == self.journal_id)
        rows = (await self.connection.execute(query)).all()
        for row in rows:
            seal = None if row.key_id is None else Seal(row.key_id, row.cipher_number)
            self._sealing.remember(row.body_key, seal)
        return {row.body_key: Unfinished(row.pieces, row.size) for row in rows}

    async def add(self, intake: Intake, position: Position) -> None:
        """Add what was taken up to this position; raises JournalDamaged."""
        await self._add_signatures(intake)
        keys = [*(piece.body_key for piece in intake.pieces), *intake.unfinished]
        keys += [new.entry.record_key for new in intake.records]
        await self._sealing.give(self.connection, keys)
        await self._add_bodies(intake)
        rows = [record_values(new, self.journal_id, self._sealing) for new in intake.records]
        await self._insert(RECORD, rows)
        await add_taken(self.connection, self.journal_id, intake.records, self._digest_body)
        await self.connection.execute(
            update(JOURNAL)
            .where(JOURNAL.c.id == self.journal_id)
            .values(segment=position.segment, place=position.offset)
        )

    async def _digest_body(self, body_key: str) -> bytes:
        """The SHA-256 of a body in pieces, as it was before it was encrypted."""
        seal, digest, offset, number = self._sealing.seal_of(body_key), _SHA256.new(), 0, 0
        query = select(PIECE.c.content).where(PIECE.c.body_key == body_key)
        # One by one: a body may be larger than what a transaction should hold.
        while True:
            piece = await self.connection.scalar(query.where(PIECE.c.number == number))
            if piece is None:
                return digest.digest()
            digest.update(self._sealing.body(seal, piece, offset))
            offset, number = offset + len(piece), number + 1

    async def _add_signatures(self, intake: Intake) -> None:
        needed = {new.entry.signature_digest for new in intake.records}
        digests = needed | intake.signatures.keys()
        query = select(SIGNATURE.c.digest).where(SIGNATURE.c.digest.in_(digests))
        known = set((await self.connection.execute(query)).scalars())
        if missing := needed - known - intake.signatures.keys():
            message = f"no signature {min(missing).hex()} stands before a record that needs it"
            raise JournalDamaged(message)
        fresh = [(key, doc) for key, doc in intake.signatures.items() if key not in known]
        rows = [{"digest": key, "document": doc, "sha512": _SHA512(doc)} for key, doc in fresh]
        await self._insert(SIGNATURE, rows)

    async def _add_bodies(self, intake: Intake) -> None:
        if intake.dropped:
            await self.connection.execute(delete(PIECE).where(PIECE.c.body_key.in_(intake.dropped)))
        await self._insert(PIECE, [self._piece_values(piece) for piece in intake.pieces])
        owned = UNFINISHED.c.journal_id == self.journal_id
        await self.connection.execute(delete(UNFINISHED).where(owned))
        await self._insert(
            UNFINISHED,
            [self._unfinished_values(key, each) for key, each in intake.unfinished.items()],
        )

    def _piece_values(self, piece: Piece) -> dict[str, Any]:
        seal = self._sealing.seal_of(piece.body_key)
        content = self._sealing.body(seal, piece.content, piece.offset)
        return {"body_key": piece.body_key, "number": piece.number, "content": content}

    def _unfinished_values(self, body_key: str, unfinished: Unfinished) -> dict[str, Any]:
        seal = self._sealing.seal_of(body_key)
        return {
            "body_key": body_key,
            "journal_id": self.journal_id,
            "pieces": unfinished.pieces,
            "size": unfinished.size,
            "key_id": seal and seal.key_id,
            "cipher_number": seal and seal.number,
        }

    async def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Add rows whose values need no conversion: handed to the driver they cost half."""
        if not rows:
            return
        dialect, columns = self.connection.dialect, list(rows[0])
        compiled = insert(table).inline().compile(dialect=dialect, column_keys=columns)
        values = itemgetter(*(compiled.positiontup or columns))
        await self.connection.exec_driver_sql(str(compiled), [values(row) for row in rows])


class MessageStore:
    """The message log's database."""

    def __init__(self, database: Database, cipher: RecordCipher | None = None) -> None:
        self._database = database
        self._cipher = cipher

    @asynccontextmanager
    async def taking(self, journal: str) -> AsyncIterator[Taking]:
        """Take from the journal of this name: all of the block or, when it raises, nothing."""
        async with self._database.transaction() as connection:
            await take_turns(connection)
            query = select(JOURNAL).where(JOURNAL.c.name == journal)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                values = {"name": journal, "segment": _START.segment, "place": _START.offset}
                added = await _insert_one(connection, JOURNAL, values)
                yield Taking(connection, added, _START, self._cipher)
            else:
                yield Taking(connection, row.id, Position(row.segment, row.place), self._cipher)

    async def find_position(self, journal: str) -> Position | None:
        """Up to where a journal has been taken."""
        query = select(JOURNAL).where(JOURNAL.c.name == journal)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Position(row.segment, row.place)

    async def positions(self) -> dict[str, Position]:
        """Up to where each journal has been taken, by its name."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(JOURNAL))).all()
        return {row.name: Position(row.segment, row.place) for row in rows}

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
        """A whole record with its body; raises RecordNotFound, EncryptionKeyNotFound."""
        async with self._database.reading() as connection:
            query = select_whole().where(RECORD.c.id == record_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise RecordNotFound(f"there is no message record {record_id}")
            body = row.body
            if row.body_key is not None:
                body = b"".join(await _pieces(connection, row.body_key))
        seal = None if row.key_id is None else Seal(row.key_id, row.cipher_number)
        opening = Sealing(self._cipher)
        opened = None if body is None else opening.body(seal, body)
        return kept_of(row, opening.message(seal, row.message), opened)

    async def add_timestamp(self, record_id: int, timestamp: Timestamp) -> Timestamp:
        """Keep a record's time-stamp, and give the one that it has: the first stays."""
        async with self._database.transaction() as connection:
            # Another may be about to add one.
            await connection.execute(
                select(RECORD.c.id).where(RECORD.c.id == record_id).with_for_update()
            )
            query = select_whole().where(RECORD.c.id == record_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise RecordNotFound(f"there is no message record {record_id}")
            if (before := timestamp_of(row)) is not None:
                return before
            values = {"token": timestamp.token, "stamped_at": timestamp.stamped_at}
            added = await _insert_one(connection, TIMESTAMP, values)
            await connection.execute(
                update(RECORD).where(RECORD.c.id == record_id).values(timestamp_id=added)
            )
        return timestamp

    async def _summaries(self, query: Select[Any]) -> tuple[RecordSummary, ...]:
        async with self._database.reading() as connection:
            return tuple(summary_of(row) for row in await connection.execute(query))


async def take_turns(connection: AsyncConnection) -> None:
    """Let one take at a time, so that records appear in the order of their ids.

    SQLite knows no other way.
    """
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"LOCK TABLE {JOURNAL.name} IN EXCLUSIVE MODE")


async def _insert_one(connection: AsyncConnection, table: Table, values: dict[str, Any]) -> int:
    key = (await connection.execute(insert(table).values(values))).inserted_primary_key
    assert key is not None  # noqa: S101 - each table has one
    return int(key[0])


async def _pieces(connection: AsyncConnection, body_key: str) -> Iterable[bytes]:
    query = select(PIECE.c.content).where(PIECE.c.body_key == body_key).order_by(PIECE.c.number)
    return (await connection.execute(query)).scalars()
