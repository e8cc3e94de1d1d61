"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.String(255)


def _member() -> list[sa.Column[str]]:
    names = ("instance", "member_class", "member_code")
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _of(table: str, column: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(column, sa.Integer, key, nullable=False)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def upgrade() -> None:
    """Make the tables."""
    _make_clients()
    _make_services()
    _make_groups()
    _make_rights()


def _make_clients() -> None:
    op.create_table(
        "serverconf_server", _id(), *_member(), sa.Column("server_code", _TEXT, nullable=False)
    )
    op.create_table(
        "serverconf_client",
        _id(),
        *_member(),
        sa.Column("subsystem_code", _TEXT, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("connection_type", sa.String(16), nullable=False),
        sa.UniqueConstraint(
            "instance",
            "member_class",
            "member_code",
            "subsystem_code",
            name="uq_serverconf_client_instance",
        ),
    )
    op.create_table(
        "serverconf_certificate",
        _id(),
        _of("serverconf_client", "client_id"),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("client_id", "sha256", name="uq_serverconf_certificate_client_id"),
    )


def _make_services() -> None:
    op.create_table(
        "serverconf_description",
        _id(),
        _of("serverconf_client", "client_id"),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("disabled_notice", sa.Text, nullable=False),
    )
    op.create_index("ix_serverconf_description_client_id", "serverconf_description", ["client_id"])
    op.create_table(
        "serverconf_service",
        _id(),
        _of("serverconf_description", "description_id"),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("timeout_seconds", sa.Integer, nullable=False),
        sa.Column("verify_tls", sa.Boolean, nullable=False),
        sa.UniqueConstraint(
            "description_id", "code", "version", name="uq_serverconf_service_description_id"
        ),
    )
    op.create_table(
        "serverconf_endpoint",
        _id(),
        _of("serverconf_client", "client_id"),
        sa.Column("service_code", _TEXT, nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("path", _TEXT, nullable=False),
        sa.UniqueConstraint(
            "client_id", "service_code", "method", "path", name="uq_serverconf_endpoint_client_id"
        ),
    )


def _make_groups() -> None:
    op.create_table(
        "serverconf_group",
        _id(),
        _of("serverconf_client", "client_id"),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("client_id", "code", name="uq_serverconf_group_client_id"),
    )
    op.create_table(
        "serverconf_group_member",
        _id(),
        _of("serverconf_group", "group_id"),
        *_member(),
        sa.Column("subsystem_code", _TEXT, nullable=False),
        sa.UniqueConstraint(
            "group_id",
            "instance",
            "member_class",
            "member_code",
            "subsystem_code",
            name="uq_serverconf_group_member_group_id",
        ),
    )


def _make_rights() -> None:
    op.create_table(
        "serverconf_right",
        _id(),
        _of("serverconf_endpoint", "endpoint_id"),
        sa.Column("subject_kind", sa.String(16), nullable=False),
        *_member(),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("granted", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "endpoint_id",
            "subject_kind",
            "instance",
            "member_class",
            "member_code",
            "code",
            name="uq_serverconf_right_endpoint_id",
        ),
    )
