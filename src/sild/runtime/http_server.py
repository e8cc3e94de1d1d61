"""HTTP/1.1 for the message path: httptools over asyncio, the peer's certificates at hand.

One task per connection answers its requests in turn. A message that cannot mean the same to
every reader (two lengths, a length and chunks, a folded field, a bare line feed) is refused and
the connection closed: what follows on it might be part of another's request.
"""

import asyncio
import logging
import socket
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final

from sild.runtime.clock import Clock
from sild.runtime.http_server_admission import Admission, Doorkeeper
from sild.runtime.http_server_connection import ServerConnection, refusal_of
from sild.runtime.http_server_types import (
    BadBody,
    BodyTooLarge,
    Endpoint,
    Handler,
    HttpServerError,
    Limits,
    PeerGone,
    Request,
    Response,
)
from sild.runtime.http_wire import BodyReader, Headers, LeastPace, Sweeper
from sild.runtime.tls import SwappableContext
from sild.runtime.transport import Handshake, Listener, Peer, listening_sockets

__all__ = [
    "Admission",
    "BadBody",
    "BodyReader",
    "BodyTooLarge",
    "Endpoint",
    "Handler",
    "Headers",
    "HttpServer",
    "HttpServerError",
    "LeastPace",
    "Limits",
    "Peer",
    "PeerGone",
    "Request",
    "Response",
    "serve",
]

_LOG = logging.getLogger(__name__)

# One that rests for less is not closed for others: its next request may be on the way.
_LEAST_REST_SECONDS: Final = 1.0
# How long the goodbye of a client is waited for that has its answer: of TLS, many never say one.
_GOODBYE_SECONDS: Final = 0.3


async def serve(handler: Handler, endpoint: Endpoint, limits: Limits, clock: Clock) -> "HttpServer":
    """Listen and answer until closed; handlers of one connection run one after the other.

    When the client goes away the handler is cancelled, unless it waits for the request's body:
    then reading that raises PeerGone.
    """
    server = HttpServer(handler, endpoint, limits, clock)
    await server.start()
    return server


class HttpServer:
    """A running server; `serve` makes it."""

    def __init__(self, handler: Handler, endpoint: Endpoint, limits: Limits, clock: Clock) -> None:
        self.handler = handler
        self.limits = limits
        self._endpoint = endpoint
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.sweeper = Sweeper(
            min(
                limits.header_seconds,
                limits.idle_seconds,
                limits.body_seconds,
                limits.write_seconds,
                limits.least_pace.seconds,
            )
        )
        self._listener = Listener([], self._take)
        self._connections: set[ServerConnection] = set()
        self._newcomers: set[asyncio.Task[None]] = set()
        self._resting: dict[ServerConnection, float] = {}  # since when, the longest first
        self._doorkeeper: Doorkeeper | None = None
        if limits.admission is not None:
            self._doorkeeper = Doorkeeper(limits.admission, limits.connections, self)
        self._places = limits.connections
        self._closing = False
        self._emptied: asyncio.Future[None] | None = None
        self._date = (-1, b"")

    @property
    def connection_count(self) -> int:
        """How many connections are open or being established."""
        return len(self._connections) + len(self._newcomers)

    async def start(self) -> None:
        """Open the listening sockets."""
        endpoint = self._endpoint
        sockets = await listening_sockets(
            endpoint.host, endpoint.port, reuse_port=endpoint.reuse_port, backlog=endpoint.backlog
        )
        self._listener = Listener(sockets, self._take)
        self.port = self._listener.port
        self._listener.resume()

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, let running requests end within the grace, then cut what is left."""
        self._closing = True
        self._listener.close()
        if self._doorkeeper is not None:
            self._doorkeeper.close()
        for task in self._newcomers:
            task.cancel()
        for connection in tuple(self._connections):
            connection.finish()
        if self._connections:
            await self._see_off(grace_seconds)
        tasks = [each.task for each in self._connections if each.task is not None]
        for connection in tuple(self._connections):
            connection.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._newcomers, return_exceptions=True)

    async def _see_off(self, grace_seconds: float) -> None:
        """Wait for the end of running requests, and a moment for those who were answered."""
        self._emptied = emptied = self._loop.create_future()
        ends = self._loop.time() + grace_seconds
        answered: set[ServerConnection] = set()
        while not emptied.done() and (left := ends - self._loop.time()) > 0:
            await asyncio.wait([emptied], timeout=min(left, _GOODBYE_SECONDS))
            silent = {each for each in self._connections if each.awaits_goodbye}
            for connection in silent & answered:
                connection.abort()
            answered = silent

    def date_line(self) -> bytes:
        """Give the Date field of this second."""
        second = int(self._loop.time())
        if self._date[0] != second:
            text = format_datetime(self._clock.now(), usegmt=True)
            self._date = (second, b"Date: " + text.encode("ascii"))
        return self._date[1]

    def came(self, connection: ServerConnection) -> None:
        """Count a connection in."""
        self._connections.add(connection)
        if self._closing:
            connection.abort()

    def went(self, connection: ServerConnection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        self._resting.pop(connection, None)
        self._give_place(connection.address)
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def rests(self, connection: ServerConnection) -> None:
        """Note that a connection waits for a request."""
        self._resting[connection] = self._loop.time()

    def works(self, connection: ServerConnection) -> None:
        """Note that a request has begun to come."""
        self._resting.pop(connection, None)

    def make_room(self) -> None:
        """Close the connection that has rested longest."""
        longest = next(iter(self._resting.items()), None)
        if longest is not None and self._loop.time() - longest[1] >= _LEAST_REST_SECONDS:
            del self._resting[longest[0]]
            longest[0].finish()

    @property
    def refusal(self) -> bytes:
        """What a connection that cannot be served is told, unless it would have to be by TLS."""
        if self._endpoint.tls is not None:
            return b""
        return refusal_of(HTTPStatus.SERVICE_UNAVAILABLE, self.date_line())

    def _take(self, sock: socket.socket) -> None:
        if self._doorkeeper is not None:
            self._doorkeeper.came(sock)
            return
        self._places -= 1
        if self._places <= 0:
            self._listener.pause()
        self.admit(sock, "")

    def admit(self, sock: socket.socket, address: str) -> None:
        """Serve a connection."""
        # Kept and awaited in `close`, as a task group would; a failed handshake ends nothing else.
        task = self._loop.create_task(self._welcome(sock, address))
        self._newcomers.add(task)
        task.add_done_callback(self._newcomers.discard)

    async def _welcome(self, sock: socket.socket, address: str) -> None:
        tls = self._endpoint.tls
        context = tls.current if isinstance(tls, SwappableContext) else tls
        handshake = None if context is None else Handshake(context, self.limits.header_seconds)
        connection = ServerConnection(self, address)
        try:
            await self._endpoint.engine.accept(sock, lambda: connection, handshake)
        except (OSError, asyncio.CancelledError, ValueError) as error:
            _LOG.debug("a connection was not established: %s", error)
            if not connection.was_made:
                self._give_place(address)

    def _give_place(self, address: str) -> None:
        if self._doorkeeper is not None:
            self._doorkeeper.left(address)
            return
        self._places += 1
        if not self._closing:
            self._listener.resume()
