"""When a description was last read, titles of services, and which endpoints a description made."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what is there was read, as far as is known, just now."""
    _add("serverconf_description", "refreshed", sa.DateTime(timezone=True), sa.func.now())
    _add("serverconf_service", "title", sa.String(255), sa.literal(""))
    _add("serverconf_endpoint", "generated", sa.Boolean(), sa.false())


def _add(table: str, column: str, kind: sa.types.TypeEngine[Any], value: Any) -> None:
    op.add_column(table, sa.Column(column, kind))
    op.execute(sa.table(table, sa.column(column)).update().values({column: value}))
    with op.batch_alter_table(table) as altered:
        altered.alter_column(column, nullable=False)
