"""One instance for all tests of this folder; each leaves it as it was."""

import pytest

from administration.life.world import Life
from postgres import find_binaries


@pytest.fixture(scope="package")
async def life(tmp_path_factory, anyio_backend, request):
    """A Central Server and three security servers that exchange messages.

    The third is on PostgreSQL, where there is one.
    """
    postgres = request.getfixturevalue("postgres") if find_binaries() else None
    async with await Life(tmp_path_factory.mktemp("life"), postgres).start() as life:
        await life.found()
        yield life
