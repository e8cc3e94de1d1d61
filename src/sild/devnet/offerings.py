"""Operations of a small REST service: their routes and their index come from one table."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sild.devnet.serving import BodyTooLarge, read_body

_JSON_LIMIT = 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """A request that a service answers with an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and path, what it does, and who does it."""

    methods: tuple[str, ...]
    path: str
    summary: str
    handler: Handler


def answer(content: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body; raises Refused."""
    try:
        content = msgspec.json.decode(await read_body(request, _JSON_LIMIT))
    except BodyTooLarge as error:
        raise Refused(413, str(error)) from None
    except msgspec.DecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise Refused(400, "the body is no JSON object")
    return content


def build_app(title: str, operations: Iterable[Operation]) -> Starlette:
    """An application of these operations, with an index in the form of OpenAPI at `/`."""
    table = tuple(operations)
    index = msgspec.json.encode(_index(title, table))

    async def show_index(request: Request) -> Response:
        del request
        return Response(index, media_type="application/json")

    routes = [Route("/", show_index, methods=["GET"])]
    for operation in table:
        methods = list(operation.methods)
        routes.append(Route(operation.path, operation.handler, methods=methods))
    return Starlette(routes=routes, exception_handlers={Refused: _show_refusal})


async def _show_refusal(request: Request, error: Exception) -> Response:
    del request
    status = error.status if isinstance(error, Refused) else 500
    return answer({"status": status, "detail": str(error)}, status)


def _index(title: str, operations: tuple[Operation, ...]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path.replace(":path}", "}").replace(":int}", "}")
        for method in operation.methods:
            paths.setdefault(path, {})[method.lower()] = {
                "summary": operation.summary,
                "parameters": [
                    {"name": part[1:-1], "in": "path", "required": True}
                    for part in path.split("/")
                    if part.startswith("{")
                ],
                "responses": {"200": {"description": "done"}},
            }
    return {"openapi": "3.0.3", "info": {"title": title, "version": "1"}, "paths": paths}
