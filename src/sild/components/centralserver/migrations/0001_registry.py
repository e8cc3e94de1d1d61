"""The registry: member classes, members and subsystems, servers, global groups."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.String(255)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(table: str, column: str, *, nullable: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(column, sa.Integer, key, nullable=nullable)


def _moments(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in names]


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    _make_clients()
    _make_servers()
    _make_groups()


def _make_clients() -> None:
    op.create_table(
        "central_member_class",
        _id(),
        _text("code"),
        _text("description"),
        sa.UniqueConstraint("code", name="uq_central_member_class_code"),
    )
    of_class = sa.ForeignKey("central_member_class.code", ondelete="RESTRICT")
    op.create_table(
        "central_client",
        _id(),
        _of("central_client", "member_id", nullable=True),
        _text("instance"),
        sa.Column("member_class", _TEXT, of_class, nullable=False),
        _text("member_code"),
        _text("subsystem_code"),
        _text("name", nullable=True),
        sa.Column("name_folded", sa.String(1024), nullable=False),
        *_moments("created", "updated"),
        sa.UniqueConstraint(
            "instance", "member_class", "member_code", "subsystem_code", name="uq_central_client"
        ),
    )
    op.create_index("ix_central_client_member_id", "central_client", ["member_id"])
    op.create_index("ix_central_client_member_class", "central_client", ["member_class"])


def _make_servers() -> None:
    op.create_table(
        "central_server",
        _id(),
        _of("central_client", "owner_id"),
        _text("server_code"),
        _text("address"),
        sa.Column("in_maintenance", sa.Boolean, nullable=False),
        _text("maintenance_message", nullable=True),
        *_moments("created", "updated"),
        sa.UniqueConstraint("owner_id", "server_code", name="uq_central_server_owner_id"),
    )
    op.create_table(
        "central_server_client",
        _id(),
        _of("central_server", "server_id"),
        _of("central_client", "client_id"),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.UniqueConstraint("server_id", "client_id", name="uq_central_server_client_server_id"),
    )
    op.create_index("ix_central_server_client_client_id", "central_server_client", ["client_id"])
    op.create_table(
        "central_auth_certificate",
        _id(),
        _of("central_server", "server_id"),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("sha256", name="uq_central_auth_certificate_sha256"),
    )
    op.create_index(
        "ix_central_auth_certificate_server_id", "central_auth_certificate", ["server_id"]
    )


def _make_groups() -> None:
    op.create_table(
        "central_group",
        _id(),
        _text("code"),
        _text("description"),
        *_moments("created", "updated"),
        sa.UniqueConstraint("code", name="uq_central_group_code"),
    )
    op.create_table(
        "central_group_member",
        _id(),
        _of("central_group", "group_id"),
        _of("central_client", "client_id"),
        *_moments("created"),
        sa.UniqueConstraint("group_id", "client_id", name="uq_central_group_member_group_id"),
    )
    op.create_index("ix_central_group_member_client_id", "central_group_member", ["client_id"])
