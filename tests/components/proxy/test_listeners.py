"""How the listeners stop: all of them at once, within one grace."""

import asyncio
from dataclasses import dataclass

import pytest

from runtime.http_ends import settle
from sild.components.proxy.listeners import Listeners
from sild.components.proxy.settings import ProxySettings
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


@dataclass
class Around:
    """What listeners need of an exchange."""

    settings: ProxySettings
    clock: SystemClock


class Side:
    """Answers when it is let."""

    def __init__(self):
        self.asked = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()

    async def handle(self, request):
        self.asked.release()
        await self.may_answer.wait()
        return Response(200, b"OK")


@dataclass
class Both:
    client: Side
    server: Side
    documents: None = None


async def under_way():
    """Listeners, of which two have a request under way, and who asked."""
    side = Side()
    listeners = Listeners(Around(SETTINGS, SystemClock()), Both(side, side), None)
    await listeners.start_internal(share_ports=False)
    await listeners.start_external(None, share_ports=False)
    http, _, _, server = listeners._servers
    callers = []
    for port in (http.port, server.port):
        callers.append(await asyncio.open_connection("127.0.0.1", port))
        callers[-1][1].write(REQUEST)
        await side.asked.acquire()
    return listeners, side, callers


async def test_requests_that_hang_cost_one_grace_and_not_one_for_each_listener():
    listeners, _, callers = await under_way()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await listeners.close(2)
    assert 1.9 < loop.time() - begun < 3.9
    for _, writer in callers:
        writer.close()


async def test_nobody_accepts_connections_while_requests_end():
    listeners, side, callers = await under_way()
    ports = [server.port for server in listeners._servers]
    closing = asyncio.get_running_loop().create_task(listeners.close(600))
    await settle()
    for port in ports:
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
    side.may_answer.set()
    await asyncio.wait_for(closing, 60)
    for reader, writer in callers:
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
