"""The store as time-stamping sees it: what waits for a time-stamp, and who is asked for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.records import Timestamp
from sild.components.messagelog.tables import (
    CHOSEN_TSA,
    JOURNAL,
    RECORD,
    SIGNATURE,
    TIMESTAMP,
    TIMESTAMP_CHAIN,
)
from sild.components.messagelog.transparency import LogTree, add_head
from sild.protocol.evidence.loghead import StampedHead
from sild.protocol.evidence.merkle import Head
from sild.runtime.database import Database
from sild.runtime.journal import Position

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A record without a time-stamp: the key of its signature, and that document's SHA-512."""

    id: int
    signature: bytes
    sha512: bytes


class StampStore:
    """The tables of the message log, as time-stamping sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, limit: int) -> tuple[WaitingRecord, ...]:
        """Records that have no time-stamp, those that came first first."""
        query = (
            select(RECORD.c.id, RECORD.c.signature, SIGNATURE.c.sha512)
            .join_from(RECORD, SIGNATURE)
            .where(RECORD.c.timestamp_id.is_(None))
            .order_by(RECORD.c.id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(query)
            return tuple(WaitingRecord(row.id, row.signature, row.sha512) for row in rows)

    async def count_waiting(self) -> int:
        """How many records have no time-stamp."""
        query = select(func.count()).select_from(RECORD).where(RECORD.c.timestamp_id.is_(None))
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def find_at(self, journal: str, position: Position) -> int | None:
        """The record that was taken from this place of the journal of this name."""
        query = (
            select(RECORD.c.id)
            .join_from(RECORD, JOURNAL)
            .where(
                JOURNAL.c.name == journal,
                RECORD.c.segment == position.segment,
                RECORD.c.place == position.offset,
            )
        )
        async with self._database.reading() as connection:
            return await connection.scalar(query)

    async def get_signature(self, digest: bytes) -> bytes:
        """The signature document of this key."""
        query = select(SIGNATURE.c.document).where(SIGNATURE.c.digest == digest)
        async with self._database.reading() as connection:
            return bytes((await connection.execute(query)).scalar_one())

    async def add_timestamp(
        self,
        waiting: Sequence[WaitingRecord],
        timestamp: Timestamp,
        chains: Mapping[bytes, bytes],
        head: StampedHead | None = None,
    ) -> int:
        """Keep one time-stamp for all of these, with the chains by signature and the log's head.

        Records that got another one meanwhile keep it; gives how many got this one.
        """
        async with self._database.transaction() as connection:
            values = {
                "token": timestamp.token,
                "stamped_at": timestamp.stamped_at,
                "hash_chain_result": timestamp.hash_chain_result,
            }
            added = await connection.execute(insert(TIMESTAMP).values(values))
            key = added.inserted_primary_key
            assert key is not None  # noqa: S101 - the table has one
            stamped = await _stamp(connection, waiting, int(key[0]))
            rows = [
                {"timestamp_id": key[0], "signature": signature, "document": document}
                for signature, document in chains.items()
            ]
            if rows:
                await connection.execute(insert(TIMESTAMP_CHAIN), rows)
            if head is not None:
                await add_head(connection, head, timestamp.stamped_at)
        return stamped

    async def log_head(self) -> Head:
        """What the log is now: it has all records that wait."""
        return await LogTree(self._database).head()

    async def chosen(self) -> tuple[ChosenService, ...]:
        """The time-stamping services that were chosen for this server, in order."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(CHOSEN_TSA).order_by(CHOSEN_TSA.c.place))
            return tuple(ChosenService(row.name, row.url) for row in rows)

    async def choose(self, services: Sequence[ChosenService]) -> None:
        """Use these time-stamping services, in this order; none stands for all approved."""
        rows = [
            {"place": place, "name": each.name, "url": each.url}
            for place, each in enumerate(services)
        ]
        async with self._database.transaction() as connection:
            await connection.execute(delete(CHOSEN_TSA))
            if rows:
                await connection.execute(insert(CHOSEN_TSA), rows)

    async def newest_timestamp(self) -> datetime | None:
        """The time that the newest time-stamp states."""
        query = select(TIMESTAMP.c.stamped_at).order_by(TIMESTAMP.c.id.desc()).limit(1)
        async with self._database.reading() as connection:
            return await connection.scalar(query)


async def _stamp(
    connection: AsyncConnection, waiting: Sequence[WaitingRecord], timestamp_id: int
) -> int:
    stamped = 0
    for start in range(0, len(waiting), _CHUNK):
        ids = [each.id for each in waiting[start : start + _CHUNK]]
        result = await connection.execute(
            update(RECORD)
            .where(RECORD.c.id.in_(ids), RECORD.c.timestamp_id.is_(None))
            .values(timestamp_id=timestamp_id)
        )
        stamped += result.rowcount
    return stamped
