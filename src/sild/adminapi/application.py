"""An administration API as an application: declared operations behind the gate, and nothing else.

application = make_application(description, [members, servers, ...], services, settings)
application.state.central = ...            # what the areas' own dependencies look for
await serve(asgi_handler(application), Endpoint(host, 4000, tls), limits, clock)
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from sild.adminapi.asked import act_of
from sild.adminapi.authentication import Authentication
from sild.adminapi.document import Description, make_document
from sild.adminapi.gate import Gate, Guards
from sild.adminapi.login import Login
from sild.adminapi.operations import Operation, Operations
from sild.adminapi.people import people
from sild.adminapi.problems import problem_of
from sild.adminapi.ratelimit import RateLimit, Rates
from sild.adminapi.routes import LaterRoute, Surroundings
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.model.audit import Audit
from sild.model.permissions import RoleTable
from sild.runtime.clock import Clock
from sild.runtime.yaml import write_yaml

PREFIX = "/api/v1"
_OWN = "/api/sild/"
"""Operations that no published document has."""
_DOCUMENT = "/openapi.yaml"
_YAML = "application/x-yaml"


@dataclass(frozen=True, slots=True)
class Services:
    """What every administration API works with, whichever server it is of."""

    accounts: Accounts
    roles: RoleTable
    audit: Audit
    clock: Clock


def make_application(
    description: Description,
    areas: Iterable[Operations],
    services: Services,
    settings: AdminApiSettings,
) -> FastAPI:
    """Make the application; raises ValueError where two operations are one."""
    application = FastAPI(
        title=description.title,
        version=description.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    routes = _routes(description, areas)
    application.state.accounts = services.accounts
    application.state.surroundings = Surroundings(
        services.audit,
        settings.request_size_limit_regular,
        settings.request_size_limit_binary_upload,
    )
    login = Login(services.accounts, services.audit, description.title)
    application.router.routes.extend([*login.routes, *routes])
    application.add_exception_handler(HTTPException, _answer_unroutable)
    application.add_middleware(Gate, guards=_guards(routes, services, settings))
    return application


def describe(description: Description, areas: Iterable[Operations]) -> dict[str, Any]:
    """Give the OpenAPI document of an application with these operations."""
    routes = [route.made for route in _routes(description, areas)]
    return make_document(description, routes, PREFIX)


def _routes(description: Description, areas: Iterable[Operations]) -> list[LaterRoute]:
    documents = Operations("openapi")
    operations = [operation for area in (people, *areas) for operation in area]
    text: list[str] = []
    writing = asyncio.Lock()

    def write() -> str:
        made = [route.made for route in routes]
        return write_yaml(make_document(description, made, PREFIX))

    @documents.get_openly(
        _DOCUMENT, "downloadOpenApi", also=(400, 403, 404, 406, 429, 500), gives=_YAML
    )
    async def download_open_api() -> Response:
        # It takes a while, and anyone may ask: it is written once, however many ask at once.
        async with writing:
            if not text:
                text.append(await asyncio.to_thread(write))
        return Response(text[0], media_type=_YAML)

    operations += documents
    _check_different(operations)
    # A path that names what it means goes before one that takes any name there.
    ordered = sorted(operations, key=_parameters_last)
    routes = [
        LaterRoute("" if operation.path.startswith(_OWN) else PREFIX, operation)
        for operation in ordered
    ]
    return routes


def _guards(routes: Iterable[LaterRoute], services: Services, settings: AdminApiSettings) -> Guards:
    rates = Rates(
        settings.rate_limit_requests_per_second,
        settings.rate_limit_requests_per_minute,
        settings.rate_limit_cache_size,
        settings.rate_limit_expire_after_access_minutes * 60,
    )
    return Guards(
        Authentication(services.accounts, services.roles, settings, services.audit),
        RateLimit(rates, services.clock) if settings.rate_limit_enabled else None,
        frozenset(host.lower() for host in settings.allowed_hostnames),
        frozenset(route.path for route in routes if route.operation.is_open),
        settings.strict_identifier_checks,
        services.clock,
    )


def _check_different(operations: Iterable[Operation]) -> None:
    places = Counter((operation.method, operation.path) for operation in operations)
    names = Counter(operation.operation_id for operation in operations)
    for what, count in (*places.items(), *names.items()):
        if count > 1:
            raise ValueError(f"{what} is declared {count} times")


def _parameters_last(operation: Operation) -> list[bool]:
    return [segment.startswith("{") for segment in operation.path.split("/")]


def _methods(request: Request) -> set[str]:
    """What may be done at a path, by the routes that name it most exactly."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    same = (route.methods or set() for route in matching if route.path == matching[0].path)
    return {name for names in same for name in names}


async def _answer_unroutable(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error.headers = {"allow": ", ".join(sorted(_methods(request)))}
    return problem_of(error, act_of(request).correlation_id).to_response()
