"""Management requests."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT = sa.String(255)


def _optional(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=True) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "central_request_life",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("pending_for", sa.String(64), nullable=True),
        sa.UniqueConstraint("pending_for", name="uq_central_request_life_pending_for"),
    )
    life = sa.ForeignKey("central_request_life.id")
    op.create_table(
        "central_request",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("life_id", sa.Integer, life, nullable=True),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("instance", _TEXT, nullable=False),
        sa.Column("member_class", _TEXT, nullable=False),
        sa.Column("member_code", _TEXT, nullable=False),
        sa.Column("server_code", _TEXT, nullable=False),
        *_optional("client_instance", "client_member_class", "client_member_code"),
        *_optional("client_subsystem_code", "subsystem_name"),
        sa.Column("certificate", sa.LargeBinary, nullable=True),
        sa.Column("certificate_sha256", sa.String(64), nullable=True),
        *_optional("address", "message"),
        sa.Column("comments", sa.Text, nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
    )
    for column in ("life_id", "certificate_sha256"):
        op.create_index(f"ix_central_request_{column}", "central_request", [column])
