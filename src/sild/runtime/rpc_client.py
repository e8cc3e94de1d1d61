"""The calling side of calls between processes."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from sild.runtime.logs import current_request_id
from sild.runtime.packing import PackingError
from sild.runtime.rpc_contract import (
    CALL,
    DEFAULTS,
    ENVELOPE,
    FAILURES,
    RESULT,
    Frames,
    Method,
    RpcError,
    RpcOptions,
    RpcTimeout,
    RpcUnavailable,
    check_path,
    methods,
)

_T = TypeVar("_T")


@dataclass(slots=True)
class _Waiting:
    method: Method
    future: asyncio.Future[Any]
    deadline: float


class _Calling(Frames):
    """One connection to a service."""

    def __init__(self, path: Path, options: RpcOptions) -> None:
        super().__init__(options)
        self._path = path
        self._number = 0
        self._waiting: dict[int, _Waiting] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        user = self._peer_user()
        if not self._options.allows(user):
            self.lost = True
            self._break_off(f"user {user} may not serve {self._path}")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._waiting.values():
            if not waiting.future.done():
                message = f"{self._path} went away before it answered {waiting.method.name}"
                waiting.future.set_exception(RpcUnavailable(message))
        self._waiting.clear()

    async def call(self, method: Method, arguments: tuple[Any, ...]) -> Any:
        self._number += 1
        number = self._number
        request = current_request_id().encode()[:255]
        body = b"%b%c%b%b" % (
            method.head,
            len(request),
            request,
            method.arguments.encode(arguments),
        )
        size = 8 + len(body)
        if size > self._options.largest_frame:
            raise RpcError("too_large", f"the arguments of {method.name} have {size} bytes")
        timeout = self._options.timeouts.get(method.name, self._options.timeout)
        future = self._loop.create_future()
        deadline = self._loop.time() + timeout
        self._waiting[number] = _Waiting(method, future, deadline)
        self._watch(deadline)
        self._send(CALL.pack(size, number) + body)
        try:
            return await future
        finally:
            self._waiting.pop(number, None)

    def _watch(self, deadline: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for waiting in self._waiting.values():
            if waiting.deadline <= now and not waiting.future.done():
                message = f"{self._path} did not answer {waiting.method.name} in time"
                waiting.future.set_exception(RpcTimeout(message))
        still = [each.deadline for each in self._waiting.values() if not each.future.done()]
        if still:
            self._watch(min(still))

    def _frame_received(self, frame: bytes) -> None:
        waiting = self._waiting.get(int.from_bytes(frame[:8], "big"))
        if waiting is None or waiting.future.done():
            return
        try:
            if frame[8] == RESULT:
                waiting.future.set_result(waiting.method.result.decode(frame[ENVELOPE:]))
            else:
                waiting.future.set_exception(self._failure(*FAILURES.decode(frame[ENVELOPE:])))
        except PackingError as error:
            failure = RpcError("wrong_answer", f"the answer of {waiting.method.name}: {error}")
            waiting.future.set_exception(failure)

    def _failure(self, kind: str, message: str) -> Exception:
        if (registered := self._options.errors.get(kind)) is None:
            return RpcError(kind, message)
        try:
            return registered(message)
        except TypeError:
            return RpcError(kind, message)


class _Connector:
    """Connects at the first call, and anew at the first call after a loss."""

    def __init__(self, path: Path, options: RpcOptions) -> None:
        self._path = path
        self._options = options
        self._connection: _Calling | None = None
        self._connecting = asyncio.Lock()

    async def call(self, method: Method, arguments: tuple[Any, ...]) -> Any:
        connection = self._connection
        if connection is None or connection.lost:
            connection = await self._connect()
        return await connection.call(method, arguments)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connect(self) -> _Calling:
        async with self._connecting:
            if self._connection is not None and not self._connection.lost:
                return self._connection
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self._options.timeout):
                    _, connection = await loop.create_unix_connection(
                        lambda: _Calling(self._path, self._options), str(self._path)
                    )
            except (OSError, TimeoutError) as error:
                raise RpcUnavailable(f"nobody serves {self._path}: {error}") from error
            if connection.lost:
                raise RpcUnavailable(f"{self._path} is served by a user who may not")
            self._connection = connection
            return connection


def connect_rpc(path: Path, interface: type[_T], options: RpcOptions = DEFAULTS) -> _T:
    """Give an object with the interface's methods, each a call to the process behind this path.

    It connects at the first call. A call raises RpcUnavailable, RpcTimeout, an exception that the
    options register, or another RpcError.
    """
    check_path(path)
    connector = _Connector(path, options)
    calls = {name: _call_of(method) for name, method in methods(interface).items()}
    cls = type(f"{interface.__name__}OverRpc", (_Client,), calls)
    return cast("_T", cls(connector))


def close_rpc(client: object) -> None:
    """Close the connection of what `connect_rpc` gave; calls still waiting fail."""
    if not isinstance(client, _Client):
        raise TypeError("only what connect_rpc gave can be closed")
    client.connector_.close()


class _Client:
    def __init__(self, connector: _Connector) -> None:
        self.connector_ = connector


def _call_of(method: Method) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def call(self: _Client, *arguments: Any, **named: Any) -> Any:
        if named or len(arguments) != method.count:
            arguments = method.bind(arguments, named)
        return await self.connector_.call(method, arguments)

    call.__name__ = method.name
    return call
