"""The serving side of calls between processes."""

import asyncio
import contextlib
import inspect
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from sild.runtime.files import make_private_directory
from sild.runtime.logs import log_id, request_id
from sild.runtime.packing import PackingError
from sild.runtime.rpc_contract import (
    ANSWER,
    DEFAULTS,
    ENVELOPE,
    FAILURE,
    FAILURES,
    RESULT,
    Frames,
    Method,
    RpcContractError,
    RpcOptions,
    RpcUnavailable,
    check_path,
    methods,
)

_LOG = logging.getLogger(__name__)


class _Handler:
    """A method with the function that answers it."""

    def __init__(self, method: Method, implementation: object) -> None:
        function = getattr(implementation, method.name, None)
        owner = type(implementation).__name__
        if not callable(function):
            raise RpcContractError(f"{owner} has no method {method.name}")
        try:
            inspect.signature(function).bind(*range(method.count))
        except TypeError as error:
            raise RpcContractError(f"{owner}.{method.name}: {error}") from error
        self.method = method
        self.function: Callable[..., Any] = function


class _Serving(Frames):
    """One caller's connection."""

    def __init__(self, server: "RpcServer", options: RpcOptions) -> None:
        super().__init__(options)
        self._server = server
        self._handlers = server.handlers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        user = self._peer_user()
        if self._options.allows(user):
            self._server.connections.add(self)
        else:
            self._break_off(f"user {user} may not call")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.connections.discard(self)

    def pause_writing(self) -> None:
        """Take no more calls while the caller does not read the answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def _frame_received(self, frame: bytes) -> None:
        number = int.from_bytes(frame[:8], "big")
        name_end = ENVELOPE + frame[8]
        handler = self._handlers.get(frame[ENVELOPE:name_end])
        if handler is None or name_end >= len(frame):
            name = frame[ENVELOPE:name_end].decode(errors="replace")
            self._fail(number, "unknown_method", f"{name} is not a method of this service")
            return
        request_end = name_end + 1 + frame[name_end]
        try:
            arguments = handler.method.arguments.decode(frame[request_end:])
        except PackingError as error:
            self._fail(number, "wrong_arguments", f"{handler.method.name}: {error}")
            return
        if len(self._server.working) >= self._options.concurrent_calls:
            self._fail(number, "overloaded", "too many calls are already at work")
            return
        if request := frame[name_end + 1 : request_end]:
            with request_id(request.decode(errors="replace")):
                self._answer(number, handler, arguments)
        else:
            self._answer(number, handler, arguments)

    def _answer(self, number: int, handler: _Handler, arguments: tuple[Any, ...]) -> None:
        try:
            result = handler.function(*arguments)
        except Exception as error:  # noqa: BLE001 - becomes the caller's
            self._raised(number, handler, error)
            return
        if inspect.iscoroutine(result):
            result = self._loop.create_task(result)
        if not asyncio.isfuture(result):
            self._returned(number, handler, result)
            return
        self._server.working.add(result)
        result.add_done_callback(lambda work: self._worked(number, handler, work))

    def _worked(self, number: int, handler: _Handler, work: asyncio.Future[Any]) -> None:
        self._server.working.discard(work)
        if work.cancelled():
            self._fail(number, "cancelled", f"{handler.method.name} was stopped")
        elif (error := work.exception()) is not None:
            self._raised(number, handler, error)
        else:
            self._returned(number, handler, work.result())

    def _returned(self, number: int, handler: _Handler, result: object) -> None:
        try:
            body = handler.method.result.encode(result)
        except PackingError as error:
            self._raised(number, handler, error)
            return
        size = ENVELOPE + len(body)
        if size > self._options.largest_frame:
            self._fail(number, "too_large", f"the answer of {handler.method.name} has {size} bytes")
        else:
            self._send(ANSWER.pack(size, number, RESULT) + body)

    def _raised(self, number: int, handler: _Handler, error: BaseException) -> None:
        for cls in type(error).__mro__:
            if (kind := self._server.kinds.get(cls)) is not None:
                self._fail(number, kind, str(error))
                return
        found = log_id()
        _LOG.error("%s failed, log id %s", handler.method.name, found, exc_info=error)
        self._fail(number, "internal", f"{handler.method.name} failed, see log id {found}")

    def _fail(self, number: int, kind: str, message: str) -> None:
        body = FAILURES.encode((kind, message))
        self._send(ANSWER.pack(ENVELOPE + len(body), number, FAILURE) + body)


class RpcServer:
    """A service on its socket; `close` it, or use it as an async context."""

    def __init__(self, path: Path, handlers: Mapping[bytes, _Handler], options: RpcOptions) -> None:
        self.handlers = handlers
        self.kinds = {cls: kind for kind, cls in options.errors.items()}
        self.connections: set[_Serving] = set()
        self.working: set[asyncio.Future[Any]] = set()
        self._path = path
        self._options = options
        self._listening: asyncio.Server | None = None
        self._inode = 0

    async def open(self) -> None:
        """Listen; a socket that a killed process left behind is replaced, a live one is not."""
        check_path(self._path)
        make_private_directory(self._path.parent)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_dead_socket()
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            self._inode = self._path.stat().st_ino
            self._listening = await asyncio.get_running_loop().create_unix_server(
                lambda: _Serving(self, self._options), sock=listener
            )
        except BaseException:
            listener.close()
            raise

    async def close(self) -> None:
        """Stop listening, stop what is at work, and remove the socket."""
        if self._listening is None:
            return
        self._listening.close()
        self._listening = None
        for work in self.working:
            work.cancel()
        await asyncio.gather(*self.working, return_exceptions=True)
        for connection in list(self.connections):
            connection.close()
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def _remove_dead_socket(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self._path))
            except FileNotFoundError:
                return
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
                return
            except BlockingIOError:
                # Its queue is full, so somebody listens.
                pass
        raise RpcUnavailable(f"another process already serves {self._path}")


async def serve_rpc(
    path: Path, implementation: object, interface: type, options: RpcOptions = DEFAULTS
) -> RpcServer:
    """Answer the interface's calls on a socket of this path, in a directory of this user alone.

    The implementation's methods may be `async`, or plain functions that give the result or a
    future: a plain function that answers at once is the fastest.
    """
    handlers = {
        name.encode(): _Handler(method, implementation)
        for name, method in methods(interface).items()
    }
    server = RpcServer(path, handlers, options)
    await server.open()
    return server
