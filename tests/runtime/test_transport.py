"""Who lets go of a socket, and when: nothing may watch a descriptor that is closed."""

import asyncio
import socket

import pytest

from runtime.http_ends import LOCAL, LOOPS_AND_ENGINES, pki
from sild.runtime.tls import TlsPolicy, server_context, unverified_client_context
from sild.runtime.transport import Handshake

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=LOOPS_AND_ENGINES, ids=str)
def loop_and_engine(request):
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(loop_and_engine):
    return loop_and_engine.backend


@pytest.fixture
def engine(loop_and_engine):
    return loop_and_engine.engine


class CancelledWhenMade(asyncio.Protocol):
    """Its connection is there at the very moment at which nobody wants it any more."""

    def __init__(self):
        self.wanting = None
        self.transport = None
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.wanting.cancel()

    def connection_lost(self, error):
        self.lost.set()

    def abort(self):
        if self.transport is not None:
            self.transport.abort()


class Silent(asyncio.Protocol):
    """A peer that never says goodbye."""

    transport = None

    def connection_made(self, transport):
        self.transport = transport

    def eof_received(self):
        return True

    def abort(self):
        if self.transport is not None:
            self.transport.abort()


def both_ends():
    listening = socket.create_server((LOCAL, 0))
    here = socket.create_connection(listening.getsockname())
    there, _ = listening.accept()
    listening.close()
    for sock in (here, there):
        sock.setblocking(False)
    return here, there


def client_side(engine, sock, made, tls):
    context = unverified_client_context(TlsPolicy(), None)
    return engine.connect(sock, made, Handshake(context, 5, "localhost") if tls else None)


def server_side(engine, sock, made, tls):
    context = server_context(TlsPolicy(), pki().server.identity, None)
    return engine.accept(sock, made, Handshake(context, 5) if tls else None)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize("side", [client_side, server_side])
async def test_what_is_cancelled_as_it_is_made_is_ended_before_its_socket_is_closed(
    engine, side, tls
):
    loop = asyncio.get_running_loop()
    here, there = both_ends()
    descriptor = here.fileno()
    protocol = CancelledWhenMade()
    other = server_side if side is client_side else client_side
    silent = Silent()
    peer = loop.create_task(other(engine, there, lambda: silent, tls))
    protocol.wanting = loop.create_task(side(engine, here, lambda: protocol, tls))
    with pytest.raises(asyncio.CancelledError):
        await protocol.wanting
    assert protocol.transport.is_closing()
    await asyncio.wait_for(protocol.lost.wait(), 60)
    assert here.fileno() == -1
    assert not loop.remove_reader(descriptor)
    await asyncio.gather(peer, return_exceptions=True)
    silent.abort()
    await asyncio.sleep(0.01)
