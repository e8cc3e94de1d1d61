"""The tables of the tree over the log: leaves and heads stay when records are cleaned away."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table, false

from sild.components.messagelog.tables import METADATA
from sild.runtime.database import Moment

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

# The digests of the leaves, in the order of the log.
LEAF = Table(
    "messagelog_leaf",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("record_id", BigInteger, nullable=False, unique=True),
    Column("digest", LargeBinary(32), nullable=False),
    # The log itself has deleted the record, after it was archived and had stayed long enough.
    Column("cleaned", Boolean, nullable=False, server_default=false()),
)

# The tops of the perfect subtrees over each 256, 65,536 and so on leaves.
NODE = Table(
    "messagelog_tree_node",
    METADATA,
    Column("height", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
)

# What the next leaf is joined to, in the one row; records up to `first_record` came before it.
TREE = Table(
    "messagelog_tree",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("tops", LargeBinary, nullable=False),
    Column("first_record", BigInteger, nullable=False),
    Column("last_record", BigInteger, nullable=False),
)

# Heads that were time-stamped, with the chain that leads to them from what the token is over.
HEAD = Table(
    "messagelog_tree_head",
    METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("size", BigInteger, nullable=False, index=True),
    Column("root", LargeBinary(32), nullable=False),
    Column("token", LargeBinary, nullable=False),
    Column("hash_chain_result", LargeBinary, nullable=True),
    Column("hash_chain", LargeBinary, nullable=True),
    Column("stamped_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)
