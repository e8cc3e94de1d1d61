"""What is asked of the Central Server about clients.

Each act is checked by what is known here before anything is sent.
"""

from sild.adminapi.asked import Asked
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import ClientName, ClientPath, told_client
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_client_ids import client_from_encoded
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.services import ClientEvent, ClientStatus

OPERATIONS = Operations("clients")

_STATUSES = (400, 404, 406, 409)


@OPERATIONS.put(
    "/clients/{id}/register",
    "registerClient",
    permission=Permission.SEND_CLIENT_REG_REQ,
    event=AuditEvent.REGISTER_CLIENT,
    status=204,
    also=_STATUSES,
)
async def register_client(client: ClientPath, asked: Asked, server: Served) -> None:
    """Ask that a client be registered, by the name that it is to have."""
    about = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(about))
    await server.clients.check_event(about, ClientEvent.REGISTER)
    name = await server.renaming.name_to_register(about)
    if name is not None:
        asked.tell(memberSubsystemName=name)
    number = await server.registration.register_client(about, name)
    await server.renaming.note_registration(about)
    _tell(asked, number, ClientStatus.REGISTRATION_IN_PROGRESS)


@OPERATIONS.put(
    "/clients/{id}/unregister",
    "unregisterClient",
    permission=Permission.SEND_CLIENT_DEL_REQ,
    event=AuditEvent.UNREGISTER_CLIENT,
    status=204,
    also=_STATUSES,
)
async def unregister_client(client: ClientPath, asked: Asked, server: Served) -> None:
    """Ask that a client be removed."""
    about = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(about))
    await server.clients.check_event(about, ClientEvent.UNREGISTER)
    number = await server.registration.unregister_client(about)
    _tell(asked, number, ClientStatus.DELETION_IN_PROGRESS)


@OPERATIONS.put(
    "/clients/{id}/disable",
    "disableClient",
    permission=Permission.DISABLE_CLIENT,
    event=AuditEvent.DISABLE_CLIENT,
    status=204,
    also=_STATUSES,
)
async def disable_client(client: ClientPath, asked: Asked, server: Served) -> None:
    """Ask that a client rest."""
    about = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(about))
    await server.clients.check_event(about, ClientEvent.DISABLE)
    number = await server.registration.disable_client(about)
    _tell(asked, number, ClientStatus.DISABLING_IN_PROGRESS)


@OPERATIONS.put(
    "/clients/{id}/enable",
    "enableClient",
    permission=Permission.ENABLE_CLIENT,
    event=AuditEvent.ENABLE_CLIENT,
    status=204,
    also=_STATUSES,
)
async def enable_client(client: ClientPath, asked: Asked, server: Served) -> None:
    """Ask that a client's rest end."""
    about = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(about))
    await server.clients.check_event(about, ClientEvent.ENABLE)
    number = await server.registration.enable_client(about)
    _tell(asked, number, ClientStatus.ENABLING_IN_PROGRESS)


@OPERATIONS.put(
    "/clients/{id}/make-owner",
    "changeOwner",
    permission=Permission.SEND_OWNER_CHANGE_REQ,
    event=AuditEvent.SEND_OWNER_CHANGE_REQ,
    status=204,
    also=_STATUSES,
)
async def change_owner(client: ClientPath, asked: Asked, server: Served) -> None:
    """Ask that a member own the server."""
    about = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(about))
    status = await server.clients.check_owner(about)
    _tell(asked, await server.registration.change_owner(about), status)


@OPERATIONS.put(
    "/clients/{id}/rename",
    "renameClient",
    permission=Permission.RENAME_SUBSYSTEM,
    event=AuditEvent.RENAME_SUBSYSTEM,
    status=204,
    also=_STATUSES,
)
async def rename_client(client: ClientPath, body: ClientName, asked: Asked, server: Served) -> None:
    """Give a subsystem another name: with its registration, or if it is registered, at once."""
    about = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(about), memberSubsystemName=body.client_name)
    rename = await server.renaming.prepare(about, body.client_name)
    if rename is not None:
        number = await server.registration.rename_client(about, rename.new_name)
        await server.renaming.note_submitted(rename)
        asked.tell(managementRequestId=number)


def _tell(asked: Asked, number: int, status: ClientStatus) -> None:
    asked.tell(managementRequestId=number, clientStatus=status.value)
