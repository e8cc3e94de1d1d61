from pathlib import Path

import pytest

from sild.components import centralserver
from sild.components.centralserver.schema import AREAS, MIGRATIONS, TABLES
from sild.runtime.database import Database
from sild.runtime.migrations import find_differences, migrate

pytestmark = pytest.mark.anyio


def test_the_schema_has_the_tables_of_every_area():
    modules = Path(centralserver.__file__).parent.glob("*_tables.py")
    assert {Path(area.__file__) for area in AREAS} == set(modules)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_the_migrations_make_the_tables_that_the_code_expects(request, tmp_path, engine):
    url = f"sqlite:///{tmp_path / 'db' / 'central.db'}"
    if engine == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with Database.open(url) as database:
        await migrate(database, MIGRATIONS)
        await migrate(database, MIGRATIONS)
        assert await find_differences(database, TABLES) == []
