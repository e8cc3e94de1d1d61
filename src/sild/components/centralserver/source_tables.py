"""The tables of configuration sources: keys, anchors, optional parts, and trusted anchors."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from sild.components.centralserver.metadata import METADATA
from sild.runtime.database import Moment

_TEXT = String(255)

SOURCE = Table(
    "central_source",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("ha_node_name", _TEXT, nullable=False),
    Column("anchor", LargeBinary),
    Column("anchor_generated_at", Moment),
    UniqueConstraint("kind", "ha_node_name", name="uq_central_source_kind"),
)

SIGNING_KEY = Table(
    "central_signing_key",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(
        "source_id",
        Integer,
        ForeignKey("central_source.id", name="fk_central_signing_key_source", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("key_id", _TEXT, nullable=False),
    Column("token_id", _TEXT, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("generated_at", Moment, nullable=False),
    Column("active", Boolean, nullable=False),
    UniqueConstraint("key_id", name="uq_central_signing_key_key_id"),
)

PART = Table(
    "central_configuration_part",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("identifier", _TEXT, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("identifier", name="uq_central_configuration_part_identifier"),
)

TRUSTED_ANCHOR = Table(
    "central_trusted_anchor",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("instance", _TEXT, nullable=False),
    Column("hash", String(95), nullable=False),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("instance", name="uq_central_trusted_anchor_instance"),
)
