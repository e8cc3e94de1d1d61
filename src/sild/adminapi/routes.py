"""A declared operation as a route: permission first, then type and size, and only then the body."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import File, Form
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from sild.adminapi.asked import Act, act_of
from sild.adminapi.bodies import Body, ErrorInfo
from sild.adminapi.operations import Operation
from sild.adminapi.problems import (
    TooLarge,
    UnsupportedMediaType,
    ValidationFailed,
    WarningsDetected,
    problem_of,
)
from sild.adminapi.validation import field_errors_of
from sild.model.audit import Audit, AuditEvent
from sild.model.refusals import Forbidden

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_JSON, _MULTIPART, _FORM = (
    "application/json",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
)
_FIRST_ERROR = 400
# What every operation may answer besides its own statuses.
_ALL = (401, 403, 413, 429, 500, 503)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What routes need of the application that they are in."""

    audit: Audit
    largest: int
    """How many bytes a body has at most."""
    largest_upload: int
    """How many bytes one with files has at most."""

    def largest_of(self, media_type: str | None) -> int:
        """How many bytes a body of this type has at most."""
        return self.largest if media_type in (None, _JSON, _FORM) else self.largest_upload


def surroundings_of(request: Request) -> Surroundings:
    """The surroundings of the application that a request came to."""
    surroundings = request.app.state.surroundings
    if not isinstance(surroundings, Surroundings):
        raise TypeError("an application was made without surroundings")
    return surroundings


class LaterRoute(Route):
    """The place of an operation, whose route is made when it is first asked for.

    To make a route takes milliseconds, and of all routes few are asked for in a server's first
    seconds.
    """

    def __init__(self, prefix: str, operation: Operation) -> None:
        super().__init__(prefix + operation.path, _unmade, methods=[operation.method])
        # Without HEAD, which comes with GET by itself here.
        self.methods = {operation.method}
        self.operation = operation
        self._prefix = prefix

    @cached_property
    def made(self) -> "OperationRoute":
        """The route itself."""
        return OperationRoute(self._prefix, self.operation)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what was asked for, or that it cannot be asked so."""
        if scope["method"] != self.operation.method:
            await super().handle(scope, receive, send)
            return
        scope.update(self.made.matches(scope)[1])
        await self.made.handle(scope, receive, send)


async def _unmade(request: Request) -> Response:
    raise AssertionError(f"{request.url.path} is answered by the route that was made")


class OperationRoute(APIRoute):
    """The route of one operation."""

    def __init__(self, prefix: str, operation: Operation) -> None:
        self.operation = operation
        super().__init__(
            prefix + operation.path,
            operation.endpoint,
            methods=[operation.method],
            status_code=operation.status,
            tags=[operation.tag],
            operation_id=operation.operation_id,
            summary=operation.operation_id,
            responses=_responses(operation),
            response_class=_response_class(operation),
            response_model_exclude_none=True,
        )

    @property
    def takes(self) -> str | None:
        """The media type of its bodies, if it takes any."""
        if self.body_field is None:
            return None
        described = self.body_field.field_info
        if isinstance(described, File):
            return _MULTIPART
        if isinstance(described, Form):
            return _FORM
        return getattr(described, "media_type", _JSON)

    def get_route_handler(self) -> Handler:
        """Give what answers requests."""
        answer = super().get_route_handler()
        takes = self.takes

        async def handle(request: Request) -> Response:
            act, surroundings = act_of(request), surroundings_of(request)
            act.begin(self.operation.event)
            try:
                self._check_permission(act)
                if takes is not None:
                    _check_media_type(request, takes)
                response = await answer(bounded(request, surroundings.largest_of(takes)))
            except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it is answered
                if isinstance(error, Forbidden):
                    act.becomes_if_none(AuditEvent.UNSPECIFIED_ACCESS_CHECK)
                problem = problem_of(self._named(error), act.correlation_id)
                is_warning = isinstance(error, WarningsDetected)
                act.record(surroundings.audit, problem.reason, warning=is_warning)
                return problem.to_response()
            act.record(surroundings.audit)
            return response

        return handle

    def _named(self, error: Exception) -> Exception:
        if not isinstance(error, RequestValidationError):
            return error
        schemas = _schemas(self.body_field.field_info.annotation if self.body_field else None)
        return ValidationFailed(field_errors_of(error, self.operation.operation_id, schemas))

    def _check_permission(self, act: Act) -> None:
        if self.operation.is_open:
            return
        if self.operation.needs:
            act.require(*self.operation.needs)
        else:
            _ = act.caller


def _schemas(annotation: object) -> tuple[type[Body], ...]:
    """The schemas that a body may be of: one, or all of a union."""
    choices = get_args(annotation) or (annotation,)
    return tuple(each for each in choices if isinstance(each, type) and issubclass(each, Body))


def _responses(operation: Operation) -> dict[int | str, dict[str, Any]]:
    others = operation.also if operation.is_open else (*operation.also, *_ALL)
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorInfo} if status >= _FIRST_ERROR else _success(operation)
        for status in others
    }
    responses.update({status: {} for status in operation.blank})
    if operation.gives is not None:
        responses[operation.status] = _success(operation)
    return responses


def _response_class(operation: Operation) -> type[Response]:
    answer = _answer(operation)
    is_json = operation.gives is None and (answer is type(None) or not _is_bare(answer))
    return JSONResponse if is_json else Response


def _success(operation: Operation) -> dict[str, Any]:
    if operation.gives is not None:
        return {"content": {operation.gives: {"schema": {"type": "string", "format": "binary"}}}}
    answer = _answer(operation)
    return {} if _is_bare(answer) else {"model": answer}


def _answer(operation: Operation) -> object:
    return get_type_hints(operation.endpoint, include_extras=True).get("return", type(None))


def _is_bare(answer: object) -> bool:
    return answer is type(None) or (isinstance(answer, type) and issubclass(answer, Response))


def _check_media_type(request: Request, takes: str) -> None:
    given = request.headers.get("content-type")
    if given is None:
        if request.headers.get("content-length", "0") == "0" and not _is_chunked(request):
            return
        raise UnsupportedMediaType(f"a body came without a type, this operation takes {takes}")
    name = given.partition(";")[0].strip().lower()
    if name != takes:
        raise UnsupportedMediaType(f"this operation takes {takes}", takes)


def _is_chunked(request: Request) -> bool:
    return "transfer-encoding" in request.headers


def bounded(request: Request, largest: int) -> Request:
    """Give the request with a body of no more bytes; more raise TooLarge, now or when read."""
    length = request.headers.get("content-length", "0")
    too_large = TooLarge(f"request size limit {largest} exceeded")
    if not length.isdecimal() or int(length) > largest:
        raise too_large
    receive, count = request.receive, 0

    async def receive_bounded() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > largest:
            raise too_large
        return message

    return Request(request.scope, receive_bounded)
