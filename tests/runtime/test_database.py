import asyncio
import os
import stat
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError, StatementError

from sild.runtime.database import (
    Database,
    DatabaseError,
    DatabaseOptions,
    DatabaseUnavailable,
    Moment,
)

METADATA = MetaData()
MEMBERS = Table(
    "members",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("code", String, nullable=False, unique=True),
    Column("seen", Moment),
)
CLIENTS = Table("clients", METADATA, Column("member", ForeignKey("members.id"), primary_key=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "sild.db"


def opened(path, **options):
    return Database.open(f"sqlite:///{path}", DatabaseOptions(**options))


async def create(database):
    async with database.transaction() as connection:
        await connection.run_sync(METADATA.create_all)


async def codes(database):
    async with database.reading() as connection:
        return list((await connection.execute(select(MEMBERS.c.code))).scalars())


async def fail(database, action):
    """Does the action in a transaction that then fails."""
    async with database.transaction() as connection:
        await action(connection)
        raise LookupError


def test_a_transaction_is_kept_whole_or_not_at_all(path):
    async def scenario():
        async with opened(path) as database:
            await create(database)
            async with database.transaction() as connection:
                await connection.execute(insert(MEMBERS).values(code="a"))
            with pytest.raises(LookupError):
                await fail(database, lambda c: c.execute(insert(MEMBERS).values(code="b")))
            assert await codes(database) == ["a"]
        async with opened(path) as database:
            assert await codes(database) == ["a"]

    asyncio.run(scenario())


def test_the_file_is_private_and_its_commits_are_synced(path):
    async def scenario():
        async with opened(path) as database:
            await create(database)
            async with database.reading() as connection:
                found = [
                    (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                ]
            assert found == ["wal", 2, 1, 10_000]
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}

    asyncio.run(scenario())


def test_foreign_keys_are_held(path):
    async def scenario():
        async with opened(path) as database:
            await create(database)
            with pytest.raises(IntegrityError):
                async with database.transaction() as connection:
                    await connection.execute(insert(CLIENTS).values(member=9))

    asyncio.run(scenario())


def test_creating_tables_is_part_of_a_transaction(path):
    async def scenario():
        async with opened(path) as database:
            with pytest.raises(LookupError):
                await fail(database, lambda c: c.run_sync(METADATA.create_all))
            await create(database)

    asyncio.run(scenario())


def test_a_reader_sees_one_state_while_another_writes(path):
    async def scenario():
        async with opened(path) as database:
            await create(database)
            count = select(func.count()).select_from(MEMBERS)
            async with database.reading() as reading:
                assert (await reading.execute(count)).scalar() == 0
                async with database.transaction() as writing:
                    await writing.execute(insert(MEMBERS).values(code="a"))
                assert (await reading.execute(count)).scalar() == 0
            assert await codes(database) == ["a"]

    asyncio.run(scenario())


def test_writers_wait_for_each_other_and_not_for_ever(path):
    async def add(database, code):
        async with database.transaction() as connection:
            await connection.execute(insert(MEMBERS).values(code=code))
            await asyncio.sleep(0.001)

    async def scenario():
        async with opened(path) as database, opened(path, busy_timeout=0.05) as impatient:
            await create(database)
            await asyncio.gather(*[add(database, str(number)) for number in range(10)])
            assert len(await codes(database)) == 10
            async with database.transaction():
                with pytest.raises(DatabaseUnavailable, match="locked"):
                    await add(impatient, "x")

    asyncio.run(scenario())


def test_waiting_for_a_connection_ends_too(path):
    async def scenario():
        async with opened(path, connections=1, busy_timeout=0.05) as database:
            await create(database)
            async with database.reading():
                with pytest.raises(DatabaseUnavailable, match="every connection"):
                    await codes(database)

    asyncio.run(scenario())


def test_moments_come_back_aware_and_in_utc(path):
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    async def scenario():
        async with opened(path) as database:
            await create(database)
            async with database.transaction() as connection:
                await connection.execute(insert(MEMBERS).values(code="a", seen=moment))
                await connection.execute(insert(MEMBERS).values(code="b", seen=None))
            async with database.reading() as connection:
                earlier = select(MEMBERS.c.seen).where(MEMBERS.c.seen <= moment)
                (seen,) = (await connection.execute(earlier)).scalars()
            assert seen == moment
            assert seen.utcoffset() == timedelta()
            naive = insert(MEMBERS).values(code="c", seen=datetime(2026, 1, 1))  # noqa: DTZ001
            with pytest.raises(StatementError, match="has no time zone"):
                await fail(database, lambda c: c.execute(naive))

    asyncio.run(scenario())
    assert moment.astimezone(UTC).hour == 10


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://h/d",
        "sqlite://",
        "mysql://user:secret@host/db",
        "postgresql://user:secret@host",
    ],
)
def test_an_address_that_is_not_supported_is_refused_without_its_password(url):
    with pytest.raises(DatabaseError) as raised:
        Database.open(url)
    assert "secret" not in str(raised.value)


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    (tmp_path / "sild.db").mkdir()
    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        opened(tmp_path / "sild.db")


def test_a_file_that_is_no_database_is_unavailable(path):
    async def scenario():
        path.parent.mkdir()
        path.write_bytes(os.urandom(5000))
        async with opened(path) as database:
            with pytest.raises(DatabaseUnavailable):
                await create(database)

    asyncio.run(scenario())


async def test_a_value_that_postgresql_refuses_is_no_outage(postgres):
    async with Database.open(postgres.new_database()) as database:
        with pytest.raises(DatabaseError, match="refuses a value") as refused:
            async with database.reading() as connection:
                await connection.execute(select(func.length(literal("a\0b"))))
        assert not isinstance(refused.value, DatabaseUnavailable)
