"""Subsystems of members."""

from sild.adminapi.asked import Asked
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.registry_bodies import (
    Client,
    IdPath,
    SubsystemAdd,
    SubsystemName,
    told_client,
    told_server,
)
from sild.adminapi.operations import Operations
from sild.components.centralserver.registry_texts import (
    server_from_encoded,
    subsystem_from_encoded,
)
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.ids import ClientId

OPERATIONS = Operations("subsystems")


@OPERATIONS.post(
    "/subsystems",
    "addSubsystem",
    permission=Permission.ADD_MEMBER_SUBSYSTEM,
    event=AuditEvent.ADD_SUBSYSTEM,
    status=201,
    also=(400, 404, 409),
)
async def add_subsystem(body: SubsystemAdd, asked: Asked, central: Central) -> Client:
    """Add a subsystem to a member."""
    new = body.subsystem_id
    asked.tell(
        memberClass=new.member_class,
        memberCode=new.member_code,
        memberSubsystemCode=new.subsystem_code,
        memberSubsystemName=body.subsystem_name,
    )
    added = await central.registry.add_subsystem(
        new.member_class, new.member_code, new.subsystem_code, body.subsystem_name
    )
    return Client.of(added.id)


@OPERATIONS.delete(
    "/subsystems/{subsystem_id}",
    "deleteSubsystem",
    permission=Permission.REMOVE_MEMBER_SUBSYSTEM,
    event=AuditEvent.DELETE_SUBSYSTEM,
    status=204,
)
async def delete_subsystem(subsystem_id: IdPath, asked: Asked, central: Central) -> None:
    """Remove a subsystem that no server has."""
    subsystem = subsystem_from_encoded(subsystem_id)
    asked.tell(**_told(subsystem))
    await central.registry.remove_subsystem(subsystem)


@OPERATIONS.patch(
    "/subsystems/{subsystem_id}",
    "updateSubsystemName",
    permission=Permission.EDIT_MEMBER_SUBSYSTEM,
    event=AuditEvent.EDIT_SUBSYSTEM,
)
async def update_subsystem_name(
    subsystem_id: IdPath, body: SubsystemName, asked: Asked, central: Central
) -> Client:
    """Give a subsystem another name."""
    subsystem = subsystem_from_encoded(subsystem_id)
    asked.tell(**_told(subsystem), memberSubsystemName=body.subsystem_name)
    renamed = await central.registry.rename_subsystem(subsystem, body.subsystem_name)
    return Client.of(renamed.id)


@OPERATIONS.delete(
    "/subsystems/{subsystem_id}/servers/{server_id}",
    "unregisterSubsystem",
    permission=Permission.UNREGISTER_SUBSYSTEM,
    event=AuditEvent.UNREGISTER_SUBSYSTEM,
    status=204,
)
async def unregister_subsystem(
    subsystem_id: IdPath, server_id: IdPath, asked: Asked, central: Central
) -> None:
    """Unlink a subsystem from a server."""
    subsystem, server = subsystem_from_encoded(subsystem_id), server_from_encoded(server_id)
    asked.tell(**told_server(server), clientIdentifier=told_client(subsystem))
    await central.registry.unregister(subsystem, server)


def _told(subsystem: ClientId) -> dict[str, str | None]:
    return {
        "memberClass": subsystem.member_class,
        "memberCode": subsystem.member_code,
        "memberSubsystemCode": subsystem.subsystem_code,
    }
