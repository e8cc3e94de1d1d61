"""One connection of the server: parsed, queued, answered by one task, cut when it misbehaves."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from math import inf
from typing import Final, NoReturn, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from sild.runtime.http_server_types import (
    BadBody,
    BodyTooLarge,
    Handler,
    HttpServerError,
    Limits,
    PeerGone,
    Request,
    Response,
)
from sild.runtime.http_wire import (
    LAST_CHUNK,
    ONE_WRITE,
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

_LOG = logging.getLogger(__name__)

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# Requests that one connection may have waiting behind the one being answered.
_PIPELINE_DEPTH: Final = 64
# What is left of a request's body is read and dropped up to here, to keep the connection.
_DROPPED_BYTES: Final = 262144
# A client that still sends when nothing more is read of it may do so for this long.
_LINGER_SECONDS: Final = 1.0
_BODILESS: Final = frozenset({204, 304})
# What delimits a message is the server's business: from anyone else it would let the two ends
# disagree on where the message ends.
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_FRAMING_OF_HEAD: Final = _FRAMING - {b"content-length"}
_ONCE: Final = frozenset({b"content-length", b"transfer-encoding", b"host"})
_STATUS_OF: Final[Mapping[type[Exception], HTTPStatus]] = {
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BadBody: HTTPStatus.BAD_REQUEST,
}


class Site(Protocol):
    """What a connection needs of its server."""

    @property
    def handler(self) -> Handler:
        """What answers."""

    @property
    def limits(self) -> Limits:
        """What a client may take."""

    @property
    def sweeper(self) -> Sweeper:
        """What watches deadlines."""

    def came(self, connection: "ServerConnection") -> None:
        """Count a connection in."""

    def went(self, connection: "ServerConnection") -> None:
        """Count a connection out."""

    def rests(self, connection: "ServerConnection") -> None:
        """Note that a connection waits for a request."""

    def works(self, connection: "ServerConnection") -> None:
        """Note that a request has begun to come."""

    def date_line(self) -> bytes:
        """Give the Date field of this second."""


class _Refused(Exception):
    """Stops the parser; the connection knows why."""


class ServerConnection(Wire):
    """One client: the parser's callbacks, the queue of requests, the task that answers them."""

    def __init__(self, site: Site, address: str) -> None:
        super().__init__(site.sweeper, site.limits.write_seconds, site.limits.least_pace)
        self.was_made = False
        self.address = address
        self.task: asyncio.Task[None] | None = None
        self._site = site
        self._limits = site.limits
        self._parser = HttpRequestParser(self)
        self._target = b""
        self._headers: Headers = []
        self._quiet = 0  # bytes since the last ones that meant something
        self._in_head = False
        self._arriving: Request | None = None  # whose body is not complete
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._wake: asyncio.Future[None] | None = None
        self._silence = site.limits.body_seconds  # the longest within a body
        self._begun = False  # bytes of the current answer are out
        self._last = False  # no request is answered after those that wait
        self._deaf = False  # what still comes is dropped
        self._refusal: HTTPStatus | None = None  # answers what never became a request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a first request."""
        super().connection_made(transport)
        self.was_made = True
        self.read_deadline = self.loop.time() + self._limits.header_seconds
        # Ends with the connection; `HttpServer.close` awaits it, as a task group would.
        self.task = self.loop.create_task(self._answer_all())
        self._site.came(self)
        self._site.rests(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the handler, by its body or by cancelling it."""
        super().connection_lost(error)
        self._last = self._deaf = True
        del self._parser  # whose callbacks hold this connection, and so its buffers
        self._waiting.clear()
        reads = self._current is not None and self._current.body.is_awaited
        if self._arriving is not None:
            self._arriving.body.fail(
                PeerGone("the client closed the connection within its request")
            )
        if self.task is not None and not reads:
            self.task.cancel()
        self._site.went(self)

    def data_received(self, data: bytes) -> None:
        """Parse, then wake the task if there is something to answer."""
        if self._deaf:
            return
        self._quiet += len(data)
        self.paced += len(data)
        try:
            self._feed(data)
        except HttpParserError:
            self._refuse(self._refusal or HTTPStatus.BAD_REQUEST)
        if self._quiet > self._limits.header_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not self._deaf:
            self._set_deadline()
        self._wake_up()

    def read_expired(self) -> None:
        """Give up on a client that does not go on with what it began."""
        if self._deaf:
            self.close()
        elif self._arriving is not None:
            self._give_up_body(f"the client sent nothing for {self._limits.body_seconds} s")
        elif self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
            self._wake_up()
        elif self._current is None and not self._waiting:
            self.close()

    def too_slow(self, seen: str) -> None:
        """Give up on a client whose request never ends."""
        self._give_up_body(f"the client sent its request too slowly: {seen}")

    def _give_up_body(self, why: str) -> None:
        if self._arriving is not None:
            self._arriving.body.fail(PeerGone(why))
        self._last = self._deaf = True

    def body_wanted(self) -> None:
        """Tell a client that asked first to go on."""
        current = self._current
        if current is not None and current.expects and not current.body.ended:
            current.expects = False
            self.send(_CONTINUE)
            self.read_deadline = self.loop.time() + self._limits.body_seconds

    def body_taken(self) -> None:
        """Read on."""
        if self._arriving is not None:
            self.unhold(self._limits.body_seconds)

    def finish(self) -> None:
        """Close after the answers that are being made."""
        self._last = True
        if self._current is None and not self._waiting:
            self.close()

    # The parser's callbacks.

    def on_url(self, piece: bytes) -> None:
        """Take the target, which may come in pieces."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; trailers are dropped."""
        if self._arriving is None:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Make a request of the head, or refuse it."""
        self._check_size()
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade():
            if method == b"CONNECT":
                self._stop(HTTPStatus.NOT_IMPLEMENTED)
            return  # `_feed` reads it again without the offer
        version = parser.get_http_version()
        body = BodyReader(self, BodyTooLarge)
        request = Request(method, self._target, self._headers, self.peer, body)
        self._check_head(request, version)
        request.is_http_11 = version == "1.1"
        request.keeps = parser.should_keep_alive()
        expectation = request.header(b"expect")
        if expectation is not None and request.is_http_11:
            request.expects = expectation.lower() == b"100-continue"
        self._target, self._headers = b"", []
        self._quiet = 0
        self._in_head = False
        self._arriving = request
        self._waiting.append(request)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._quiet = 0
        if self._arriving is not None:
            self._arriving.expects = False
            self._arriving.body.feed(piece)

    def on_message_complete(self) -> None:
        """End the request, unless it is to be read again without its upgrade."""
        self._quiet = 0
        if self._arriving is not None:
            self._arriving.body.end()
            self._arriving = None
            self.end_window()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                return self._parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]

    def _without_upgrade(self) -> bytes:
        # An offered upgrade may be declined in silence, but the parser has already ended the
        # request at its head, body or no body. It reads the request again without the offer.
        version = self._parser.get_http_version().encode("ascii")
        first = b"%b %b HTTP/%b" % (self._parser.get_method(), self._target, version)
        headers = [each for each in self._headers if each[0].lower() != b"upgrade"]
        self._parser = HttpRequestParser(self)
        self._target, self._headers = b"", []
        return join_head(first, headers, [])

    def _check_size(self) -> None:
        limits = self._limits
        size = self._quiet  # of this head and whatever came in one read with it
        if size > limits.header_bytes:
            size = sum(len(name) + len(value) + 4 for name, value in self._headers)
            size += len(self._target)
        if size > limits.header_bytes or len(self._headers) > limits.header_count:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _check_head(self, request: Request, version: str) -> None:
        """Refuse what the parser lets through although readers could disagree on it."""
        if version not in {"1.1", "1.0"}:
            self._stop(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        encoding = request.header(b"transfer-encoding")
        if encoding is not None and version == "1.0":
            self._stop(HTTPStatus.BAD_REQUEST)
        if encoding is not None and encoding.lower() != b"chunked":
            self._stop(HTTPStatus.NOT_IMPLEMENTED)
        if version == "1.1" and request.header(b"host") is None:
            self._stop(HTTPStatus.BAD_REQUEST)
        if request.has_twice(_ONCE):
            self._stop(HTTPStatus.BAD_REQUEST)
        if len(self._waiting) >= _PIPELINE_DEPTH:
            self._stop(HTTPStatus.TOO_MANY_REQUESTS)

    def _stop(self, status: HTTPStatus) -> NoReturn:
        self._refusal = status
        raise _Refused

    def _refuse(self, status: HTTPStatus) -> None:
        """Read no more; what never became a request is answered after those that did."""
        self._last = self._deaf = True
        self.read_deadline = inf
        if self._arriving is None:
            self._refusal = status
        else:
            self._refusal = None
            self._arriving.body.fail(BadBody("the request's body breaks the rules of HTTP/1.1"))

    def _set_deadline(self) -> None:
        """Set the deadline that fits, and stop reading while there is enough to do."""
        if self._arriving is not None:
            if self._arriving.body.buffered > self._limits.buffered_bytes:
                self.hold()
            elif self._arriving.expects:
                self.read_deadline = inf
            else:
                now = self.loop.time()
                self.read_deadline = now + self._silence
                self.open_window(now)
        elif self._waiting or self._current is not None:
            self.read_deadline = inf
            if self._waiting and self._current is not None:
                self.hold()
        elif self._quiet and not self._in_head:
            self._in_head = True
            self._site.works(self)
            self.read_deadline = self.loop.time() + self._limits.header_seconds

    def _wake_up(self) -> None:
        if self._wake is not None and (self._waiting or self._last) and not self._wake.done():
            self._wake.set_result(None)

    # The task.

    async def _answer_all(self) -> None:
        try:
            while self._waiting or not self._last:
                if not self._waiting:
                    self._wake = self.loop.create_future()
                    await self._wake
                    self._wake = None
                    continue
                self._current = self._waiting.popleft()
                if not await self._answer(self._current):
                    return
                self._current = None
                self._rest()
            if self._refusal is not None:
                self.send(refusal_of(self._refusal, self._site.date_line()))
        finally:
            self._current = None
            self._last = self._deaf = True
            if self._arriving is None and self._refusal is None:
                self.close()
            else:
                self.close_for_both(_LINGER_SECONDS)
            self.task = None  # a cancelled one holds this frame, and so this connection

    def _rest(self) -> None:
        """Wait for the next request, if it is not here yet."""
        if not self._waiting and not self._last:
            limits = self._limits
            seconds = limits.header_seconds if self._quiet else limits.idle_seconds
            self._in_head = self._quiet > 0
            if not self._in_head:
                self._site.rests(self)
            self.read_deadline = self.loop.time() + seconds
            self.unhold(seconds)

    async def _answer(self, request: Request) -> bool:
        """Answer one request; says whether the connection can go on."""
        self._begun = False
        self._site.works(self)
        request.body.settle()
        try:
            response = await self._site.handler(request)
            keeps = await self._write(request, response)
        except PeerGone:
            self.abort()
            return False
        except Exception as error:  # noqa: BLE001 - a server outlives the bugs of its handlers
            status = _STATUS_OF.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            if status is HTTPStatus.INTERNAL_SERVER_ERROR:
                _LOG.exception("the answer to a %s request failed", request.method.decode("ascii"))
            if self._begun:
                self.abort()
                return False
            keeps = await self._write(request, _apology(status))
        if request.body.ended:
            return keeps
        if not keeps:
            self.end_sending()
            self._silence = min(self._silence, _LINGER_SECONDS)
            self.read_deadline = min(self.read_deadline, self.loop.time() + self._silence)
        return await self._drop_body(request) and keeps

    async def _drop_body(self, request: Request) -> bool:
        """Read past what the handler left of the body; says whether its end was reached."""
        limits = self._limits
        if request.expects:
            return False  # to read would be to ask for it
        size = 0
        try:
            async with asyncio.timeout(limits.drained_seconds):
                async for piece in request.body:
                    size += len(piece)
                    if size > limits.drained_bytes:
                        return False
        except (HttpServerError, TimeoutError):
            return False
        return True

    async def _write(self, request: Request, response: Response) -> bool:
        """Write a response; says whether it lets the connection go on."""
        body = response.body
        keeps = self._can_keep(request, response)
        if request.method == b"HEAD" or response.status in _BODILESS:
            await _close_iterator(body)
            self._begin(self._head(request, response, None, keeps))
        elif isinstance(body, bytes):
            head = self._head(request, response, b"Content-Length: %d" % len(body), keeps)
            if len(body) <= ONE_WRITE:
                self._begin(head + body)
            else:
                self._begin(head)
                self.send(body)
        else:
            try:
                return await self._stream(request, response, body)
            finally:
                await _close_iterator(body)
        if self.is_congested:
            await self.drained()
        return keeps

    async def _stream(
        self, request: Request, response: Response, body: AsyncIterator[bytes]
    ) -> bool:
        # The head waits for the first piece: one write for both, and a body that fails at once
        # can still be answered with an error.
        keeps = self._can_keep(request, response)
        length = response.length
        chunked = length is None and request.is_http_11
        framing = b"Transfer-Encoding: chunked" if chunked else None
        if length is not None:
            framing = b"Content-Length: %d" % length
        keeps = keeps and framing is not None
        unsent = self._head(request, response, framing, keeps)
        size = 0
        async for piece in body:
            if not piece:
                continue
            size += len(piece)
            if length is not None and size > length:
                raise UnsafeHead(f"a body of {length} bytes went on after them")
            self._begin(unsent + (as_chunk(piece) if chunked else piece))
            unsent = b""
            if self.is_congested:
                await self.drained()
            if not self.is_open:
                return False
        if length is not None and size < length:
            raise UnsafeHead(f"a body of {length} bytes ended after {size}")
        self._begin(unsent + (LAST_CHUNK if chunked else b""))
        await self.drained()
        return keeps

    def _can_keep(self, request: Request, response: Response) -> bool:
        # Who asked to send a body and was not told to go on may send it or not. An answer that
        # streams may be made of the request that still comes.
        is_whole = isinstance(response.body, bytes)
        return (
            request.keeps
            and self._limits.keeps_connections
            and not response.close
            and not self._last
            and not request.expects
            and (request.body.ended or not is_whole or _is_nearly_here(request))
        )

    def _begin(self, data: bytes) -> None:
        self._begun = True
        self.send(data)

    def _head(
        self, request: Request, response: Response, framing: bytes | None, keeps: bool
    ) -> bytes:
        names = lowered_names(response.headers)
        forbidden = _FRAMING if framing or request.method != b"HEAD" else _FRAMING_OF_HEAD
        if not forbidden.isdisjoint(names):
            raise UnsafeHead("a response's framing and connection are the server's business")
        if not 200 <= response.status <= 999:
            raise UnsafeHead(f"{response.status} is no status of a final response")
        more = [] if framing is None else [framing]
        if b"date" not in names:
            more.append(self._site.date_line())
        if not keeps:
            more.append(b"Connection: close")
        elif not request.is_http_11:
            more.append(b"Connection: keep-alive")
        first_line = b"HTTP/1.1 %d %b" % (response.status, response.reason)
        return join_head(first_line, response.headers, more)


def _is_nearly_here(request: Request) -> bool:
    """Say whether what is left of a body is so little that reading it keeps a connection."""
    length = request.header(b"content-length") or b""
    return length.isdigit() and len(length) < 10 and int(length) <= _DROPPED_BYTES


async def _close_iterator(body: bytes | AsyncIterator[bytes]) -> None:
    if isinstance(body, Closable):
        await body.aclose()


def _apology(status: HTTPStatus) -> Response:
    text = f"{status.value} {status.phrase}\n".encode("ascii")
    headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
    return Response(status, status.phrase.encode("ascii"), headers, text, close=True)


def refusal_of(status: HTTPStatus, date_line: bytes) -> bytes:
    """A whole answer, for what is not served at all."""
    response = _apology(status)
    first_line = b"HTTP/1.1 %d %b" % (status, response.reason)
    text = response.body if isinstance(response.body, bytes) else b""
    more = [b"Content-Length: %d" % len(text), date_line, b"Connection: close"]
    return join_head(first_line, response.headers, more) + text
