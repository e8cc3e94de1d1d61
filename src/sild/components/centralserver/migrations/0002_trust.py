"""Trust services."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.String(255)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(table: str, column: str, name: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", name=name, ondelete="CASCADE")
    return sa.Column(column, sa.Integer, key, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "central_certification_service",
        _id(),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("profile", _TEXT, nullable=False),
        sa.Column("authentication_only", sa.Boolean, nullable=False),
        sa.Column("csr_format", sa.String(8), nullable=False),
        sa.Column("acme_directory_url", _TEXT, nullable=False),
        sa.Column("acme_ip_addresses", _TEXT, nullable=False),
        sa.Column("acme_authentication_profile", _TEXT, nullable=False),
        sa.Column("acme_signing_profile", _TEXT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "central_ca",
        _id(),
        _of("central_certification_service", "service_id", "fk_central_ca_service_id"),
        sa.Column("is_top", sa.Boolean, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_central_ca_service_id", "central_ca", ["service_id"])
    op.create_table(
        "central_ocsp_responder",
        _id(),
        _of("central_ca", "ca_id", "fk_central_ocsp_responder_ca_id"),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("cost", sa.String(16), nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_central_ocsp_responder_ca_id", "central_ocsp_responder", ["ca_id"])
    op.create_table(
        "central_timestamping_service",
        _id(),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("cost", sa.String(16), nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
