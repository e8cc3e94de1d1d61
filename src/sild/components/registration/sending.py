"""Send management requests: an authCertReg to the Central Server, all others as messages.

The Central Server proves itself by one certificate, which the global configuration names: its name
and its validity are not asked about. Nothing is sent before it has.
"""

import asyncio
import hmac
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from sild.components.registration.composing import Composed, Composer
from sild.components.registration.errors import SendingFailed
from sild.components.registration.ports import Standing
from sild.protocol.errors import PeerFault, ProtocolError
from sild.protocol.globalconf.private_parameters import ManagementService
from sild.protocol.management.codec import read_response
from sild.protocol.management.requests import AuthCertRegistration, ManagementRequest
from sild.protocol.pki.certificate import Certificate
from sild.runtime.http_client import HttpClientPool
from sild.runtime.http_client_types import (
    ClientLimits,
    Framing,
    HttpClientError,
    RequestHead,
    Target,
)
from sild.runtime.tls import TlsPolicy, unverified_client_context

_HTTPS = 443
_LARGEST_ANSWER = 1_000_000
_LIMITS = ClientLimits(header_seconds=60, idle_keep_seconds=0)


@dataclass(frozen=True, slots=True)
class _Address:
    target: Target
    path: bytes


class RequestSender:
    """Sends requests and reads their answers."""

    def __init__(self, composer: Composer, standing: Standing, seconds: float = 90.0) -> None:
        self._composer = composer
        self._standing = standing
        self._seconds = seconds

    async def send(self, request: ManagementRequest) -> int:
        """Send a request; the id that the Central Server gives it, 0 for a dry run.

        Raises SendingFailed, and what `Composer.compose` does.
        """
        composed = await self._composer.compose(request)
        try:
            async with asyncio.timeout(self._seconds):
                content_type, answer = await self._post(request, composed)
            return read_response(answer, content_type, composed.soap)
        except TimeoutError:
            raise SendingFailed(f"no answer came in {self._seconds:g} seconds") from None
        except HttpClientError as error:
            raise SendingFailed(str(error), str(error)) from error
        except PeerFault as fault:
            told = f"{fault.fault}: {fault.message}"
            raise SendingFailed(f"the request was refused: {told}", told) from fault
        except ProtocolError as error:
            if isinstance(error, SendingFailed):
                raise
            raise SendingFailed(
                f"the answer cannot be used: {error.message}", error.message
            ) from error

    async def _post(self, request: ManagementRequest, composed: Composed) -> tuple[str, bytes]:
        if isinstance(request, AuthCertRegistration):
            service = self._standing.conf().management_service
            return await _exchange(_registration_address(service), composed, service.certificate)
        own = _Address(self._standing.own_proxy(), b"/")
        return await _exchange(own, composed, None)


async def _exchange(
    address: _Address, composed: Composed, pinned: Certificate | None
) -> tuple[str, bytes]:
    headers = [(b"Content-Type", composed.content_type.encode("ascii"))]
    head = RequestHead(b"POST", address.path, headers, Framing.LENGTH)
    async with HttpClientPool(_LIMITS) as pool, await pool.connect(address.target) as connection:
        if pinned is not None:
            _check_pinned(connection.peer_certificate, pinned)
        async with connection.exchange(head, composed.body) as response:
            answer = await response.body.read_all(_LARGEST_ANSWER)
            content_type = (response.header(b"content-type") or b"").decode("latin-1")
            if not content_type.lower().startswith("text/xml"):
                raise SendingFailed(
                    f"{address.target} answered with status {response.status} and"
                    f" {content_type[:100] or 'no content type'}",
                    f"status {response.status}",
                )
            return content_type, answer


def _check_pinned(shown: bytes | None, pinned: Certificate) -> None:
    if shown is None or not hmac.compare_digest(shown, pinned.der):
        raise SendingFailed(
            "the Central Server's TLS certificate is not the one in the global configuration"
        )


def _registration_address(service: ManagementService) -> _Address:
    """Where certificates are registered; raises SendingFailed for what proves nothing of itself."""
    try:
        parts = urlsplit(service.address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _no_address(service) from None
    if not host or parts.scheme != "https" or not service.address.isascii():
        raise _no_address(service)
    if service.certificate is None:
        raise SendingFailed("the Central Server's TLS certificate is not in the configuration")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Address(Target(host, port or _HTTPS, _any_server()), path.encode("ascii"))


def _no_address(service: ManagementService) -> SendingFailed:
    return SendingFailed(
        "the global configuration gives no address of the registration service that begins with"
        f" https: {service.address[:200]!r}"
    )


def _any_server() -> ssl.SSLContext:
    """A context for who is told apart by `_check_pinned`, before anything is sent."""
    return unverified_client_context(TlsPolicy(), None)
