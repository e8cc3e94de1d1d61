"""The tables of accounts: local users, API keys, and the roles of each."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, UniqueConstraint

from sild.runtime.database import Moment

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

USER = Table(
    "accounts_user",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("password", String(255), nullable=False),
    Column("changed", Moment, nullable=False),
    UniqueConstraint("name"),
)

USER_ROLE = Table(
    "accounts_user_role",
    METADATA,
    Column("user_id", Integer, ForeignKey(USER.c.id, ondelete="CASCADE"), primary_key=True),
    Column("role", String(64), primary_key=True),
)

# Of an API key only the SHA-256 of its text is kept: with 122 random bits nobody guesses it.
API_KEY = Table(
    "accounts_api_key",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("sha256"),
    sqlite_autoincrement=True,  # the id of a revoked key never names another
)

API_KEY_ROLE = Table(
    "accounts_api_key_role",
    METADATA,
    Column("key_id", Integer, ForeignKey(API_KEY.c.id, ondelete="CASCADE"), primary_key=True),
    Column("role", String(64), primary_key=True),
)
