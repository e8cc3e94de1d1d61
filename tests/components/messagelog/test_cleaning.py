import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from components.messagelog.builders import keeping, plain_record, records_of, writing
from pki_builder import NOON
from sild.components.messagelog.cleaning import Cleaning
from sild.components.messagelog.containers import write_record
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.asic.container import read_container

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

TABLES = ("record", "piece", "signature", "timestamp", "timestamp_chain")
DAY = 24 * 3600 * 1000
LARGE = b"x" * 600_000


def cleaning(kept, **settings):
    return Cleaning(kept.database, MessageLogSettings(**settings))


async def save(kept, writer, *given):
    await asyncio.gather(*[writer.log.save(record, body) for record, body in given])
    await kept.taker.take_all()


async def archive(kept, *query_ids):
    async with kept.database.transaction() as connection:
        for query_id in query_ids:
            statement = (
                f"UPDATE messagelog_record SET archived = true WHERE query_id = '{query_id}'"
            )
            await connection.exec_driver_sql(statement)


async def counts(kept):
    found = [await kept.rows(f"SELECT count(*) FROM messagelog_{name}") for name in TABLES]
    return {name: rows[0][0] for name, rows in zip(TABLES, found, strict=True)}


async def left(kept):
    return {each.query_id for each in await kept.summaries()}


def aged(name, days, signature=None):
    made = plain_record(name, signature or b"signature of " + name.encode())
    return replace(made, time_ms=int(NOON.timestamp() * 1000) - days * DAY)


async def test_only_what_is_archived_and_stamped_and_old_is_deleted(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await save(kept, writer, *[(aged(name, 31), LARGE) for name in ("old", "not archived")])
        await save(kept, writer, (aged("young", 29), LARGE))
        await kept.timestamping.stamp_waiting()
        await save(kept, writer, (aged("not stamped", 31), LARGE), (aged("too", 31), LARGE))
        await archive(kept, "old", "young", "not stamped")
        assert await cleaning(kept).clean(NOON) == 1
        assert await left(kept) == {"not archived", "young", "not stamped", "too"}
        assert await cleaning(kept).clean(NOON) == 0
        # Only what nobody else needs went with it.
        assert await counts(kept) == {
            "record": 4,
            "piece": 4,
            "signature": 4,
            "timestamp": 1,
            "timestamp_chain": 2,
        }
        for each in await kept.records():
            assert each.record.body == LARGE


async def test_nothing_is_left_of_what_is_deleted_and_what_is_left_proves_itself(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        # The first two share a signature, of which the second goes on needing it.
        records = [*records_of(None, None), *records_of(None)]
        names = ("a", "b", "c")
        named = [replace(each, query_id=n) for each, n in zip(records, names, strict=True)]
        await save(kept, writer, *[(each, None) for each in named])
        await kept.timestamping.stamp_waiting()
        later = NOON + timedelta(days=31)
        await archive(kept, "a")
        assert await cleaning(kept).clean(later) == 1
        assert (await counts(kept))["signature"] == 2
        (second, _) = await kept.records()
        assert read_container(write_record(second, second.timestamp)).timestamp_hash_chain
        await archive(kept, "b", "c")
        assert await cleaning(kept).clean(later) == 2
        assert set((await counts(kept)).values()) == {0}


async def test_many_are_deleted_a_few_in_each_transaction(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        names = [str(number) for number in range(25)]
        await save(kept, writer, *[(aged(name, 31), None) for name in names])
        await kept.timestamping.stamp_waiting()
        await archive(kept, *names)
        assert await cleaning(kept, clean_transaction_batch=10).clean(NOON) == 25
        assert set((await counts(kept)).values()) == {0}


async def test_what_is_kept_for_no_day_stays_long_enough_for_its_signature(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await save(kept, writer, (records_of(None)[0], None))
        await kept.timestamping.stamp_waiting()
        await archive(kept, "id-0")
        at_once = cleaning(kept, keep_records_for=0)
        assert await at_once.clean(NOON + timedelta(minutes=9)) == 0
        assert await at_once.clean(NOON + timedelta(minutes=11)) == 1
