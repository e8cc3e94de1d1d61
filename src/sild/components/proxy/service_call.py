"""Call the provider's own service: the end of a request's way."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sild.components.proxy.limits import service_pool_limits
from sild.components.proxy.peers import http_problems
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.view import ServiceAddress
from sild.model.services import Service
from sild.protocol.transport.headers import Field
from sild.runtime.files import SpooledBytes
from sild.runtime.http_client import (
    Framing,
    HttpClientPool,
    PoolExchange,
    RequestHead,
    Target,
)
from sild.runtime.http_wire import BodyReader, Headers

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(slots=True)
class ServiceAnswer:
    """What the service answers; its body may still be on the way. Close it in the end."""

    status: int
    reason: bytes
    headers: Headers
    body: "AnswerBody"
    exchange: PoolExchange | None

    def header(self, lowercase_name: bytes) -> bytes | None:
        """Find a header field's value; the last one wins."""
        found = [value for name, value in self.headers if name.lower() == lowercase_name]
        return found[-1] if found else None

    async def close(self) -> None:
        """End the exchange; a second time does nothing."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            await exchange.__aexit__(None, None, None)


class AnswerBody:
    """The service's answer body; a broken connection is the protocol's own error."""

    def __init__(self, body: BodyReader) -> None:
        self._body = body

    async def gather(self, limit: int) -> bytes | None:
        """The whole body, if it has no more than so many bytes; else it is to be iterated."""
        with http_problems("the service"):
            return await self._body.gather(limit)

    def __aiter__(self) -> "AnswerBody":
        return self

    async def __anext__(self) -> bytes:
        with http_problems("the service"):
            return await self._body.__anext__()


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """What a service is sent."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Sequence[Field]
    body: bytes | SpooledBytes | None


@dataclass(frozen=True, slots=True)
class ServiceTls:
    """How services are called by HTTPS: with and without a look at their certificates."""

    verified: Callable[[Service], ssl.SSLContext]
    unverified: Callable[[], ssl.SSLContext]


class ServiceCaller:
    """Calls services over kept connections."""

    def __init__(self, pools: Callable[[float], HttpClientPool], tls: ServiceTls) -> None:
        self._pools = pools
        self._tls = tls

    async def call(
        self, service: Service, address: ServiceAddress, call: ServiceCall
    ) -> ServiceAnswer:
        """Call the service at its address.

        A kept connection that the service closes at that very moment is replaced by a new one,
        where nothing was sent, or where a method is safe to repeat (RFC 9110, 9.2.1).

        Raises NetworkError, UnknownHost, IoError or SslAuthenticationFailed.
        """
        context = None
        if address.tls:
            context = self._tls.verified(service) if service.verify_tls else self._tls.unverified()
        target = Target(address.host, address.port, context, address.host)
        headers = [*call.headers, (b"Host", address.authority.encode("ascii"))]
        body = call.body
        length = body.size if isinstance(body, SpooledBytes) else None
        head = RequestHead(
            call.method.encode("ascii"),
            call.target.encode("ascii"),
            headers,
            Framing.LENGTH,
            length,
        )
        content = body.chunks() if isinstance(body, SpooledBytes) else body
        pool = self._pools(service.timeout_seconds)
        exchange = pool.exchange(target, head, content, retry_stale=call.method in _SAFE)
        with http_problems("the service"):
            answer = await exchange.__aenter__()
        return ServiceAnswer(
            answer.status, answer.reason, answer.headers, AnswerBody(answer.body), exchange
        )


class ServicePools:
    """One pool for each service time-out in use."""

    def __init__(self, settings: ProxySettings) -> None:
        self._settings = settings
        self._pools: dict[float, HttpClientPool] = {}

    def __call__(self, timeout_seconds: float) -> HttpClientPool:
        """The pool whose answers must begin within the time."""
        pool = self._pools.get(timeout_seconds)
        if pool is None:
            limits = service_pool_limits(self._settings, timeout_seconds)
            pool = self._pools[timeout_seconds] = HttpClientPool(limits)
        return pool

    @property
    def connection_count(self) -> int:
        """How many connections to services are open."""
        return sum(pool.connection_count for pool in self._pools.values())

    @property
    def busy_count(self) -> int:
        """How many of them do not rest."""
        return sum(pool.busy_count for pool in self._pools.values())

    def drop_resting(self) -> None:
        """Close the connections that rest."""
        for pool in self._pools.values():
            pool.drop_resting()

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()
