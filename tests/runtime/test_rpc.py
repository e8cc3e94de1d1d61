import asyncio
import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.runtime.logs import current_request_id, request_id
from sild.runtime.rpc import (
    RpcContractError,
    RpcError,
    RpcOptions,
    RpcTimeout,
    RpcUnavailable,
    close_rpc,
    connect_rpc,
    serve_rpc,
)


@dataclass(frozen=True, slots=True)
class Soft:
    label: str


@dataclass(frozen=True, slots=True)
class Hard:
    label: str


class PinIncorrect(Exception):
    pass


class PinLocked(PinIncorrect):
    pass


class Keys(Protocol):
    async def sign(self, key: str, digest: bytes) -> bytes: ...
    async def token(self, label: str, hard: bool = False) -> Soft | Hard: ...
    async def log_in(self, pin: str) -> None: ...
    async def slow(self, seconds: float) -> str: ...
    async def request(self) -> str: ...


OPTIONS = RpcOptions(errors={"pin_incorrect": PinIncorrect}, timeout=60, largest_frame=100_000)


class Implementation:
    def __init__(self):
        self.slow_calls = 0

    def sign(self, key, digest):
        return bytes(100_000) if key == "large" else key.encode() + digest

    async def token(self, label, hard):
        return Hard(label) if hard else Soft(label)

    def log_in(self, pin):
        if pin == "lock":
            raise PinLocked("locked")
        if pin == "bug":
            raise ZeroDivisionError("a secret detail")
        if pin != "1234":
            raise PinIncorrect("3 tries left")

    async def slow(self, seconds):
        self.slow_calls += 1
        await asyncio.sleep(seconds)
        return "done"

    def request(self):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, current_request_id())
        return future


@contextlib.asynccontextmanager
async def running(path, implementation=None, options=OPTIONS, client_options=None):
    async with await serve_rpc(path, implementation or Implementation(), Keys, options):
        client = connect_rpc(path, Keys, client_options or options)
        try:
            yield client
        finally:
            close_rpc(client)
            await asyncio.sleep(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "signer.sock"


def test_calls_of_every_shape_come_back(path):
    async def scenario():
        async with running(path) as keys:
            assert await keys.sign("k", b"\x00") == b"k\x00"
            assert await keys.sign(digest=b"1", key="k") == b"k1"
            assert await keys.token("a") == Soft("a")
            assert await keys.token("a", hard=True) == Hard("a")
            assert await keys.log_in("1234") is None

    asyncio.run(scenario())


def test_the_socket_is_private_in_a_private_directory_and_goes_with_its_server(path):
    async def scenario():
        async with running(path) as keys:
            await keys.sign("k", b"")
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert not path.exists()

    asyncio.run(scenario())


def test_many_calls_are_under_way_at_once_and_answers_find_their_callers(path):
    async def scenario():
        go_on = asyncio.Event()

        class Held(Implementation):
            async def slow(self, seconds):
                await go_on.wait()
                return "done"

        async with running(path, Held()) as keys:
            slow = asyncio.get_running_loop().create_task(keys.slow(0.0))
            digests = [os.urandom(8) for _ in range(500)]
            signed = await asyncio.gather(*[keys.sign("k", digest) for digest in digests])
            assert signed == [b"k" + digest for digest in digests]
            assert not slow.done()
            go_on.set()
            assert await slow == "done"

    asyncio.run(scenario())


def test_a_registered_exception_is_raised_again_and_a_child_of_it_as_its_parent(path):
    async def scenario():
        async with running(path) as keys:
            with pytest.raises(PinIncorrect, match="3 tries left"):
                await keys.log_in("0")
            with pytest.raises(PinIncorrect, match="locked"):
                await keys.log_in("lock")

    asyncio.run(scenario())


def test_an_unregistered_exception_tells_the_caller_a_log_id_and_no_detail(path, caplog):
    async def scenario():
        async with running(path) as keys:
            with pytest.raises(RpcError, match="see log id") as raised:
                await keys.log_in("bug")
            assert raised.value.kind == "internal"
            assert "secret" not in str(raised.value)
            return str(raised.value).split()[-1]

    log_id = asyncio.run(scenario())
    assert log_id in caplog.text
    assert "a secret detail" in caplog.text


def test_a_kind_that_the_caller_has_not_registered_is_an_rpc_error(path):
    async def scenario():
        async with running(path, client_options=RpcOptions()) as keys:
            with pytest.raises(RpcError, match="3 tries left") as raised:
                await keys.log_in("0")
            assert raised.value.kind == "pin_incorrect"

    asyncio.run(scenario())


class OtherKeys(Protocol):
    async def sign(self, key: int, digest: bytes) -> bytes: ...
    async def slow(self, seconds: float) -> int: ...
    async def erase(self) -> None: ...


def test_callers_of_another_contract_get_clear_errors(path):
    async def scenario():
        async with running(path):
            other = connect_rpc(path, OtherKeys)
            with pytest.raises(RpcError, match="erase is not a method") as raised:
                await other.erase()
            assert raised.value.kind == "unknown_method"
            with pytest.raises(RpcError, match="Expected `str`, got `int`") as raised:
                await other.sign(1, b"")
            assert raised.value.kind == "wrong_arguments"
            with pytest.raises(RpcError, match="the answer of slow") as raised:
                await other.slow(0.0)
            assert raised.value.kind == "wrong_answer"
            close_rpc(other)
            await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_call_without_an_answer_in_time_times_out_and_others_go_on(path):
    options = RpcOptions(timeout=60, timeouts={"slow": 0.1})

    async def scenario():
        async with running(path, client_options=options) as keys:
            request = asyncio.get_running_loop().create_task(keys.request())
            with pytest.raises(RpcTimeout, match="did not answer slow in time"):
                await keys.slow(0.5)
            await request
            # The answer that nobody waits for comes meanwhile.
            await asyncio.sleep(0.6)
            assert await keys.sign("k", b"1") == b"k1"
            with pytest.raises(RpcTimeout):
                await keys.slow(600.0)

    asyncio.run(scenario())


def test_frames_over_the_limit_are_refused_on_both_sides(path):
    async def scenario():
        async with running(path) as keys:
            with pytest.raises(RpcError, match="arguments of sign") as raised:
                await keys.sign("k", bytes(100_000))
            assert raised.value.kind == "too_large"
            with pytest.raises(RpcError, match="answer of sign") as raised:
                await keys.sign("large", b"")
            assert raised.value.kind == "too_large"
            assert len(await keys.sign("k", bytes(90_000))) == 90_001

    asyncio.run(scenario())


def test_a_server_refuses_more_calls_than_it_can_work_on(path):
    async def scenario():
        options = RpcOptions(concurrent_calls=2)
        async with running(path, options=options) as keys:
            outcomes = await asyncio.gather(
                *[keys.slow(0.5) for _ in range(3)], return_exceptions=True
            )
            assert outcomes[:2] == ["done", "done"]
            assert outcomes[2].kind == "overloaded"

    asyncio.run(scenario())


def test_the_request_id_of_the_logs_goes_along(path):
    async def scenario():
        async with running(path) as keys:
            with request_id("r-ä"):
                assert await keys.request() == "r-ä"
            assert await keys.request() == ""

    asyncio.run(scenario())


def test_nobody_serving_fails_at_once_and_a_server_that_comes_is_found(path):
    async def scenario():
        keys = connect_rpc(path, Keys)
        with pytest.raises(RpcUnavailable, match="nobody serves"):
            await keys.sign("k", b"")
        for _ in range(2):
            async with await serve_rpc(path, Implementation(), Keys):
                assert await keys.sign("k", b"") == b"k"
            await asyncio.sleep(0.01)
            with pytest.raises(RpcUnavailable):
                await keys.sign("k", b"")

    asyncio.run(scenario())


def test_a_path_served_by_a_live_process_is_not_taken_over(path):
    async def scenario():
        async with running(path) as keys:
            with pytest.raises(RpcUnavailable, match="another process already serves"):
                await serve_rpc(path, Implementation(), Keys)
            assert await keys.sign("k", b"") == b"k"

    asyncio.run(scenario())


def test_a_server_that_closes_leaves_the_socket_of_another(path):
    async def scenario():
        first = await serve_rpc(path, Implementation(), Keys)
        path.unlink()
        async with running(path) as keys:
            await first.close()
            assert await keys.sign("k", b"") == b"k"

    asyncio.run(scenario())


SERVER = """
import asyncio, sys
from pathlib import Path
from typing import Protocol
from sild.runtime.rpc import serve_rpc
class Keys(Protocol):
    async def sign(self, key: str, digest: bytes) -> bytes: ...
    async def slow(self, seconds: float) -> str: ...
class Implementation:
    def sign(self, key, digest): return digest
    async def slow(self, seconds): await asyncio.sleep(seconds); return ""
async def main():
    async with await serve_rpc(Path(sys.argv[1]), Implementation(), Keys):
        print("up", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_calls_fail_when_the_server_is_killed_and_its_socket_is_taken_over(path):
    async def scenario(process):
        keys = connect_rpc(path, Keys)
        assert await keys.sign("k", b"d") == b"d"
        slow = asyncio.get_running_loop().create_task(keys.slow(600))
        await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        with pytest.raises(RpcUnavailable, match="went away before it answered slow"):
            await asyncio.wait_for(slow, 60)
        await asyncio.to_thread(process.wait)
        assert path.exists()
        async with await serve_rpc(path, Implementation(), Keys):
            assert await keys.sign("k", b"d") == b"kd"

    command = [sys.executable, "-c", SERVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        asyncio.run(scenario(process))


def test_what_is_at_work_stops_with_its_server_and_not_with_its_caller(path):
    async def scenario():
        implementation = Implementation()
        server = await serve_rpc(path, implementation, Keys)
        keys = connect_rpc(path, Keys)
        slow = asyncio.get_running_loop().create_task(keys.slow(600))
        while not implementation.slow_calls:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        close_rpc(keys)
        with pytest.raises(RpcUnavailable):
            await slow
        assert len(server.working) == 1
        await asyncio.wait_for(server.close(), 60)
        assert not server.working
        await asyncio.sleep(0)

    asyncio.run(scenario())


class Synchronous(Protocol):
    def sign(self) -> bytes: ...


class Unannotated(Protocol):
    async def sign(self, key) -> bytes: ...


class Unpackable(Protocol):
    async def sign(self, key: object) -> bytes: ...


class Nameless(Protocol):
    async def sign(self, *keys: str) -> bytes: ...


@pytest.mark.parametrize("interface", [Synchronous, Unannotated, Unpackable, Nameless])
def test_an_interface_that_is_no_contract_is_refused(path, interface):
    with pytest.raises(RpcContractError, match=f"{interface.__name__}.sign"):
        connect_rpc(path, interface)


def test_an_implementation_that_does_not_keep_the_contract_is_refused(path):
    class Missing:
        pass

    class Fewer:
        def erase(self, key): ...

    for implementation, message in ((Missing(), "no method erase"), (Fewer(), "Fewer.erase")):
        with pytest.raises(RpcContractError, match=message):
            asyncio.run(serve_rpc(path, implementation, OtherKeys))


def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(RpcContractError, match="longer than a socket's path may be"):
        connect_rpc(tmp_path / ("x" * 100), Keys)


@settings(max_examples=25, deadline=None)
@given(
    st.binary(max_size=60)
    | st.builds(lambda body: len(body).to_bytes(4, "big") + body, st.binary(max_size=60))
)
def test_a_broken_caller_hurts_nobody_else(content):
    async def scenario(path):
        async with running(path) as keys:
            await keys.sign("k", b"")
            with socket.socket(socket.AF_UNIX) as broken:
                broken.connect(str(path))
                broken.sendall(content)
                await asyncio.sleep(0.001)
                assert await keys.sign("k", b"") == b"k"

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(scenario(Path(directory) / "s"))


def test_a_frame_over_the_limit_breaks_the_connection_off(path):
    async def scenario():
        async with running(path) as keys:
            await keys.sign("k", b"")
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write((100_001).to_bytes(4, "big"))
            assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()

    asyncio.run(scenario())


def is_open_to_all(path):
    try:
        return stat.S_IMODE(path.stat().st_mode) == 0o666
    except OSError:
        return False


def start_as_other_user(path):
    """Forks a process that, once the socket is open to all, calls as another user."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        os.setuid(12345)
        while not is_open_to_all(path):
            time.sleep(0.002)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(60)
            caller.connect(str(path))
            caller.sendall((20).to_bytes(4, "big") + bytes(20))
            code = len(caller.recv(10))
    except ConnectionError:
        code = 0
    finally:
        os._exit(code)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("users", "answered"), [(frozenset(), 0), (frozenset({12345}), 10)])
def test_another_user_is_answered_only_when_allowed(users, answered):
    async def scenario(path, child):
        async with await serve_rpc(path, Implementation(), Keys, RpcOptions(users=users)):
            path.parent.chmod(0o755)
            path.chmod(0o666)
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
        return os.waitstatus_to_exitcode(status)

    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    try:
        child = start_as_other_user(directory / "s")
        assert asyncio.run(scenario(directory / "s", child)) == answered
    finally:
        shutil.rmtree(directory)


def serve_as_other_user(path):
    """Forks a process that, as another user, takes one connection and says nothing."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        os.setuid(12345)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            path.chmod(0o666)
            listener.settimeout(60)
            with listener.accept()[0] as caller:
                caller.settimeout(60)
                code = len(caller.recv(100))
    finally:
        os._exit(code)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_server_of_another_user_is_told_nothing():
    async def scenario(path):
        while not is_open_to_all(path):  # noqa: ASYNC110 - another process opens it
            await asyncio.sleep(0.002)
        keys = connect_rpc(path, Keys)
        with pytest.raises(RpcUnavailable, match="served by a user who may not"):
            await keys.log_in("1234")

    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o777)
    try:
        child = serve_as_other_user(directory / "s")
        asyncio.run(scenario(directory / "s"))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        shutil.rmtree(directory)
