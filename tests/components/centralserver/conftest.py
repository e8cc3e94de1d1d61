"""The engines that everything of the Central Server holds on."""

import pytest

from sild.components.centralserver.metadata import METADATA
from sild.runtime.database import Database

# Far less work for the server than one more database for each test. What is left behind by a
# test that failed does not concern the next one: rows go whatever they refer to.
_EMPTY = """
DO $$ DECLARE name text; BEGIN
SET LOCAL session_replication_role = replica;
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
EXECUTE format('DELETE FROM %I', name);
END LOOP;
PERFORM setval(sequencename::regclass, 1, false) FROM pg_sequences;
END $$
"""


@pytest.fixture(scope="session")
def shared_url(postgres):
    """A database that each test empties before it begins."""
    return postgres.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    """A database with the tables of the areas that the test imports.

    A test of its own holds the migrations to these tables.
    """
    url = f"sqlite:///{tmp_path / 'db' / 'central.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("shared_url")
    async with Database.open(url) as opened:
        async with opened.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
            if request.param == "postgresql":
                await connection.exec_driver_sql(_EMPTY)
        yield opened
