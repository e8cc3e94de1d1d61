"""How services are called: once, unless nothing is changed by calling again."""

import asyncio
import contextlib

import pytest

from sild.components.proxy.service_call import ServiceCall, ServiceCaller, ServicePools, ServiceTls
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.view import ServiceAddress
from sild.model.services import Service, ServiceType
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId, ServiceId

pytestmark = pytest.mark.anyio

SERVICE = Service(
    ServiceId(ClientId("DEV", "GOV", "1", "register"), "orders"), ServiceType.REST, "http://a"
)
CALL = ServiceCall("POST", "/orders", [], b"one more")


class Forgetful:
    """Answers the first request of a connection; the next one it takes, and says nothing."""

    def __init__(self, end=b"one more"):
        self.taken = self.open = 0
        self.end = end

    async def serve(self, reader, writer):
        self.open += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for is_last in (False, True):
                await reader.readuntil(self.end)
                self.taken += 1
                if not is_last:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        self.open -= 1

    async def ended(self):
        """Come back when no connection is open."""
        for _ in range(6000):
            if not self.open:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.open} connections stay")


@pytest.mark.feature("PX-26")
async def test_a_service_that_may_have_got_a_message_does_not_get_it_again():
    forgetful = Forgetful()
    server = await asyncio.start_server(forgetful.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = ServiceAddress("127.0.0.1", port, False, "", "/", f"127.0.0.1:{port}")
    pools = ServicePools(ProxySettings())
    caller = ServiceCaller(pools, ServiceTls(None, None))
    try:
        answer = await caller.call(SERVICE, address, CALL)
        assert answer.status == 200
        await answer.close()
        with pytest.raises(ProtocolError):
            await caller.call(SERVICE, address, CALL)
        assert forgetful.taken == 2
    finally:
        pools.close()
        server.close()
        await forgetful.ended()


@pytest.mark.feature("PX-26")
async def test_a_question_that_changes_nothing_is_asked_again_on_a_new_connection():
    forgetful = Forgetful(b"\r\n\r\n")
    server = await asyncio.start_server(forgetful.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = ServiceAddress("127.0.0.1", port, False, "", "/", f"127.0.0.1:{port}")
    pools = ServicePools(ProxySettings())
    caller = ServiceCaller(pools, ServiceTls(None, None))
    try:
        for _ in range(2):
            answer = await caller.call(SERVICE, address, ServiceCall("GET", "/orders", [], None))
            assert answer.status == 200
            await answer.close()
        # The second was taken on the kept connection, which ended, and on a new one.
        assert forgetful.taken == 3
    finally:
        pools.close()
        server.close()
        await forgetful.ended()
