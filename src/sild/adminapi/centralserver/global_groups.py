"""Global groups and their members."""

from typing import Annotated, Self

from fastapi import Body as JsonBody
from pydantic import Field

from sild.adminapi import bodies
from sild.adminapi.asked import Asked
from sild.adminapi.bodies import (
    Body,
    ClientId,
    EncodedIdText,
    Instant,
    PagingMetadata,
    Text,
    page_of,
)
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.registry_bodies import (
    CodePath,
    GlobalGroupCodeAndDescription,
    GlobalGroupDescription,
    GlobalGroupResource,
    IdPath,
    page_asked,
    told_client,
)
from sild.adminapi.operations import Operations
from sild.components.centralserver.registry_searching import (
    ClientKind,
    GroupMemberFilter,
    GroupMemberRow,
)
from sild.components.centralserver.registry_texts import client_from_encoded
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("global-groups")

_LARGEST = 2**31 - 1

Int32 = Annotated[int, Field(strict=True, ge=-_LARGEST - 1, le=_LARGEST)]


class Members(Body):
    """Members of a group by their encoded identifiers."""

    items: list[EncodedIdText] = Field(default_factory=list)


class PagingSortingParameters(Body):
    """Which part of a list is asked for, in a body."""

    sort: Annotated[str, Field(min_length=2, max_length=25, pattern="^[a-zA-Z_.]+$")] | None = None
    desc: Annotated[bool, Field(strict=True)] = False
    limit: Int32 = 25
    offset: Int32 = 0

    def page(self) -> bodies.Page:
        """Give the page; raises InvalidPaging."""
        return page_of(self.sort, self.desc, self.limit, self.offset)


class GroupMembersFilter(Body):
    """Which members of a group are searched for; what is null is left open."""

    query: Text | None = None
    member_class: Text | None = None
    instance: Text | None = None
    codes: list[Text] | None = None
    subsystems: list[Text] | None = None
    types: list[ClientKind] | None = None
    paging_sorting: PagingSortingParameters = PagingSortingParameters()

    def wanted(self) -> GroupMemberFilter:
        """Give the filter."""
        return GroupMemberFilter(
            text=self.query or "",
            instance=self.instance or "",
            member_class=self.member_class or "",
            codes=self.codes or (),
            subsystems=self.subsystems or (),
            kinds=self.types or (),
        )


class GroupMembersFilterModel(Body):
    """What the members of a group differ by."""

    instances: list[str]
    member_classes: list[str]
    codes: list[str]
    subsystems: list[str]


class GroupMemberListView(Body):
    """A member of a group."""

    id: int
    name: str
    client_id: ClientId
    created_at: Instant

    @classmethod
    def of(cls, row: GroupMemberRow) -> Self:
        """Lay out a member of a group."""
        return cls(
            id=row.id,
            name=row.member_name,
            client_id=ClientId.of(row.client),
            created_at=row.added,
        )


class PagedGroupMemberListView(Body):
    """A page of a group's members."""

    items: list[GroupMemberListView]
    paging_metadata: PagingMetadata


@OPERATIONS.get(
    "/global-groups", "findGlobalGroups", permission=Permission.VIEW_GLOBAL_GROUPS, also=()
)
async def find_global_groups(central: Central) -> list[GlobalGroupResource]:
    """List the global groups."""
    return [GlobalGroupResource.of(group) for group in await central.groups.all()]


@OPERATIONS.post(
    "/global-groups",
    "addGlobalGroup",
    permission=Permission.ADD_GLOBAL_GROUP,
    event=AuditEvent.ADD_GLOBAL_GROUP,
    status=201,
    also=(400, 409),
)
async def add_global_group(
    body: GlobalGroupCodeAndDescription, asked: Asked, central: Central
) -> GlobalGroupResource:
    """Add a global group."""
    asked.tell(code=body.code, description=body.description)
    return GlobalGroupResource.of(await central.groups.add(body.code, body.description))


@OPERATIONS.delete(
    "/global-groups/{group_code}",
    "deleteGlobalGroup",
    permission=Permission.DELETE_GROUP,
    event=AuditEvent.DELETE_GLOBAL_GROUP,
    status=204,
)
async def delete_global_group(group_code: CodePath, asked: Asked, central: Central) -> None:
    """Remove a global group."""
    asked.tell(code=group_code)
    removed = await central.groups.remove(group_code)
    asked.tell(description=removed.description)


@OPERATIONS.get(
    "/global-groups/{group_code}", "getGlobalGroup", permission=Permission.VIEW_GROUP_DETAILS
)
async def get_global_group(group_code: CodePath, central: Central) -> GlobalGroupResource:
    """Show a global group."""
    return GlobalGroupResource.of(await central.groups.get(group_code))


@OPERATIONS.patch(
    "/global-groups/{group_code}",
    "updateGlobalGroupDescription",
    permission=Permission.EDIT_GROUP_DESCRIPTION,
    event=AuditEvent.EDIT_GLOBAL_GROUP_DESCRIPTION,
)
async def update_global_group_description(
    group_code: CodePath, body: GlobalGroupDescription, asked: Asked, central: Central
) -> GlobalGroupResource:
    """Say what a global group is for."""
    asked.tell(code=group_code, description=body.description)
    return GlobalGroupResource.of(await central.groups.describe(group_code, body.description))


@OPERATIONS.get(
    "/global-groups/{group_code}/members/filter-model",
    "getGroupMembersFilterModel",
    permission=Permission.VIEW_GROUP_DETAILS,
    also=(400,),
)
async def get_group_members_filter_model(
    group_code: CodePath, central: Central
) -> GroupMembersFilterModel:
    """Say what the members of a global group differ by."""
    model = await central.groups.filter_model(group_code)
    return GroupMembersFilterModel(
        instances=list(model.instances),
        member_classes=list(model.member_classes),
        codes=list(model.codes),
        subsystems=list(model.subsystems),
    )


@OPERATIONS.post(
    "/global-groups/{group_code}/members/add",
    "addGlobalGroupMembers",
    permission=Permission.ADD_AND_REMOVE_GROUP_MEMBERS,
    event=AuditEvent.ADD_GLOBAL_GROUP_MEMBERS,
    status=201,
    also=(400, 404, 409),
)
async def add_global_group_members(
    group_code: CodePath,
    asked: Asked,
    central: Central,
    body: Annotated[Members | None, JsonBody()] = None,
) -> Members:
    """Add members to a global group, and answer with those that are new."""
    clients = body.items if body else []
    asked.tell(
        code=group_code,
        memberIdentifiers=[told_client(client_from_encoded(client)) for client in clients],
    )
    asked.tell(description=(await central.groups.get(group_code)).description)
    return Members(items=list(await central.groups.add_members(group_code, clients)))


@OPERATIONS.post(
    "/global-groups/{group_code}/members",
    "findGlobalGroupMembers",
    permission=Permission.VIEW_GROUP_DETAILS,
)
async def find_global_group_members(
    group_code: CodePath,
    central: Central,
    body: Annotated[GroupMembersFilter | None, JsonBody()] = None,
) -> PagedGroupMemberListView:
    """Search the members of a global group."""
    wanted = body or GroupMembersFilter()
    paging = wanted.paging_sorting.page()
    found = await central.groups.find_members(group_code, wanted.wanted(), page_asked(paging))
    return PagedGroupMemberListView(
        items=[GroupMemberListView.of(row) for row in found.items],
        paging_metadata=paging.metadata(found.total, len(found.items)),
    )


@OPERATIONS.delete(
    "/global-groups/{group_code}/members/{client_id}",
    "deleteGlobalGroupMember",
    permission=Permission.ADD_AND_REMOVE_GROUP_MEMBERS,
    event=AuditEvent.DELETE_GLOBAL_GROUP_MEMBER,
    status=204,
    also=(400, 404, 409),
)
async def delete_global_group_member(
    group_code: CodePath, client_id: IdPath, asked: Asked, central: Central
) -> None:
    """Remove a member from a global group."""
    asked.tell(code=group_code)
    removed = await central.groups.remove_member(group_code, client_id)
    asked.tell(
        description=removed.group.description,
        memberIdentifiers=[told_client(removed.client)],
    )
