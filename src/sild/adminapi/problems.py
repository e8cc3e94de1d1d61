"""Errors to status codes and error bodies, in one table."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sild.components.accounts.errors import CredentialsRefused
from sild.model import refusals
from sild.protocol.errors import GlobalConfOutdated, ProtocolError
from sild.runtime.database import DatabaseUnavailable

_LOG = logging.getLogger(__name__)


class TooManyRequests(refusals.Refusal):
    """An address asks too often."""

    code = "rate_limit_exceeded"


class TooLarge(refusals.Refusal):
    """A request's body is larger than its operation takes."""

    code = "request_size_limit_exceeded"


class UnsupportedMediaType(refusals.Refusal):
    """A request's body is of a type that its operation does not take."""

    code = "unsupported_media_type"


class ValidationFailed(refusals.BadRequest):
    """Fields of a request are not as they should be; each has its codes."""

    code = "validation_failure"

    def __init__(self, fields: Mapping[str, tuple[str, ...]]) -> None:
        told = "; ".join(f"{name}: {', '.join(codes)}" for name, codes in fields.items())
        super().__init__(f"Validation failed: {told}")
        self.fields = fields


class WarningsDetected(refusals.BadRequest):
    """It would be done with warnings ignored; raised where the caller did not say so."""

    code = "warnings_detected"

    def __init__(self, *warnings: "Deviation") -> None:
        super().__init__("Warnings detected")
        self.warnings = warnings


@dataclass(frozen=True, slots=True)
class Deviation:
    """A code with what it speaks of."""

    code: str
    metadata: tuple[str, ...] = ()
    validation_errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the body, without what is not there."""
        body: dict[str, Any] = {"code": self.code}
        if self.metadata:
            body["metadata"] = list(self.metadata)
        if self.validation_errors:
            errors = self.validation_errors.items()
            body["validation_errors"] = {name: list(codes) for name, codes in errors}
        return body


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it is answered, and as the audit log tells its reason."""

    status: int
    reason: str
    error: Deviation | None = None
    warnings: tuple[Deviation, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the ErrorInfo body."""
        body: dict[str, Any] = {"status": self.status}
        if self.error is not None:
            body["error"] = self.error.to_json()
        if self.warnings:
            body["warnings"] = [warning.to_json() for warning in self.warnings]
        return body

    def to_response(self) -> JSONResponse:
        """Give the answer."""
        return JSONResponse(self.to_json(), self.status, headers=dict(self.headers))


# The first class that an error is of says its status.
STATUSES: tuple[tuple[type[ProtocolError], HTTPStatus], ...] = (
    (CredentialsRefused, HTTPStatus.UNAUTHORIZED),
    (TooManyRequests, HTTPStatus.TOO_MANY_REQUESTS),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (refusals.BadRequest, HTTPStatus.BAD_REQUEST),
    (refusals.Forbidden, HTTPStatus.FORBIDDEN),
    (refusals.NotFound, HTTPStatus.NOT_FOUND),
    (refusals.Conflict, HTTPStatus.CONFLICT),
    (refusals.Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (refusals.Failed, HTTPStatus.INTERNAL_SERVER_ERROR),
    (GlobalConfOutdated, HTTPStatus.CONFLICT),
    # What a parser of the protocols refuses is something that was sent.
    (ProtocolError, HTTPStatus.BAD_REQUEST),
)

# Codes of what the framework itself refuses.
_CODES = {
    HTTPStatus.BAD_REQUEST: "invalid_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}


def problem_of(error: Exception, log_id: str) -> Problem:
    """Say how an error is answered; what is not known is logged under the id, without detail."""
    if isinstance(error, HTTPException) and isinstance(error.__cause__, ProtocolError):
        # What our own code said while the framework read the body.
        return _of_refusal(error.__cause__, log_id)
    match error:
        case ProtocolError():
            return _of_refusal(error, log_id)
        case HTTPException():
            status = HTTPStatus(error.status_code)
            code = _CODES.get(status, status.name.lower())
            headers = dict(error.headers or {})
            return Problem(status, status.phrase, Deviation(code), headers=headers)
        case DatabaseUnavailable():
            _LOG.error("the database is unavailable [%s]: %s", log_id, error)
            unavailable = Deviation("database_unavailable", (log_id,))
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database unavailable", unavailable)
        case _:
            _LOG.error("an operation failed [%s]", log_id, exc_info=error)
            failure = Deviation("internal_error", (log_id,))
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"internal error {log_id}", failure)


def _of_refusal(error: ProtocolError, log_id: str) -> Problem:
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        # Who asked is told a code; what stands against it is to be found by who runs the server.
        _LOG.error("%s [%s]: %s", error.code, log_id, error.message)
    metadata = error.metadata if isinstance(error, refusals.Refusal) else (error.message,)
    warnings = error.warnings if isinstance(error, WarningsDetected) else ()
    fields = error.fields if isinstance(error, ValidationFailed) else {}
    deviation = Deviation(error.code, metadata, fields)
    return Problem(status, error.message, deviation, warnings)
