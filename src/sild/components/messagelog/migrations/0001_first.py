"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.String(255)
_KEY = sa.String(64)
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of(column: str, kind: sa.types.TypeEngine[int], key: str, *, null: bool) -> sa.Column[int]:
    return sa.Column(column, kind, sa.ForeignKey(key), nullable=null)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "messagelog_journal",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("name", name="uq_messagelog_journal_name"),
    )
    op.create_table(
        "messagelog_signature",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "messagelog_timestamp",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("token", sa.LargeBinary, nullable=False),
        sa.Column("stamped_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    _make_records()
    _make_bodies()


def _make_records() -> None:
    op.create_table(
        "messagelog_record",
        sa.Column("id", _NUMBER, primary_key=True),
        _of("journal_id", sa.Integer(), "messagelog_journal.id", null=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("query_id", _TEXT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=True),
        sa.Column("instance", _TEXT, nullable=False),
        sa.Column("member_class", _TEXT, nullable=False),
        sa.Column("member_code", _TEXT, nullable=False),
        sa.Column("subsystem_code", _TEXT, nullable=False),
        sa.Column("is_response", sa.Boolean, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        _of("timestamp_id", _NUMBER, "messagelog_timestamp.id", null=True),
        sa.Column("body_size", sa.BigInteger, nullable=True),
        sa.Column("body_may_be_cut", sa.Boolean, nullable=False),
        sa.Column("body_key", _KEY, nullable=True),
        sa.Column(
            "signature",
            sa.LargeBinary(32),
            sa.ForeignKey("messagelog_signature.digest"),
            nullable=False,
        ),
        sa.Column("hash_chain_result", sa.LargeBinary, nullable=True),
        sa.Column("hash_chain", sa.LargeBinary, nullable=True),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.UniqueConstraint(
            "journal_id", "segment", "place", name="uq_messagelog_record_journal_id"
        ),
        sqlite_autoincrement=True,
    )
    for column in ("query_id", "request_id"):
        op.create_index(f"ix_messagelog_record_{column}", "messagelog_record", [column])


def _make_bodies() -> None:
    op.create_table(
        "messagelog_piece",
        sa.Column("body_key", _KEY, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "messagelog_unfinished",
        sa.Column("body_key", _KEY, primary_key=True),
        _of("journal_id", sa.Integer(), "messagelog_journal.id", null=False),
        sa.Column("pieces", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
