"""The settings of connections do what they say."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from runtime.http_ends import settle
from sild.components.proxy.limits import peer_pool_limits, service_pool_limits
from sild.components.proxy.listeners import Listeners
from sild.components.proxy.settings import AntiDosSettings, ProxySettings
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Response

pytestmark = pytest.mark.anyio

SETTINGS = ProxySettings(
    connector_host="127.0.0.1",
    client_http_port=0,
    client_https_port=0,
    listen_address="127.0.0.1",
    server_port=0,
    ocsp_responder_port=0,
)
REQUEST = b"GET /r1/x HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"POST /r1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


@dataclass
class Around:
    settings: ProxySettings
    clock: SystemClock


class Side:
    async def handle(self, request):
        await request.body.read_all(99)
        return Response(200, b"OK")


@dataclass
class Both:
    client: Side
    server: Side
    documents: None = None


@asynccontextmanager
async def ports_with(anti_dos=None, **changes):
    """The ports for information systems and for security servers."""
    around = Around(replace(SETTINGS, **changes), SystemClock())
    listeners = Listeners(around, Both(Side(), Side()), None, anti_dos)
    await listeners.start_internal(share_ports=False)
    await listeners.start_external(None, share_ports=False)
    http, _, _, server = listeners._servers
    try:
        yield {"client": http.port, "server": server.port}
    finally:
        await listeners.close(0)


async def talk(port, *pieces, seconds=60.0):
    """What is answered until the connection ends; or that it did not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for each in pieces:
            writer.write(each)
        async with asyncio.timeout(seconds):
            return await reader.read()
    except TimeoutError:
        return "open"
    finally:
        writer.close()


@pytest.mark.feature("PX-26")
@pytest.mark.parametrize("side", ["client", "server"])
async def test_connections_are_kept_as_long_as_the_settings_say(side):
    short = {f"{side}_connector_max_idle_seconds": 0.1}
    async with ports_with(**short) as ports:
        assert (await talk(ports[side], REQUEST)).startswith(b"HTTP/1.1 200 ")
        (other,) = ports.keys() - {side}
        assert await talk(ports[other], REQUEST, seconds=0.5) == "open"


@pytest.mark.feature("PX-26")
@pytest.mark.parametrize("side", ["client", "server"])
async def test_who_connects_and_says_nothing_has_its_time(side):
    async with ports_with(**{f"{side}_connector_initial_idle_seconds": 0.1}) as ports:
        assert await talk(ports[side]) == b""
        (other,) = ports.keys() - {side}
        assert await talk(ports[other], seconds=0.5) == "open"


@pytest.mark.feature("PX-26")
async def test_security_servers_may_be_given_one_message_a_connection():
    async with ports_with(server_support_clients_pooled_connections=False) as ports:
        assert b"Connection: close" in await talk(ports["server"], REQUEST)
        assert await talk(ports["client"], REQUEST, seconds=0.3) == "open"


@pytest.mark.feature("PX-26")
@pytest.mark.parametrize("side", ["client", "server"])
async def test_silence_within_a_message_has_its_limit(side):
    async with ports_with(silence_seconds=0.1) as ports:
        assert await talk(ports[side], BODY, b"abc") == b""


async def trickle(port):
    """What becomes of a request that comes byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(BODY.replace(b" 9", b" 99"))
    answering = asyncio.create_task(reader.read())
    try:
        for _ in range(50):
            if answering.done():
                return "cut off" if answering.exception() or not answering.result() else "answered"
            writer.write(b"a")
            await asyncio.sleep(0.02)
        return "open"
    finally:
        answering.cancel()
        writer.close()


@pytest.mark.feature("PX-25")
@pytest.mark.parametrize(
    ("side", "name"), [("client", "client_slow_bytes"), ("server", "slow_bytes")]
)
async def test_who_sends_too_slowly_is_cut_off(side, name):
    least = {"client_slow_bytes": 1, "slow_bytes": 1} | {name: 1000}
    async with ports_with(slow_seconds=0.2, **least) as ports:
        (other,) = ports.keys() - {side}
        assert await asyncio.gather(trickle(ports[side]), trickle(ports[other])) == [
            "cut off",
            "open",
        ]


@pytest.mark.feature("PX-25")
@pytest.mark.parametrize("side", ["client", "server"])
async def test_more_connections_than_allowed_are_refused_when_they_have_waited(side):
    anti_dos = AntiDosSettings(max_parallel_connections=2, largest_share=1.0, waiting_seconds=0.1)
    async with ports_with(anti_dos) as ports:
        inside = [await asyncio.open_connection("127.0.0.1", ports[side]) for _ in range(2)]
        for _, writer in inside:
            writer.write(REQUEST[:9])
        await settle()
        assert (await talk(ports[side], REQUEST)).startswith(b"HTTP/1.1 503 ")
        for reader, writer in inside:
            assert not reader.at_eof()
            writer.close()


@pytest.mark.feature("PX-25")
async def test_connections_are_refused_while_descriptors_are_short():
    async with ports_with(AntiDosSettings(min_free_file_handles=1 << 30)) as ports:
        assert (await talk(ports["client"], REQUEST)).startswith(b"HTTP/1.1 503 ")
    off = AntiDosSettings(enabled=False, min_free_file_handles=1 << 30)
    async with ports_with(off) as ports:
        assert await talk(ports["client"], REQUEST, seconds=0.3) == "open"


def test_pools_follow_their_settings():
    changed = replace(
        SETTINGS,
        connect_seconds=3.0,
        answer_seconds=4.0,
        silence_seconds=5.0,
        slow_seconds=6.0,
        slow_bytes=7,
        pool_total_max_connections=8,
        pool_total_default_max_connections_per_route=9,
        client_idle_connection_monitor_seconds=10.0,
        service_idle_connection_seconds=11.0,
    )
    peers = peer_pool_limits(changed)
    assert (peers.connect_seconds, peers.tls_seconds, peers.header_seconds) == (3.0, 3.0, 4.0)
    assert (peers.idle_seconds, peers.least_pace.bytes, peers.least_pace.seconds) == (5.0, 7, 6.0)
    assert (peers.connections, peers.connections_per_target) == (8, 9)
    assert peers.idle_keep_seconds == 10.0
    once = replace(changed, pool_enable_connection_reuse=False)
    assert peer_pool_limits(once).idle_keep_seconds == 0
    services = service_pool_limits(changed, 2.0)
    assert (services.connect_seconds, services.header_seconds) == (2.0, 2.0)
    assert services.idle_keep_seconds == 11.0
