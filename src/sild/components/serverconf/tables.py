"""The tables of the server's own configuration; a blank subsystem or version stands for none."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sild.runtime.database import Moment

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_TEXT = String(255)


def _member_columns() -> tuple[Column[str], ...]:
    names = ("instance", "member_class", "member_code")
    return tuple(Column(name, _TEXT, nullable=False) for name in names)


def _owned_by(table: str) -> ForeignKey:
    return ForeignKey(f"{table}.id", ondelete="CASCADE")


SERVER = Table(
    "serverconf_server",
    METADATA,
    Column("id", Integer, primary_key=True),
    *_member_columns(),
    Column("server_code", _TEXT, nullable=False),
)

CLIENT = Table(
    "serverconf_client",
    METADATA,
    Column("id", Integer, primary_key=True),
    *_member_columns(),
    Column("subsystem_code", _TEXT, nullable=False),
    Column("status", String(32), nullable=False),
    Column("connection_type", String(16), nullable=False),
    UniqueConstraint("instance", "member_class", "member_code", "subsystem_code"),
)

# What was asked of the Central Server about this server, until the global configuration shows it.
PENDING = Table(
    "serverconf_pending",
    METADATA,
    Column("kind", String(32), primary_key=True),
    Column("value", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("sent", Moment, nullable=False),
)

# The name that a subsystem is to have, kept until the global configuration has it or another.
RENAME = Table(
    "serverconf_rename",
    METADATA,
    Column("client_id", Integer, _owned_by("serverconf_client"), primary_key=True),
    Column("old_name", Text, nullable=False),
    Column("new_name", Text, nullable=False),
    Column("submitted", Boolean, nullable=False),
)

CERTIFICATE = Table(
    "serverconf_certificate",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client_id", Integer, _owned_by("serverconf_client"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("client_id", "sha256"),
)

DESCRIPTION = Table(
    "serverconf_description",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client_id", Integer, _owned_by("serverconf_client"), nullable=False, index=True),
    Column("type", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_notice", Text, nullable=False),
    Column("refreshed", Moment, nullable=False),
)

SERVICE = Table(
    "serverconf_service",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("description_id", Integer, _owned_by("serverconf_description"), nullable=False),
    Column("code", _TEXT, nullable=False),
    Column("version", _TEXT, nullable=False),
    Column("url", Text, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("verify_tls", Boolean, nullable=False),
    Column("title", _TEXT, nullable=False),
    UniqueConstraint("description_id", "code", "version"),
)

ENDPOINT = Table(
    "serverconf_endpoint",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client_id", Integer, _owned_by("serverconf_client"), nullable=False),
    Column("service_code", _TEXT, nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", _TEXT, nullable=False),
    # A base endpoint is generated whatever stands here.
    Column("generated", Boolean, nullable=False, default=False),
    UniqueConstraint("client_id", "service_code", "method", "path"),
)

GROUP = Table(
    "serverconf_group",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client_id", Integer, _owned_by("serverconf_client"), nullable=False),
    Column("code", _TEXT, nullable=False),
    Column("description", Text, nullable=False),
    Column("updated", Moment, nullable=False),
    UniqueConstraint("client_id", "code"),
)

GROUP_MEMBER = Table(
    "serverconf_group_member",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("group_id", Integer, _owned_by("serverconf_group"), nullable=False),
    *_member_columns(),
    Column("subsystem_code", _TEXT, nullable=False),
    Column("added", Moment, nullable=False),
    UniqueConstraint("group_id", "instance", "member_class", "member_code", "subsystem_code"),
)

# A subject is a client (all parts), a global group (instance and code) or a local group (code).
RIGHT = Table(
    "serverconf_right",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("endpoint_id", Integer, _owned_by("serverconf_endpoint"), nullable=False),
    Column("subject_kind", String(16), nullable=False),
    *_member_columns(),
    Column("code", _TEXT, nullable=False),
    Column("granted", Moment, nullable=False),
    UniqueConstraint(
        "endpoint_id", "subject_kind", "instance", "member_class", "member_code", "code"
    ),
)
