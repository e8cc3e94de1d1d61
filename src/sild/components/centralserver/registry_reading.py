"""The whole registry at one moment, as the shared parameters say it, in seven questions."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.registry_tables import (
    AUTH_CERTIFICATE,
    CLIENT,
    GROUP,
    GROUP_MEMBER,
    MEMBER_CLASS,
    SERVER,
    SERVER_CLIENT,
)
from sild.components.centralserver.registry_values import client_of
from sild.protocol.globalconf.shared_parameters import (
    GlobalGroup,
    Member,
    MemberClass,
    SecurityServer,
    Subsystem,
)
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId


@dataclass(frozen=True, slots=True)
class RegisteredServer:
    """A server, but for the hashes of its authentication certificates, which are given in DER."""

    server: SecurityServer
    auth_certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RegistryContents:
    """Everything that the registry tells the instance; disabled clients are left out."""

    members: tuple[Member, ...]
    servers: tuple[RegisteredServer, ...]
    groups: tuple[GlobalGroup, ...]
    member_classes: tuple[MemberClass, ...]


async def read_registry(connection: AsyncConnection, instance: str) -> RegistryContents:
    """Read the registry of this instance; what was registered first comes first."""
    classes = {
        row.code: row.description
        for row in await _rows(connection, select(MEMBER_CLASS).order_by(MEMBER_CLASS.c.id))
    }
    clients = await _rows(connection, select(CLIENT).order_by(CLIENT.c.id))
    ids = {row.id: client_of(row) for row in clients}
    return RegistryContents(
        members=_members(clients, ids, classes),
        servers=await _servers(connection, ids),
        groups=await _groups(connection, instance, ids),
        member_classes=tuple(MemberClass(*each) for each in classes.items()),
    )


def _members(
    clients: list[Any], ids: Mapping[int, ClientId], classes: Mapping[str, str]
) -> tuple[Member, ...]:
    subsystems = defaultdict(list)
    for row in clients:
        if row.member_id is not None:
            subsystems[row.member_id].append(Subsystem(ids[row.id], row.name))
    return tuple(
        Member(ids[row.id], row.name, classes[row.member_class], tuple(subsystems[row.id]))
        for row in clients
        if row.member_id is None
    )


async def _servers(
    connection: AsyncConnection, ids: Mapping[int, ClientId]
) -> tuple[RegisteredServer, ...]:
    enabled = select(SERVER_CLIENT).where(SERVER_CLIENT.c.enabled).order_by(SERVER_CLIENT.c.id)
    clients = defaultdict(list)
    for row in await _rows(connection, enabled):
        clients[row.server_id].append(ids[row.client_id])
    certificates = defaultdict(list)
    kept = select(AUTH_CERTIFICATE).order_by(AUTH_CERTIFICATE.c.id)
    for row in await _rows(connection, kept):
        certificates[row.server_id].append(row.content)
    return tuple(
        RegisteredServer(
            SecurityServer(
                SecurityServerId(ids[row.owner_id], row.server_code),
                row.address,
                clients=tuple(clients[row.id]),
                maintenance=(row.maintenance_message or "") if row.in_maintenance else None,
            ),
            tuple(certificates[row.id]),
        )
        for row in await _rows(connection, select(SERVER).order_by(SERVER.c.id))
    )


async def _groups(
    connection: AsyncConnection, instance: str, ids: Mapping[int, ClientId]
) -> tuple[GlobalGroup, ...]:
    members = defaultdict(list)
    for row in await _rows(connection, select(GROUP_MEMBER).order_by(GROUP_MEMBER.c.id)):
        members[row.group_id].append(ids[row.client_id])
    return tuple(
        GlobalGroup(GlobalGroupId(instance, row.code), row.description, tuple(members[row.id]))
        for row in await _rows(connection, select(GROUP).order_by(GROUP.c.id))
    )


async def _rows(connection: AsyncConnection, query: Select[Any]) -> list[Any]:
    return list((await connection.execute(query)).all())
