"""The tree over the log; it begins with the records that come from now on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the tree without leaves."""
    op.create_table(
        "messagelog_leaf",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("cleaned", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.UniqueConstraint("record_id", name="uq_messagelog_leaf_record_id"),
    )
    op.create_table(
        "messagelog_tree_node",
        sa.Column("height", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
    )
    tree = op.create_table(
        "messagelog_tree",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("tops", sa.LargeBinary, nullable=False),
        sa.Column("first_record", sa.BigInteger, nullable=False),
        sa.Column("last_record", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "messagelog_tree_head",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("token", sa.LargeBinary, nullable=False),
        sa.Column("hash_chain_result", sa.LargeBinary),
        sa.Column("hash_chain", sa.LargeBinary),
        sa.Column("stamped_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messagelog_tree_head_size", "messagelog_tree_head", ["size"])
    record = sa.table("messagelog_record", sa.column("id"))
    last = op.get_bind().execute(sa.select(sa.func.max(record.c.id))).scalar() or 0
    row = {"id": 1, "size": 0, "tops": b"", "first_record": last, "last_record": last}
    op.bulk_insert(tree, [row])
