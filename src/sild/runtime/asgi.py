"""ASGI applications behind this package's own HTTP server, with its limits and peers' certificates.

    server = await serve(asgi_handler(app), Endpoint(host, 4000, tls), limits, clock)

An application finds the `Peer` of its request as `scope["sild.peer"]`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from sild.runtime.http_server import Handler, Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

PEER: Final = "sild.peer"
_WAITING_PIECES: Final = 2


class ApplicationFailed(Exception):
    """An application ended without a whole answer."""


@dataclass(frozen=True, slots=True)
class _End:
    """The application has returned."""

    error: BaseException | None


class _Exchange:
    """One request on its way to the application, and what it answers."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._body = aiter(request.body)
        self._ended = False
        self._sent: asyncio.Queue[Message | _End] = asyncio.Queue(_WAITING_PIECES)

    async def run(self, app: AsgiApp, scope: Scope) -> None:
        """Let the application answer."""
        error: BaseException | None = None
        try:
            await app(scope, self._receive, self._sent.put)
        except Exception as failed:  # noqa: BLE001 - it is raised again where it is awaited
            error = failed
        await self._sent.put(_End(error))

    async def next(self, kind: str) -> Message:
        """What the application says next, which must be of this kind."""
        message = await self._sent.get()
        if isinstance(message, _End):
            if message.error is not None:
                raise message.error
            raise ApplicationFailed("an application ended before its answer did")
        if message["type"] != kind:
            raise ApplicationFailed(f"an application said {message['type']} instead of {kind}")
        return message

    async def _receive(self) -> Message:
        if self._ended:
            # Whoever goes away is not told of: the server cancels the application.
            await asyncio.get_running_loop().create_future()
        try:
            return _piece(await anext(self._body), more=True)
        except StopAsyncIteration:
            self._ended = True
            return _piece(b"", more=False)


def asgi_handler(app: AsgiApp, scheme: str = "https") -> Handler:
    """A handler that lets the application answer."""

    async def handle(request: Request) -> Response:
        scope = _scope(request, scheme)
        if scope is None:
            return Response(HTTPStatus.BAD_REQUEST, b"Bad Request")
        exchange = _Exchange(request)
        task = asyncio.get_running_loop().create_task(exchange.run(app, scope))
        try:
            start = await exchange.next("http.response.start")
            first = await exchange.next("http.response.body")
        except BaseException:
            await _cancel(task)
            raise
        body: bytes | AsyncIterator[bytes] = first.get("body", b"")
        if first.get("more_body", False):
            body = _pieces(exchange, task, first)
        else:
            # It has answered; what it does after that (a background task) is its own.
            task.add_done_callback(_forget)
        return _response(start, body)

    return handle


def _response(start: Message, body: bytes | AsyncIterator[bytes]) -> Response:
    length: int | None = None
    headers = []
    for name, value in start.get("headers", ()):
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() not in {b"transfer-encoding", b"connection", b"date"}:
            headers.append((bytes(name), bytes(value)))
    status: int = start["status"]
    try:
        reason = HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        reason = b""
    return Response(status, reason, headers, body, length if not isinstance(body, bytes) else None)


async def _pieces(
    exchange: _Exchange, task: "asyncio.Task[None]", first: Message
) -> AsyncIterator[bytes]:
    try:
        message = first
        while True:
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return
            message = await exchange.next("http.response.body")
    finally:
        await _cancel(task)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _forget(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()


def _piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def _scope(request: Request, scheme: str) -> Scope | None:
    """What ASGI tells of a request; None where the target is not a path."""
    raw_path, _, query = request.target.partition(b"?")
    if not raw_path.startswith(b"/"):
        return None
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1" if request.is_http_11 else "1.0",
        "method": request.method.decode("ascii"),
        "scheme": scheme,
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers],
        "client": request.peer.address[:2],
        "server": None,
        "state": {},
        "extensions": {},
        PEER: request.peer,
    }
