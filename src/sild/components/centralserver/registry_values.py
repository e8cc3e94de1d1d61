"""What stands in the registry, as values, and the columns that name it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select

from sild.components.centralserver.registry_tables import CLIENT, SERVER
from sild.protocol.ids import ClientId, SecurityServerId

OWNERS_GROUP = "security-server-owners"
"""The code of the global group that has every owner of a server, and nobody else."""


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member; one that came with a management request is named by its code."""

    id: ClientId
    name: str


@dataclass(frozen=True, slots=True)
class SubsystemRow:
    """A subsystem of a member, which needs no name."""

    id: ClientId
    name: str | None


@dataclass(frozen=True, slots=True)
class ServerRow:
    """A security server; its owner is a client of it without being linked."""

    id: SecurityServerId
    owner_name: str
    address: str
    in_maintenance: bool
    maintenance_message: str | None
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class ClientLink:
    """A client of a server; a disabled one is left out of the global configuration."""

    server: SecurityServerId
    client: ClientId
    enabled: bool


@dataclass(frozen=True, slots=True)
class AuthCertificateRow:
    """An authentication certificate of a server, by the number that it has in the registry."""

    id: int
    der: bytes

    @property
    def sha256(self) -> bytes:
        """Its fingerprint."""
        return hashlib.sha256(self.der).digest()


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A global group, and how many members it has."""

    code: str
    description: str
    member_count: int
    created: datetime
    updated: datetime


OWNER = CLIENT.alias("owner")
"""Owners of servers, beside clients of any kind."""


def client_values(client: ClientId) -> dict[str, str]:
    """The columns that name a client."""
    return {
        "instance": client.instance,
        "member_class": client.member_class,
        "member_code": client.member_code,
        "subsystem_code": client.subsystem_code or "",
    }


def is_client(client: ClientId, table: Any = CLIENT) -> ColumnElement[bool]:
    """The condition that a row is the client's."""
    return and_(*(table.c[name] == value for name, value in client_values(client).items()))


def client_of(row: Any) -> ClientId:
    """The client that a row names."""
    return ClientId(row.instance, row.member_class, row.member_code, row.subsystem_code or None)


def select_servers() -> Select[Any]:
    """Servers with the names of their owners."""
    named = (OWNER.c[name] for name in ("instance", "member_class", "member_code"))
    return select(*SERVER.c, OWNER.c.name.label("owner_name"), *named).join_from(
        SERVER, OWNER, OWNER.c.id == SERVER.c.owner_id
    )


def is_server(server: SecurityServerId) -> ColumnElement[bool]:
    """The condition that a row of `select_servers` is the server's."""
    return and_(SERVER.c.server_code == server.server_code, is_client(server.owner, OWNER))


def server_id_of(row: Any) -> SecurityServerId:
    """The server that a row of `select_servers` names."""
    owner = ClientId(row.instance, row.member_class, row.member_code)
    return SecurityServerId(owner, row.server_code)


def server_of(row: Any) -> ServerRow:
    """The server of a row of `select_servers`."""
    return ServerRow(
        id=server_id_of(row),
        owner_name=row.owner_name,
        address=row.address,
        in_maintenance=row.in_maintenance,
        maintenance_message=row.maintenance_message,
        created=row.created,
        updated=row.updated,
    )
