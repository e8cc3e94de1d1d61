"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(table: str, column: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(column, sa.Integer, key, primary_key=True)


def _role() -> sa.Column[str]:
    return sa.Column("role", sa.String(64), primary_key=True)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts_user",
        _id(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("password", sa.String(255), nullable=False),
        _moment("changed"),
        sa.UniqueConstraint("name", name="uq_accounts_user_name"),
    )
    op.create_table("accounts_user_role", _of("accounts_user", "user_id"), _role())
    op.create_table(
        "accounts_api_key",
        _id(),
        sa.Column("sha256", sa.String(64), nullable=False),
        _moment("created"),
        sa.UniqueConstraint("sha256", name="uq_accounts_api_key_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_table("accounts_api_key_role", _of("accounts_api_key", "key_id"), _role())
