"""Local groups of clients, and who is in them."""

import re

from sild.adminapi.asked import Act, Asked
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import (
    ClientPath,
    GroupPath,
    LocalGroup,
    LocalGroupAdd,
    LocalGroupDescription,
    Members,
    told_client,
)
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_client_ids import IdNotANumber, client_from_encoded
from sild.components.serverconf.group_rows import KeptGroup
from sild.model import services
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.ids import ClientId

OPERATIONS = Operations("local-groups")

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@OPERATIONS.get(
    "/clients/{id}/local-groups",
    "getClientLocalGroups",
    permission=Permission.VIEW_CLIENT_LOCAL_GROUPS,
    also=(400, 404, 406, 409),
)
async def get_client_local_groups(client: ClientPath, server: Served) -> list[LocalGroup]:
    """List the local groups of a client."""
    found = await server.groups.groups_of(client_from_encoded(client))
    return [LocalGroup.of(group, server.groups) for group in found]


@OPERATIONS.post(
    "/clients/{id}/local-groups",
    "addClientLocalGroup",
    permission=Permission.ADD_LOCAL_GROUP,
    event=AuditEvent.ADD_LOCAL_GROUP,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_client_local_group(
    client: ClientPath, body: LocalGroupAdd, asked: Asked, server: Served
) -> LocalGroup:
    """Add a local group."""
    owner = client_from_encoded(client)
    asked.tell(
        clientIdentifier=told_client(owner),
        groupCode=body.code,
        groupDescription=body.description,
    )
    group = services.LocalGroup(owner, body.code, description=body.description)
    return LocalGroup.of(await server.groups.add(group), server.groups)


@OPERATIONS.get(
    "/local-groups/{group_id}",
    "getLocalGroup",
    permission=Permission.VIEW_CLIENT_LOCAL_GROUPS,
    also=(400, 404, 406, 409),
)
async def get_local_group(group_id: GroupPath, server: Served) -> LocalGroup:
    """Show a local group."""
    group = await server.groups.get(_number(group_id))
    return LocalGroup.of(group, server.groups)


@OPERATIONS.patch(
    "/local-groups/{group_id}",
    "updateLocalGroup",
    permission=Permission.EDIT_LOCAL_GROUP_DESC,
    event=AuditEvent.EDIT_LOCAL_GROUP_DESC,
    also=(400, 404, 406, 409),
)
async def update_local_group(
    group_id: GroupPath, body: LocalGroupDescription, asked: Asked, server: Served
) -> LocalGroup:
    """Change what people read about a local group."""
    asked.tell(groupDescription=body.description)
    number = _number(group_id)
    _tell(asked, await server.groups.get(number))
    return LocalGroup.of(await server.groups.describe(number, body.description), server.groups)


@OPERATIONS.delete(
    "/local-groups/{group_id}",
    "deleteLocalGroup",
    permission=Permission.DELETE_LOCAL_GROUP,
    event=AuditEvent.DELETE_LOCAL_GROUP,
    status=204,
    also=(400, 404, 409),
)
async def delete_local_group(group_id: GroupPath, asked: Asked, server: Served) -> None:
    """Remove a local group and its rights."""
    number = _number(group_id)
    group = await server.groups.get(number)
    _tell(asked, group)
    asked.tell(groupDescription=group.description)
    await server.groups.remove(number)


@OPERATIONS.post(
    "/local-groups/{group_id}/members",
    "addLocalGroupMember",
    permission=Permission.EDIT_LOCAL_GROUP_MEMBERS,
    event=AuditEvent.ADD_LOCAL_GROUP_MEMBERS,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_local_group_member(
    group_id: GroupPath, body: Members, asked: Asked, server: Served
) -> Members:
    """Put subsystems in a local group."""
    clients, number = _clients(body), _number(group_id)
    _tell(asked, await server.groups.get(number), clients)
    await server.groups.add_members(number, clients)
    return body


@OPERATIONS.post(
    "/local-groups/{group_id}/members/delete",
    "deleteLocalGroupMember",
    permission=Permission.EDIT_LOCAL_GROUP_MEMBERS,
    event=AuditEvent.REMOVE_LOCAL_GROUP_MEMBERS,
    status=204,
    also=(400, 404, 406, 409),
)
async def delete_local_group_member(
    group_id: GroupPath, body: Members, asked: Asked, server: Served
) -> None:
    """Put subsystems out of a local group."""
    clients, number = _clients(body), _number(group_id)
    _tell(asked, await server.groups.get(number), clients)
    await server.groups.remove_members(number, clients)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise IdNotANumber(f"{text!r} is no number of a local group")
    return int(text)


def _clients(body: Members) -> tuple[ClientId, ...]:
    """The clients, each once."""
    return tuple(dict.fromkeys(map(client_from_encoded, body.items or ())))


def _tell(asked: Act, group: KeptGroup, members: tuple[ClientId, ...] | None = None) -> None:
    asked.tell(clientIdentifier=told_client(group.owner), groupCode=group.code)
    if members is not None:
        asked.tell(memberIdentifiers=[str(member) for member in members])
