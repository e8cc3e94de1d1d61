"""Ordinary outgoing HTTP with size and time limits, for everything but messages.

The library takes 100 ms to import and does so when the first request is made.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import httpx

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_CLIENTS = 16
# Less than the five seconds after which usual servers close: one that closes just then answers not.
_REST_SECONDS = 2.0


class FetchError(Exception):
    """Something could not be fetched."""


class FetchTimeout(FetchError):
    """It took too long."""


class FetchTooLarge(FetchError):
    """The answer holds more than is allowed."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Seconds for the whole and for connecting, bytes of a body, and redirects followed.

    Redirects are followed for GET and HEAD, and never from https to http.
    """

    total: float = 30.0
    connect: float = 10.0
    body: int = 16 * 1024**2
    redirects: int = 0


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to ask; `tls` says whom to trust and who we are, without it the system's authorities."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """What came back, whatever its status; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def find_header(self, name: str) -> str | None:
        """Give the first value of a header."""
        return next((value for key, value in self.headers if key == name.lower()), None)


class Fetcher:
    """Fetches over kept connections; `close` it, or use it as an async context.

    Proxies and certificates that the environment names count only when it is `trusting` it.
    """

    def __init__(self, limits: FetchLimits | None = None, *, trusting: bool = False) -> None:
        self._limits = limits or FetchLimits()
        self._trusting = trusting
        self._clients: dict[ssl.SSLContext | None, httpx.AsyncClient] = {}

    async def fetch(
        self, request: FetchRequest, limits: FetchLimits | None = None
    ) -> FetchResponse:
        """Ask and give the answer; raise FetchTimeout, FetchTooLarge or another FetchError."""
        limits = limits or self._limits
        shown = _shown(request.url)
        try:
            async with asyncio.timeout(limits.total):
                return await self._follow(request, limits)
        except TimeoutError as error:
            raise FetchTimeout(f"{shown} did not answer in {limits.total:g} seconds") from error

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _follow(self, request: FetchRequest, limits: FetchLimits) -> FetchResponse:
        for _ in range(limits.redirects):
            response = await self._ask(request, limits)
            target = response.find_header("location")
            moves = response.status in _REDIRECTS and request.method in {"GET", "HEAD"}
            if not moves or target is None:
                return response
            url = urljoin(request.url, target)
            if request.url.startswith("https:") and not url.startswith("https:"):
                raise FetchError(f"{_shown(request.url)} redirects to {_shown(url)}, without TLS")
            request = replace(request, url=url)
        return await self._ask(request, limits)

    async def _ask(self, request: FetchRequest, limits: FetchLimits) -> FetchResponse:
        async with self._answer(request, limits) as answer:
            encoding = answer.headers.get("content-encoding", "identity").lower()
            if encoding != "identity":
                raise FetchError(f"{_shown(request.url)} answered in the encoding {encoding!r}")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > limits.body:
                    raise FetchTooLarge(
                        f"{_shown(request.url)} answered with more than {limits.body} bytes"
                    )
            headers = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
            return FetchResponse(answer.status_code, headers, bytes(body))

    @asynccontextmanager
    async def _answer(
        self, request: FetchRequest, limits: FetchLimits
    ) -> AsyncIterator["httpx.Response"]:
        import httpx  # noqa: PLC0415 - slow to import, and most processes never fetch

        shown = _shown(request.url)
        try:
            client = await self._client(request.tls)
            # Without compression, so that a small answer cannot grow to a large one here.
            headers = [("Accept-Encoding", "identity"), *request.headers]
            async with client.stream(
                request.method,
                request.url,
                headers=headers,
                content=request.body or None,
                timeout=httpx.Timeout(None, connect=limits.connect),
            ) as answer:
                yield answer
        except httpx.TimeoutException as error:
            message = f"{shown} was not connected to in {limits.connect:g} seconds"
            raise FetchTimeout(message) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            reason = str(error) or type(error).__name__
            raise FetchError(f"{shown} could not be fetched: {reason}") from error

    async def _client(self, tls: ssl.SSLContext | None) -> "httpx.AsyncClient":
        """Give the client of a TLS context: one each, the longest unused closed when many."""
        import httpx  # noqa: PLC0415 - as above

        client = self._clients.pop(tls, None)
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS:
                await self._clients.pop(next(iter(self._clients))).aclose()
            client = httpx.AsyncClient(
                verify=tls or ssl.create_default_context(),
                trust_env=self._trusting,
                limits=httpx.Limits(keepalive_expiry=_REST_SECONDS),
            )
        self._clients[tls] = client
        return client


def _shown(url: str) -> str:
    """Give a URL as messages may show it: checked to be http or https, without its password."""
    try:
        parts = urlsplit(url)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    except ValueError as error:
        raise FetchError("the address is not a URL") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise FetchError(f"{shown!r} is not an address of http or https")
    return shown
