"""The tables of trust services; a blank text stands for none.

Ids are never given twice: the audit log and other programs remember them.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
)

from sild.components.centralserver.metadata import METADATA

_TEXT = String(255)

CERTIFICATION_SERVICE = Table(
    "central_certification_service",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", _TEXT, nullable=False),
    Column("profile", _TEXT, nullable=False),
    Column("authentication_only", Boolean, nullable=False),
    Column("csr_format", String(8), nullable=False),
    Column("acme_directory_url", _TEXT, nullable=False),
    Column("acme_ip_addresses", _TEXT, nullable=False),
    Column("acme_authentication_profile", _TEXT, nullable=False),
    Column("acme_signing_profile", _TEXT, nullable=False),
    sqlite_autoincrement=True,
)

# The service's own certificate, which is the top one, and those of its intermediate CAs.
CA = Table(
    "central_ca",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(
        "service_id",
        Integer,
        ForeignKey(
            "central_certification_service.id",
            name="fk_central_ca_service_id",
            ondelete="CASCADE",
        ),
        nullable=False,
        index=True,
    ),
    Column("is_top", Boolean, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

OCSP_RESPONDER = Table(
    "central_ocsp_responder",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(
        "ca_id",
        Integer,
        ForeignKey("central_ca.id", name="fk_central_ocsp_responder_ca_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("url", _TEXT, nullable=False),
    Column("cost", String(16), nullable=False),
    Column("certificate", LargeBinary, nullable=True),
    sqlite_autoincrement=True,
)

TIMESTAMPING_SERVICE = Table(
    "central_timestamping_service",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", _TEXT, nullable=False),
    Column("url", _TEXT, nullable=False),
    Column("cost", String(16), nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
