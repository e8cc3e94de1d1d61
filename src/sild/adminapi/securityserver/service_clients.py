"""Who may use the services of a client, seen from the client."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Path, Query

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import EncodedIdText, Plain
from sild.adminapi.operations import Operations
from sild.adminapi.problems import ValidationFailed
from sild.adminapi.securityserver.client_bodies import told_client
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.service_client_bodies import (
    AccessRight,
    AccessRights,
    ClientPath,
    ServiceClient,
    ServiceIdText,
    in_order,
)
from sild.adminapi.securityserver.service_client_ids import (
    client_from_encoded,
    subject_from_encoded,
)
from sild.components.serverconf.errors import AccessRightNotFound, ServiceNotFound
from sild.components.serverconf.service_clients import SubjectKind, Wanted
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest, Conflict
from sild.protocol.ids import ClientId, SubjectId

OPERATIONS = Operations("service-clients")

_LONGEST = 255
SubjectPath = Annotated[ServiceIdText, Path(alias="sc_id")]
"""A parameter of an operation: a service client in the path."""
SearchText = Annotated[str, Query(max_length=_LONGEST), Plain]
"""A parameter of an operation: what to search for; blank is everything."""


class NoSuchService(BadRequest):
    """Rights were to be given or taken to what the client does not have."""

    code = ServiceNotFound.code


class NothingToTake(Conflict):
    """A right was to be taken that is not there."""

    code = AccessRightNotFound.code


@OPERATIONS.get(
    "/clients/{id}/service-clients",
    "getClientServiceClients",
    permission=Permission.VIEW_CLIENT_ACL_SUBJECTS,
    also=(400, 404, 406, 409),
)
async def get_client_service_clients(client_id: ClientPath, server: Served) -> list[ServiceClient]:
    """List who has rights to whole services of a client."""
    found = await server.service_clients.of_client(client_from_encoded(client_id))
    return in_order(found)


@OPERATIONS.get(
    "/clients/{id}/service-clients/{sc_id}",
    "getServiceClient",
    permission=Permission.VIEW_CLIENT_ACL_SUBJECTS,
    also=(400, 404, 406, 409),
)
async def get_service_client(
    client_id: ClientPath,
    subject_id: Annotated[EncodedIdText, Path(alias="sc_id")],
    server: Served,
) -> ServiceClient:
    """Show one of them."""
    client, named = client_from_encoded(client_id), subject_from_encoded(subject_id)
    return ServiceClient.of(await server.service_clients.get(client, named))


@OPERATIONS.get(
    "/clients/{id}/service-clients/{sc_id}/access-rights",
    "getServiceClientAccessRights",
    permission=Permission.VIEW_ACL_SUBJECT_OPEN_SERVICES,
    also=(400, 404, 406, 409),
)
async def get_service_client_access_rights(
    client_id: ClientPath, subject_id: SubjectPath, server: Served
) -> list[AccessRight]:
    """List the services of a client that one of them may use."""
    client, named = client_from_encoded(client_id), subject_from_encoded(subject_id)
    found = await server.service_clients.rights_of(client, named)
    return [AccessRight.of(right) for right in found]


@OPERATIONS.post(
    "/clients/{id}/service-clients/{sc_id}/access-rights",
    "addServiceClientAccessRights",
    permission=Permission.EDIT_ACL_SUBJECT_OPEN_SERVICES,
    event=AuditEvent.ADD_SERVICE_CLIENT_ACCESS_RIGHTS,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_service_client_access_rights(
    client_id: ClientPath,
    subject_id: SubjectPath,
    body: AccessRights,
    asked: Asked,
    server: Served,
) -> list[AccessRight]:
    """Give somebody rights to services of a client; answers those."""
    codes = _codes_of(body)
    if not codes:
        raise ValidationFailed({"accessRightsDto.items": ("NotEmpty",)})
    client = client_from_encoded(client_id)
    subject = await _told_subject(client, subject_id, server, asked, codes)
    with _services_are_asked_for():
        await server.rights.grant_services(client, subject, codes)
    given = await server.service_clients.rights_of(client, subject)
    return [AccessRight.of(right) for right in given if right.code in codes]


@OPERATIONS.post(
    "/clients/{id}/service-clients/{sc_id}/access-rights/delete",
    "deleteServiceClientAccessRights",
    permission=Permission.EDIT_ACL_SUBJECT_OPEN_SERVICES,
    event=AuditEvent.REMOVE_SERVICE_CLIENT_ACCESS_RIGHTS,
    status=204,
    also=(400, 404, 406, 409),
)
async def delete_service_client_access_rights(
    client_id: ClientPath,
    subject_id: SubjectPath,
    body: AccessRights,
    asked: Asked,
    server: Served,
) -> None:
    """Take somebody's rights to services of a client, and to their endpoints."""
    codes = _codes_of(body)
    client = client_from_encoded(client_id)
    subject = await _told_subject(client, subject_id, server, asked, codes)
    with _services_are_asked_for():
        try:
            await server.rights.revoke_services(client, subject, codes)
        except AccessRightNotFound as error:
            raise NothingToTake(error.message) from error


@OPERATIONS.get(
    "/clients/{id}/service-client-candidates",
    "findServiceClientCandidates",
    permission=Permission.VIEW_CLIENT_ACL_SUBJECTS,
    also=(400, 404, 406, 409),
)
async def find_service_client_candidates(  # noqa: PLR0913 - the filters of the contract
    client_id: ClientPath,
    server: Served,
    *,
    member_name_group_description: SearchText = "",
    service_client_type: SubjectKind | None = None,
    instance: SearchText = "",
    member_class: SearchText = "",
    member_group_code: SearchText = "",
    subsystem_code: SearchText = "",
) -> list[ServiceClient]:
    """Search who could be given rights to services of a client."""
    wanted = Wanted(
        kind=service_client_type,
        name=member_name_group_description,
        instance=instance,
        member_class=member_class,
        code=member_group_code,
        subsystem_code=subsystem_code,
    )
    found = await server.service_clients.candidates(client_from_encoded(client_id), wanted)
    return in_order(found)


def _codes_of(body: AccessRights) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.service_code for each in body.items))


async def _told_subject(
    client: ClientId, text: str, server: SecurityServer, asked: Asked, codes: Iterable[str]
) -> SubjectId:
    (subject,) = await server.rights.get_subjects(client, [subject_from_encoded(text)])
    asked.tell(
        clientIdentifier=told_client(client),
        subjectId=str(subject),
        serviceCodes=sorted(codes),
    )
    return subject


@contextmanager
def _services_are_asked_for() -> Iterator[None]:
    """A service that is not there is a mistake of the body, not of the address."""
    try:
        yield
    except ServiceNotFound as error:
        raise NoSuchService(error.message) from error
