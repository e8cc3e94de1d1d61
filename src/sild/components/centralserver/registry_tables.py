"""The tables of the registry: who belongs to the instance, and which servers there are.

A member and a subsystem are both clients; a blank subsystem code stands for none. What belongs to
a row goes with it, but a member class stays while a member has it.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from sild.components.centralserver.metadata import METADATA
from sild.runtime.database import Moment

_TEXT = String(255)


def _key() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _moments() -> tuple[Column[object], ...]:
    return tuple(Column(name, Moment, nullable=False) for name in ("created", "updated"))


def _of(table: str) -> ForeignKey:
    return ForeignKey(f"{table}.id", ondelete="CASCADE")


MEMBER_CLASS = Table(
    "central_member_class",
    METADATA,
    _key(),
    Column("code", _TEXT, nullable=False),
    Column("description", _TEXT, nullable=False),
    UniqueConstraint("code", name="uq_central_member_class_code"),
)

# `member_id` is the member that a subsystem belongs to; `name_folded` is what names are searched
# and sorted by, as SQLite folds the case of ASCII only.
CLIENT = Table(
    "central_client",
    METADATA,
    _key(),
    Column("member_id", Integer, _of("central_client"), nullable=True, index=True),
    Column("instance", _TEXT, nullable=False),
    Column(
        "member_class",
        _TEXT,
        ForeignKey("central_member_class.code", ondelete="RESTRICT"),
        nullable=False,
        index=True,
    ),
    Column("member_code", _TEXT, nullable=False),
    Column("subsystem_code", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=True),
    Column("name_folded", String(1024), nullable=False),
    *_moments(),
    UniqueConstraint(
        "instance", "member_class", "member_code", "subsystem_code", name="uq_central_client"
    ),
)

SERVER = Table(
    "central_server",
    METADATA,
    _key(),
    Column("owner_id", Integer, _of("central_client"), nullable=False),
    Column("server_code", _TEXT, nullable=False),
    Column("address", _TEXT, nullable=False),
    Column("in_maintenance", Boolean, nullable=False),
    Column("maintenance_message", _TEXT, nullable=True),
    *_moments(),
    UniqueConstraint("owner_id", "server_code", name="uq_central_server_owner_id"),
)

SERVER_CLIENT = Table(
    "central_server_client",
    METADATA,
    _key(),
    Column("server_id", Integer, _of("central_server"), nullable=False),
    Column("client_id", Integer, _of("central_client"), nullable=False, index=True),
    Column("enabled", Boolean, nullable=False),
    UniqueConstraint("server_id", "client_id", name="uq_central_server_client_server_id"),
)

AUTH_CERTIFICATE = Table(
    "central_auth_certificate",
    METADATA,
    _key(),
    Column("server_id", Integer, _of("central_server"), nullable=False, index=True),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("sha256", name="uq_central_auth_certificate_sha256"),
)

GROUP = Table(
    "central_group",
    METADATA,
    _key(),
    Column("code", _TEXT, nullable=False),
    Column("description", _TEXT, nullable=False),
    *_moments(),
    UniqueConstraint("code", name="uq_central_group_code"),
)

GROUP_MEMBER = Table(
    "central_group_member",
    METADATA,
    _key(),
    Column("group_id", Integer, _of("central_group"), nullable=False),
    Column("client_id", Integer, _of("central_client"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    UniqueConstraint("group_id", "client_id", name="uq_central_group_member_group_id"),
)
