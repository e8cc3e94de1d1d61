"""The management service: requests that the security server of its provider passes on (CR-05).

Who calls is not asked by TLS: requests are signed by those whom they concern. Deletions are not;
the provider's security server vouches for them, by the access rights that it keeps. So no other
address may call, unless a setting says so (docs/decisions/0012).
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sild.adminapi.centralserver.request_web_service import (
    RequestGuards,
    RequestWebService,
    WebService,
)
from sild.components.centralserver.request_services import RequestServices
from sild.components.centralserver.system import System
from sild.protocol.management.wsdl import write_wsdl

MANAGEMENT = WebService(
    name="management service",
    paths=("/managementservice/manage/", "/managementservice/manage"),
    media_types=frozenset({"multipart/related", "text/xml"}),
    callers_setting="management-service-callers in [listeners]",
)
WSDL_PATH = "/managementservices.wsdl"


def management_app(services: RequestServices, guards: RequestGuards) -> Starlette:
    """The application for the management service's port (4002)."""
    return RequestWebService(MANAGEMENT, services, services.manage, guards).app


def wsdl_route(system: System) -> Route:
    """Where the service is described; the address that people are given is that of plain HTTP."""

    async def describe(request: Request) -> Response:
        del request
        parameters = await system.parameters()
        return Response(write_wsdl(parameters.services_address), media_type="text/xml")

    return Route(WSDL_PATH, describe, methods=["GET", "HEAD"])
