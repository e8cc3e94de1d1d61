import asyncio
import logging
import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ports import base_port
from sild.devnet.errors import DevnetError
from sild.devnet.ports import free_ports
from sild.devnet.serving import listen, serve_app


async def hello(request):
    return PlainTextResponse("hello")


async def hang(request):
    await asyncio.sleep(600)


APP = Starlette(routes=[Route("/", hello), Route("/hang", hang)])


async def test_an_application_is_served_until_it_is_closed(http):
    served = await serve_app(APP)
    assert (await http.get(served.url)).text == "hello"
    await served.close()
    with pytest.raises(httpx.ConnectError):
        await http.get(served.url)


async def test_serving_leaves_signals_alone_and_says_nothing(http, caplog):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with caplog.at_level(logging.INFO):
        async with await serve_app(APP) as served:
            await http.get(served.url)
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


async def test_a_request_that_hangs_does_not_hold_up_closing(http):
    served = await serve_app(APP)
    asked = asyncio.gather(http.get(f"{served.url}/hang"), return_exceptions=True)
    await asyncio.sleep(0.1)
    async with asyncio.timeout(50):
        await served.close()
        await asked


async def test_several_applications_share_a_port_on_addresses_of_their_own(http):
    (port,) = free_ports(base_port(), ("127.0.0.61", "127.0.0.62"), 1)
    async with await serve_app(APP, "127.0.0.61", port), await serve_app(APP, "127.0.0.62", port):
        for host in ("127.0.0.61", "127.0.0.62"):
            assert (await http.get(f"http://{host}:{port}/")).text == "hello"


async def test_a_port_that_is_taken_is_refused():
    async with await serve_app(APP) as served:
        with pytest.raises(DevnetError, match="taken"):
            await serve_app(APP, served.host, served.port)


def test_connections_are_spared_the_delays_of_nagle():
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP, "without it asyncio sets no TCP_NODELAY"


def test_free_ports_are_free_on_all_addresses():
    addresses = ("127.0.0.61", "127.0.0.62")
    first, second = free_ports(base_port(), addresses, 2)
    with listen("127.0.0.62", first):
        found = free_ports(first, addresses, 3)
    assert first not in found
    assert found[0] == second
    assert len(set(found)) == 3
    assert list(found) == sorted(found)


def test_free_ports_see_a_listener_on_every_address():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert port not in free_ports(port, ("127.0.0.61",), 1)


def test_too_few_ports_are_a_mistake():
    with pytest.raises(DevnetError, match="of 20 ports"):
        free_ports(65_530, ("127.0.0.1",), 20)


def test_an_address_of_another_machine_is_a_mistake():
    with pytest.raises(DevnetError, match="nothing can listen"):
        free_ports(21000, ("192.0.2.1",), 1)
