"""Small HTTP applications on the event loop of whoever wants them served."""

import asyncio
import contextlib
import errno
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp

from sild.devnet.errors import DevnetError

_BACKLOG = 1024
_GRACE_SECONDS = 1.0
_MOMENT = 0.005


class BodyTooLarge(DevnetError):
    """A request's body holds more than its reader allows."""


@dataclass(slots=True, eq=False)
class Served:
    """An application that is being served; as a context manager it is closed at the end."""

    host: str
    port: int
    _server: uvicorn.Server

    @property
    def address(self) -> str:
        """Host and port, as addresses of HTTP have them."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where the application's paths begin."""
        return f"http://{self.address}"

    async def close(self) -> None:
        """Stop listening; requests under way have a second left."""
        state = self._server.server_state
        for listening in self._server.servers:
            listening.close()
        for connection in list(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event
                    await asyncio.sleep(_MOMENT)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def serve_app(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> Served:
    """Serve an application on the running loop; port 0 is any that is free.

    Signals, logs and the loop stay the caller's: uvicorn is started without what it does beside
    as the main program of a process, and closed by `Served`.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = listen(host, port)
    try:
        await server.startup([listener])
    except BaseException:
        listener.close()
        raise
    return Served(host, listener.getsockname()[1], server)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises DevnetError saying why there can be none."""
    # asyncio spares connections Nagle's delays only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise DevnetError(f"port {port} of {host} is taken") from None
        raise DevnetError(f"nothing can listen on {host} port {port}: {error.strerror}") from None
    return listener


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body of a request; raises BodyTooLarge beyond the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"a body of more than {limit} bytes is not taken")
    return bytes(body)


async def wait_for_departure(request: Request) -> None:
    """Come back when the client has gone, which is all that it will ever see of this answer."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
