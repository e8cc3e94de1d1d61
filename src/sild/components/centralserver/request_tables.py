"""The tables of management requests, which outlive what they are about.

Requests for the same thing share one life. Of lives that are still to be decided `pending_for`
names the thing, so that there is one at most.
"""

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sild.components.centralserver.metadata import METADATA
from sild.runtime.database import Moment

_TEXT = String(255)

LIFE = Table(
    "central_request_life",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("status", String(32), nullable=False),
    Column("pending_for", String(64), nullable=True),
    UniqueConstraint("pending_for", name="uq_central_request_life_pending_for"),
)

# A blank subsystem code stands for none; without a client its whole identifier is null.
REQUEST = Table(
    "central_request",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("life_id", Integer, ForeignKey("central_request_life.id"), nullable=True, index=True),
    Column("type", String(32), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("instance", _TEXT, nullable=False),
    Column("member_class", _TEXT, nullable=False),
    Column("member_code", _TEXT, nullable=False),
    Column("server_code", _TEXT, nullable=False),
    Column("client_instance", _TEXT, nullable=True),
    Column("client_member_class", _TEXT, nullable=True),
    Column("client_member_code", _TEXT, nullable=True),
    Column("client_subsystem_code", _TEXT, nullable=True),
    Column("subsystem_name", _TEXT, nullable=True),
    Column("certificate", LargeBinary, nullable=True),
    Column("certificate_sha256", String(64), nullable=True, index=True),
    Column("address", _TEXT, nullable=True),
    Column("message", _TEXT, nullable=True),
    Column("comments", Text, nullable=True),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
)
