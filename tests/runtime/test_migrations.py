import asyncio

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, insert, select, text

from sild.runtime.database import Database, DatabaseError
from sild.runtime.migrations import Migrations, find_differences, migrate

FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("members", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table(
        "clients",
        sa.Column(
            "member", sa.Integer, sa.ForeignKey("members.id", ondelete="CASCADE"), primary_key=True
        ),
    )
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("members", recreate="always") as batch:
        batch.add_column(sa.Column("code", sa.String(20), nullable=False, server_default="x"))
"""
ORPHANING = """
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.execute("DELETE FROM members")
"""
FAILING = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.create_table("more", sa.Column("id", sa.Integer, primary_key=True))
    raise LookupError("half way")
"""

METADATA = MetaData()
MEMBERS = Table(
    "members",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("code", String(20), nullable=False, server_default="x"),
)
CLIENTS = Table(
    "clients",
    METADATA,
    Column("member", ForeignKey("members.id", ondelete="CASCADE"), primary_key=True),
)


@pytest.fixture
def migrations(tmp_path):
    """Gives migrations of these revisions."""

    def folder(*revisions, component="registry"):
        path = tmp_path / component
        path.mkdir(exist_ok=True)
        for number, revision in enumerate(revisions, 1):
            (path / f"000{number}_step.py").write_text(revision)
        return Migrations(component, path)

    return folder


@pytest.fixture
def opened(tmp_path):
    return lambda: Database.open(f"sqlite:///{tmp_path / 'db' / 'sild.db'}")


def test_an_empty_database_gets_the_schema_that_the_tables_say(opened, migrations):
    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST, SECOND))
            assert await find_differences(database, METADATA) == []
            await migrate(database, migrations(FIRST, SECOND))

    asyncio.run(scenario())


def test_what_a_migration_forgot_is_found(opened, migrations):
    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST))
            ((kind, _, table, column),) = await find_differences(database, METADATA)
            assert (kind, table, column.name) == ("add_column", "members", "code")

    asyncio.run(scenario())


def test_an_earlier_schema_is_brought_up_and_keeps_its_rows(opened, migrations):
    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST))
            async with database.transaction() as connection:
                await connection.execute(text("INSERT INTO members VALUES (7)"))
                await connection.execute(insert(CLIENTS).values(member=7))
            await migrate(database, migrations(FIRST, SECOND))
            async with database.reading() as connection:
                assert (await connection.execute(select(MEMBERS))).all() == [(7, "x")]
                assert (await connection.execute(select(CLIENTS))).all() == [(7,)]
                assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1

    asyncio.run(scenario())


def test_components_keep_versions_of_their_own(opened, migrations):
    other = FIRST.replace('"members"', '"tokens"').replace("members.id", "tokens.id")
    other = other.replace('"clients"', '"keys"')

    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST, SECOND))
            await migrate(database, migrations(other, component="signer"))
            async with database.reading() as connection:
                names = text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
                found = list((await connection.execute(names)).scalars())
        assert found == [
            "alembic_version_registry",
            "alembic_version_signer",
            "clients",
            "keys",
            "members",
            "tokens",
        ]

    asyncio.run(scenario())


def test_a_migration_that_fails_changes_nothing(opened, migrations):
    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST))
            with pytest.raises(LookupError):
                await migrate(database, migrations(FIRST, FAILING))
            await migrate(database, migrations(FIRST, SECOND))
            assert await find_differences(database, METADATA) == []

    asyncio.run(scenario())


def test_a_migration_that_would_orphan_rows_is_refused(opened, migrations):
    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST))
            async with database.transaction() as connection:
                await connection.execute(text("INSERT INTO members VALUES (7)"))
                await connection.execute(insert(CLIENTS).values(member=7))
            with pytest.raises(DatabaseError, match="a row of clients would point to no row"):
                await migrate(database, migrations(FIRST, ORPHANING))
            async with database.reading() as connection:
                assert (await connection.execute(text("SELECT id FROM members"))).all() == [(7,)]

    asyncio.run(scenario())


def test_a_schema_of_a_later_release_is_refused_in_a_sentence(opened, migrations):
    async def scenario():
        async with opened() as database:
            await migrate(database, migrations(FIRST, SECOND))
            earlier = migrations(FIRST, component="earlier").folder
            with pytest.raises(DatabaseError, match=r"registry are of another release: .*'0002'"):
                await migrate(database, Migrations("registry", earlier))

    asyncio.run(scenario())
