"""Where the message path listens: at the addresses and ports that the settings say, nowhere else."""

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from components.proxy.test_listeners import SETTINGS, Around, Both, Side
from ports import free_port
from sild.components.proxy.listeners import Listeners
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio
INTERNAL, EXTERNAL, NEITHER = "127.0.0.17", "127.0.0.18", "127.0.0.1"


@asynccontextmanager
async def listening():
    """Listeners at addresses and ports of their own, until the block ends; gives the settings."""
    settings = replace(
        SETTINGS,
        connector_host=INTERNAL,
        client_http_port=free_port(INTERNAL),
        client_https_port=free_port(INTERNAL),
        listen_address=EXTERNAL,
        server_port=free_port(EXTERNAL),
        ocsp_responder_port=free_port(EXTERNAL),
    )
    side = Side()
    listeners = Listeners(Around(settings, SystemClock()), Both(side, side), None)
    await listeners.start_internal(share_ports=False)
    await listeners.start_external(None, share_ports=False)
    try:
        yield settings
    finally:
        await listeners.close(0)


async def answers(host, port):
    """Whether somebody listens there."""
    with contextlib.suppress(ConnectionError):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False


def ports_of(settings):
    internal = (settings.client_http_port, settings.client_https_port)
    return internal, (settings.server_port, settings.ocsp_responder_port)


@pytest.mark.feature("IS-05")
async def test_information_systems_are_listened_to_at_the_connector_host_alone():
    async with listening() as settings:
        internal, _ = ports_of(settings)
        for port in internal:
            assert await answers(INTERNAL, port)
            assert not await answers(EXTERNAL, port)
            assert not await answers(NEITHER, port)


@pytest.mark.feature("IS-06")
async def test_each_side_listens_to_the_ports_of_the_settings():
    async with listening() as settings:
        internal, external = ports_of(settings)
        assert [await answers(INTERNAL, port) for port in internal] == [True, True]
        assert [await answers(EXTERNAL, port) for port in external] == [True, True]
        assert [await answers(NEITHER, port) for port in external] == [False, False]
