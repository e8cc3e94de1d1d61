"""One client connection of HTTP/1.1: a request at a time, its body streamed, its answer read.

A request's body may still be on its way when the answer begins. An answer of 400 or above stops
it, and so does the end of any answer; such a connection serves no further request.
"""

import asyncio
import select
from collections.abc import AsyncIterator
from math import inf
from types import TracebackType
from typing import Any, Final, Protocol, Self

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sild.runtime.http_client_types import (
    BodyTooLarge,
    ClientLimits,
    ClientResponse,
    Framing,
    HttpClientError,
    PeerGone,
    ProtocolViolation,
    RequestBody,
    RequestHead,
    StaleConnection,
    Target,
    TimedOut,
)
from sild.runtime.http_wire import (
    LAST_CHUNK,
    BodyReader,
    Closable,
    Headers,
    Sweeper,
    UnsafeHead,
    Wire,
    as_chunk,
    join_head,
    lowered_names,
)
from sild.runtime.transport import ended_by_peer

# What delimits a message is this module's business, and it does not wait for 100 (Continue).
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection", b"expect"})
_BODILESS: Final = frozenset({204, 304})
# A connection that rested for longer is asked for a pending close before it is used.
_TRUSTED_REST_SECONDS: Final = 0.25


class Home(Protocol):
    """Where connections come from and go back to."""

    def take_back(self, connection: "Connection") -> None:
        """Keep a connection that can be used again."""

    def let_go(self, connection: "Connection") -> None:
        """Give the place of a connection that is closing to another."""

    def went(self, connection: "Connection") -> None:
        """Forget a connection that is lost."""


class _Refused(Exception):
    """Stops the parser; its argument says why."""


class Connection(Wire):
    """A connection leased from a pool; leaving its context releases or discards it.

    `extra` is the caller's, to remember that this connection's peer was authenticated.
    """

    def __init__(self, target: Target, limits: ClientLimits, sweeper: Sweeper, home: Home) -> None:
        super().__init__(sweeper, limits.write_seconds, limits.least_pace)
        self.target = target
        self.reused = False
        self.extra: Any = None
        self._limits = limits
        self._host_line = b"Host: " + _authority(target)
        self._home = home
        self._parser: HttpResponseParser | None = None
        self._reason = b""
        self._headers: Headers = []
        self._quiet = 0  # bytes since the last ones that meant something
        self._is_head = False
        self._interim = False
        self._until_end = False  # the body ends with the connection
        self._answer: asyncio.Future[ClientResponse] | None = None  # of the exchange under way
        self._arriving: ClientResponse | None = None  # whose body is not complete
        self._received = False
        self._complete = False
        self._sent = False
        self._keeps = True
        self._pump: asyncio.Task[None] | None = None
        self._rested_at = inf

    @property
    def peer_certificate(self) -> bytes | None:
        """The server's leaf certificate as DER, unverified unless the context verifies."""
        return self.peer.certificate

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """All certificates that the server sent, as DER, leaf first; unverified."""
        return self.peer.chain

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the connection back, or discard it if it cannot be used again."""
        keeps = self._keeps and self._limits.idle_keep_seconds > 0
        if self.is_open and keeps and self._answer is None:
            self._rested_at = self.loop.time()
            self.read_deadline = self._rested_at + self._limits.idle_keep_seconds
            self._home.take_back(self)
        else:
            self.discard()

    def discard(self) -> None:
        """Close the connection; its place in the pool is free at once."""
        self._keeps = False
        self._home.let_go(self)
        if self._answer is None:
            self.close()
        else:
            self.abort()

    def lease(self) -> bool:
        """Take the connection out of its rest; says whether it can still be used."""
        self.read_deadline = inf
        self.reused = True
        if self._transport is None or self._transport.is_closing():
            return False
        if self.loop.time() - self._rested_at < _TRUSTED_REST_SECONDS:
            return True
        return not self._has_unseen()

    def _has_unseen(self) -> bool:
        """Whether a close, or anything else unasked for, has come that the loop has not seen."""
        if self._transport is None:
            return True
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def exchange(self, head: RequestHead, body: RequestBody = None) -> "Exchange":
        """Send a request: `async with connection.exchange(head, body) as response`.

        A body given as bytes goes out with its head in one write. Leaving the context before the
        answer is complete discards the connection.
        """
        return Exchange(self, head, body)

    # The transport's callbacks.

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the exchange under way, if its answer is not complete."""
        super().connection_lost(error)
        self._parser = None  # whose callbacks hold this connection, and so its buffers
        why = f": {error}" if error is not None and str(error) else ""
        was_reset = isinstance(error, ConnectionError)
        if self.reused and not self._received:
            what = f"{self.target} closed a reused connection{why}"
            self._fail(StaleConnection(what, sent=True, was_reset=was_reset))
        else:
            what = f"{self.target} closed the connection before its answer's end{why}"
            self._fail(PeerGone(what, was_reset=was_reset))
        if self._pump is not None:
            self._pump.cancel()
        self._home.went(self)

    def eof_received(self) -> None:
        """End the body that ends with the connection."""
        transport = self._transport
        if self._until_end and transport is not None and ended_by_peer(transport):
            self._end_answer()

    def data_received(self, data: bytes) -> None:
        """Parse; bytes that nobody asked for make the connection useless."""
        if self._answer is None:
            self.discard()
            return
        if self._complete:
            self._keeps = False
            return
        self._received = True
        self._quiet += len(data)
        self.paced += len(data)
        try:
            (self._parser or self._new_parser()).feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._violated(str(error.__context__ or error))
            return
        if self._quiet > self._limits.header_bytes:
            self._violated("too many bytes without meaning")
        elif self._arriving is not None:
            if self._arriving.body.buffered > self._limits.buffered_bytes:
                # Paused while it hands over data, the fast engine forgets a goodbye behind it.
                self.loop.call_soon(self._hold_if_full)
            else:
                now = self.loop.time()
                self.read_deadline = now + self._limits.idle_seconds
                self.open_window(now)

    def _hold_if_full(self) -> None:
        """Stop reading, unless the body was taken meanwhile."""
        body = None if self._arriving is None else self._arriving.body
        if body is not None and body.buffered > self._limits.buffered_bytes:
            self.hold()

    def resume_writing(self) -> None:
        """Count the time for the answer from when the request is out."""
        super().resume_writing()
        self._await_head()

    def read_expired(self) -> None:
        """Give up on a silent server; let go of a connection that nobody needed."""
        if self._answer is None:
            self.discard()
            return
        limits = self._limits
        part, seconds = "head", limits.header_seconds
        if self._arriving is not None:
            part, seconds = "body", limits.idle_seconds
        self._fail(TimedOut(f"{self.target} sent nothing of its answer's {part} for {seconds} s"))
        self.abort()

    def too_slow(self, seen: str) -> None:
        """Give up on a server whose answer never ends."""
        self._fail(TimedOut(f"{self.target} sent its answer too slowly: {seen}"))
        self.abort()

    def write_expired(self) -> None:
        """Give up on a server that takes nothing."""
        seconds = self._limits.write_seconds
        self._fail(TimedOut(f"{self.target} took nothing of the request for {seconds} s"))
        self.abort()

    def body_taken(self) -> None:
        """Read on."""
        if self._arriving is not None:
            self.unhold(self._limits.idle_seconds)

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        """Refuse an answer to nothing."""
        if self._complete:
            raise _Refused("an answer came without a request")

    def on_status(self, piece: bytes) -> None:
        """Take the reason, which may come in pieces."""
        self._reason += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; trailers are dropped."""
        if self._arriving is None:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Make an answer of the head; an interim one is skipped."""
        parser, answer = self._parser, self._answer
        if parser is None or answer is None or self._complete:
            raise _Refused("an answer came without a request")
        self._check_size()
        status = parser.get_status_code()
        headers, self._headers = self._headers, []
        reason, self._reason = self._reason, b""
        self._quiet = 0
        if status < 200:
            if status == 101:
                raise _Refused("the server switched protocols unasked")
            self._interim = True
            return
        response = ClientResponse(status, reason, headers, BodyReader(self, BodyTooLarge))
        has_body = not self._is_head and status not in _BODILESS
        ends_with_connection = _ends_with_connection(response, parser.get_http_version())
        self._until_end = has_body and ends_with_connection
        self._keeps = parser.should_keep_alive() and not self._until_end
        self._arriving = response
        if not answer.done():
            answer.set_result(response)
        if self._is_head:
            self._end_answer()
        elif status >= 400:
            self._stop_sending()

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._quiet = 0
        if self._arriving is None:
            raise _Refused("a body came that nobody asked for")
        self._arriving.body.feed(piece)

    def on_message_complete(self) -> None:
        """End the answer."""
        self._quiet = 0
        if self._interim:
            self._interim = False
        elif self._arriving is not None:
            self._end_answer()

    def _new_parser(self) -> HttpResponseParser:
        self._parser = HttpResponseParser(self)
        return self._parser

    def _check_size(self) -> None:
        size = self._quiet  # of this head and whatever came in one read with it
        if size > self._limits.header_bytes:
            size = sum(len(name) + len(value) + 4 for name, value in self._headers)
        if size > self._limits.header_bytes or len(self._headers) > self._limits.header_count:
            raise _Refused("the head is too large")

    def _end_answer(self) -> None:
        if self._arriving is not None:
            self._arriving.body.end()
            self._arriving = None
        self._complete = True
        self.read_deadline = inf
        self.end_window()
        self._stop_sending()

    def _violated(self, why: str) -> None:
        self._fail(ProtocolViolation(f"{self.target} broke the rules of HTTP/1.1: {why}"))
        self.abort()

    def _fail(self, error: Exception) -> None:
        """Fail what is under way; an answer that is complete stays so."""
        self._keeps = False
        if self._arriving is not None:
            self._arriving.body.fail(error)
            self._arriving = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # The exchange.

    async def begin(self, head: RequestHead, body: RequestBody) -> ClientResponse:
        """Send a request and wait for its answer's head; `end` must follow unless this raises."""
        if self._answer is not None:
            raise RuntimeError("a connection carries one exchange at a time")
        if not self.is_open or not self._keeps or (self.reused and self._has_unseen()):
            raise self._gone_before()
        unsent = self._head(head, body)
        answer: asyncio.Future[ClientResponse] = self.loop.create_future()
        self._answer = answer
        self._is_head = head.method == b"HEAD"
        self._received = self._complete = self._sent = self._until_end = False
        self._quiet = 0
        try:
            if body is None or isinstance(body, bytes):
                self.send(unsent + _framed(head.framing, body))
                self._sent = True
                self._await_head()
            else:
                # Awaited by `end`: it never outlives the exchange.
                self._pump = self.loop.create_task(self._send_pieces(unsent, head, body))
            response = await answer
        except BaseException:
            await self.end()
            raise
        response.body.settle()
        return response

    async def end(self) -> None:
        """End the exchange; unless it is complete, the connection ends with it."""
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
            await asyncio.wait([pump])
        answer, self._answer = self._answer, None
        if answer is not None and answer.done() and not answer.cancelled():
            answer.exception()  # raised by `begin`, or too late for anybody
        if not (self._complete and self._sent):
            self._keeps = False
            self._arriving = None
            self.abort()
        elif not self._keeps:
            self.close()
        if self._is_head:
            self._parser = None  # it may expect the body whose length the head told

    async def _send_pieces(
        self, unsent: bytes, head: RequestHead, body: AsyncIterator[bytes]
    ) -> None:
        chunked = head.framing is Framing.CHUNKED
        size = 0
        try:
            async for piece in body:
                if not piece:
                    continue
                size += len(piece)
                if not chunked and size > (head.length or 0):
                    raise UnsafeHead(f"a body of {head.length} bytes went on after them")
                self.send(unsent + (as_chunk(piece) if chunked else piece))
                unsent = b""
                if self.is_congested:
                    await self.drained()
            if not chunked and size != head.length:
                raise UnsafeHead(f"a body of {head.length} bytes ended after {size}")
            self.send(unsent + (LAST_CHUNK if chunked else b""))
            self._sent = True
            self._await_head()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the exchange's error
            self._fail(error)
            self.abort()
        finally:
            if isinstance(body, Closable):
                await body.aclose()

    def _stop_sending(self) -> None:
        if self._pump is not None and not self._sent:
            self._keeps = False
            self._pump.cancel()

    def _await_head(self) -> None:
        if self._sent and self._answer is not None and not self._answer.done():
            waits = self.is_congested
            self.read_deadline = inf if waits else self.loop.time() + self._limits.header_seconds

    def _head(self, head: RequestHead, body: RequestBody) -> bytes:
        names = lowered_names(head.headers)
        if not _FRAMING.isdisjoint(names):
            raise UnsafeHead("a request's framing and connection are its sender's business")
        if not head.method.isalpha() or not head.target or b" " in head.target:
            raise UnsafeHead("a request's method or target could not be told from its neighbours")
        more = []
        if b"host" not in names:
            more.append(self._host_line)
        if body is not None and head.framing is Framing.CHUNKED:
            more.append(b"Transfer-Encoding: chunked")
        elif body is not None:
            length = len(body) if isinstance(body, bytes) else head.length
            if length is None:
                raise UnsafeHead("a body framed by its length needs one")
            more.append(b"Content-Length: %d" % length)
        return join_head(b"%b %b HTTP/1.1" % (head.method, head.target), head.headers, more)

    def _gone_before(self) -> HttpClientError:
        if self.reused:
            return StaleConnection(f"{self.target} had closed a reused connection", sent=False)
        return PeerGone(f"{self.target} closed the connection before the request")


class Exchange:
    """One request and its answer, as an asynchronous context."""

    __slots__ = ("_body", "_connection", "_head")

    def __init__(self, connection: Connection, head: RequestHead, body: RequestBody) -> None:
        self._connection = connection
        self._head = head
        self._body = body

    async def __aenter__(self) -> ClientResponse:
        return await self._connection.begin(self._head, self._body)

    async def __aexit__(self, *_: object) -> None:
        await self._connection.end()


def _framed(framing: Framing, body: bytes | None) -> bytes:
    if body is None or framing is Framing.LENGTH:
        return body or b""
    return as_chunk(body) + LAST_CHUNK if body else LAST_CHUNK


def _authority(target: Target) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host.encode("idna" if not host.isascii() else "ascii") + b":%d" % target.port


def _ends_with_connection(response: ClientResponse, version: str) -> bool:
    """Say whether nothing else tells the body's end; refuses what readers could disagree on."""
    encoding = response.header(b"transfer-encoding")
    if version not in {"1.1", "1.0"}:
        raise _Refused(f"HTTP/{version}")
    if encoding is None:
        return response.header(b"content-length") is None
    names = [name.lower() for name, _ in response.headers]
    if encoding.lower() != b"chunked" or names.count(b"transfer-encoding") > 1 or version != "1.1":
        raise _Refused("a transfer encoding that is not just chunked")
    return False
