"""Configuration sources."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT = sa.String(255)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "central_source",
        _id(),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("ha_node_name", _TEXT, nullable=False),
        sa.Column("anchor", sa.LargeBinary),
        sa.Column("anchor_generated_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("kind", "ha_node_name", name="uq_central_source_kind"),
    )
    source = sa.ForeignKey(
        "central_source.id", name="fk_central_signing_key_source", ondelete="CASCADE"
    )
    op.create_table(
        "central_signing_key",
        _id(),
        sa.Column("source_id", sa.Integer, source, nullable=False),
        sa.Column("key_id", _TEXT, nullable=False),
        sa.Column("token_id", _TEXT, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("generated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.UniqueConstraint("key_id", name="uq_central_signing_key_key_id"),
    )
    op.create_table(
        "central_configuration_part",
        _id(),
        sa.Column("identifier", _TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("identifier", name="uq_central_configuration_part_identifier"),
    )
    op.create_table(
        "central_trusted_anchor",
        _id(),
        sa.Column("instance", _TEXT, nullable=False),
        sa.Column("hash", sa.String(95), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("instance", name="uq_central_trusted_anchor_instance"),
    )
