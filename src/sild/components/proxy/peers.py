"""Connections to other security servers, each authenticated before a byte of a message leaves."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

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
    ConnectFailed,
    Connection,
    ConnectProblem,
    HttpClientError,
    HttpClientPool,
    RequestHead,
    Target,
    TlsFailed,
)

_OCSP_ANSWER_LIMIT = 1024 * 1024
_LONGEST_MEMORY = timedelta(seconds=1200)
_REMEMBERED_CHAINS = 4096


class http_problems:  # noqa: N801 - read as a verb; a generator would cost each message more
    """Turn the errors of a connection into the protocol's own."""

    __slots__ = ("_whose",)

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if not isinstance(error, HttpClientError):
            return
        whose = self._whose
        if isinstance(error, ConnectFailed):
            if error.problem is ConnectProblem.UNKNOWN_HOST:
                raise UnknownHost(f"{whose} has no address: {error}") from error
            raise NetworkError(f"{whose} cannot be reached: {error}") from error
        if isinstance(error, TlsFailed):
            raise SslAuthenticationFailed(f"no TLS connection to {whose}: {error}") from error
        raise IoError(f"the connection to {whose} failed: {error}") from error


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

    async def connect(self, route: Route, view: View) -> Connection:
        """A connection to one of the servers, which has proved that it serves the provider.

        Use it as a context. Servers are tried in the order of the route; the error of the last
        one is raised.
        """
        problem: Exception | None = None
        for server in route.servers:
            try:
                connection = await self._connect(server, route.provider, view)
            except (ProtocolError, HttpClientError) as error:
                problem = error
                self._routing.forget(route.provider)
            else:
                self._routing.remember(route, server)
                return connection
        if problem is None:
            message = f"no security server of {route.provider} can be tried"
            raise NetworkError(message)
        raise problem

    async def _connect(self, server: ServerEntry, provider: ClientId, view: View) -> Connection:
        host = server.address or ""
        target = Target(host, self._settings.server_port, self._context(), host)
        connection = await self._pool.connect(target)
        try:
            await self._authenticate(connection, provider, view)
        except BaseException:
            connection.discard()
            raise
        return connection

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
