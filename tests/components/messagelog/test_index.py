import asyncio
import os
import tracemalloc

import pytest

from components.messagelog.builders import (
    OWNER,
    SMALL_SEGMENTS,
    keeping,
    plain_record,
    records_of,
    writing,
)
from sild.components.messagelog.entries import BodyEntry, RecordEntry, SignatureEntry, write_entry
from sild.components.messagelog.errors import JournalDamaged
from sild.components.messagelog.index import JournalTaker, TakeLimits
from sild.runtime.database import DatabaseUnavailable
from sild.runtime.journal import JournalCorrupt

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

MIB = 1024 * 1024
FEW = TakeLimits(entries=3)


def segments(kept, name="worker-0"):
    return sorted(path.name for path in (kept.folder / name).glob("*.journal"))


async def test_everything_saved_comes_into_the_store_as_it_was(tmp_path):
    large = os.urandom(3 * MIB)
    bodies = [None, b"", b"small", os.urandom(300_000), large]
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        with await writer.spooled(large) as spooled:
            records = records_of(*bodies)
            given = [*bodies[:-1], spooled]
            saves = zip(records, given, strict=True)
            await asyncio.gather(*[writer.log.save(record, body) for record, body in saves])
        assert await kept.taker.take_all() == 5
        found = {each.record.query_id: each for each in await kept.records()}
        for record, body in zip(records, bodies, strict=True):
            each = found[record.query_id].record
            assert each.body == body
            assert (each.message, each.signature) == (record.message, record.signature)
            assert (each.hash_chain, each.owner) == (record.hash_chain, OWNER)
            assert (each.request_id, each.time_ms) == (record.request_id, record.time_ms)
        assert await kept.rows("SELECT count(*) FROM messagelog_signature") == [(1,)]


@pytest.mark.parametrize("limits", [FEW, TakeLimits(size=1), TakeLimits()])
async def test_what_was_taken_is_not_taken_again(tmp_path, limits):
    async with keeping(tmp_path, limits) as kept, writing(tmp_path) as writer:
        for number in range(10):
            await writer.log.save(plain_record(str(number), b"%d" % (number % 2)), None)
            if number % 4 == 0:
                await kept.taker.take_all()
        # A process that was killed after its commit and before it released has to look again.
        again = JournalTaker(kept.folder, kept.store, limits)
        assert await again.take_all() == 1
        assert await kept.taker.take_all() == 0
        assert [each.query_id for each in await kept.summaries()] == [str(n) for n in range(10)]


async def test_two_takers_at_a_time_double_nothing(tmp_path):
    async with keeping(tmp_path, FEW) as kept, writing(tmp_path) as writer:
        for number in range(20):
            await writer.log.save(plain_record(str(number)), b"x" * (600_000 * (number % 2)))
        other = JournalTaker(kept.folder, kept.store, FEW)
        assert sum(await asyncio.gather(kept.taker.take_all(), other.take_all())) == 20
        assert [each.query_id for each in await kept.summaries()] == [str(n) for n in range(20)]


async def test_segments_are_released_once_they_are_taken(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path, limits=SMALL_SEGMENTS) as writer:
        for number in range(8):
            await writer.log.save(plain_record(str(number)), os.urandom(60_000))
        assert len(segments(kept)) > 3
        await kept.taker.take_all()
        assert len(segments(kept)) == 1
        for number in range(8):
            await writer.log.save(plain_record(str(number)), os.urandom(60_000))
        await kept.taker.take_all()
        assert len(segments(kept)) == 1
        assert await kept.store.count() == 16


FULL = {
    "sqlite": (
        "CREATE TRIGGER no_room BEFORE INSERT ON messagelog_record WHEN NEW.query_id = '4' BEGIN SELECT RAISE(ABORT, 'no_room'); END",
        "DROP TRIGGER no_room",
    ),
    "postgresql": (
        "ALTER TABLE messagelog_record ADD CONSTRAINT no_room CHECK (query_id <> '4')",
        "ALTER TABLE messagelog_record DROP CONSTRAINT no_room",
    ),
}


async def test_a_failed_transaction_takes_and_releases_nothing(tmp_path, engine):
    fill, empty = FULL[engine]
    async with keeping(tmp_path) as kept, writing(tmp_path, limits=SMALL_SEGMENTS) as writer:
        for number in range(5):
            await writer.log.save(plain_record(str(number)), b"x" * 60_000)
        before = segments(kept)
        async with kept.database.transaction() as connection:
            await connection.exec_driver_sql(fill)
        with pytest.raises(Exception, match="no_room"):
            await kept.taker.take_all()
        assert segments(kept) == before
        assert await kept.store.count() == 0
        assert await kept.rows("SELECT count(*) FROM messagelog_signature") == [(0,)]
        async with kept.database.transaction() as connection:
            await connection.exec_driver_sql(empty)
        assert await kept.taker.take_all() == 5


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_database_that_does_not_serve_leaves_the_journal_as_it_is(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(plain_record(), None)
        async with kept.database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE messagelog_piece RENAME TO away")
            await connection.exec_driver_sql("ALTER TABLE messagelog_record RENAME TO gone")
        with pytest.raises(DatabaseUnavailable):
            await kept.taker.take_all()
        async with kept.database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE away RENAME TO messagelog_piece")
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO messagelog_record")
        assert await kept.taker.take_all() == 1


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_goes_away_leaves_the_journal_as_it_is(tmp_path, postgres, mode):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(plain_record("a"), None)
        assert await kept.taker.take_all() == 1
        postgres.stop(mode)
        try:
            await writer.log.save(plain_record("b"), None)
            with pytest.raises(DatabaseUnavailable):
                await kept.taker.take_all()
        finally:
            postgres.start()
        assert await kept.taker.take_all() == 1
        assert [each.query_id for each in await kept.summaries()] == ["a", "b"]


async def test_journals_of_workers_past_and_present_are_taken_in_one_order(tmp_path):
    async with keeping(tmp_path) as kept:
        for name in ("worker-0", "worker-1", "worker-0"):
            async with writing(tmp_path, name) as writer:
                await writer.log.save(plain_record(name), None)
                await kept.taker.take_all()
        assert [each.query_id for each in await kept.summaries()] == [
            *("worker-0", "worker-1", "worker-0")
        ]
        ids = [each.id for each in await kept.summaries()]
        assert ids == sorted(set(ids))


async def test_a_place_in_the_order_is_never_given_twice(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        ids = []
        for _ in range(3):
            await writer.log.save(plain_record(), None)
            await kept.taker.take_all()
            ids += [each.id for each in await kept.summaries()]
            async with kept.database.transaction() as connection:
                await connection.exec_driver_sql("DELETE FROM messagelog_record")
        assert ids == sorted(set(ids))


async def test_nothing_is_taken_where_no_worker_has_been(tmp_path):
    async with keeping(tmp_path) as kept:
        assert await kept.taker.take_all() == 0
        (kept.folder / "worker-0").mkdir(parents=True)
        (kept.folder / "a file").touch()
        assert await kept.taker.take_all() == 0


# Bodies


async def test_a_body_whose_record_has_not_come_survives_until_it_comes(tmp_path):
    body = os.urandom(150_000)
    async with keeping(tmp_path) as kept, writing(tmp_path, limits=SMALL_SEGMENTS) as writer:
        append = writer.journal.append
        await append(write_entry(SignatureEntry(b"digest", b"signature")))
        for start in range(0, len(body), 50_000):
            await append(write_entry(BodyEntry("s/1", body[start : start + 50_000])))
            assert await kept.taker.take_all() == 0
        await append(write_entry(BodyEntry("s/2", b"of another")))
        await append(write_entry(RecordEntry("s/1", b"digest", plain_record(), len(body))))
        assert segments(kept) == ["0000000002.journal"]
        assert await JournalTaker(kept.folder, kept.store).take_all() == 1
        (found,) = await kept.records()
        assert (found.record.body, found.record.signature) == (body, b"signature")
        assert await kept.rows("SELECT body_key FROM messagelog_unfinished") == [("s/2",)]


async def test_what_a_crash_left_of_a_body_is_dropped_when_the_worker_is_back(tmp_path):
    async with keeping(tmp_path, FEW) as kept:
        async with writing(tmp_path) as writer:
            await writer.log.save(plain_record("kept"), os.urandom(3 * MIB))
            for _ in range(5):
                await writer.journal.append(write_entry(BodyEntry("crashed/1", b"piece")))
            await kept.taker.take_all()
        async with writing(tmp_path, "worker-1") as writer:
            await writer.log.save(plain_record("elsewhere"), None)
            await kept.taker.take_all()
        pieces = "SELECT DISTINCT body_key LIKE 'crashed/%' FROM messagelog_piece ORDER BY 1"
        assert await kept.rows(pieces) == [(0,), (1,)]
        async with writing(tmp_path) as writer:
            await writer.log.save(plain_record("back"), None)
            await kept.taker.take_all()
        assert await kept.rows(pieces) == [(0,)]
        assert await kept.rows("SELECT * FROM messagelog_unfinished") == []
        assert await kept.store.count() == 3


async def test_memory_does_not_grow_with_bodies(tmp_path):
    size = 40 * MIB
    async with keeping(tmp_path) as kept:
        settings = {"max_loggable_message_body_size": size}
        async with writing(tmp_path, **settings) as writer:
            with await writer.spooled(b"") as body:
                for _ in range(size // MIB):
                    await body.append(b"x" * MIB)
                tracemalloc.start()
                await writer.log.save(plain_record(), body)
                saving = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            await kept.taker.take_all()
            taking = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert saving < 8 * MIB
        assert taking < 24 * MIB
        (summary,) = await kept.summaries()
        assert summary.body_size == size


# Damage


async def test_a_damaged_journal_is_reported_and_holds_up_no_other(tmp_path):
    async with keeping(tmp_path) as kept:
        for name in ("worker-0", "worker-1"):
            async with writing(tmp_path, name) as writer:
                await writer.log.save(plain_record(name), None)
        (segment,) = (kept.folder / "worker-0").glob("*1.journal")
        content = bytearray(segment.read_bytes())
        content[-5] ^= 1
        segment.write_bytes(content)
        with pytest.raises(JournalCorrupt):
            await kept.taker.take_all()
        assert [each.query_id for each in await kept.summaries()] == ["worker-1"]


@pytest.mark.parametrize(
    "payload",
    [b"no entry", write_entry(RecordEntry("s/1", b"unknown", plain_record()))],
)
async def test_an_entry_that_means_nothing_stops_the_journal(tmp_path, payload):
    async with keeping(tmp_path, TakeLimits(entries=2)) as kept, writing(tmp_path) as writer:
        await writer.log.save(plain_record("before"), None)
        await writer.journal.append(payload)
        await writer.log.save(plain_record("behind"), None)
        for _ in range(2):
            with pytest.raises(JournalDamaged):
                await kept.taker.take_all()
        assert await kept.store.count() == 1
        assert len(segments(kept)) == 1
