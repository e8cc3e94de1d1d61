"""A pool of HTTP/1.1 connections: reused, limited, and shown to the caller before it sends.

To authenticate servers: `connect`, look at the connection's `peer_chain` (unless its `extra`
remembers that somebody did), then `exchange` on it. Where TLS itself verifies the server,
`pool.exchange` does all of it.
"""

import asyncio
import logging
import socket
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Self

from sild.runtime.http_client_connection import Connection, Exchange
from sild.runtime.http_client_race import Turns, first_of, open_socket
from sild.runtime.http_client_types import (
    BodyTooLarge,
    ClientLimits,
    ClientResponse,
    ConnectFailed,
    ConnectProblem,
    ConnectTimedOut,
    Framing,
    HttpClientError,
    PeerGone,
    ProtocolViolation,
    RequestBody,
    RequestHead,
    StaleConnection,
    Target,
    TimedOut,
    TlsFailed,
    TlsTimedOut,
)
from sild.runtime.http_wire import BodyReader, Headers, LeastPace, Sweeper
from sild.runtime.transport import FAST, Engine, Handshake

__all__ = [
    "BodyReader",
    "BodyTooLarge",
    "Check",
    "ClientLimits",
    "ClientResponse",
    "ConnectFailed",
    "ConnectProblem",
    "ConnectTimedOut",
    "Connection",
    "Exchange",
    "Framing",
    "Headers",
    "HttpClientError",
    "HttpClientPool",
    "LeastPace",
    "PeerGone",
    "ProtocolViolation",
    "RequestBody",
    "RequestHead",
    "StaleConnection",
    "Target",
    "TimedOut",
    "TlsFailed",
    "TlsTimedOut",
]

_LOG = logging.getLogger(__name__)

Check = Callable[[Connection], Awaitable[None]]
"""Proves that a new connection is good for its caller, or raises."""

# How long the first of several targets is alone, and how long one may shake hands alone.
_HEAD_START_SECONDS: Final = 0.25
_HANDSHAKE_ALONE_SECONDS: Final = 1.0


class HttpClientPool:
    """Keeps connections between exchanges; belongs to the loop that it was made on."""

    def __init__(self, limits: ClientLimits, engine: Engine = FAST) -> None:
        self._limits = limits
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._sweeper = Sweeper(
            min(
                limits.header_seconds,
                limits.idle_seconds,
                limits.write_seconds,
                limits.least_pace.seconds,
                limits.idle_keep_seconds or limits.idle_seconds,
            )
        )
        self._connections: set[Connection] = set()
        self._counted: set[Connection] = set()  # those of them that are not closing
        self._resting: dict[Target, list[Connection]] = {}
        self._places: Counter[Target] = Counter()  # of connections that are open or opening
        self._queue: deque[tuple[Target, asyncio.Future[Connection | None]]] = deque()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def connection_count(self) -> int:
        """How many connections are open, those that rest among them."""
        return len(self._connections)

    @property
    def busy_count(self) -> int:
        """How many of them do not rest."""
        return len(self._connections) - sum(map(len, self._resting.values()))

    async def connect(self, target: Target) -> Connection:
        """Lease a connection, one that rests or else a new one; use it as a context."""
        connection = self._rested(target) or await self._place(target)
        if connection is not None:
            return connection
        try:
            return await self._shake_hands(target, await self._reach(target))
        except BaseException:
            self._give_place(target)
            raise

    async def connect_fastest(
        self, targets: Sequence[Target], check: Check | None = None, *, afresh: bool = False
    ) -> Connection:
        """Lease a connection to whichever target accepts first, shakes hands and passes the check.

        One that rests wins at once, unless the choice is to be made afresh; else all targets are
        connected to at the same time, after a head start for the first. When all fail, what went
        wrong behind an accepted connection is raised rather than that there was none.
        """
        if not afresh:
            for target in targets:
                connection = self._rested(target)
                if connection is not None and await self._passes(connection, check):
                    return connection
        turns = Turns(_HANDSHAKE_ALONE_SECONDS)

        def attempt(target: Target) -> Callable[[], Coroutine[Any, Any, Connection]]:
            return lambda: self._attempt(target, turns, check)

        alone = 0.0 if afresh else _HEAD_START_SECONDS
        staggers = [alone, *[0.0] * (len(targets) - 1)]
        attempts = [attempt(each) for each in targets]
        return await first_of(attempts, staggers, Connection.release)

    async def _passes(self, connection: Connection, check: Check | None) -> bool:
        """Say whether a connection that rested is good for its caller; if not, the others go."""
        try:
            if check is not None:
                await check(connection)
        except Exception as error:  # noqa: BLE001 - a new connection shows whether it is true yet
            _LOG.debug("a kept connection to %s is of no use: %s", connection.target, error)
            connection.discard()
            self.drop_resting(connection.target)
            return False
        except BaseException:
            connection.discard()
            raise
        return True

    async def _attempt(self, target: Target, turns: Turns, check: Check | None) -> Connection:
        sock = await self._reach(target)
        try:
            turn = await turns.take()
        except BaseException:
            sock.close()
            raise
        try:
            connection = await self._lease_over(target, sock)
            try:
                if check is not None:
                    await check(connection)
            except BaseException:
                connection.discard()
                raise
        except BaseException:
            turn.give_up()
            raise
        turn.keep()
        return connection

    async def _lease_over(self, target: Target, sock: socket.socket) -> Connection:
        """Make a connection of a socket, or take another's when that comes first."""
        try:
            connection = await self._place(target)
        except BaseException:
            sock.close()
            raise
        if connection is not None:
            sock.close()
            return connection
        try:
            return await self._shake_hands(target, sock)
        except BaseException:
            self._give_place(target)
            raise

    def exchange(
        self,
        target: Target,
        head: RequestHead,
        body: RequestBody = None,
        *,
        retry_stale: bool = False,
    ) -> "PoolExchange":
        """Connect, send and answer: `async with pool.exchange(target, head) as response`.

        A request that met a stale connection is sent again, on a new one, if nothing of it had
        left; with `retry_stale`, also if the server may have seen it, which suits only what may
        be done twice, and never a body that is iterated.
        """
        return PoolExchange(self, target, (head, body), retry_stale=retry_stale)

    def drop_resting(self, target: Target | None = None) -> None:
        """Close the connections that rest, to one target or to all."""
        for each in list(self._resting) if target is None else [target]:
            for connection in self._resting.pop(each, []):
                connection.discard()

    def close(self) -> None:
        """Close all connections, those in use as well."""
        self._closed = True
        self.drop_resting()
        for connection in tuple(self._connections):
            connection.abort()

    def take_back(self, connection: Connection) -> None:
        """Keep a connection that can be used again (its `release` does this)."""
        if self._closed:
            connection.discard()
            return
        self._resting.setdefault(connection.target, []).append(connection)
        self._serve_queue()

    def let_go(self, connection: Connection) -> None:
        """Give the place of a connection that is closing to another."""
        if self._forget(connection):
            self._serve_queue()

    def went(self, connection: Connection) -> None:
        """Forget a connection that is lost."""
        self._connections.discard(connection)
        self.let_go(connection)

    def _rested(self, target: Target) -> Connection | None:
        """Take the connection that came to rest last, as long as it looks alive."""
        while resting := self._resting.get(target):
            connection = resting.pop()
            if not resting:
                del self._resting[target]
            if connection.lease():
                return connection
            self._forget(connection)
            connection.discard()
        return None

    def _forget(self, connection: Connection) -> bool:
        """Take a connection out of the count, and say whether it was in it."""
        if connection not in self._counted:
            return False
        self._counted.remove(connection)
        self._free(connection.target)
        resting = self._resting.get(connection.target, [])
        if connection in resting:
            resting.remove(connection)
            if not resting:
                del self._resting[connection.target]
        return True

    async def _place(self, target: Target) -> Connection | None:
        """Take a place for a new connection, or another's connection when that comes first."""
        if self._closed:
            raise HttpClientError("the pool is closed")
        if not self._queue and self._has_place(target):
            self._places[target] += 1
            return None
        turn: asyncio.Future[Connection | None] = self._loop.create_future()
        self._queue.append((target, turn))
        self._serve_queue()
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._undo(target, turn.result())
            else:
                self._queue.remove((target, turn))
            if isinstance(error, TimeoutError):
                seconds = self._limits.connect_seconds
                raise TimedOut(f"no connection to {target} became free in {seconds} s") from error
            raise

    def _undo(self, target: Target, given: Connection | None) -> None:
        if given is None:
            self._give_place(target)
        else:
            given.release()

    def _has_place(self, target: Target) -> bool:
        """Say whether a connection may be opened, closing another target's resting one for it."""
        if self._places[target] >= self._limits.connections_per_target:
            return False
        if self._places.total() < self._limits.connections:
            return True
        for resting in self._resting.values():
            oldest = resting[0]
            self._forget(oldest)
            oldest.discard()
            return True
        return False

    def _free(self, target: Target) -> None:
        self._places[target] -= 1
        if not self._places[target]:
            del self._places[target]

    def _give_place(self, target: Target) -> None:
        self._free(target)
        self._serve_queue()

    def _serve_queue(self) -> None:
        """Give resting connections and free places to those who wait, first come first served."""
        for target, turn in tuple(self._queue):
            if turn.done():
                continue
            if (connection := self._rested(target)) is not None:
                turn.set_result(connection)
            elif self._has_place(target):
                self._places[target] += 1
                turn.set_result(None)
            else:
                continue
            self._queue.remove((target, turn))

    async def _reach(self, target: Target) -> socket.socket:
        seconds = self._limits.connect_seconds
        try:
            async with asyncio.timeout(seconds):
                return await open_socket(target)
        except TimeoutError as error:
            raise ConnectTimedOut(f"{target} accepted no connection in {seconds} s") from error

    async def _shake_hands(self, target: Target, sock: socket.socket) -> Connection:
        limits = self._limits
        connection = Connection(target, limits, self._sweeper, self)
        # The engine's own limit is only there for when it misses this one.
        handshake = (
            None
            if target.tls is None
            else Handshake(target.tls, 2 * limits.tls_seconds, target.server_name)
        )
        try:
            async with asyncio.timeout(limits.tls_seconds):
                await self._engine.connect(sock, lambda: connection, handshake)
        except TimeoutError as error:
            raise TlsTimedOut(f"{target} took over {limits.tls_seconds} s for TLS") from error
        except (OSError, ValueError) as error:
            raise TlsFailed(f"the TLS handshake with {target} failed: {error}") from error
        if not connection.is_open:
            raise PeerGone(f"{target} closed the connection at once")
        self._connections.add(connection)
        self._counted.add(connection)
        return connection


class PoolExchange:
    """One request and its answer on a pooled connection, as an asynchronous context."""

    __slots__ = ("_connection", "_pool", "_request", "_retry_stale", "_target")

    def __init__(
        self,
        pool: HttpClientPool,
        target: Target,
        request: tuple[RequestHead, RequestBody],
        *,
        retry_stale: bool,
    ) -> None:
        self._pool = pool
        self._target = target
        self._request = request
        self._retry_stale = retry_stale
        self._connection: Connection | None = None

    async def __aenter__(self) -> ClientResponse:
        head, body = self._request
        while True:
            connection = await self._pool.connect(self._target)
            try:
                response = await connection.begin(head, body)
            except StaleConnection as stale:
                connection.discard()
                again = self._retry_stale and (body is None or isinstance(body, bytes))
                if stale.sent and not again:
                    raise
                # What one stale connection tells is likely true of the others.
                self._pool.drop_resting(self._target)
            except BaseException:
                connection.discard()
                raise
            else:
                self._connection = connection
                return response

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            await self._connection.end()
            self._connection.release()
