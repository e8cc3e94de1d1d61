"""Whether a service could be called with its TLS certificate verified."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from sild.runtime.tls import TlsSetupError

_HTTPS = 443
_SECONDS = 10.0


class TlsTrialFailed(Exception):
    """The service cannot be connected to."""


class TlsTrialRefused(TlsTrialFailed):
    """One side does not accept the other's certificate."""


class TlsTrial(Protocol):
    """Connects to services, and does no more."""

    async def try_tls(self, url: str, trusted: tuple[bytes, ...]) -> None:
        """Connect, trusting these certificates (DER); raises TlsTrialRefused, TlsTrialFailed."""
        ...


class ServiceTlsTrial:
    """Connects to services just as the proxy does; `context` makes what it uses for them."""

    def __init__(
        self, context: Callable[[tuple[bytes, ...]], ssl.SSLContext], seconds: float = _SECONDS
    ) -> None:
        self._context = context
        self._seconds = seconds

    async def try_tls(self, url: str, trusted: tuple[bytes, ...]) -> None:
        """Connect, trusting these certificates (DER); raises TlsTrialRefused, TlsTrialFailed."""
        parts = urlsplit(url)
        try:
            context = self._context(trusted)
            async with asyncio.timeout(self._seconds):
                _, writer = await asyncio.open_connection(
                    parts.hostname, parts.port or _HTTPS, ssl=context
                )
        except ssl.SSLError as error:
            raise TlsTrialRefused(f"{url} is not trusted, or does not trust us: {error}") from error
        except (OSError, ValueError, TlsSetupError) as error:
            raise TlsTrialFailed(f"{url} cannot be connected to: {error}") from error
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._seconds):
                await writer.wait_closed()
