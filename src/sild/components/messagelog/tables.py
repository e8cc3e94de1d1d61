"""The tables of the message log; a blank subsystem stands for none.

A record's id is its place in the total order of the log and is never given twice.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from sild.components.messagelog.entries import LONGEST_ID
from sild.runtime.database import Moment

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_TEXT = String(LONGEST_ID)
_KEY = String(64)
# SQLite counts up only what it knows as INTEGER.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

# Up to where a journal has been taken.
JOURNAL = Table(
    "messagelog_journal",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", _TEXT, nullable=False, unique=True),
    Column("segment", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
)

SIGNATURE = Table(
    "messagelog_signature",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

TIMESTAMP = Table(
    "messagelog_timestamp",
    METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    Column("stamped_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

RECORD = Table(
    "messagelog_record",
    METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("journal_id", Integer, ForeignKey("messagelog_journal.id"), nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("query_id", _TEXT, nullable=False, index=True),
    Column("request_id", _TEXT, nullable=True, index=True),
    Column("instance", _TEXT, nullable=False),
    Column("member_class", _TEXT, nullable=False),
    Column("member_code", _TEXT, nullable=False),
    Column("subsystem_code", _TEXT, nullable=False),
    Column("is_response", Boolean, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("timestamp_id", _NUMBER, ForeignKey("messagelog_timestamp.id"), nullable=True),
    Column("body_size", BigInteger, nullable=True),
    Column("body_may_be_cut", Boolean, nullable=False),
    # Where a large body's pieces are; a small body stands in the record.
    Column("body_key", _KEY, nullable=True),
    Column("signature", LargeBinary(32), ForeignKey("messagelog_signature.digest"), nullable=False),
    Column("hash_chain_result", LargeBinary, nullable=True),
    Column("hash_chain", LargeBinary, nullable=True),
    Column("message", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=True),
    UniqueConstraint("journal_id", "segment", "place"),
    sqlite_autoincrement=True,
)

PIECE = Table(
    "messagelog_piece",
    METADATA,
    Column("body_key", _KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Bodies with pieces whose record has not come yet.
UNFINISHED = Table(
    "messagelog_unfinished",
    METADATA,
    Column("body_key", _KEY, primary_key=True),
    Column("journal_id", Integer, ForeignKey("messagelog_journal.id"), nullable=False),
    Column("pieces", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
)
