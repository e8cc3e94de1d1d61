"""The Central Server's own settings, and its nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXT = sa.String(255)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "central_system_parameter",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("ha_node_name", _TEXT, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.UniqueConstraint("key", "ha_node_name", name="uq_central_system_parameter_key"),
    )
    op.create_table(
        "central_node",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("generated", sa.DateTime(timezone=True)),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("name", name="uq_central_node_name"),
    )
