"""Changes of the registry, and decisions on requests, one after the other.

An approval changes a server before its owner, a removal the owner before its servers: at once, each
would wait for the other. So whoever changes either waits for its turn before it touches a row. What
has been checked by then, nobody else changes before the end of the transaction.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.runtime.database import Database

_LOCK = 0x51D4


@asynccontextmanager
async def changing(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction that changes the registry or decides on requests, when its turn has come."""
    async with database.transaction() as connection:
        # SQLite has one writer at a time anyway.
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection
