"""Use cases on global groups."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.paging import Found, Page
from sild.components.centralserver.registry_errors import (
    GroupMemberNotFound,
    OwnersGroupKeepsMembers,
    OwnersGroupStays,
    OwnersGroupTakesNobody,
)
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_searching import (
    GroupMemberFilter,
    GroupMemberRow,
    find_group_members,
)
from sild.components.centralserver.registry_texts import (
    check_description,
    check_identifier,
    client_from_encoded,
)
from sild.components.centralserver.registry_turns import changing
from sild.components.centralserver.registry_values import OWNERS_GROUP, GroupRow
from sild.protocol.ids import ClientId
from sild.runtime.clock import Clock
from sild.runtime.database import Database


@dataclass(frozen=True, slots=True)
class FilterModel:
    """What the members of a group can be told apart by."""

    instances: tuple[str, ...]
    member_classes: tuple[str, ...]
    codes: tuple[str, ...]
    subsystems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovedMember:
    """Who was removed, and from which group."""

    group: GroupRow
    client: ClientId


@dataclass(frozen=True, slots=True)
class GlobalGroups:
    """The global groups: each act is one transaction, and raises Refusals.

    The group of the servers' owners keeps itself.
    """

    database: Database
    clock: Clock

    async def all(self) -> tuple[GroupRow, ...]:
        """Every group."""
        async with self.database.reading() as connection:
            return await self._rows(connection).groups.all()

    async def get(self, code: str) -> GroupRow:
        """One group; raises GroupNotFound."""
        async with self.database.reading() as connection:
            return await self._rows(connection).groups.get(code)

    async def add(self, code: str, description: str) -> GroupRow:
        """Add a group; raises GroupExists."""
        check_identifier("code", code)
        check_description("description", description)
        async with changing(self.database) as connection:
            groups = self._rows(connection).groups
            await groups.make(code, description)
            return await groups.get(code)

    async def describe(self, code: str, description: str) -> GroupRow:
        """Say what a group is for; raises GroupNotFound."""
        check_description("description", description)
        async with changing(self.database) as connection:
            groups = self._rows(connection).groups
            await groups.describe(code, description)
            return await groups.get(code)

    async def remove(self, code: str) -> GroupRow:
        """Remove a group, and give what it was; raises GroupNotFound, OwnersGroupStays."""
        async with changing(self.database) as connection:
            groups = self._rows(connection).groups
            group = await groups.get(code)
            if _is_of_owners(code):
                raise OwnersGroupStays("the group of the servers' owners cannot be deleted")
            await groups.unmake(code)
            return group

    async def find_members(
        self, code: str, wanted: GroupMemberFilter, page: Page | None = None
    ) -> Found[GroupMemberRow]:
        """The members of a group that fit; a group that is not there has none."""
        async with self.database.reading() as connection:
            return await find_group_members(connection, code, wanted, page)

    async def filter_model(self, code: str) -> FilterModel:
        """What the members of a group can be told apart by."""
        members = [row.client for row in (await self.find_members(code, GroupMemberFilter())).items]
        return FilterModel(
            instances=_distinct(member.instance for member in members),
            member_classes=_distinct(member.member_class for member in members),
            codes=_distinct(member.member_code for member in members),
            subsystems=_distinct(m.subsystem_code for m in members if m.subsystem_code),
        )

    async def add_members(self, code: str, clients: Iterable[str]) -> tuple[str, ...]:
        """Add clients by their encoded identifiers, and give those that were no members before.

        Raises GroupNotFound, OwnersGroupTakesNobody, InvalidEncodedId, MemberNotFound and
        SubsystemNotFound: then none is added.
        """
        async with changing(self.database) as connection:
            rows = self._rows(connection)
            await rows.groups.get(code)
            if _is_of_owners(code):
                raise OwnersGroupTakesNobody("only who owns a server is in this group")
            return tuple(
                [
                    encoded
                    for encoded in dict.fromkeys(clients)
                    if await rows.add_group_member(code, client_from_encoded(encoded))
                ]
            )

    async def remove_member(self, code: str, client: str) -> RemovedMember:
        """Remove a client by its encoded identifier.

        Raises GroupNotFound, GroupMemberNotFound, OwnersGroupKeepsMembers.
        """
        async with changing(self.database) as connection:
            rows = self._rows(connection)
            group, member = await rows.groups.get(code), client_from_encoded(client)
            if not await rows.remove_group_member(code, member):
                raise GroupMemberNotFound(
                    f"{member} is not in the global group {code!r}", "memberId", client
                )
            if _is_of_owners(code):
                raise OwnersGroupKeepsMembers("only who owns no server leaves this group")
            return RemovedMember(group, member)

    def _rows(self, connection: AsyncConnection) -> RegistryRows:
        return RegistryRows(connection, self.clock.now())


def _is_of_owners(code: str) -> bool:
    return code.casefold() == OWNERS_GROUP


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
