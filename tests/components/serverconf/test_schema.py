from datetime import UTC, datetime
from pathlib import Path

import pytest

from sild.components.serverconf.group_rows import read_groups
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.store import ConfigurationStore
from sild.components.serverconf.tables import METADATA
from sild.protocol.ids import ClientId
from sild.runtime.database import Database
from sild.runtime.migrations import Migrations, find_differences, migrate

pytestmark = pytest.mark.anyio

UPDATED = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
BEFORE = (
    "INSERT INTO serverconf_client VALUES (1, 'DEV', 'GOV', 'M1', 'sub', 'saved', 'SSLAUTH')",
    "INSERT INTO serverconf_group VALUES (7, 1, 'friends', 'Friends', '2026-05-04 03:02:01+00:00')",
    "INSERT INTO serverconf_group_member VALUES (9, 7, 'DEV', 'COM', 'M2', 'portal')",
)


async def test_the_migrations_make_the_tables_that_the_code_expects(database_url):
    async with Database.open(database_url) as database:
        await migrate(database, MIGRATIONS)
        assert await find_differences(database, METADATA) == []


async def test_what_the_first_version_kept_is_there_afterwards(tmp_path, database_url):
    first = tmp_path / "first"
    first.mkdir()
    (first / "0001_first.py").write_bytes((Path(MIGRATIONS.folder) / "0001_first.py").read_bytes())
    async with Database.open(database_url) as database:
        await migrate(database, Migrations(MIGRATIONS.component, first))
        async with database.transaction() as connection:
            for statement in BEFORE:
                text = statement.replace("+00:00", "" if "sqlite" in database_url else "+00:00")
                await connection.exec_driver_sql(text)
        await migrate(database, MIGRATIONS)
        assert await find_differences(database, METADATA) == []
        async with ConfigurationStore(database).reading() as conf:
            (group,) = await read_groups(conf)
    assert (group.id, group.code, group.updated) == (7, "friends", UPDATED)
    (member,) = group.members
    assert (member.client, member.added) == (ClientId("DEV", "COM", "M2", "portal"), UPDATED)
