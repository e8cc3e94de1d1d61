"""Delete what was archived long enough ago, in small transactions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.store import SHORTEST_STAY, take_turns
from sild.components.messagelog.tables import (
    PIECE,
    RECORD,
    SIGNATURE,
    TIMESTAMP,
    TIMESTAMP_CHAIN,
)
from sild.components.messagelog.transparency import mark_cleaned
from sild.runtime.database import Database

_CHUNK = 400


class Cleaning:
    """Deletes records that are archived, time-stamped and old, and what only they needed.

    What stands in journals must have been taken before: a record there may need a signature that
    only old records have had so far.
    """

    def __init__(self, database: Database, settings: MessageLogSettings) -> None:
        self._database = database
        self._batch = settings.clean_transaction_batch
        self._stay = max(timedelta(days=settings.keep_records_for), SHORTEST_STAY)

    async def clean(self, now: datetime) -> int:
        """Delete all that has stayed long enough; give how many records that were."""
        before = int((now - self._stay).timestamp() * 1000)
        deleted = 0
        while True:
            async with self._database.transaction() as connection:
                await take_turns(connection)
                count = await _clean_some(connection, before, self._batch)
            deleted += count
            if count < self._batch:
                return deleted


async def _clean_some(connection: AsyncConnection, before: int, limit: int) -> int:
    query = (
        select(RECORD.c.id, RECORD.c.body_key, RECORD.c.signature, RECORD.c.timestamp_id)
        .where(RECORD.c.archived, RECORD.c.timestamp_id.is_not(None), RECORD.c.time_ms < before)
        .order_by(RECORD.c.time_ms, RECORD.c.id)
        .limit(limit)
    )
    rows = (await connection.execute(query)).all()
    for ids in _chunks(row.id for row in rows):
        await mark_cleaned(connection, ids)
        await connection.execute(delete(RECORD).where(RECORD.c.id.in_(ids)))
    for keys in _chunks(row.body_key for row in rows if row.body_key is not None):
        await connection.execute(delete(PIECE).where(PIECE.c.body_key.in_(keys)))
    await _delete_unneeded(connection, rows)
    return len(rows)


async def _delete_unneeded(connection: AsyncConnection, rows: Sequence[Any]) -> None:
    """Delete chains, signatures and time-stamps that no record refers to any more."""
    chain = TIMESTAMP_CHAIN.c
    for digests in _chunks(dict.fromkeys(row.signature for row in rows)):
        stamped = and_(
            RECORD.c.timestamp_id == chain.timestamp_id, RECORD.c.signature == chain.signature
        )
        named = chain.signature.in_(digests)
        await connection.execute(delete(TIMESTAMP_CHAIN).where(named, ~exists().where(stamped)))
        signed = RECORD.c.signature == SIGNATURE.c.digest
        named = SIGNATURE.c.digest.in_(digests)
        await connection.execute(delete(SIGNATURE).where(named, ~exists().where(signed)))
    for stamps in _chunks(dict.fromkeys(row.timestamp_id for row in rows)):
        stamped = RECORD.c.timestamp_id == TIMESTAMP.c.id
        chained = chain.timestamp_id == TIMESTAMP.c.id
        named = TIMESTAMP.c.id.in_(stamps)
        await connection.execute(
            delete(TIMESTAMP).where(named, ~exists().where(stamped), ~exists().where(chained))
        )


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    listed = list(values)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]
