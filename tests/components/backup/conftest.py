import shutil

import pytest

from components.backup.builders import Server
from sild.runtime.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    """Where databases are kept."""
    return request.param


@pytest.fixture
async def database(request, engine, tmp_path):
    """An empty database of an engine."""
    url = f"sqlite:///{tmp_path / 'registry' / 'central.db'}"
    if engine == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with Database.open(url) as opened:
        yield opened


@pytest.fixture
async def server(tmp_path, database):
    """A server that can be backed up."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    made = Server(tmp_path / "home", database)
    await made.set_up()
    yield made
    await made.backups.close()
