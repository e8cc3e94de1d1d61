"""The health check of a security server: what is looked at, and the port where it is told."""

import json
from collections.abc import Mapping

from sqlalchemy import text

from sild.components.diagnostics.diagnostics import Diagnostics
from sild.components.diagnostics.health import Check, Health, HealthState
from sild.components.diagnostics.settings import HealthSettings
from sild.protocol.errors import ProtocolError
from sild.runtime.clock import Clock
from sild.runtime.database import DatabaseError
from sild.runtime.http_server import Endpoint, Handler, HttpServer, Limits, Request, Response, serve
from sild.runtime.rpc import RpcError
from sild.servers.doors import CannotListen
from sild.servers.survey import Survey, worker_statuses

_CONNECTIONS = 64
_JSON = (b"Content-Type", b"application/json")


def checks_of(survey: Survey, diagnostics: Diagnostics) -> Mapping[str, Check]:
    """What serving depends on, by name."""
    look = _Look(survey, diagnostics)
    checks = {
        "token": look.token,
        "authentication": look.authentication,
        "global-configuration": look.global_conf,
        "database": look.databases,
        "workers": look.workers,
    }
    if survey.health.hsm_health_check_enabled:
        checks["hardware-tokens"] = look.hardware_tokens
    if survey.limits.memory_usage_threshold:
        checks["memory"] = look.memory
    return checks


class _Look:
    """Looks at one thing each; a reason names nothing that a stranger should not know."""

    def __init__(self, survey: Survey, diagnostics: Diagnostics) -> None:
        self._survey = survey
        self._diagnostics = diagnostics

    async def token(self) -> str | None:
        try:
            tokens = await self._survey.keys.tokens()
        except RpcError:
            return "the signer does not answer"
        is_open = any(token.logged_in for token in tokens)
        return None if is_open else "no PIN of a token was entered"

    async def hardware_tokens(self) -> str | None:
        try:
            tokens = await self._survey.keys.tokens()
        except RpcError:
            return "the signer does not answer"
        hardware = (token for token in tokens if not token.is_software)
        is_ready = all(token.available and token.logged_in for token in hardware)
        return None if is_ready else "a hardware token is away or logged out"

    async def authentication(self) -> str | None:
        try:
            snapshot = self._survey.knowledge.snapshot()
        except ProtocolError:
            return "the server is not initialised"
        if snapshot.authentication is None:
            return (
                "there is no active, registered authentication certificate with a key that can be "
                "used and a good OCSP response"
            )
        return None

    async def global_conf(self) -> str | None:
        try:
            self._survey.knowledge.global_conf()
        except ProtocolError:
            return "the global configuration is expired or missing"
        return None

    async def databases(self) -> str | None:
        try:
            for database in self._survey.databases:
                async with database.reading() as connection:
                    await connection.execute(text("SELECT 1"))
        except DatabaseError:
            return "a database does not answer"
        return None

    async def workers(self) -> str | None:
        statuses = await worker_statuses(self._survey.workers)
        if any(status is not None and status.ready for status in statuses):
            return None
        return "no process on the message path is ready"

    async def memory(self) -> str | None:
        use = await self._diagnostics.memory()
        return "the memory that is used is above the threshold" if use.is_over else None


def answer_of(state: HealthState) -> Response:
    """The state as a balancer reads it: 200 or 503, and the reasons for people."""
    told = {"healthy": state.is_healthy, "reasons": dict(state.reasons)}
    body = json.dumps(told).encode()
    if state.is_healthy:
        return Response(200, b"OK", [_JSON], body)
    return Response(503, b"Service Unavailable", [_JSON], body)


async def serve_health(health: Health, settings: HealthSettings, clock: Clock) -> HttpServer | None:
    """Answer balancers, whatever they ask for; None where there is no port for it.

    Raises CannotListen.
    """

    async def answer(request: Request) -> Response:
        if request.method not in {b"GET", b"HEAD"}:
            return Response(405, b"Method Not Allowed", [(b"Allow", b"GET, HEAD")])
        told = answer_of(await health.state())
        if request.method == b"HEAD":
            return Response(told.status, told.reason)
        return told

    if not settings.port:
        return None
    return await listen_at(answer, settings.listen_address, settings.port, clock)


async def listen_at(handler: Handler, host: str, port: int, clock: Clock) -> HttpServer:
    """Answer at a port for machines that look after this one; raises CannotListen."""
    endpoint = Endpoint(host, port)
    try:
        return await serve(handler, endpoint, Limits(connections=_CONNECTIONS), clock)
    except OSError as error:
        raise CannotListen.at(host, port, error) from error
