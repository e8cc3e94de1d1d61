"""Whether an address answers at all, and if not, what stands in the way."""

from urllib.parse import urlsplit

from sild.protocol.errors import IoError, NetworkError, ProtocolError, UnknownHost
from sild.runtime.addresses import resolve
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest, FetchTimeout

_PORTS = {"http": 80, "https": 443}
_SMALL = 1024 * 1024
# As the reference looks whether a time-stamping authority is there.
_LOOK = FetchLimits(total=16.2, connect=1.2, body=_SMALL)


async def check_reachable(fetcher: Fetcher, request: FetchRequest) -> None:
    """Return if somebody answers, whatever; raises UnknownHost, NetworkError, IoError."""
    await check_known(request.url)
    try:
        await fetcher.fetch(request, _LOOK)
    except FetchTimeout as error:
        raise IoError(str(error)) from error
    except FetchError as error:
        raise NetworkError(str(error)) from error


async def check_known(url: str) -> None:
    """Raise UnknownHost if nobody knows the address of a URL's host."""
    try:
        host = urlsplit(url).hostname or ""
        await resolve(host)
    except (OSError, ValueError):
        raise UnknownHost(f"the host of {url} is unknown here") from None


async def explained(error: ProtocolError, url: str) -> ProtocolError:
    """The error itself, or that the host is unknown, if that is why nobody answers."""
    try:
        await check_known(url)
    except UnknownHost as unknown:
        return unknown
    return error


def with_port(url: str) -> str:
    """A URL whose port is told."""
    parts = urlsplit(url)
    if parts.port is not None or parts.scheme not in _PORTS:
        return url
    return parts._replace(netloc=f"{parts.netloc}:{_PORTS[parts.scheme]}").geturl()
