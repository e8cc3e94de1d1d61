from pathlib import Path

import pytest
import sqlalchemy as sa

from components.serverconf.stored import PROVIDER
from sild.components.serverconf.endpoint_rows import read_endpoints
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.store import ConfigurationStore
from sild.runtime.database import Database
from sild.runtime.migrations import Migrations, migrate

pytestmark = pytest.mark.anyio

BEFORE = {
    "client": (1, *PROVIDER.parts, "saved", "SSLAUTH"),
    "description": (3, 1, "REST", "http://is.test/", False, ""),
    "service": (4, 3, "rest", "", "http://is.test/", 60, True),
    "endpoint": (5, 1, "rest", "*", "**"),
}


async def test_descriptions_that_were_there_count_as_read_when_they_were_migrated(
    tmp_path, database_url
):
    for name in ("0001_first.py", "0002_clients.py"):
        (tmp_path / name).write_bytes((Path(MIGRATIONS.folder) / name).read_bytes())
    async with Database.open(database_url) as database:
        await migrate(database, Migrations(MIGRATIONS.component, tmp_path))
        metadata = sa.MetaData()
        async with database.transaction() as connection:
            await connection.run_sync(metadata.reflect)
            for table, values in BEFORE.items():
                insert = metadata.tables[f"serverconf_{table}"].insert().values(values)
                await connection.execute(insert)
        await migrate(database, MIGRATIONS)
        async with ConfigurationStore(database).reading() as conf:
            (description,) = await conf.descriptions()
            (endpoint,) = await read_endpoints(conf, PROVIDER)
    assert description.refreshed.year >= 2026
    assert description.services[0].title is None
    assert endpoint.generated
