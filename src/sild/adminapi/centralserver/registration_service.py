"""The registration service: authCertReg, from security servers that no other server knows yet.

Who calls is not asked by TLS: the request proves it (PR-MSERV 2.3).
"""

from starlette.applications import Starlette

from sild.adminapi.centralserver.request_web_service import (
    RequestGuards,
    RequestWebService,
    WebService,
)
from sild.components.centralserver.request_services import RequestServices

REGISTRATION = WebService(
    name="registration service",
    paths=("/managementservice/", "/managementservice"),
    media_types=frozenset({"multipart/related"}),
)


def registration_app(services: RequestServices, guards: RequestGuards) -> Starlette:
    """The application for the registration service's port (4001)."""
    return RequestWebService(REGISTRATION, services, services.register, guards).app
