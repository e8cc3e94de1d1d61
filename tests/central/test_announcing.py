"""What changes something is published at once, and what changes nothing is not."""

import asyncio

import pytest

from central.nodes import SECONDS, found, node_at, running
from ecosystem.processes import until

ADDRESS = "127.0.78.1"


@pytest.fixture
async def node(tmp_path):
    center = {"generate-on-change": True}
    node = node_at(tmp_path, ADDRESS, {"center": center}, generation=600.0)
    async with running(node):
        await found(node)
        yield node


def signed(node):
    return (node.layout.published / "V6" / "internalconf").read_bytes()


async def settled(node):
    """What is published, once nothing else is."""
    now = signed(node)
    while True:
        await asyncio.sleep(1.5)
        before, now = now, signed(node)
        if now == before:
            return now


@pytest.mark.feature("CC-01")
async def test_a_change_is_published_at_once_and_a_log_in_publishes_nothing(node):
    before = await settled(node)
    async with node.http() as stranger:
        credentials = {"username": "devnet", "password": "Devnet-password-0001"}
        assert (await stranger.post("/login", data=credentials)).status_code == 200
    await asyncio.sleep(1.5)
    assert signed(node) == before
    await node.ask("POST", "/member-classes", {"code": "NEW", "description": "New"})
    await until(lambda: signed(node) != before, SECONDS, "the change is published")
