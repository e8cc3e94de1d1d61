"""Use cases on members and their subsystems."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.paging import Found, Page
from sild.components.centralserver.registry_errors import (
    InstanceNotSet,
    MemberNotFound,
    MemberNotRegistered,
    SubsystemNotRegistered,
)
from sild.components.centralserver.registry_ports import Deletions
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_searching import (
    ClientFilter,
    ClientRow,
    find_clients,
)
from sild.components.centralserver.registry_tables import (
    CLIENT,
    GROUP,
    GROUP_MEMBER,
    SERVER,
    SERVER_CLIENT,
)
from sild.components.centralserver.registry_texts import check_identifier, check_name
from sild.components.centralserver.registry_turns import changing
from sild.components.centralserver.registry_values import (
    OWNER,
    MemberRow,
    ServerRow,
    SubsystemRow,
    client_values,
    is_client,
    select_servers,
    server_id_of,
    server_of,
)
from sild.components.centralserver.system import Node, read_parameters
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import Clock
from sild.runtime.database import Database

_MEMBER = CLIENT.alias("member")


@dataclass(frozen=True, slots=True)
class UsedServer:
    """A server that has a subsystem for a client."""

    id: SecurityServerId
    owner_name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class SubsystemUse:
    """A subsystem, and the servers that have it for a client."""

    subsystem: SubsystemRow
    servers: tuple[UsedServer, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """A global group that a member or one of its subsystems is in."""

    group: str
    subsystem: str | None
    added: datetime


@dataclass(frozen=True, slots=True)
class Registry:
    """Members and subsystems: each act is one transaction, and raises Refusals."""

    database: Database
    clock: Clock
    deletions: Deletions

    async def search(self, wanted: ClientFilter, page: Page | None = None) -> Found[ClientRow]:
        """The members and subsystems that fit; raises ServerNotFound."""
        async with self.database.reading() as connection:
            return await find_clients(connection, wanted, page)

    async def add_member(self, member_class: str, member_code: str, name: str) -> MemberRow:
        """Add a member of this instance; raises MemberClassNotFound, MemberExists."""
        check_identifier("member_class", member_class)
        check_identifier("member_code", member_code)
        check_name("member_name", name)
        async with changing(self.database) as connection:
            instance = await _instance(connection)
            member = ClientId(instance, member_class, member_code)
            return await self._rows(connection).add_member(member, name)

    async def get_member(self, member: ClientId) -> MemberRow:
        """A member; raises MemberNotFound."""
        async with self.database.reading() as connection:
            return await self._get_member(connection, member)

    async def rename_member(self, member: ClientId, name: str) -> MemberRow:
        """Give a member another name; raises MemberNotFound."""
        check_name("member_name", name)
        async with changing(self.database) as connection:
            return await self._rows(connection).rename_member(member, name)

    async def remove_member(self, member: ClientId) -> None:
        """Remove a member with its subsystems, servers and memberships; raises MemberNotFound."""
        async with changing(self.database) as connection:
            await self._rows(connection).remove_member(member)

    async def subsystems_of(self, member: ClientId) -> tuple[SubsystemUse, ...]:
        """The subsystems of a member; raises MemberNotFound."""
        is_its = is_client(member.member, _MEMBER)
        named = (
            select(CLIENT.c.id, CLIENT.c.subsystem_code, CLIENT.c.name)
            .join_from(CLIENT, _MEMBER, _MEMBER.c.id == CLIENT.c.member_id)
            .where(is_its)
            .order_by(CLIENT.c.id)
        )
        async with self.database.reading() as connection:
            await self._get_member(connection, member)
            servers = defaultdict(list)
            for row in await connection.execute(_select_uses().where(is_its)):
                used = UsedServer(server_id_of(row), row.owner_name, row.enabled)
                servers[row.client_id].append(used)
            return tuple(
                SubsystemUse(
                    SubsystemRow(member.subsystem(row.subsystem_code), row.name),
                    tuple(servers[row.id]),
                )
                for row in await connection.execute(named)
            )

    async def memberships_of(self, member: ClientId) -> tuple[Membership, ...]:
        """The global groups of a member and its subsystems; of who is not there, none."""
        found = (
            select(GROUP.c.code, CLIENT.c.subsystem_code, GROUP_MEMBER.c.created)
            .join_from(GROUP_MEMBER, GROUP, GROUP.c.id == GROUP_MEMBER.c.group_id)
            .join(CLIENT, CLIENT.c.id == GROUP_MEMBER.c.client_id)
            .where(_is_of_member(member))
            .order_by(GROUP_MEMBER.c.id)
        )
        async with self.database.reading() as connection:
            rows = await connection.execute(found)
            return tuple(
                Membership(row.code, row.subsystem_code or None, row.created) for row in rows
            )

    async def servers_owned_by(self, member: ClientId) -> tuple[ServerRow, ...]:
        """The servers that a member owns; of who is not there, none."""
        return await self._servers(is_client(member.member, OWNER))

    async def servers_used_by(self, member: ClientId) -> tuple[ServerRow, ...]:
        """The servers that have a member or one of its subsystems for a client."""
        used = (
            select(SERVER_CLIENT.c.server_id)
            .join_from(SERVER_CLIENT, CLIENT, CLIENT.c.id == SERVER_CLIENT.c.client_id)
            .where(_is_of_member(member))
        )
        return await self._servers(SERVER.c.id.in_(used))

    async def unregister(self, client: ClientId, server: SecurityServerId) -> None:
        """Unlink a client from a server by a deletion request.

        Raises ServerNotFound, MemberNotRegistered, SubsystemNotRegistered.
        """
        async with changing(self.database) as connection:
            if await self._rows(connection).find_client_link(server, client) is None:
                missing = SubsystemNotRegistered if client.is_subsystem else MemberNotRegistered
                raise missing(f"{client} is no client of {server}")
            await self.deletions.delete_client(connection, server, client)

    async def add_subsystem(
        self, member_class: str, member_code: str, subsystem_code: str, name: str | None
    ) -> SubsystemRow:
        """Add a subsystem to a member of this instance; raises MemberNotFound, SubsystemExists."""
        check_identifier("member_class", member_class)
        check_identifier("member_code", member_code)
        check_identifier("subsystem_code", subsystem_code)
        if name:
            check_name("subsystem_name", name)
        async with changing(self.database) as connection:
            instance = await _instance(connection)
            subsystem = ClientId(instance, member_class, member_code, subsystem_code)
            return await self._rows(connection).add_subsystem(subsystem, name)

    async def rename_subsystem(self, subsystem: ClientId, name: str | None) -> SubsystemRow:
        """Give a subsystem another name, or none; raises SubsystemNotFound."""
        if name:
            check_name("subsystem_name", name)
        async with changing(self.database) as connection:
            return await self._rows(connection).rename_subsystem(subsystem, name)

    async def remove_subsystem(self, subsystem: ClientId) -> None:
        """Remove a subsystem that no server has; raises SubsystemNotFound, SubsystemRegistered."""
        async with changing(self.database) as connection:
            await self._rows(connection).remove_subsystem(subsystem)

    def _rows(self, connection: AsyncConnection) -> RegistryRows:
        return RegistryRows(connection, self.clock.now())

    async def _get_member(self, connection: AsyncConnection, member: ClientId) -> MemberRow:
        found = await self._rows(connection).find_member(member)
        if found is None:
            raise MemberNotFound(f"there is no {member.member}")
        return found

    async def _servers(self, condition: ColumnElement[bool]) -> tuple[ServerRow, ...]:
        found = select_servers().where(condition).order_by(SERVER.c.id)
        async with self.database.reading() as connection:
            return tuple(server_of(row) for row in await connection.execute(found))


async def _instance(connection: AsyncConnection) -> str:
    # The same on every node.
    parameters = await read_parameters(connection, Node())
    if not parameters.instance:
        raise InstanceNotSet("the instance has no identifier yet")
    return parameters.instance


def _is_of_member(member: ClientId) -> ColumnElement[bool]:
    """The condition that a client is the member or one of its subsystems."""
    values = client_values(member.member)
    values.pop("subsystem_code")
    return and_(*(CLIENT.c[name] == value for name, value in values.items()))


def _select_uses() -> Select[Any]:
    return (
        select_servers()
        .add_columns(SERVER_CLIENT.c.client_id, SERVER_CLIENT.c.enabled)
        .join(SERVER_CLIENT, SERVER_CLIENT.c.server_id == SERVER.c.id)
        .join(CLIENT, CLIENT.c.id == SERVER_CLIENT.c.client_id)
        .join(_MEMBER, _MEMBER.c.id == CLIENT.c.member_id)
        .order_by(SERVER_CLIENT.c.id)
    )
