import asyncio
import hashlib
import shutil
from dataclasses import replace

import pytest
from sqlalchemy import text

from components.messagelog import builders
from components.messagelog.builders import OWNER, STAMPED_AT, keeping, plain_record, writing
from sild.components.messagelog.errors import RecordNotFound
from sild.components.messagelog.records import Timestamp
from sild.components.messagelog.schema import MIGRATIONS
from sild.components.messagelog.stamps import WaitingRecord
from sild.components.messagelog.tables import METADATA
from sild.protocol.ids import ClientId
from sild.runtime.database import Database
from sild.runtime.migrations import find_differences, migrate

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

OTHER = ClientId("DEV", "GOV", "M1")


async def keep(tmp_path, kept, *records):
    async with writing(tmp_path) as writer:
        await asyncio.gather(*[writer.log.save(record, None) for record in records])
    await kept.taker.take_all()


async def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path):
    async with keeping(tmp_path) as kept:
        assert await find_differences(kept.database, METADATA) == []


async def test_a_log_of_the_first_schema_goes_on_in_this_one(tmp_path):
    first = tmp_path / "migrations"
    first.mkdir()
    shutil.copy(MIGRATIONS.folder / "0001_first.py", first)
    document, digest = b"a signature", b"d" * 32
    async with Database.open(builders.url_at(tmp_path)) as database:
        await migrate(database, replace(MIGRATIONS, folder=first))
        async with database.transaction() as connection:
            for table, values in (
                ("journal", {"id": 1, "name": "worker-0", "segment": 1, "place": 10}),
                ("signature", {"digest": digest, "document": document}),
                ("record", {"id": 1, "journal_id": 1, "segment": 1, "place": 10, "query_id": "a",
                            "instance": "DEV", "member_class": "GOV", "member_code": "M1",
                            "subsystem_code": "", "is_response": False, "time_ms": 1,
                            "body_may_be_cut": False, "signature": digest, "message": b"m"}),
            ):  # fmt: skip
                names = ", ".join(values)
                places = ", ".join(f":{name}" for name in values)
                statement = f"INSERT INTO messagelog_{table} ({names}) VALUES ({places})"
                await connection.execute(text(statement), values)
    async with keeping(tmp_path) as kept:
        assert await find_differences(kept.database, METADATA) == []
        (waiting,) = await kept.stamps.waiting(10)
        assert waiting == WaitingRecord(1, digest, hashlib.sha512(document).digest())
        assert (await kept.store.get_record(1)).record.message == b"m"
        assert await kept.rows("SELECT archived FROM messagelog_record") == [(False,)]


async def test_records_are_found_by_their_identifiers(tmp_path):
    records = [
        replace(plain_record("a"), request_id="1"),
        replace(plain_record("a"), request_id="1", is_response=True),
        replace(plain_record("a"), request_id="2", owner=OTHER),
        plain_record("b"),
    ]
    async with keeping(tmp_path) as kept:
        await keep(tmp_path, kept, *records)
        store = kept.store
        assert await store.count() == 4
        everything = await kept.summaries()
        assert await store.find_by_query_id("a") == tuple(everything[:3])
        assert await store.find_by_query_id("c") == ()
        assert await store.find_by_request_id("1") == tuple(everything[:2])
        assert await store.find_of("a", OWNER, is_response=True) == (everything[1],)
        assert await store.find_of("a", OTHER, is_response=False) == (everything[2],)
        assert await store.find_of("a", OTHER, is_response=True) == ()
        assert [(each.owner, each.request_id) for each in everything[2:]] == [
            (OTHER, "2"),
            (OWNER, None),
        ]


async def test_many_records_are_gone_through_in_order(tmp_path):
    async with keeping(tmp_path) as kept:
        await keep(tmp_path, kept, *[plain_record(str(number)) for number in range(1201)])
        assert [each.query_id for each in await kept.summaries()] == [str(n) for n in range(1201)]


async def test_the_first_time_stamp_stays(tmp_path):
    async with keeping(tmp_path) as kept:
        await keep(tmp_path, kept, plain_record("a"), plain_record("b"))
        first, second = [Timestamp(token, STAMPED_AT) for token in (b"first", b"second")]
        stamped, bare = [each.id for each in await kept.summaries()]
        assert await kept.store.add_timestamp(stamped, first) == first
        assert await kept.store.add_timestamp(stamped, second) == first
        assert (await kept.store.get_record(stamped)).timestamp == first
        assert (await kept.store.get_record(bare)).timestamp is None
        assert [each.timestamped_at for each in await kept.summaries()] == [STAMPED_AT, None]
        assert await kept.rows("SELECT count(*) FROM messagelog_timestamp") == [(1,)]


async def test_a_record_that_is_not_there_is_not_found(tmp_path):
    async with keeping(tmp_path) as kept:
        with pytest.raises(RecordNotFound):
            await kept.store.get_record(1)
        with pytest.raises(RecordNotFound):
            await kept.store.add_timestamp(1, Timestamp(b"token", STAMPED_AT))
