"""Names that were asked for subsystems, and since when somebody is in a local group."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MEMBER = "serverconf_group_member"


def upgrade() -> None:
    """Make the table and the column; who is in a group was there when it last changed."""
    client = sa.ForeignKey(
        "serverconf_client.id", name="fk_serverconf_rename_client_id", ondelete="CASCADE"
    )
    op.create_table(
        "serverconf_rename",
        sa.Column("client_id", sa.Integer, client, primary_key=True),
        sa.Column("old_name", sa.Text, nullable=False),
        sa.Column("new_name", sa.Text, nullable=False),
        sa.Column("submitted", sa.Boolean, nullable=False),
    )
    op.add_column(_MEMBER, sa.Column("added", sa.DateTime(timezone=True)))
    op.execute(
        f"UPDATE {_MEMBER} SET added = (SELECT updated FROM serverconf_group"  # noqa: S608 - ours
        f" WHERE serverconf_group.id = {_MEMBER}.group_id)"
    )
    with op.batch_alter_table(_MEMBER) as members:
        members.alter_column("added", nullable=False)
