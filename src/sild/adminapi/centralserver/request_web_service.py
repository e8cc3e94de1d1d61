"""A web service for management requests: limits first, then SOAP in and SOAP out.

What is refused is told as a SOAP fault with status 500. Of what stands against a request that its
sender may make, existing security servers know the code in the fault's text, with the status that
the management API would have answered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sild.adminapi.problems import problem_of
from sild.adminapi.ratelimit import RateLimit, Rates
from sild.components.centralserver.request_services import Done, RequestServices
from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.refusals import Refusal
from sild.protocol.errors import InvalidContentType, ProtocolError
from sild.protocol.management.verify import VerifiedRequest
from sild.protocol.mime import media_type_of
from sild.protocol.soap.fault import write_fault
from sild.runtime.clock import Clock
from sild.runtime.logs import request_id

_LOG = logging.getLogger(__name__)

_ANSWER_TYPE = "text/xml;charset=UTF-8"
_HEADERS = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Content-Type-Options": "nosniff",
}

Take = Callable[[VerifiedRequest], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What one service grants its callers."""

    requests_per_minute: int = 10
    """Of one address; below 1 there is no limit."""
    body: int = 50 * 1024
    seconds: float = 30.0
    """For the whole of a request."""


class Callers(Protocol):
    """Who may call a service at all."""

    async def may_call(self, address: str) -> bool:
        """Whether this address may call."""
        ...


@dataclass(frozen=True, slots=True)
class WebService:
    """One of the services: what it is called, where it is, and which bodies it takes."""

    name: str
    paths: tuple[str, ...]
    media_types: frozenset[str]
    callers_setting: str = ""
    """The setting that says who may call."""


class RequestWebService:
    """Answers for one service; `app` is the application."""

    def __init__(
        self, service: WebService, services: RequestServices, take: Take, guards: "RequestGuards"
    ) -> None:
        self._service = service
        self._services = services
        self._take = take
        self._guards = guards
        limits = guards.limits
        rates = Rates(per_second=0, per_minute=limits.requests_per_minute)
        self._rate_limit = RateLimit(rates, guards.clock)
        self.app = Starlette(
            routes=[Route(path, self._answer, methods=["POST"]) for path in service.paths]
        )

    async def _answer(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        if not self._rate_limit.allows(address):
            _LOG.warning("%s calls the %s too often", address, self._service.name)
            return JSONResponse(
                {"status": 429}, HTTPStatus.TOO_MANY_REQUESTS, {"Connection": "close"}
            )
        callers = self._guards.callers
        if callers is not None and not await callers.may_call(address):
            return self._refuse(address, request.url.path)
        content_type = request.headers.get("content-type", "")
        if not self._takes(content_type):
            return Response(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        try:
            async with asyncio.timeout(self._guards.limits.seconds):
                body = await self._read(request)
        except TimeoutError:
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        trace = self._guards.clock.random_bytes(8).hex()
        with request_id(trace):
            return await self._carry_out(body, content_type, _Caller(address, trace, request))

    def _refuse(self, address: str, path: str) -> Response:
        """Turn away who may not call, and tell the audit log; the limit above keeps it short."""
        name, setting = self._service.name, self._service.callers_setting
        _LOG.warning("%s may not call the %s: see the setting %s", address, name, setting)
        record = AuditRecord(
            AuditEvent.UNSPECIFIED_ACCESS_CHECK,
            user=None,
            address=address,
            url=path,
            reason=f"this address may not call the {name}",
        )
        self._guards.audit.record(record)
        return Response(status_code=HTTPStatus.FORBIDDEN)

    def _takes(self, content_type: str) -> bool:
        try:
            return media_type_of(content_type) in self._service.media_types
        except InvalidContentType:
            return False

    async def _read(self, request: Request) -> bytes | None:
        """The body; None where there is more than is taken."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._guards.limits.body:
                return None
        return bytes(body)

    async def _carry_out(self, body: bytes, content_type: str, caller: "_Caller") -> Response:
        try:
            verified = await self._services.verify(body, content_type)
            try:
                done = await self._take(verified)
            except Exception as error:
                self._record(verified, caller, reason=str(error) or type(error).__name__)
                raise
            self._record(verified, caller, request_id=done.id)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it is answered
            return _fault(error, caller.trace)
        _LOG.info("took %s %d", verified.request.type.service_code, done.id)
        return _soap(done.answer, HTTPStatus.OK)

    def _record(
        self,
        verified: VerifiedRequest,
        caller: "_Caller",
        *,
        request_id: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell the audit log of what somebody who has proved who they are wants."""
        data: dict[str, object] = {
            "type": verified.request.type.service_code,
            "securityServerId": verified.request.server.encoded,
        }
        if request_id is not None:
            data["requestId"] = request_id
        self._guards.audit.record(
            AuditRecord(
                AuditEvent.ADD_MANAGEMENT_REQUEST,
                data,
                user=str(verified.message.header.client),
                address=caller.address,
                url=caller.request.url.path,
                reason=reason,
                correlation_id=caller.trace,
            )
        )


@dataclass(frozen=True, slots=True)
class RequestGuards:
    """What a service is guarded by."""

    limits: ServiceLimits
    audit: Audit
    clock: Clock
    callers: Callers | None = None
    """Everybody may call where there is nobody to ask."""


@dataclass(frozen=True, slots=True)
class _Caller:
    address: str
    trace: str
    request: Request


def _fault(error: Exception, trace: str) -> Response:
    problem = problem_of(error, trace)
    code, message = "internal_error", "Internal error"
    if isinstance(error, Refusal):
        message = f"{error.code} with statusCode {problem.status}"
    elif isinstance(error, ProtocolError):
        code, message = error.staged_code, error.message
    _LOG.warning("a management request was refused: %s: %s", code, message)
    return _soap(write_fault(code, message, trace), HTTPStatus.INTERNAL_SERVER_ERROR)


def _soap(content: bytes, status: HTTPStatus) -> Response:
    return Response(content, status, {**_HEADERS, "Content-Type": _ANSWER_TYPE})
