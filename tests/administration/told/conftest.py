"""One run through everything that can be done to a security server, for all tests of this folder."""

import pytest

from administration.told.run import Run
from postgres import find_binaries


@pytest.fixture(scope="package")
async def run(tmp_path_factory, anyio_backend, request):
    """An instance to which everything was done, with what it was told and what it answered.

    Where there is PostgreSQL, one of the servers is on it.
    """
    there = find_binaries() is not None
    database = request.getfixturevalue("postgres").new_database() if there else None
    async with await Run(tmp_path_factory.mktemp("told"), database).start() as run:
        await run.live()
        yield run
