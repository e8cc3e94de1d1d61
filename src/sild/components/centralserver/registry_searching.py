"""Searches of the registry: clients, servers, and who is in a global group."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Select, case, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.paging import Found, Order, Page, contains, read_page
from sild.components.centralserver.registry_errors import ServerNotFound
from sild.components.centralserver.registry_tables import (
    CLIENT,
    GROUP,
    GROUP_MEMBER,
    SERVER,
    SERVER_CLIENT,
)
from sild.components.centralserver.registry_values import (
    OWNER,
    ServerRow,
    client_of,
    is_server,
    select_servers,
    server_of,
)
from sild.protocol.ids import ClientId, SecurityServerId

_MEMBER = CLIENT.alias("member")


class ClientKind(Enum):
    """What a client is."""

    MEMBER = "MEMBER"
    SUBSYSTEM = "SUBSYSTEM"


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A member or subsystem, by the name of the member."""

    id: ClientId
    member_name: str


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """Which clients are searched for; blank texts leave it open, others may stand anywhere.

    `text` may stand in the member's name or in any part of the identifier but the instance.
    """

    text: str = ""
    name: str = ""
    instance: str = ""
    member_class: str = ""
    member_code: str = ""
    subsystem_code: str = ""
    kind: ClientKind | None = None
    server: SecurityServerId | None = None
    excluding_group: str | None = None


@dataclass(frozen=True, slots=True)
class GroupMemberRow:
    """A member of a global group, by the number that the membership has in the registry."""

    id: int
    client: ClientId
    member_name: str
    added: datetime


@dataclass(frozen=True, slots=True)
class GroupMemberFilter:
    """Which members of a group are searched for; what is blank or empty leaves it open."""

    text: str = ""
    instance: str = ""
    member_class: str = ""
    codes: Collection[str] = ()
    subsystems: Collection[str] = ()
    kinds: Collection[ClientKind] = ()


_IDENTIFIER = (CLIENT.c.instance, CLIENT.c.member_class, CLIENT.c.member_code)
_KIND = case((CLIENT.c.subsystem_code == "", "MEMBER"), else_="SUBSYSTEM")
_SUBSYSTEM = func.nullif(func.lower(CLIENT.c.subsystem_code), "")

_CLIENT_ORDER = Order(
    {
        "id": CLIENT.c.id,
        "member_name": _MEMBER.c.name_folded,
        "client_id.instance_id": func.lower(CLIENT.c.instance),
        "client_id.member_class": func.lower(CLIENT.c.member_class),
        "client_id.member_code": func.lower(CLIENT.c.member_code),
        # The reference sorts by its own names: Subsystem before XRoadMember.
        "client_type": case((CLIENT.c.subsystem_code == "", 1), else_=0),
    },
    CLIENT.c.id,
)
_SERVER_ORDER = Order(
    {
        "owner_name": OWNER.c.name_folded,
        "server_id.member_class": func.lower(OWNER.c.member_class),
        "server_id.member_code": func.lower(OWNER.c.member_code),
        "server_id.server_code": func.lower(SERVER.c.server_code),
    },
    SERVER.c.id,
)
_GROUP_ORDER = Order(
    {
        "name": _MEMBER.c.name_folded,
        "type": _KIND,
        "instance": func.lower(CLIENT.c.instance),
        "class": func.lower(CLIENT.c.member_class),
        "code": func.lower(CLIENT.c.member_code),
        "subsystem": _SUBSYSTEM,
        "created_at": GROUP_MEMBER.c.created,
    },
    GROUP_MEMBER.c.id,
)


async def find_clients(
    connection: AsyncConnection, wanted: ClientFilter, page: Page | None = None
) -> Found[ClientRow]:
    """The clients that fit; raises ServerNotFound, InvalidSorting."""
    conditions = _client_conditions(wanted)
    if wanted.server is not None:
        conditions.append(await _of_server(connection, wanted.server))
    of_member = _MEMBER.c.id == func.coalesce(CLIENT.c.member_id, CLIENT.c.id)
    found = (
        select(*_IDENTIFIER, CLIENT.c.subsystem_code, _MEMBER.c.name.label("member_name"))
        .join_from(CLIENT, _MEMBER, of_member)
        .where(*conditions)
    )
    rows, total = await read_page(connection, found, _CLIENT_ORDER, page)
    return Found(tuple(ClientRow(client_of(row), row.member_name) for row in rows), total)


async def find_servers(
    connection: AsyncConnection, text: str, page: Page | None = None
) -> Found[ServerRow]:
    """The servers with this text in their code or their owner's name, class or code."""
    found = select_servers()
    if text:
        found = found.where(
            or_(
                contains(SERVER.c.server_code, text),
                _has_name(OWNER, text),
                contains(OWNER.c.member_class, text),
                contains(OWNER.c.member_code, text),
            )
        )
    rows, total = await read_page(connection, found, _SERVER_ORDER, page)
    return Found(tuple(server_of(row) for row in rows), total)


async def find_group_members(
    connection: AsyncConnection, code: str, wanted: GroupMemberFilter, page: Page | None = None
) -> Found[GroupMemberRow]:
    """The members of a group that fit; a group that is not there has none."""
    found = _select_group_members(code).where(*_group_conditions(wanted))
    rows, total = await read_page(connection, found, _GROUP_ORDER, page)
    items = (GroupMemberRow(row.id, client_of(row), row.member_name, row.created) for row in rows)
    return Found(tuple(items), total)


def _client_conditions(wanted: ClientFilter) -> list[ColumnElement[bool]]:
    conditions = [
        contains(CLIENT.c[name], text)
        for name in ("instance", "member_class", "member_code", "subsystem_code")
        if (text := getattr(wanted, name)).strip()
    ]
    if wanted.name.strip():
        conditions.append(_has_name(_MEMBER, wanted.name))
    if wanted.text.strip():
        conditions.append(_has_anywhere(wanted.text))
    if wanted.kind is not None:
        conditions.append(_KIND.in_([wanted.kind.value]))
    if wanted.excluding_group is not None:
        conditions.append(CLIENT.c.id.not_in(_ids_in_group(wanted.excluding_group)))
    return conditions


def _group_conditions(wanted: GroupMemberFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.text.strip():
        elsewhere = (contains(CLIENT.c.instance, wanted.text), contains(_KIND, wanted.text))
        conditions.append(or_(_has_anywhere(wanted.text), *elsewhere))
    if wanted.member_class.strip():
        conditions.append(CLIENT.c.member_class == wanted.member_class)
    if wanted.instance.strip():
        conditions.append(CLIENT.c.instance == wanted.instance)
    if wanted.codes:
        conditions.append(CLIENT.c.member_code.in_(wanted.codes))
    if wanted.subsystems:
        # A blank stands for members themselves in the table, and was not asked for.
        named = [code for code in wanted.subsystems if code]
        conditions.append(CLIENT.c.subsystem_code.in_(named) if named else false())
    if wanted.kinds:
        conditions.append(_KIND.in_([kind.value for kind in wanted.kinds]))
    return conditions


def _has_anywhere(text: str) -> ColumnElement[bool]:
    parts = (CLIENT.c.member_class, CLIENT.c.member_code, CLIENT.c.subsystem_code)
    return or_(_has_name(_MEMBER, text), *(contains(part, text) for part in parts))


def _has_name(table: Any, text: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = table.c.name_folded.contains(text.casefold(), autoescape=True)
    return found


async def _of_server(connection: AsyncConnection, server: SecurityServerId) -> ColumnElement[bool]:
    row = (await connection.execute(select_servers().where(is_server(server)))).first()
    if row is None:
        raise ServerNotFound(f"there is no {server}", str(server))
    linked = select(SERVER_CLIENT.c.client_id).where(SERVER_CLIENT.c.server_id == row.id)
    return CLIENT.c.id.in_(linked)


def _ids_in_group(code: str) -> Select[Any]:
    of_group = GROUP.c.id == GROUP_MEMBER.c.group_id
    return (
        select(GROUP_MEMBER.c.client_id)
        .join_from(GROUP_MEMBER, GROUP, of_group)
        .where(GROUP.c.code == code)
    )


def _select_group_members(code: str) -> Select[Any]:
    of_member = _MEMBER.c.id == func.coalesce(CLIENT.c.member_id, CLIENT.c.id)
    return (
        select(
            GROUP_MEMBER.c.id,
            GROUP_MEMBER.c.created,
            *_IDENTIFIER,
            CLIENT.c.subsystem_code,
            _MEMBER.c.name.label("member_name"),
        )
        .join_from(GROUP_MEMBER, GROUP, GROUP.c.id == GROUP_MEMBER.c.group_id)
        .join(CLIENT, CLIENT.c.id == GROUP_MEMBER.c.client_id)
        .join(_MEMBER, of_member)
        .where(GROUP.c.code == code)
    )
