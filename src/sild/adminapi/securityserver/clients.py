"""Clients of the security server: added, found, changed, removed, and what is left of them."""

from typing import Annotated

from fastapi import Query

from sild.adminapi.asked import Act, Asked
from sild.adminapi.operations import Operations
from sild.adminapi.problems import Deviation, WarningsDetected
from sild.adminapi.securityserver.client_bodies import (
    Client,
    ClientAdd,
    ClientPath,
    ConnectionTypeWrapper,
    OrphanInformation,
    SearchText,
    told_client,
)
from sild.adminapi.securityserver.references import SecurityServer
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_client_ids import client_from_encoded
from sild.adminapi.securityserver.token_views import told_key
from sild.components.serverconf.client_search import ClientFilter
from sild.components.serverconf.errors import UnregisteredMember
from sild.components.serverconf.orphans import Left
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest

OPERATIONS = Operations("clients")


class ConnectionTypeRequired(BadRequest):
    """A change of the connection type without one."""

    code = "connection_type_required"


@OPERATIONS.get(
    "/clients", "findClients", permission=Permission.VIEW_CLIENTS, also=(400, 404, 406, 409)
)
async def find_clients(  # noqa: PLR0913 - the search has these parameters
    server: Served,
    *,
    name: SearchText = "",
    instance: SearchText = "",
    member_class: SearchText = "",
    member_code: SearchText = "",
    subsystem_code: SearchText = "",
    show_members: Annotated[bool, Query()] = True,
    internal_search: Annotated[bool, Query()] = True,
    local_valid_sign_cert: Annotated[bool | None, Query()] = None,
    exclude_local: Annotated[bool, Query()] = False,
    include_management_service_check: Annotated[bool, Query()] = False,
) -> list[Client]:
    """Find clients: this server's own, or those of the global configuration, too."""
    wanted = ClientFilter(
        name,
        instance,
        member_class,
        member_code,
        subsystem_code,
        show_members,
        internal_search,
        exclude_local,
        local_valid_sign_cert,
    )
    found = await server.clients.find(wanted)
    return [Client.of(each, with_provider=include_management_service_check) for each in found]


@OPERATIONS.post(
    "/clients",
    "addClient",
    permission=Permission.ADD_CLIENT,
    event=AuditEvent.ADD_CLIENT,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_client(body: ClientAdd, asked: Asked, server: Served) -> Client:
    """Add a client."""
    new = body.client.to_new()
    names = {
        "memberClass": new.member_class,
        "memberCode": new.member_code,
        "subsystemCode": new.subsystem_code,
    }
    asked.tell(
        clientIdentifier={name: part for name, part in names.items() if part is not None},
        isAuthentication=body.client.connection_type.told,
    )
    try:
        added = await server.clients.add(new, ignore_warnings=body.ignore_warnings)
    except UnregisteredMember as warning:
        raise WarningsDetected(Deviation(warning.code, warning.metadata)) from None
    asked.tell(clientIdentifier=told_client(added.id), clientStatus=added.status.value)
    return Client.of(await server.clients.get(added.id))


@OPERATIONS.get(
    "/clients/{id}",
    "getClient",
    permission=Permission.VIEW_CLIENT_DETAILS,
    also=(400, 404, 406, 409),
)
async def get_client(client: ClientPath, server: Served) -> Client:
    """Show a client."""
    shown = await server.clients.get(client_from_encoded(client))
    return Client.of(shown, with_provider=True)


@OPERATIONS.patch(
    "/clients/{id}",
    "updateClient",
    permission=Permission.EDIT_CLIENT_INTERNAL_CONNECTION_TYPE,
    event=AuditEvent.SET_CONNECTION_TYPE,
    also=(400, 404, 406, 409),
)
async def update_client(
    client: ClientPath, body: ConnectionTypeWrapper, asked: Asked, server: Served
) -> Client:
    """Say how the client's information systems connect."""
    if body.connection_type is None:
        raise ConnectionTypeRequired("the connection type is missing")
    changed = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(changed), isAuthentication=body.connection_type.told)
    await server.clients.set_connection_type(changed, body.connection_type.to_kept())
    return Client.of(await server.clients.get(changed))


@OPERATIONS.delete(
    "/clients/{id}",
    "deleteClient",
    permission=Permission.DELETE_CLIENT,
    event=AuditEvent.DELETE_CLIENT,
    status=204,
    also=(400, 404, 409),
)
async def delete_client(client: ClientPath, asked: Asked, server: Served) -> None:
    """Remove a client with its services and groups."""
    removed = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(removed))
    await server.clients.remove(removed)


@OPERATIONS.get(
    "/clients/{id}/orphans",
    "getClientOrphans",
    permission=Permission.DELETE_CLIENT,
    also=(400, 404, 406, 409),
)
async def get_client_orphans(client: ClientPath, server: Served) -> OrphanInformation:
    """Say whether keys are left of a client that was removed; not found where none are."""
    await server.orphans.check_exist(client_from_encoded(client))
    return OrphanInformation(orphans_exist=True)


@OPERATIONS.delete(
    "/clients/{id}/orphans",
    "deleteOrphans",
    permission=Permission.DELETE_CLIENT,
    event=AuditEvent.DELETE_ORPHANS,
    status=204,
    also=(400, 404, 409),
)
async def delete_orphans(client: ClientPath, asked: Asked, server: Served) -> None:
    """Remove the keys, certificates and requests that are left of a client."""
    removed = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(removed))
    _tell_left(asked, await server.orphans.remove(removed))


@OPERATIONS.get(
    "/clients/{id}/security-servers",
    "getClientSecurityServers",
    permission=Permission.VIEW_SECURITY_SERVERS,
    also=(400, 404, 406, 409),
)
async def get_client_security_servers(client: ClientPath, server: Served) -> list[SecurityServer]:
    """List the security servers that anybody is a client of."""
    found = server.clients.servers_of(client_from_encoded(client))
    return [SecurityServer.of(each) for each in found]


def _tell_left(asked: Act, left: Left) -> None:
    """Tell what went: SPEC-AL has room for one key, and for all certificates."""
    for key in left.keys:
        asked.tell(**told_key(key))
    hashes = [bytes.fromhex(each.sha256).hex(":").upper() for each in left.all_certificates]
    if hashes:
        asked.tell(certHashes=hashes, certHashAlgorithm="SHA-256")
    asked.tell(certRequestIds=[request.id for request in left.all_requests])
