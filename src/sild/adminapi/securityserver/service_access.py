"""Who may use a service or an endpoint, seen from there."""

from collections.abc import Iterator
from contextlib import contextmanager

from sild.adminapi.asked import Act, Asked
from sild.adminapi.operations import Operations
from sild.adminapi.problems import ValidationFailed
from sild.adminapi.securityserver.client_bodies import told_client
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.service_client_bodies import (
    EndpointPath,
    ServiceClient,
    ServiceClients,
    ServicePath,
    in_order,
)
from sild.adminapi.securityserver.service_client_ids import (
    endpoint_from_text,
    service_from_encoded,
    subject_from_encoded,
)
from sild.components.serverconf.errors import AccessRightNotFound
from sild.components.serverconf.rights import Target
from sild.components.serverconf.service_client_errors import ServiceClientNotFound
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest
from sild.model.services import Endpoint
from sild.protocol.ids import SubjectId

OPERATIONS = Operations("service-access")


class NoSuchServiceClient(BadRequest):
    """Somebody was named who is not there."""

    code = ServiceClientNotFound.code


class NothingToTake(BadRequest):
    """A right was to be taken that is not there."""

    code = AccessRightNotFound.code


@OPERATIONS.get(
    "/services/{id}/service-clients",
    "getServiceServiceClients",
    permission=Permission.VIEW_SERVICE_ACL,
    also=(400, 404, 406, 409),
)
async def get_service_service_clients(
    service_id: ServicePath, server: Served
) -> list[ServiceClient]:
    """List who may use a service."""
    return in_order(await server.service_clients.of_target(service_from_encoded(service_id)))


@OPERATIONS.post(
    "/services/{id}/service-clients",
    "addServiceServiceClients",
    permission=Permission.EDIT_SERVICE_ACL,
    event=AuditEvent.ADD_SERVICE_ACCESS_RIGHTS,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_service_service_clients(
    service_id: ServicePath, body: ServiceClients, asked: Asked, server: Served
) -> list[ServiceClient]:
    """Give rights to a service; answers all who may use it then."""
    return await _grant(service_from_encoded(service_id), body, asked, server)


@OPERATIONS.post(
    "/services/{id}/service-clients/delete",
    "deleteServiceServiceClients",
    permission=Permission.EDIT_SERVICE_ACL,
    event=AuditEvent.REMOVE_SERVICE_ACCESS_RIGHTS,
    status=204,
    also=(400, 404, 409),
)
async def delete_service_service_clients(
    service_id: ServicePath, body: ServiceClients, asked: Asked, server: Served
) -> None:
    """Take rights to a service; those to its endpoints stay."""
    try:
        await _revoke(service_from_encoded(service_id), body, asked, server)
    except AccessRightNotFound as error:
        raise NothingToTake(error.message) from error


@OPERATIONS.get(
    "/endpoints/{id}/service-clients",
    "getEndpointServiceClients",
    permission=Permission.VIEW_ENDPOINT_ACL,
    also=(400, 404, 406, 409),
)
async def get_endpoint_service_clients(
    endpoint_id: EndpointPath, server: Served
) -> list[ServiceClient]:
    """List who has a right to an endpoint by itself."""
    return in_order(await server.service_clients.of_target(endpoint_from_text(endpoint_id)))


@OPERATIONS.post(
    "/endpoints/{id}/service-clients",
    "addEndpointServiceClients",
    permission=Permission.EDIT_ENDPOINT_ACL,
    event=AuditEvent.ADD_SERVICE_ACCESS_RIGHTS,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_endpoint_service_clients(
    endpoint_id: EndpointPath, body: ServiceClients, asked: Asked, server: Served
) -> list[ServiceClient]:
    """Give rights to an endpoint; answers all who have one then."""
    return await _grant(endpoint_from_text(endpoint_id), body, asked, server)


@OPERATIONS.post(
    "/endpoints/{id}/service-clients/delete",
    "deleteEndpointServiceClients",
    permission=Permission.EDIT_ENDPOINT_ACL,
    event=AuditEvent.REMOVE_SERVICE_ACCESS_RIGHTS,
    status=204,
    also=(400, 404, 406, 409),
)
async def delete_endpoint_service_clients(
    endpoint_id: EndpointPath, body: ServiceClients, asked: Asked, server: Served
) -> None:
    """Take rights to an endpoint."""
    await _revoke(endpoint_from_text(endpoint_id), body, asked, server)


async def _grant(
    target: Target, body: ServiceClients, asked: Act, server: SecurityServer
) -> list[ServiceClient]:
    if not body.items:
        raise ValidationFailed({"serviceClientsDto.items": ("NotEmpty",)})
    endpoint, subjects = await _told(target, body, asked, server)
    with _subjects_are_asked_for():
        await server.rights.grant(endpoint, subjects)
    return in_order(await server.service_clients.of_target(target))


async def _revoke(target: Target, body: ServiceClients, asked: Act, server: SecurityServer) -> None:
    endpoint, subjects = await _told(target, body, asked, server)
    await server.rights.revoke(endpoint, subjects)


async def _told(
    target: Target, body: ServiceClients, asked: Act, server: SecurityServer
) -> tuple[Endpoint, tuple[SubjectId, ...]]:
    """What the rights are to and whose they are; the audit record is told of both."""
    named = [subject_from_encoded(each.id) for each in body.items]
    endpoint = await server.rights.get_endpoint(target)
    asked.tell(clientIdentifier=told_client(endpoint.provider), serviceCode=endpoint.service_code)
    if not endpoint.is_base:
        asked.tell(method=endpoint.method, path=endpoint.path)
    with _subjects_are_asked_for():
        subjects = await server.rights.get_subjects(endpoint.provider, named)
    asked.tell(subjectIds=[str(subject) for subject in subjects])
    return endpoint, subjects


@contextmanager
def _subjects_are_asked_for() -> Iterator[None]:
    """Somebody who is not there is a mistake of the body, not of the address."""
    try:
        yield
    except ServiceClientNotFound as error:
        raise NoSuchServiceClient(error.message) from error
