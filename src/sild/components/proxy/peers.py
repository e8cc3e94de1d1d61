"""Connections to other security servers, each authenticated before a byte of a message leaves."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sild.components.proxy.peer import AuthenticatedPeer, verify_provider
from sild.components.proxy.routing import Route, Routing
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.view import View
from sild.protocol.errors import (
    IoError,
    NetworkError,
    ProtocolError,
    SslAuthenticationFailed,
    TrustError,
    UnknownHost,
    inside,
)
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId
from sild.protocol.pki.ocsp import read_ocsp_response, stale_at
from sild.protocol.transport.ocsp_exchange import read_ocsp_answer, write_ocsp_target
from sild.runtime.clock import Clock
from sild.runtime.http_client import (
    ClientResponse,
    ConnectFailed,
    Connection,
    ConnectProblem,
    HttpClientError,
    HttpClientPool,
    PeerGone,
    RequestBody,
    RequestHead,
    StaleConnection,
    Target,
    TimedOut,
    TlsFailed,
)
from sild.runtime.transport import Peer

_OCSP_ANSWER_LIMIT = 1024 * 1024
_LONGEST_MEMORY = timedelta(seconds=1200)
_REMEMBERED_CHAINS = 4096


class http_problems:  # noqa: N801 - read as a verb; a generator would cost each message more
    """Turn the errors of a connection into the protocol's own.

    Whatever takes too long is an IoError; a connection that is reset, unlike one that is closed,
    is a NetworkError. Peers tell these errors apart in the same way.
    """

    __slots__ = ("_whose",)

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, HttpClientError):
            raise _problem(error, self._whose) from error


def _problem(error: HttpClientError, whose: str) -> ProtocolError:
    if isinstance(error, ConnectFailed) and not isinstance(error, TimedOut):
        if error.problem is ConnectProblem.UNKNOWN_HOST:
            return UnknownHost(f"{whose} has no address: {error}")
        return NetworkError(f"{whose} cannot be reached: {error}")
    if isinstance(error, TlsFailed) and not isinstance(error, TimedOut):
        return SslAuthenticationFailed(f"no TLS connection to {whose}: {error}")
    if isinstance(error, PeerGone) and error.was_reset:
        return NetworkError(f"the connection to {whose} was reset: {error}")
    return IoError(f"the connection to {whose} failed: {error}")


@dataclass(frozen=True, slots=True)
class _Remembered:
    """OCSP responses of a chain, and until when they need not be fetched again."""

    responses: tuple[bytes, ...]
    until: datetime


class PeerOcsp:
    """The OCSP responses of other servers' certificates, as those servers give them."""

    def __init__(self, pool: HttpClientPool, port: int) -> None:
        self._pool = pool
        self._port = port
        self._known: dict[tuple[bytes, ...], _Remembered] = {}

    async def responses(
        self, host: str, chain: tuple[bytes, ...], view: View, now: datetime
    ) -> tuple[bytes, ...]:
        """One response for each certificate of the chain; raises ProtocolError where one lacks."""
        known = self._known.get(chain)
        if known is not None and now < known.until:
            return known.responses
        responses = await self._fetch(host, chain)
        policy = view.conf.trust(view.conf.instance).ocsp
        ends = [stale_at(read_ocsp_response(der), policy) for der in responses]
        if len(self._known) >= _REMEMBERED_CHAINS:
            self._known.clear()
        self._known[chain] = _Remembered(responses, min(*ends, now + _LONGEST_MEMORY))
        return responses

    def forget(self, chain: tuple[bytes, ...]) -> None:
        """Fetch anew next time: what was given did not verify."""
        self._known.pop(chain, None)

    async def _fetch(self, host: str, chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
        target = Target(host, self._port)
        head = RequestHead(b"GET", write_ocsp_target(chain).encode("ascii"))
        refused = f"{target} gave no OCSP responses for the certificate of its security server"
        try:
            async with self._pool.exchange(target, head, retry_stale=True) as answer:
                body = await answer.body.read_all(_OCSP_ANSWER_LIMIT)
        except HttpClientError as error:
            raise SslAuthenticationFailed(f"{refused}: {error}") from error
        if answer.status != 200:
            raise SslAuthenticationFailed(f"{refused}: HTTP status {answer.status}")
        content_type = (answer.header(b"content-type") or b"").decode("latin-1")
        return read_ocsp_answer(content_type, body, len(chain))


Proofs = dict[ClientId, tuple[View, datetime]]


class Peers:
    """Gives connections to the servers of a route, authenticated for its provider."""

    def __init__(
        self,
        pool: HttpClientPool,
        ocsp: PeerOcsp,
        context: Callable[[], ssl.SSLContext],
        routing: Routing,
        settings: ProxySettings,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._ocsp = ocsp
        self._context = context
        self._routing = routing
        self._settings = settings
        self._clock = clock

    async def connect(self, route: Route, view: View) -> "PeerConnection":
        """A connection to one of the servers, which has proved that it serves the provider.

        Use it as a context. The first server of the route has a head start, the others are
        connected to beside it; who fails to prove itself is passed over. Raises NetworkError where
        no server can be reached, or what went wrong with one that could.
        """
        connection = await self._connect(route, view)

        async def again() -> Connection:
            self._pool.drop_resting(connection.target)
            return await self._connect(route, view)

        def failed(target: Target) -> None:
            server = self._servers(route).get(target)
            if server is not None:
                self._routing.forget(route.provider, server)

        return PeerConnection(connection, again, failed)

    async def _connect(self, route: Route, view: View) -> Connection:
        servers = self._servers(route)
        if not servers:
            message = f"no security server of {route.provider} can be tried"
            raise NetworkError(message)

        async def prove(connection: Connection) -> None:
            await self._authenticate(connection, route.provider, view)

        try:
            connection = await self._pool.connect_fastest(
                tuple(servers), prove, afresh=route.afresh
            )
        except ConnectFailed as error:
            self._routing.forget(route.provider)
            whose = f"no security server of {route.provider} can be reached"
            raise NetworkError(f"{whose}: {error}") from error
        except TlsFailed as error:
            self._routing.forget(route.provider)
            message = f"no TLS connection to a security server of {route.provider}: {error}"
            raise SslAuthenticationFailed(message) from error
        except (ProtocolError, HttpClientError):
            self._routing.forget(route.provider)
            raise
        self._routing.remember(route, servers[connection.target])
        return connection

    def _servers(self, route: Route) -> dict[Target, ServerEntry]:
        context, port = self._context(), self._settings.server_port
        hosts = ((server.address or "", server) for server in route.servers)
        return {Target(host, port, context, host): server for host, server in hosts}

    async def _authenticate(self, connection: Connection, provider: ClientId, view: View) -> None:
        now = self._clock.now()
        proofs: Proofs = connection.extra if connection.extra is not None else {}
        known = proofs.get(provider)
        if known is not None and known[0] is view and now < known[1]:
            return
        chain = connection.peer_chain
        if not chain:
            message = f"{connection.target} showed no certificate"
            raise SslAuthenticationFailed(message)
        with inside("ssl_authentication_failed"):
            responses = await self._ocsp.responses(connection.target.host, chain, view, now)
        try:
            authenticated: AuthenticatedPeer = verify_provider(
                chain, responses, provider, view, now
            )
        except TrustError:
            self._ocsp.forget(chain)
            raise
        # Proofs of other views count no more, and would keep those views in memory.
        connection.extra = {each: proof for each, proof in proofs.items() if proof[0] is view}
        connection.extra[provider] = (view, authenticated.valid_until)


class PeerConnection:
    """A connection to an authenticated server, and what to do when it fails.

    A kept connection may turn out to be closed when something is to be sent over it. Then nothing
    of the message has left, and another connection takes its place, once.
    """

    __slots__ = ("_again", "_connection", "_failed")

    def __init__(
        self,
        connection: Connection,
        again: Callable[[], Awaitable[Connection]],
        failed: Callable[[Target], None],
    ) -> None:
        self._connection = connection
        self._again = again
        self._failed = failed

    @property
    def target(self) -> Target:
        """The server that is connected to."""
        return self._connection.target

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._connection.peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connection.release()

    def exchange(self, head: RequestHead, body: RequestBody = None) -> "PeerExchange":
        """Send a message: `async with connection.exchange(head, body) as answer`."""
        return PeerExchange(self, head, body)

    async def begin(self, head: RequestHead, body: RequestBody) -> ClientResponse:
        """Send a message and wait for the head of its answer; `end` must follow."""
        try:
            return await self._connection.begin(head, body)
        except StaleConnection as stale:
            if stale.sent:
                raise
            self._connection.discard()
        self._connection = await self._again()
        return await self._connection.begin(head, body)

    async def end(self, error: BaseException | None) -> None:
        """End the exchange; a server that failed in it has no precedence over others any more."""
        await self._connection.end()
        if isinstance(error, HttpClientError):
            self._failed(self.target)


class PeerExchange:
    """One message and its answer, as an asynchronous context."""

    __slots__ = ("_body", "_connection", "_head")

    def __init__(self, connection: PeerConnection, head: RequestHead, body: RequestBody) -> None:
        self._connection = connection
        self._head = head
        self._body = body

    async def __aenter__(self) -> ClientResponse:
        try:
            return await self._connection.begin(self._head, self._body)
        except HttpClientError as error:
            await self._connection.end(error)
            raise

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        await self._connection.end(error)
