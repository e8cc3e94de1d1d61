"""What both ends of HTTP/1.1 share: bodies with backpressure, deadlines, heads safe to send.

A connection of either end is a `Wire`: an asyncio protocol that stops reading while a body is
consumed slowly, makes a writer wait while the peer reads slowly, and is cut by deadlines which
one sweep over all connections checks (a timer per chunk would cost more than the chunk).
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol, Self, cast, runtime_checkable

from sild.runtime.transport import Peer, look_again, peer_of

Headers = list[tuple[bytes, bytes]]
"""Header fields in wire order, names in their original case, duplicates kept."""

LAST_CHUNK: Final = b"0\r\n\r\n"
ONE_WRITE: Final = 65536
"""Up to this many bytes, head and body are joined: one TLS record, one system call."""

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class LeastPace:
    """The least that a peer must send or take while it is waited for: so much in each window.

    Time in which the peer waits for us does not count. A byte now and then holds no connection.
    """

    bytes: int
    seconds: float

    def within(self, seconds: float) -> float:
        """The bytes of another span of time at the same pace, one at least."""
        return max(1.0, self.bytes * seconds / self.seconds)


class UnsafeHead(ValueError):
    """What was to be sent would break the message that carries it."""


def lowered_names(headers: Headers) -> list[bytes]:
    """Give the names in lower case, all of them tokens."""
    names = [name for name, _ in headers]
    if not all(names) or b"".join(names).translate(None, _TOKEN):
        raise UnsafeHead("a header field's name is empty or holds characters that no name may hold")
    return [name.lower() for name in names]


def join_head(first_line: bytes, headers: Headers, more: list[bytes]) -> bytes:
    """Write a head; refuses line breaks hidden in the first line or a value."""
    lines = [first_line, *[b"%b: %b" % field for field in headers], *more, b"", b""]
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise UnsafeHead("a line break or zero byte stands in a header field or in the first line")
    return head


def as_chunk(piece: bytes) -> bytes:
    """Frame one piece of a chunked body; an empty piece would end the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@runtime_checkable
class Closable(Protocol):
    """A body that holds something until it is closed, at its end or before."""

    async def aclose(self) -> None:
        """Let go of it; a second time does nothing."""


class Watched(Protocol):
    """Something with deadlines."""

    def check(self, now: float) -> None:
        """Act on deadlines that have passed by now, in seconds of the loop's clock."""


class Sweeper:
    """Checks the deadlines of many connections with one timer.

    Where the machine stood still, what came lies unread, and peers on it could not go on either:
    the first check afterwards is left out, never two in a row.
    """

    def __init__(self, shortest_limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._tick = min(1.0, max(shortest_limit / 4, 0.01))
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._left_out = False

    def watch(self, watched: Watched) -> None:
        """Check this one from now on."""
        self._watched.add(watched)
        if self._timer is None:
            self._set_timer(self._loop.time())

    def forget(self, watched: Watched) -> None:
        """Check this one no more."""
        self._watched.discard(watched)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, now: float) -> None:
        due = now + self._tick
        self._timer = self._loop.call_at(due, self._sweep, due)

    def _sweep(self, due: float) -> None:
        now = self._loop.time()
        self._set_timer(now)
        self._left_out = not self._left_out and now > due + self._tick
        if self._left_out:
            return
        for each in tuple(self._watched):
            each.check(now)


class BodyReader:
    """A message's body: `complete` at once when all of it is there, else chunks as they arrive.

    Whoever iterates slowly makes the sender wait. One task reads it, once. When the connection
    fails, the error comes after the bytes that had arrived before it.
    """

    __slots__ = (
        "_chunks",
        "_error",
        "_too_large",
        "_waiter",
        "_wire",
        "buffered",
        "complete",
        "ended",
    )

    def __init__(self, wire: "Wire", too_large: Callable[[str], Exception]) -> None:
        self.complete: bytes | None = None
        self.buffered = 0
        self.ended = False
        self._wire = wire
        self._too_large = too_large
        self._chunks: list[bytes] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.ended:
                raise StopAsyncIteration
            await self._more()
        return self._take()

    async def read_all(self, limit: int) -> bytes:
        """Read to the end; raises the connection's BodyTooLarge past that many bytes."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                raise self._too_large(f"the body is larger than {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def gather(self, limit: int) -> bytes | None:
        """Wait until all of it is there, or more than so many bytes; then `complete` tells which.

        Nothing is taken: who iterates afterwards gets everything. The limit must be below the
        connection's `buffered_bytes`, at which the peer is made to wait.
        """
        while self.complete is None and self.buffered <= limit:
            if self.ended:
                self.settle()
            elif self._error is not None:
                self._chunks.clear()  # as long as somebody looks at the error, it holds them
                raise self._error
            else:
                await self._more()
        return self.complete

    async def _more(self) -> None:
        self._waiter = self._wire.loop.create_future()
        self._wire.body_wanted()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        self.buffered = 0
        self._wire.body_taken()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    # What follows is the connection's side of the body.

    @property
    def is_awaited(self) -> bool:
        """Whether the reader waits for bytes at this moment."""
        return self._waiter is not None

    def settle(self) -> None:
        """Make it complete if it is, as its reader is about to start."""
        if self.ended:
            self.complete = b"".join(self._chunks)
            self._chunks = [self.complete] if self.complete else []

    def feed(self, piece: bytes) -> None:
        """Take bytes as they arrive."""
        self._chunks.append(piece)
        self.buffered += len(piece)
        self._wake()

    def end(self) -> None:
        """Note that all has arrived."""
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Note that the rest will never arrive."""
        if not self.ended and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Wire(asyncio.Protocol):
    """A connection of either end: its transport, its deadlines, its pauses.

    Deadlines are seconds of the loop's clock; `inf` is none. A write deadline is put off as long
    as the peer takes bytes.
    """

    def __init__(self, sweeper: Sweeper, write_seconds: float, pace: LeastPace) -> None:
        self.loop = asyncio.get_running_loop()
        self.peer = Peer(("", 0))
        self.read_deadline = inf
        self.paced = 0  # bytes that came in the window under way
        self._pace = pace
        self._window_end = inf
        self._window_left = inf  # of a window that stands still
        self._write_seconds = write_seconds
        self._sweeper = sweeper
        self._transport: asyncio.Transport | None = None
        self._write_deadline = inf
        self._unsent = 0
        self._writable: asyncio.Future[None] | None = None
        self._holding = False

    @property
    def is_open(self) -> bool:
        """Whether bytes can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_congested(self) -> bool:
        """Whether the peer takes bytes slower than they are written."""
        return self._writable is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start watching the new connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = peer_of(transport)
        self._sweeper.watch(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of what waited for this connection."""
        self._sweeper.forget(self)
        self._transport = None
        self._write_deadline = self.read_deadline = inf
        self.end_window()
        self.resume_writing()

    def send(self, data: bytes) -> None:
        """Write, if there is still somebody to write to."""
        if self._transport is not None:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """Make `drained` wait: the peer takes bytes slower than we make them."""
        self._writable = self.loop.create_future()
        self._expect_progress()

    def resume_writing(self) -> None:
        """Let `drained` go on."""
        self._write_deadline = inf
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    async def drained(self) -> None:
        """Wait until the peer has taken most of what was written, or is gone."""
        if self._writable is not None:
            await self._writable

    def hold(self) -> None:
        """Stop reading from the peer, whose slowness is now ours."""
        transport = self._transport
        if not self._holding and transport is not None and not transport.is_closing():
            self._holding = True
            self.read_deadline = inf
            if self._window_end != inf:
                self._window_left = self._window_end - self.loop.time()
                self._window_end = inf
            transport.pause_reading()

    def unhold(self, seconds: float) -> None:
        """Read on and expect something within so many seconds."""
        transport = self._transport
        if self._holding and transport is not None and not transport.is_closing():
            self._holding = False
            now = self.loop.time()
            self.read_deadline = now + seconds
            if self._window_left != inf:
                self._window_end = now + self._window_left
                self._window_left = inf
            transport.resume_reading()

    def open_window(self, now: float) -> None:
        """Expect the least pace from now on, unless it is expected already."""
        if self._window_end == inf and self._window_left == inf:
            self.paced = 0
            self._window_end = now + self._pace.seconds

    def end_window(self) -> None:
        """Expect nothing more of the body."""
        self._window_end = self._window_left = inf

    def close(self) -> None:
        """Send what is written, then close; abort if the peer does not take it."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self.read_deadline = inf
            self._expect_progress()
            transport.close()

    @property
    def awaits_goodbye(self) -> bool:
        """Whether it was closed, and the peer has everything but its own goodbye left to say."""
        transport = self._transport
        return transport is not None and transport.is_closing() and not self._not_taken(transport)

    def close_for_both(self, seconds: float) -> None:
        """Send what is written and say so, but read on for a while before closing.

        A socket that closes on unread bytes resets the connection, and what was written may
        never be read. TLS cannot say so: there the peer learns it from the message's end.
        """
        if self.is_open:
            self.end_sending()
            self.end_window()
            self.unhold(seconds)
            self.read_deadline = self.loop.time() + seconds

    def end_sending(self) -> None:
        """Say that nothing more comes, where that can be said without closing."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()

    def abort(self) -> None:
        """Close at once, so that the peer cannot take what it got for a complete message."""
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Act on deadlines that have passed, and on a failure that nobody noticed."""
        if self._transport is not None and not self._holding:
            look_again(self._transport)
        if now >= self.read_deadline:
            self.read_deadline = inf
            self.read_expired()
        if now >= self._window_end:
            if self.paced < self._pace.bytes:
                self.end_window()
                self.too_slow(f"{self.paced} bytes in {self._pace.seconds} s")
            else:
                self.paced = 0
                self._window_end = now + self._pace.seconds
        if now >= self._write_deadline:
            self._check_progress()

    def body_wanted(self) -> None:
        """Note that a reader waits for the body."""

    def body_taken(self) -> None:
        """Note that a reader has taken all that was buffered."""

    def read_expired(self) -> None:
        """Act on the peer's silence."""
        raise NotImplementedError

    def too_slow(self, seen: str) -> None:
        """Act on a peer that sends less than the least."""
        raise NotImplementedError

    def write_expired(self) -> None:
        """Act on a peer that takes nothing of what waits for it, or next to nothing."""
        self.abort()

    def _expect_progress(self) -> None:
        if self._transport is not None:
            self._unsent = self._not_taken(self._transport)
            self._write_deadline = self.loop.time() + self._write_seconds

    def _check_progress(self) -> None:
        transport = self._transport
        if transport is not None:
            left = self._not_taken(transport)
            least = self._pace.within(self._write_seconds)
            if left == 0 or self._unsent - left >= least:
                self._expect_progress()
                return
        self._write_deadline = inf
        self.write_expired()

    def _not_taken(self, transport: asyncio.Transport) -> int:
        """The bytes that wait for the peer, here and in the kernel.

        The kernel asks for more only when much of its own buffer is free: to a slow peer, that may
        take minutes in which it takes bytes all the time.
        """
        waiting = transport.get_write_buffer_size()
        sock = transport.get_extra_info("socket")
        try:
            queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError, AttributeError):
            return waiting
        return waiting + int(struct.unpack("i", queued)[0])
