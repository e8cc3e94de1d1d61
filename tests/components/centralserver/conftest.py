"""The engines that everything of the Central Server holds on."""

import pytest

from sild.components.centralserver.metadata import METADATA
from sild.runtime.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    """A database with the tables of the areas that the test imports.

    A test of its own holds the migrations to these tables.
    """
    url = f"sqlite:///{tmp_path / 'db' / 'central.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with Database.open(url) as opened:
        async with opened.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
        yield opened
