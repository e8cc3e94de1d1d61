"""Members, with what belongs to them."""

from typing import Self

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, ClientId, Instant
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.registry_bodies import (
    Client,
    IdPath,
    MemberAdd,
    MemberName,
    SecurityServer,
    told_client,
    told_server,
)
from sild.adminapi.operations import Operations
from sild.components.centralserver.registry import SubsystemUse, UsedServer
from sild.components.centralserver.registry_texts import member_from_encoded, server_from_encoded
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("members")


class UsedSecurityServers(Body):
    """A server that has a subsystem for a client."""

    encoded_id: str
    server_code: str
    server_owner: str
    status: str

    @classmethod
    def of(cls, used: UsedServer) -> Self:
        """Lay out a server that is used."""
        return cls(
            encoded_id=used.id.encoded,
            server_code=used.id.server_code,
            server_owner=used.owner_name,
            # Who is linked was approved once, whatever other requests became of.
            status="APPROVED" if used.enabled else "DISABLED",
        )


class Subsystem(Body):
    """A subsystem, and the servers that have it for a client."""

    subsystem_id: ClientId
    subsystem_name: str | None = None
    used_security_servers: list[UsedSecurityServers]

    @classmethod
    def of(cls, use: SubsystemUse) -> Self:
        """Lay out a subsystem."""
        return cls(
            subsystem_id=ClientId.of(use.subsystem.id),
            subsystem_name=use.subsystem.name,
            used_security_servers=[UsedSecurityServers.of(server) for server in use.servers],
        )


class MemberGlobalGroup(Body):
    """A global group that a member or its subsystem is in."""

    group_code: str
    subsystem: str | None = None
    added_to_group: Instant


@OPERATIONS.post(
    "/members",
    "addMember",
    permission=Permission.ADD_NEW_MEMBER,
    event=AuditEvent.ADD_MEMBER,
    status=201,
    also=(400, 404, 409),
)
async def add_member(body: MemberAdd, asked: Asked, central: Central) -> Client:
    """Add a member."""
    new = body.member_id
    asked.tell(
        memberName=body.member_name, memberClass=new.member_class, memberCode=new.member_code
    )
    added = await central.registry.add_member(new.member_class, new.member_code, body.member_name)
    return Client.of(added.id, added.name)


@OPERATIONS.delete(
    "/members/{member_id}",
    "deleteMember",
    permission=Permission.DELETE_MEMBER,
    event=AuditEvent.DELETE_MEMBER,
    status=204,
    also=(400, 404, 409),
)
async def delete_member(member_id: IdPath, asked: Asked, central: Central) -> None:
    """Remove a member with its subsystems and servers."""
    member = member_from_encoded(member_id)
    asked.tell(memberClass=member.member_class, memberCode=member.member_code)
    await central.registry.remove_member(member)


@OPERATIONS.get("/members/{member_id}", "getMember", permission=Permission.VIEW_MEMBER_DETAILS)
async def get_member(member_id: IdPath, central: Central) -> Client:
    """Show a member."""
    found = await central.registry.get_member(member_from_encoded(member_id))
    return Client.of(found.id, found.name)


@OPERATIONS.patch(
    "/members/{member_id}",
    "updateMemberName",
    permission=Permission.EDIT_MEMBER_NAME,
    event=AuditEvent.EDIT_MEMBER_NAME,
)
async def update_member_name(
    member_id: IdPath, body: MemberName, asked: Asked, central: Central
) -> Client:
    """Give a member another name."""
    member = member_from_encoded(member_id)
    asked.tell(
        memberName=body.member_name,
        memberClass=member.member_class,
        memberCode=member.member_code,
    )
    renamed = await central.registry.rename_member(member, body.member_name)
    return Client.of(renamed.id, renamed.name)


@OPERATIONS.get(
    "/members/{member_id}/subsystems",
    "getSubsystems",
    permission=Permission.VIEW_MEMBER_DETAILS,
)
async def get_subsystems(member_id: IdPath, central: Central) -> list[Subsystem]:
    """List the subsystems of a member."""
    found = await central.registry.subsystems_of(member_from_encoded(member_id))
    return [Subsystem.of(use) for use in found]


@OPERATIONS.get(
    "/members/{member_id}/global-groups",
    "getMemberGlobalGroups",
    permission=Permission.VIEW_MEMBER_DETAILS,
    also=(400,),
)
async def get_member_global_groups(member_id: IdPath, central: Central) -> list[MemberGlobalGroup]:
    """List the global groups of a member and its subsystems."""
    found = await central.registry.memberships_of(member_from_encoded(member_id))
    return [
        MemberGlobalGroup(
            group_code=each.group, subsystem=each.subsystem, added_to_group=each.added
        )
        for each in found
    ]


@OPERATIONS.get(
    "/members/{member_id}/owned-servers",
    "getOwnedServers",
    permission=Permission.VIEW_MEMBER_DETAILS,
    also=(400,),
)
async def get_owned_servers(member_id: IdPath, central: Central) -> list[SecurityServer]:
    """List the servers that a member owns."""
    found = await central.registry.servers_owned_by(member_from_encoded(member_id))
    return [SecurityServer.of(server) for server in found]


@OPERATIONS.get(
    "/members/{member_id}/used-servers",
    "getUsedServers",
    permission=Permission.VIEW_MEMBER_DETAILS,
    also=(400,),
)
async def get_used_servers(member_id: IdPath, central: Central) -> list[SecurityServer]:
    """List the servers that have a member or its subsystem for a client."""
    found = await central.registry.servers_used_by(member_from_encoded(member_id))
    return [SecurityServer.of(server) for server in found]


@OPERATIONS.delete(
    "/members/{member_id}/servers/{server_id}",
    "unregisterMember",
    permission=Permission.UNREGISTER_MEMBER,
    event=AuditEvent.UNREGISTER_MEMBER,
    status=204,
)
async def unregister_member(
    member_id: IdPath, server_id: IdPath, asked: Asked, central: Central
) -> None:
    """Unlink a member from a server."""
    member, server = member_from_encoded(member_id), server_from_encoded(server_id)
    asked.tell(**told_server(server), clientIdentifier=told_client(member))
    await central.registry.unregister(member, server)
