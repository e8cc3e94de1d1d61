from importlib import import_module
from pathlib import Path

import pytest

from sild.components import centralserver
from sild.components.centralserver.metadata import METADATA
from sild.components.centralserver.schema import MIGRATIONS
from sild.runtime.database import Database
from sild.runtime.migrations import find_differences, migrate

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_the_migrations_make_the_tables_that_the_code_expects(request, tmp_path, engine):
    for module in Path(centralserver.__file__).parent.glob("*_tables.py"):
        import_module(f"{centralserver.__name__}.{module.stem}")
    url = f"sqlite:///{tmp_path / 'db' / 'central.db'}"
    if engine == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with Database.open(url) as database:
        await migrate(database, MIGRATIONS)
        await migrate(database, MIGRATIONS)
        assert await find_differences(database, METADATA) == []
