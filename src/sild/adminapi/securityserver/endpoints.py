"""Endpoints: methods and paths of REST services."""

from sild.adminapi.asked import Act, Asked
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import told_client
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_bodies import Endpoint, EndpointUpdate, NumberPath
from sild.adminapi.securityserver.service_client_ids import endpoint_from_text
from sild.components.serverconf.endpoint_rows import EndpointRow
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("endpoints")


@OPERATIONS.get(
    "/endpoints/{id}", "getEndpoint", permission=Permission.VIEW_ENDPOINT, also=(400, 404, 406)
)
async def get_endpoint(number: NumberPath, server: Served) -> Endpoint:
    """Show an endpoint."""
    return Endpoint.of(await server.endpoints.get(endpoint_from_text(number)))


@OPERATIONS.patch(
    "/endpoints/{id}",
    "updateEndpoint",
    permission=Permission.EDIT_OPENAPI3_ENDPOINT,
    event=AuditEvent.EDIT_REST_ENDPOINT,
    also=(400, 404, 406, 409),
)
async def update_endpoint(
    number: NumberPath, body: EndpointUpdate, asked: Asked, server: Served
) -> Endpoint:
    """Give an endpoint another method and path; rights to it stay."""
    endpoint_id = endpoint_from_text(number)
    changed = await server.endpoints.change(endpoint_id, body.method.value, body.path)
    _tell(asked, changed)
    return Endpoint.of(changed)


@OPERATIONS.delete(
    "/endpoints/{id}",
    "deleteEndpoint",
    permission=Permission.DELETE_ENDPOINT,
    event=AuditEvent.DELETE_REST_ENDPOINT,
    status=204,
    also=(400, 404, 406),
)
async def delete_endpoint(number: NumberPath, asked: Asked, server: Served) -> None:
    """Remove an endpoint and the rights to it."""
    _tell(asked, await server.endpoints.remove(endpoint_from_text(number)))


def _tell(asked: Act, row: EndpointRow) -> None:
    endpoint = row.endpoint
    asked.tell(
        clientIdentifier=told_client(endpoint.provider),
        serviceCode=endpoint.service_code,
        method=endpoint.method,
        path=endpoint.path,
    )
