"""What a server is told, what its handlers get and give, and what may go wrong between."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from sild.runtime.http_server_admission import Admission
from sild.runtime.http_wire import BodyReader, Headers, LeastPace
from sild.runtime.tls import SwappableContext
from sild.runtime.transport import FAST, Engine, Peer

_PACE: Final = LeastPace(6000, 60)


class HttpServerError(Exception):
    """What a handler meets when it reads a request's body."""


class PeerGone(HttpServerError):
    """The client went away, or fell silent, before its request was complete."""


class BodyTooLarge(HttpServerError):
    """A request's body is larger than its reader allows."""


class BadBody(HttpServerError):
    """A request's body breaks the rules of HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take of a server; bytes, counts and seconds."""

    header_bytes: int = 65536
    header_count: int = 200
    header_seconds: float = 30
    idle_seconds: float = 60
    body_seconds: float = 30
    """Longest silence within a body."""
    buffered_bytes: int = 262144
    """Bytes of a body that wait for their reader before the client must."""
    connections: int = 5000
    admission: Admission | None = None
    """How newcomers are weighed when there is no place; else they wait in the kernel."""
    write_seconds: float = 30
    """Longest time in which the client takes nothing of what waits for it."""
    least_pace: LeastPace = _PACE
    """What bodies must move at least, received or sent, while it is the client's turn."""
    keeps_connections: bool = True
    """Whether a connection may serve more than one request."""
    drained_bytes: int = 64 * 1024 * 1024
    """What is read and dropped of a request that was answered before its end: a client that is
    still sending would otherwise meet a reset instead of the answer."""
    drained_seconds: float = 10


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to listen: an empty host is every address, port 0 any free one."""

    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | SwappableContext | None = None
    reuse_port: bool = False
    backlog: int = 1024
    engine: Engine = FAST


class Request:
    """A request; its body may still be on the way."""

    __slots__ = (
        "_fields",
        "body",
        "expects",
        "headers",
        "is_http_11",
        "keeps",
        "method",
        "peer",
        "target",
    )

    def __init__(
        self, method: bytes, target: bytes, headers: Headers, peer: Peer, body: BodyReader
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.peer = peer
        self.body = body
        self._fields = {name.lower(): value for name, value in headers}
        self.is_http_11 = True
        self.keeps = True
        self.expects = False

    def header(self, lowercase_name: bytes) -> bytes | None:
        """Find a header field's value; the last one wins."""
        return self._fields.get(lowercase_name)

    def has_twice(self, lowercase_names: frozenset[bytes]) -> bool:
        """Say whether one of these fields is repeated."""
        if len(self._fields) == len(self.headers):
            return False
        names = [name.lower() for name, _ in self.headers]
        return any(names.count(each) > 1 for each in lowercase_names)


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers; the server frames the body and adds `Date` if it is absent.

    An iterated body is sent in chunks, or as `length` bytes when given. The answer to a HEAD
    request carries no body; its `Content-Length`, allowed there alone, is what the handler says.
    """

    status: int
    reason: bytes = b""
    headers: Headers = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None
    close: bool = False


Handler = Callable[[Request], Awaitable[Response]]
