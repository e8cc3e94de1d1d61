"""Descriptions of services: WSDLs, OpenAPI descriptions and REST base paths."""

from collections.abc import Awaitable

from fastapi import Response

from sild.adminapi.asked import Act, Asked
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import ClientPath, told_client
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.service_bodies import (
    IgnoreWarnings,
    NumberPath,
    Service,
    ServiceDescription,
    ServiceDescriptionAdd,
    ServiceDescriptionDisabledNotice,
    ServiceDescriptionUpdate,
    services_of,
    told_description,
)
from sild.adminapi.securityserver.service_client_ids import client_from_encoded, endpoint_from_text
from sild.adminapi.securityserver.service_warnings import warnings_are_answered
from sild.components.serverconf.descriptions import ChangedDescription, DescriptionChange
from sild.components.serverconf.rows import Description
from sild.components.serverconf.service_errors import WarningsFound
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.services import ServiceType
from sild.protocol.ids import ClientId

OPERATIONS = Operations("service-descriptions")

_EDIT = {
    ServiceType.WSDL: Permission.EDIT_WSDL,
    ServiceType.OPENAPI3: Permission.EDIT_OPENAPI3,
    ServiceType.REST: Permission.EDIT_REST,
}
_REFRESH = {
    ServiceType.WSDL: Permission.REFRESH_WSDL,
    ServiceType.OPENAPI3: Permission.REFRESH_OPENAPI3,
    ServiceType.REST: Permission.REFRESH_REST,
}


@OPERATIONS.get(
    "/clients/{id}/service-descriptions",
    "getClientServiceDescriptions",
    permission=Permission.VIEW_CLIENT_SERVICES,
    also=(400, 404, 406, 409),
)
async def get_client_service_descriptions(
    client_id: ClientPath, server: Served
) -> list[ServiceDescription]:
    """List the descriptions of a client."""
    found = await server.descriptions.of_client(client_from_encoded(client_id))
    return [ServiceDescription.of(each) for each in found]


@OPERATIONS.post(
    "/clients/{id}/service-descriptions",
    "addClientServiceDescription",
    permission=(Permission.ADD_WSDL, Permission.ADD_OPENAPI3),
    event=AuditEvent.ADD_SERVICE_DESCRIPTION,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_client_service_description(
    client_id: ClientPath, body: ServiceDescriptionAdd, asked: Asked, server: Served
) -> ServiceDescription:
    """Add a description to a client; its services are switched off at first."""
    provider = client_from_encoded(client_id)
    kind = ServiceType(body.type.value)
    is_wsdl = kind is ServiceType.WSDL
    asked.require(Permission.ADD_WSDL if is_wsdl else Permission.ADD_OPENAPI3)
    asked.tell(clientIdentifier=told_client(provider), url=body.url, serviceType=kind.value)
    with warnings_are_answered():
        added = await _add(provider, kind, body, server)
    asked.tell(disabled=added.disabled_notice is not None, refreshedDate=added.refreshed)
    return await _shown(added, server)


async def _add(
    provider: ClientId, kind: ServiceType, body: ServiceDescriptionAdd, server: SecurityServer
) -> Description:
    descriptions, code = server.descriptions, body.rest_service_code
    match kind:
        case ServiceType.WSDL:
            return await descriptions.add_wsdl(
                provider, body.url, ignore_warnings=body.ignore_warnings
            )
        case ServiceType.OPENAPI3:
            return await descriptions.add_openapi(
                provider, code, body.url, ignore_warnings=body.ignore_warnings
            )
        case ServiceType.REST:
            return await descriptions.add_rest(provider, code, body.url)


@OPERATIONS.get(
    "/service-descriptions/{id}",
    "getServiceDescription",
    permission=Permission.VIEW_CLIENT_SERVICES,
    also=(400, 404, 406),
)
async def get_service_description(number: NumberPath, server: Served) -> ServiceDescription:
    """Show a description."""
    return ServiceDescription.of(await server.descriptions.get(endpoint_from_text(number)))


@OPERATIONS.get(
    "/service-descriptions/{id}/services",
    "getServiceDescriptionServices",
    permission=Permission.VIEW_CLIENT_SERVICES,
    also=(400, 404, 406),
)
async def get_service_description_services(number: NumberPath, server: Served) -> list[Service]:
    """List the services of a description."""
    return services_of(await server.descriptions.get(endpoint_from_text(number)))


@OPERATIONS.patch(
    "/service-descriptions/{id}",
    "updateServiceDescription",
    permission=(Permission.EDIT_WSDL, Permission.EDIT_OPENAPI3, Permission.EDIT_REST),
    event=AuditEvent.EDIT_SERVICE_DESCRIPTION,
    also=(400, 404, 406, 409),
)
async def update_service_description(
    number: NumberPath, body: ServiceDescriptionUpdate, asked: Asked, server: Served
) -> ServiceDescription:
    """Give a description another address, which is read, and a REST service another code."""
    kind = ServiceType(body.type.value)
    asked.require(_EDIT[kind])
    found = await _told(number, asked, server)
    asked.tell(urlNew=body.url)
    change = DescriptionChange(kind, body.url, body.rest_service_code, body.new_rest_service_code)
    with warnings_are_answered():
        doing = server.descriptions.change(
            endpoint_from_text(number), change, ignore_warnings=body.ignore_warnings
        )
        changed = await _done(doing, found, asked)
    return await _shown(changed, server)


@OPERATIONS.delete(
    "/service-descriptions/{id}",
    "deleteServiceDescription",
    permission=Permission.DELETE_WSDL,
    event=AuditEvent.DELETE_SERVICE_DESCRIPTION,
    status=204,
)
async def delete_service_description(number: NumberPath, asked: Asked, server: Served) -> None:
    """Remove a description with its services and the rights to them."""
    await _told(number, asked, server)
    await server.descriptions.remove(endpoint_from_text(number))


@OPERATIONS.put(
    "/service-descriptions/{id}/enable",
    "enableServiceDescription",
    permission=Permission.ENABLE_DISABLE_WSDL,
    event=AuditEvent.ENABLE_SERVICE_DESCRIPTION,
    also=(400, 404, 406),
)
async def enable_service_description(number: NumberPath, asked: Asked, server: Served) -> Response:
    """Let the services of a description be called."""
    await _told(number, asked, server)
    await server.descriptions.enable(endpoint_from_text(number))
    return Response()


@OPERATIONS.put(
    "/service-descriptions/{id}/disable",
    "disableServiceDescription",
    permission=Permission.ENABLE_DISABLE_WSDL,
    event=AuditEvent.DISABLE_SERVICE_DESCRIPTION,
    also=(400, 404, 406),
)
async def disable_service_description(
    number: NumberPath,
    asked: Asked,
    server: Served,
    body: ServiceDescriptionDisabledNotice | None = None,
) -> Response:
    """Let callers have a notice instead of an answer."""
    notice = body.disabled_notice if body else None
    asked.tell(disabledNotice=notice)
    await _told(number, asked, server)
    await server.descriptions.disable(endpoint_from_text(number), notice or "")
    return Response()


@OPERATIONS.put(
    "/service-descriptions/{id}/refresh",
    "refreshServiceDescription",
    permission=(Permission.REFRESH_WSDL, Permission.REFRESH_REST, Permission.REFRESH_OPENAPI3),
    event=AuditEvent.REFRESH_SERVICE_DESCRIPTION,
    also=(400, 404, 406, 409),
)
async def refresh_service_description(
    number: NumberPath, asked: Asked, server: Served, body: IgnoreWarnings | None = None
) -> ServiceDescription:
    """Read a description again; what would come and go is warned of first."""
    found = await _told(number, asked, server)
    asked.require(_REFRESH[found.type])
    with warnings_are_answered():
        doing = server.descriptions.refresh(
            endpoint_from_text(number), ignore_warnings=body is not None and body.ignore_warnings
        )
        changed = await _done(doing, found, asked)
    return await _shown(changed, server)


async def _done(
    doing: Awaitable[ChangedDescription], found: Description, asked: Act
) -> Description:
    """Let a change be done; the audit record is told of services that come and go, or would."""
    try:
        changed = await doing
    except WarningsFound as warned:
        added, removed = (warned.about(f"{each}_services") for each in ("adding", "deleting"))
        _tell_changes(found, asked, added, removed)
        raise
    _tell_changes(found, asked, changed.added, changed.removed)
    return changed.description


def _tell_changes(
    found: Description, asked: Act, added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    if found.type is ServiceType.WSDL:
        asked.tell(wsdl={"servicesAdded": list(added), "servicesDeleted": list(removed)})


async def _told(number: str, asked: Act, server: SecurityServer) -> Description:
    """The description; the audit record is told of it."""
    found = (await server.descriptions.get(endpoint_from_text(number))).description
    asked.tell(clientIdentifier=told_client(found.provider), **told_description(found))
    return found


async def _shown(description: Description, server: SecurityServer) -> ServiceDescription:
    assert description.id is not None  # noqa: S101 - it was stored
    return ServiceDescription.of(await server.descriptions.get(description.id))
