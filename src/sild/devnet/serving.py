"""Small HTTP applications on the event loop of whoever wants them served."""

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
_GRACE_SECONDS = 1


class BodyTooLarge(DevnetError):
    """A request's body holds more than its reader allows."""


@dataclass(slots=True, eq=False)
class Served:
    """An application that is being served; as a context manager it is closed at the end."""

    host: str
    port: int
    _server: uvicorn.Server
    _socket: socket.socket

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
        await self._server.shutdown([self._socket])

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

    Signals, logs and the loop stay the caller's: only the two halves of the server's life are
    used, not what it does around them as the main program of a process.
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
        timeout_graceful_shutdown=_GRACE_SECONDS,
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
    return Served(host, listener.getsockname()[1], server, listener)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises DevnetError saying why there can be none."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
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
