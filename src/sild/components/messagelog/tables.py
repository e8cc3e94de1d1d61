"""The tables of the message log; a blank subsystem stands for none.

A record's id is its place in the total order of the log and is never given twice.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
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
    # What the tree of a time-stamp holds of it.
    Column("sha512", LargeBinary(64), nullable=False),
)

TIMESTAMP = Table(
    "messagelog_timestamp",
    METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    Column("stamped_at", Moment, nullable=False),
    # What the token is over where it stamps several signatures: the top of a tree over them.
    Column("hash_chain_result", LargeBinary, nullable=True),
    sqlite_autoincrement=True,
)

# The way from the top of a time-stamp's tree to one signature.
TIMESTAMP_CHAIN = Table(
    "messagelog_timestamp_chain",
    METADATA,
    Column("timestamp_id", _NUMBER, ForeignKey("messagelog_timestamp.id"), primary_key=True),
    Column(
        "signature", LargeBinary(32), ForeignKey("messagelog_signature.digest"), primary_key=True
    ),
    Column("document", LargeBinary, nullable=False),
    Index("ix_messagelog_timestamp_chain_signature", "signature"),
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
    Column(
        "timestamp_id", _NUMBER, ForeignKey("messagelog_timestamp.id"), nullable=True, index=True
    ),
    Column("archived", Boolean, nullable=False, server_default=false()),
    Column("body_size", BigInteger, nullable=True),
    Column("body_may_be_cut", Boolean, nullable=False),
    # Where a large body's pieces are; a small body stands in the record.
    Column("body_key", _KEY, nullable=True),
    Column(
        "signature",
        LargeBinary(32),
        ForeignKey("messagelog_signature.digest"),
        nullable=False,
        index=True,
    ),
    # Which key the message and the body are encrypted with, and from which number on.
    Column("key_id", _TEXT, nullable=True),
    Column("cipher_number", BigInteger, nullable=True),
    Column("hash_chain_result", LargeBinary, nullable=True),
    Column("hash_chain", LargeBinary, nullable=True),
    Column("message", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=True),
    UniqueConstraint("journal_id", "segment", "place"),
    Index(
        "ix_messagelog_record_unstamped",
        "id",
        sqlite_where=text("timestamp_id IS NULL"),
        postgresql_where=text("timestamp_id IS NULL"),
    ),
    Index(
        "ix_messagelog_record_archived",
        "time_ms",
        sqlite_where=text("archived"),
        postgresql_where=text("archived"),
    ),
    Index(
        "ix_messagelog_record_unarchived",
        "id",
        sqlite_where=text("NOT archived"),
        postgresql_where=text("NOT archived"),
    ),
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
    Column("key_id", _TEXT, nullable=True),
    Column("cipher_number", BigInteger, nullable=True),
)

# The last number that something was encrypted with, in the one row: none is given twice.
CIPHER = Table(
    "messagelog_cipher",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("last_number", BigInteger, nullable=False),
)

# The time-stamping services that this server uses, in order.
CHOSEN_TSA = Table(
    "messagelog_chosen_tsa",
    METADATA,
    Column("place", Integer, primary_key=True),
    Column("name", _TEXT, nullable=False),
    Column("url", String(2048), nullable=False),
)

# Where each chain of archives stands: its last link, and the archive that has it.
ARCHIVE_CHAIN = Table(
    "messagelog_archive_chain",
    METADATA,
    Column("chain", String(1200), primary_key=True),
    Column("digest", String(128), nullable=False),
    Column("archive", String(500), nullable=False),
)

# Archives that are whole, and may not have got their names yet.
ARCHIVE_NOTED = Table(
    "messagelog_archive_noted", METADATA, Column("archive", String(500), primary_key=True)
)
