"""Requests that need nobody's approval: checked, and carried out, as they come."""

from sild.components.centralserver.registry_errors import ServerNotFound
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_values import ServerRow
from sild.components.centralserver.request_effects import (
    LONGEST_NAME,
    Transaction,
    check_server_address,
    describe_rename,
    joined,
)
from sild.components.centralserver.request_errors import (
    AlreadyInMaintenance,
    CertificateUnknown,
    InvalidSubsystemName,
    NotInMaintenance,
    OnlySubsystemsRenamed,
    ProviderMayNotBeMaintained,
    ProviderMayNotRest,
    RegistrationNotFound,
    RequestedServerNotFound,
    ServerClientNotFound,
)
from sild.components.centralserver.request_rows import RequestRows
from sild.components.centralserver.request_values import SavedRequest
from sild.model.registration import RequestEvent, RequestStatus, find_status_after
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import (
    AddressChange,
    AuthCertDeletion,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRename,
    MaintenanceDisable,
    MaintenanceEnable,
)

Change = (
    AuthCertDeletion
    | ClientDeletion
    | ClientDisable
    | ClientEnable
    | ClientRename
    | AddressChange
    | MaintenanceEnable
    | MaintenanceDisable
)
"""What nobody needs to approve."""


async def carry_out(request: Change, transaction: Transaction, comments: str | None) -> str | None:
    """Change the registry as a request asks; gives what is to be noted with it."""
    match request:
        case ClientDeletion(server=server, client=client):
            await _delete_client(server, client, transaction)
        case AuthCertDeletion(server=server, certificate=der):
            await _delete_certificate(server, der, transaction)
        case ClientDisable() | ClientEnable():
            await _set_enabled(request, transaction)
        case ClientRename():
            return await _rename_client(request, transaction.rows, comments)
        case AddressChange(server=server, address=address):
            check_server_address(address)
            old = await _get_server(server, transaction.rows)
            await transaction.rows.set_address(server, address)
            return joined(f"Changing from '{old.address}'.", comments)
        case MaintenanceEnable(server=server, message=message):
            await _enable_maintenance(server, message, transaction)
            return comments or message
        case MaintenanceDisable(server=server):
            await _disable_maintenance(server, transaction.rows)
    return comments


async def _set_enabled(request: ClientDisable | ClientEnable, transaction: Transaction) -> None:
    server, client = request.server, request.client
    await _check_link(server, client, transaction.rows)
    enabled = isinstance(request, ClientEnable)
    if not enabled and client == transaction.provider:
        raise ProviderMayNotRest(f"{client} provides the management services", str(client))
    await transaction.rows.set_client_enabled(server, client, enabled)


async def _delete_client(
    server: SecurityServerId, client: ClientId, transaction: Transaction
) -> None:
    rows, requests = transaction.rows, transaction.requests
    if await rows.find_server(server) and await rows.find_client_link(server, client):
        await rows.remove_client(server, client)
        return
    waiting = await requests.find_client_registration(server, client, RequestStatus.WAITING)
    if waiting is not None:
        await _revoke(waiting, requests)
        return
    # What was declined left nothing behind at the Central Server, but it did at the other side.
    declined = await requests.find_client_registration(server, client, RequestStatus.DECLINED)
    if declined is None:
        raise RegistrationNotFound(f"{client} is neither a client of {server} nor to be one")


async def _delete_certificate(
    server: SecurityServerId, der: bytes, transaction: Transaction
) -> None:
    holder = await transaction.rows.find_server_of_certificate(der)
    if holder is not None:
        if holder != server:
            raise ServerNotFound(f"the certificate is not one of {server}", str(server))
        await transaction.rows.remove_auth_certificate(server, der)
        return
    waiting = await transaction.requests.find_certificate_registration(
        server, der, RequestStatus.WAITING
    )
    if waiting is None:
        raise CertificateUnknown(f"{server} neither has this certificate nor is to have it")
    await _revoke(waiting, transaction.requests)


async def _revoke(registration: SavedRequest, requests: RequestRows) -> None:
    status = find_status_after(registration.status, RequestEvent.REVOKE)
    if status is not None and registration.life is not None:
        await requests.set_status(registration.life, status)


async def _rename_client(
    request: ClientRename, rows: RegistryRows, comments: str | None
) -> str | None:
    if not request.client.is_subsystem:
        raise OnlySubsystemsRenamed(f"{request.client} is no subsystem")
    if not request.subsystem_name.strip() or len(request.subsystem_name) > LONGEST_NAME:
        raise InvalidSubsystemName("a subsystem's new name is blank or too long")
    await _check_link(request.server, request.client, rows)
    described = await describe_rename(request.client, request.subsystem_name, rows, comments)
    await rows.rename_subsystem(request.client, request.subsystem_name)
    return described


async def _enable_maintenance(
    server: SecurityServerId, message: str | None, transaction: Transaction
) -> None:
    rows, provider = transaction.rows, transaction.provider
    found = await rows.find_server(server)
    if provider is not None and found is not None:
        provides = provider == server.owner or await rows.find_client_link(server, provider)
        if provides:
            raise ProviderMayNotBeMaintained(
                f"{server} provides the management services", str(provider), str(server)
            )
    if (await _get_server(server, rows)).in_maintenance:
        raise AlreadyInMaintenance(f"{server} is in maintenance", str(server))
    await rows.set_maintenance(server, message, on=True)


async def _disable_maintenance(server: SecurityServerId, rows: RegistryRows) -> None:
    if not (await _get_server(server, rows)).in_maintenance:
        raise NotInMaintenance(f"{server} is not in maintenance", str(server))
    await rows.set_maintenance(server, None, on=False)


async def _get_server(server: SecurityServerId, rows: RegistryRows) -> ServerRow:
    found = await rows.find_server(server)
    if found is None:
        raise RequestedServerNotFound(f"there is no {server}", str(server))
    return found


async def _check_link(server: SecurityServerId, client: ClientId, rows: RegistryRows) -> None:
    known = await rows.find_server(server) is not None
    if not known or await rows.find_client_link(server, client) is None:
        raise ServerClientNotFound(f"{client} is no client of {server}", str(server), str(client))
