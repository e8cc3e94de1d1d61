"""Archives: where their chains stand, and which are being named."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and an index of what is to be archived."""
    where = sa.text("NOT archived")
    op.create_index(
        "ix_messagelog_record_unarchived",
        "messagelog_record",
        ["id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_table(
        "messagelog_archive_chain",
        sa.Column("chain", sa.String(1200), primary_key=True),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("archive", sa.String(500), nullable=False),
    )
    op.create_table(
        "messagelog_archive_noted",
        sa.Column("archive", sa.String(500), primary_key=True),
    )
