"""The life of a client, from being added to being forgotten, as both servers and callers see it."""

import pytest

from administration.life.world import CONSUMER, PROVIDER, refused

pytestmark = pytest.mark.anyio

async def test_founded(life):
    await life.greets()
