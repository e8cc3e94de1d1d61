"""What is asked of an HTTP server, what it answers, and what may go wrong between."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sild.runtime.http_wire import BodyReader, Headers, LeastPace

_PACE: Final = LeastPace(600, 60)


@dataclass(frozen=True, slots=True)
class Target:
    """A server to connect to; `server_name` is asked for in TLS, by default none.

    Targets are equal when their contexts are the same object: once a context is replaced, the
    pool opens new connections.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class HttpClientError(Exception):
    """A request got no answer, or not all of it."""


class ConnectProblem(Enum):
    """Why there is no connection."""

    UNKNOWN_HOST = "the name is unknown"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    SILENT = "no answer in time"


class ConnectFailed(HttpClientError):
    """Nothing could be connected to; `problem` says why."""

    def __init__(self, message: str, problem: ConnectProblem) -> None:
        super().__init__(message)
        self.problem = problem


class TlsFailed(HttpClientError):
    """The TLS handshake failed."""


class TimedOut(HttpClientError):
    """The server, or a place in the pool, took longer than its limit."""


class ConnectTimedOut(ConnectFailed, TimedOut):
    """Nobody answered the wish for a connection."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ConnectProblem.SILENT)


class TlsTimedOut(TlsFailed, TimedOut):
    """The TLS handshake took longer than its limit."""


class ProtocolViolation(HttpClientError):
    """The answer breaks the rules of HTTP/1.1, or our limits for a head."""


class PeerGone(HttpClientError):
    """The server closed the connection before its answer was complete, or reset it."""

    def __init__(self, message: str, *, was_reset: bool = False) -> None:
        super().__init__(message)
        self.was_reset = was_reset


class StaleConnection(PeerGone):
    """A connection used before was closed before a byte of this answer came.

    Most often the server had closed it while it was idle. Unless `sent` is false, it may also
    have worked on the request.
    """

    def __init__(self, message: str, *, sent: bool, was_reset: bool = False) -> None:
        super().__init__(message, was_reset=was_reset)
        self.sent = sent


class BodyTooLarge(HttpClientError):
    """An answer's body is larger than its reader allows."""


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What a client grants its servers, and itself; seconds, bytes and counts."""

    connect_seconds: float = 10
    """For the name and TCP, and for a place when the pool is full."""
    tls_seconds: float = 10
    header_seconds: float = 60
    """From the whole request sent to the whole head received."""
    idle_seconds: float = 30
    """Longest silence within a body."""
    write_seconds: float = 30
    """Longest time in which the server takes nothing of what waits for it."""
    least_pace: LeastPace = _PACE
    """What bodies must move at least, sent or received, while it is the server's turn."""
    idle_keep_seconds: float = 30
    """How long a connection rests before it is closed; with 0 each serves one request."""
    header_bytes: int = 65536
    header_count: int = 200
    buffered_bytes: int = 262144
    """Bytes of a body that wait for their reader before the server must."""
    connections: int = 1000
    connections_per_target: int = 100


class Framing(Enum):
    """How the end of a request's body is told."""

    CHUNKED = "chunked"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What stands before a request's body; `Host` is added if absent.

    `length` is of an iterated body that is framed by length. A body of None has no framing.
    """

    method: bytes
    target: bytes
    headers: Headers = field(default_factory=list)
    framing: Framing = Framing.CHUNKED
    length: int | None = None


RequestBody = bytes | AsyncIterator[bytes] | None


class ClientResponse:
    """An answer; its body may still be on the way."""

    __slots__ = ("_fields", "body", "headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: Headers, body: BodyReader) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self._fields = {name.lower(): value for name, value in headers}

    def header(self, lowercase_name: bytes) -> bytes | None:
        """Find a header field's value; the last one wins."""
        return self._fields.get(lowercase_name)
