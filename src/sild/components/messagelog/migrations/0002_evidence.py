"""Time-stamps over several signatures, encryption, archiving, the choice of authorities."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.String(255)
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PAGE = 500


def upgrade() -> None:
    """Add what is new, and digest the signatures that are there."""
    _digest_signatures()
    op.add_column("messagelog_timestamp", sa.Column("hash_chain_result", sa.LargeBinary))
    _change_records()
    for name, kind in (("key_id", _TEXT), ("cipher_number", sa.BigInteger())):
        op.add_column("messagelog_unfinished", sa.Column(name, kind))
    _make_tables()


def _digest_signatures() -> None:
    op.add_column("messagelog_signature", sa.Column("sha512", sa.LargeBinary(64)))
    signature = sa.table("messagelog_signature", *map(sa.column, ("digest", "document", "sha512")))
    connection, last = op.get_bind(), b""
    query = sa.select(signature.c.digest, signature.c.document).order_by(signature.c.digest)
    while rows := connection.execute(query.where(signature.c.digest > last).limit(_PAGE)).all():
        for digest, document in rows:
            change = sa.update(signature).where(signature.c.digest == digest)
            connection.execute(change.values(sha512=hashlib.sha512(document).digest()))
        last = rows[-1].digest
    with op.batch_alter_table("messagelog_signature") as table:
        table.alter_column("sha512", existing_type=sa.LargeBinary(64), nullable=False)


def _change_records() -> None:
    name = "messagelog_record"
    archived = sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column(name, archived)
    op.add_column(name, sa.Column("key_id", _TEXT))
    op.add_column(name, sa.Column("cipher_number", sa.BigInteger))
    for indexed in ("timestamp_id", "signature"):
        op.create_index(f"ix_{name}_{indexed}", name, [indexed])
    for index, indexed, condition in (
        ("unstamped", "id", "timestamp_id IS NULL"),
        ("archived", "time_ms", "archived"),
    ):
        where = sa.text(condition)
        op.create_index(
            f"ix_{name}_{index}", name, [indexed], sqlite_where=where, postgresql_where=where
        )


def _make_tables() -> None:
    op.create_table(
        "messagelog_timestamp_chain",
        sa.Column(
            "timestamp_id", _NUMBER, sa.ForeignKey("messagelog_timestamp.id"), primary_key=True
        ),
        sa.Column(
            "signature",
            sa.LargeBinary(32),
            sa.ForeignKey("messagelog_signature.digest"),
            primary_key=True,
        ),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "ix_messagelog_timestamp_chain_signature", "messagelog_timestamp_chain", ["signature"]
    )
    op.create_table(
        "messagelog_cipher",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("last_number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "messagelog_chosen_tsa",
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
    )
