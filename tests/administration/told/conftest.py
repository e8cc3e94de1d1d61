"""One run through everything that can be done to a security server, for all tests of this folder."""

import pytest

from administration.told.run import Run


@pytest.fixture(scope="package")
async def run(tmp_path_factory, anyio_backend):
    """An instance to which everything was done, with what it was told and what it answered."""
    async with await Run(tmp_path_factory.mktemp("told")).start() as run:
        await run.live()
        yield run
