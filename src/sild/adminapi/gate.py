"""The gate before every operation: host, rate, then who asks; and what every answer carries."""

import logging
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sild.adminapi.asked import Act
from sild.adminapi.authentication import Asking, Authentication
from sild.adminapi.problems import TooManyRequests, problem_of
from sild.adminapi.ratelimit import RateLimit
from sild.adminapi.texts import identifiers_are
from sild.components.accounts.errors import CredentialsRefused
from sild.model.refusals import BadRequest
from sild.runtime.clock import Clock
from sild.runtime.logs import request_id

_LOG = logging.getLogger(__name__)

_CORRELATION = "x-road-ui-correlation-id"
_GUARDED = "/api"
_LOGOUT = "/logout"

# Pages bring a policy of their own; all else needs nothing.
_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache, no-store, max-age=0, must-revalidate",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}


class UnknownHost(BadRequest):
    """A request is for a host that this server is not."""

    code = "invalid_host"


@dataclass(frozen=True, slots=True)
class Guards:
    """What the gate asks."""

    authentication: Authentication
    rate_limit: RateLimit | None
    hosts: frozenset[str]
    """The host names that are served; any, if there is none."""
    open_paths: frozenset[str]
    """Paths below /api/ that need nobody to be logged in."""
    strict_identifiers: bool
    clock: Clock


class Gate:
    """Lets requests through to the application, each with its `Act`."""

    def __init__(self, app: ASGIApp, guards: Guards) -> None:
        self._app = app
        self._guards = guards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _forget_last_slash(scope)
        correlation_id = self._guards.clock.random_bytes(8).hex()
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers[_CORRELATION] = correlation_id
            await send(message)

        with request_id(correlation_id), identifiers_are(strict=self._guards.strict_identifiers):
            try:
                act = await self._admit(Request(scope, receive), correlation_id)
                scope.setdefault("state", {})["act"] = act
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                if started:
                    raise
                response = problem_of(error, correlation_id).to_response()
                _challenge(response.headers, scope, error)
                await response(scope, receive, send_with_headers)

    async def _admit(self, request: Request, correlation_id: str) -> Act:
        guards = self._guards
        address = request.client.host if request.client else ""
        if guards.hosts and _host_of(request) not in guards.hosts:
            raise UnknownHost("the request is for a host that this server is not")
        if guards.rate_limit is not None and not guards.rate_limit.allows(address):
            _LOG.warning("%s asks too often", address)
            raise TooManyRequests(f"{address} asks too often")
        path = request.url.path
        caller = None
        if _is_guarded(path) and path not in guards.open_paths:
            asking = Asking(request, address, correlation_id)
            caller = await guards.authentication.caller_of(asking)
        return Act(caller, address, path, correlation_id)


def _is_guarded(path: str) -> bool:
    return path in {_GUARDED, _LOGOUT} or path.startswith(f"{_GUARDED}/")


def _host_of(request: Request) -> str:
    host = request.headers.get("host", "")
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _forget_last_slash(scope: Scope) -> None:
    # The user interface of the reference asks for some collections with a slash at their end.
    path = scope["path"]
    if len(path) > 1 and path.endswith("/"):
        scope["path"] = path[:-1]
        if raw := scope.get("raw_path"):
            scope["raw_path"] = raw.removesuffix(b"/")


def _challenge(headers: MutableHeaders, scope: Scope, error: Exception) -> None:
    if isinstance(error, TooManyRequests):
        headers["retry-after"] = "1"
    if isinstance(error, CredentialsRefused) and scope["path"].startswith("/api/v1/api-keys"):
        headers["www-authenticate"] = 'Basic realm="API keys"'
