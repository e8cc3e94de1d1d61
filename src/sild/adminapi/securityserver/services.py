"""Services: how they are called, and new endpoints of theirs."""

from sild.adminapi.asked import Asked
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import told_client
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_bodies import (
    Endpoint,
    Service,
    ServicePath,
    ServiceUpdate,
    told_description,
    told_service,
)
from sild.adminapi.securityserver.service_client_ids import service_from_encoded
from sild.adminapi.securityserver.service_warnings import warnings_are_answered
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest

OPERATIONS = Operations("services")


class EndpointIdGiven(BadRequest):
    """A new endpoint has no id yet."""

    code = "endpoint_id_should_not_be_provided"


@OPERATIONS.get(
    "/services/{id}",
    "getService",
    permission=Permission.VIEW_CLIENT_SERVICES,
    also=(400, 404, 406, 409),
)
async def get_service(service_id: ServicePath, server: Served) -> Service:
    """Show a service."""
    found = await server.services.get(service_from_encoded(service_id))
    return Service.of(found.service, found.endpoints)


@OPERATIONS.patch(
    "/services/{id}",
    "updateService",
    permission=Permission.EDIT_SERVICE_PARAMS,
    event=AuditEvent.EDIT_SERVICE_PARAMS,
    also=(400, 404, 406, 409),
)
async def update_service(
    service_id: ServicePath, body: ServiceUpdate, asked: Asked, server: Served
) -> Service:
    """Say how a service is called; a service that is to prove itself is connected to first."""
    named = service_from_encoded(service_id)
    asked.tell(clientIdentifier=told_client(named.provider))
    with warnings_are_answered():
        changed, concerned = await server.services.change(
            named, body.to_change(), ignore_warnings=body.ignore_warnings
        )
    asked.tell(
        **told_description(changed.description), services=[told_service(each) for each in concerned]
    )
    return Service.of(changed.service, changed.endpoints)


@OPERATIONS.post(
    "/services/{id}/endpoints",
    "addEndpoint",
    permission=Permission.ADD_OPENAPI3_ENDPOINT,
    event=AuditEvent.ADD_REST_ENDPOINT,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_endpoint(
    service_id: ServicePath, body: Endpoint, asked: Asked, server: Served
) -> Endpoint:
    """Add a method and path to a REST service."""
    if body.id is not None:
        raise EndpointIdGiven("a new endpoint has no id yet")
    named = service_from_encoded(service_id)
    asked.tell(
        clientIdentifier=told_client(named.provider),
        serviceCode=named.full_code,
        method=body.method.value,
        path=body.path,
    )
    return Endpoint.of(await server.endpoints.add(named, body.method.value, body.path))
