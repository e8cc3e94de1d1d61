"""Calls that block, to services that are served as any other."""

import asyncio
import socket
import threading
from dataclasses import replace
from typing import Protocol

import pytest

from sild.runtime.rpc import RpcError, RpcOptions, RpcTimeout, RpcUnavailable, serve_rpc
from sild.runtime.rpc_blocking import call_blocking
from sild.runtime.rpc_contract import Method

pytestmark = pytest.mark.anyio


class Refused(Exception):
    """A refusal that may cross."""


class Doubling(Protocol):
    async def double(self, content: bytes, times: int = 2) -> bytes: ...
    async def refuse(self) -> None: ...
    async def fail(self) -> None: ...
    async def wait(self) -> None: ...


class Served:
    async def double(self, content: bytes, times: int = 2) -> bytes:
        return content * times

    async def refuse(self) -> None:
        raise Refused("not this")

    async def fail(self) -> None:
        raise ValueError("an error of its own")

    async def wait(self) -> None:
        await asyncio.sleep(600)


OPTIONS = RpcOptions(errors={"Refused": Refused}, timeout=60)
HASTY = replace(OPTIONS, timeout=0.5)


@pytest.fixture
async def call(tmp_path):
    path = tmp_path / "socket"
    server = await serve_rpc(path, Served(), Doubling, OPTIONS)

    async def call(name, *arguments, options=OPTIONS):
        method = Method(Doubling, name)
        return await asyncio.to_thread(call_blocking, path, method, arguments, options)

    yield call
    await server.close()


@pytest.mark.parametrize("size", [0, 1, 500_000])
async def test_what_is_answered_is_given(call, size):
    assert await call("double", b"x" * size, 2) == b"x" * (2 * size)


async def test_what_is_refused_is_raised(call):
    with pytest.raises(Refused, match="not this"):
        await call("refuse")
    with pytest.raises(RpcError):
        await call("fail")


async def test_nobody_is_waited_for_longer_than_is_said(call):
    with pytest.raises(RpcTimeout):
        await call("wait", options=HASTY)


async def test_where_nobody_serves_there_is_no_answer(tmp_path):
    with pytest.raises(RpcUnavailable):
        call_blocking(tmp_path / "none", Method(Doubling, "refuse"), (), OPTIONS)


@pytest.mark.parametrize(
    "answer", [b"", b"\0\0\0", b"\xff" * 20, b"\0\0\0\x09" + b"\0" * 8 + b"\0", b"\0\0\0\0"]
)
def test_what_is_no_answer_is_an_error_of_calls(tmp_path, answer):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(RpcError):
                call_blocking(tmp_path / "socket", Method(Doubling, "double"), (b"", 1), OPTIONS)
        finally:
            thread.join()
