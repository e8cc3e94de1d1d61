"""Members, subsystems, servers and groups as the contract lays them out."""

from typing import Annotated, Self

from fastapi import Path, Query
from pydantic import Field

from sild.adminapi import bodies
from sild.adminapi.bodies import (
    Body,
    ClientId,
    EncodedIdText,
    HostAddress,
    Identifier,
    Instant,
    PagingMetadata,
    Plain,
    SecurityServerId,
    ShortText,
)
from sild.components.centralserver.paging import Page
from sild.components.centralserver.registry_searching import ClientRow
from sild.components.centralserver.registry_values import GroupRow, ServerRow
from sild.protocol import ids

_LONGEST = 255


IdPath = Annotated[EncodedIdText, Path()]
"""A parameter of an operation: an identifier in the path."""
CodePath = Annotated[ShortText, Path()]
"""A parameter of an operation: a code in the path."""
SearchText = Annotated[str, Query(max_length=_LONGEST), Plain]
"""A parameter of an operation: what to search for; blank is everything."""
Description = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_LONGEST,
        pattern=r"^[a-zA-Z0-9\-_,.;:!? ]*$",
        # As published; what is checked is the same in another notation.
        json_schema_extra={"pattern": "^[a-zA-Z0-9-_,.;:!? ]*$"},
    ),
]
"""What a class or group is for."""
OptionalName = Annotated[str, Field(max_length=_LONGEST), Plain]
"""A name that may be blank, which is none."""


class MemberClassDescription(Body):
    """What a member class stands for."""

    description: Description


class MemberClass(MemberClassDescription):
    """A member class."""

    code: Identifier


class MemberClassBody(Body):
    """A member class that is there, whatever its texts."""

    code: str
    description: str


class MemberName(Body):
    """How a member is called."""

    member_name: ShortText


class NewMemberId(Body):
    """A member of this instance."""

    member_class: Identifier
    member_code: Identifier


class MemberAdd(MemberName):
    """A new member."""

    member_id: NewMemberId


class SubsystemName(Body):
    """How a subsystem is called, if it is."""

    subsystem_name: OptionalName | None = None


class NewSubsystemId(NewMemberId):
    """A subsystem of a member of this instance."""

    subsystem_code: Identifier


class SubsystemAdd(SubsystemName):
    """A new subsystem."""

    subsystem_id: NewSubsystemId


class Client(Body):
    """A member or subsystem, by the member's name; without it where it was not asked for."""

    client_id: ClientId
    member_name: str | None = None

    @classmethod
    def of(cls, client: ids.ClientId, member_name: str | None = None) -> Self:
        """Lay out a client."""
        return cls(client_id=ClientId.of(client), member_name=member_name)

    @classmethod
    def of_row(cls, row: ClientRow) -> Self:
        """Lay out a client that was found."""
        return cls.of(row.id, row.member_name)


class PagedClients(Body):
    """A page of clients."""

    clients: list[Client]
    paging_metadata: PagingMetadata


class SecurityServerAddress(Body):
    """Where a server is."""

    server_address: HostAddress


class SecurityServer(Body):
    """A security server."""

    server_id: SecurityServerId
    owner_name: str
    server_address: str
    in_maintenance_mode: bool
    maintenance_mode_message: str | None = None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, server: ServerRow) -> Self:
        """Lay out a server."""
        return cls(
            server_id=SecurityServerId.of(server.id),
            owner_name=server.owner_name,
            server_address=server.address,
            in_maintenance_mode=server.in_maintenance,
            maintenance_mode_message=server.maintenance_message,
            created_at=server.created,
            updated_at=server.updated,
        )


class PagedSecurityServers(Body):
    """A page of servers."""

    items: list[SecurityServer]
    paging_metadata: PagingMetadata


class GlobalGroupDescription(Body):
    """What a global group is for."""

    description: Description


class GlobalGroupCodeAndDescription(GlobalGroupDescription):
    """A new global group."""

    code: Identifier


class GlobalGroupResource(Body):
    """A global group."""

    code: str
    description: str
    member_count: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, group: GroupRow) -> Self:
        """Lay out a group."""
        return cls(
            code=group.code,
            description=group.description,
            member_count=group.member_count,
            created_at=group.created,
            updated_at=group.updated,
        )


def page_asked(asked: bodies.Page) -> Page:
    """Give the page that a list is read by."""
    return Page(asked.limit, asked.first, asked.sort, asked.desc)


def told_client(client: ids.ClientId) -> dict[str, str]:
    """Give what an audit record says of a client."""
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    return dict(zip(names, client.parts, strict=False))


def told_server(server: ids.SecurityServerId) -> dict[str, str]:
    """Give what an audit record says of a server."""
    return {
        "serverCode": server.server_code,
        "ownerClass": server.owner.member_class,
        "ownerCode": server.owner.member_code,
    }
