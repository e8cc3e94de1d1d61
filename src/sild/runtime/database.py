"""Engines and transactions, on SQLAlchemy Core.

SQLite is the embedded engine: a private file in WAL mode whose commits are synced before they
return. PostgreSQL is the other, with the commits that its own configuration makes. Only processes
off the message path import this module.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, DateTime, Dialect, event
from sqlalchemy import exc as sql_errors
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from sild.runtime.files import make_private_directory

# What a transaction is for, as an execution option that the "begin" event reads.
_PURPOSE = "sild_purpose"
# Their subclasses, IntegrityError among them, tell of the statement and not of the database.
_NOT_SERVING = {
    sql_errors.OperationalError,
    sql_errors.InterfaceError,
    sql_errors.DatabaseError,
    sql_errors.DBAPIError,
}
# PostgreSQL's class of errors in what it was given; its driver tells them all alike.
_REFUSED_VALUES = "22"
_BEGIN = {"write": "BEGIN IMMEDIATE", "read": "BEGIN", "migrate": "BEGIN IMMEDIATE"}
# Whoever migrates holds this lock of PostgreSQL's, so that two who start at once do not.
_MIGRATION_LOCK = 0x51D
_READ_ONE_STATE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class DatabaseError(Exception):
    """A database cannot be used as it is."""


class DatabaseUnavailable(DatabaseError):
    """The database does not answer, is locked, or its disk refuses."""


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How many connections are kept, and how many seconds a transaction waits for another."""

    connections: int = 5
    busy_timeout: float = 10.0


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept in UTC on every engine."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the engine what it keeps; a naive moment is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment back, aware."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Database:
    """A database that is open; `close` it, or use it as an async context."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, options: DatabaseOptions | None = None) -> Self:
        """Open `sqlite:////the/absolute/path`, made if there is none, or `postgresql://...`.

        Connects when first used.
        """
        try:
            parsed = make_url(url)
        except (sql_errors.ArgumentError, ValueError) as error:
            raise DatabaseError("the database's address is not a URL") from error
        opening = _ENGINES.get(parsed.drivername)
        if opening is None or not parsed.database:
            raise DatabaseError(
                f"a database of {parsed.drivername!r} is not supported, write sqlite:////a/file.db "
                "or postgresql://user:password@host/name"
            )
        return cls(opening(parsed, options or DatabaseOptions()))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Change what is stored: all of the block or, when it raises, nothing of it."""
        async with self._begin("write") as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read one state of what is stored, without waiting for those who change it."""
        async with self._begin("read") as connection:
            yield connection

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """Change the schema: all of the block or nothing of it, foreign keys checked at the end."""
        async with self._begin("migrate") as connection:
            if connection.dialect.name != "sqlite":
                await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                yield connection
                return
            try:
                yield connection
                check = await connection.exec_driver_sql("PRAGMA foreign_key_check")
                if (broken := check.mappings().first()) is not None:
                    raise DatabaseError(
                        f"a row of {broken['table']} would point to no row of {broken['parent']}"
                    )
            finally:
                # It goes on without foreign keys, and must not go back to the pool.
                await connection.run_sync(lambda sync: sync.detach())

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    @asynccontextmanager
    async def _begin(self, purpose: str) -> AsyncIterator[AsyncConnection]:
        options: Mapping[str, object] = {_PURPOSE: purpose}
        if purpose == "read" and self._engine.dialect.name == "postgresql":
            options = _READ_ONE_STATE
        engine = self._engine.execution_options(**options)
        try:
            async with AsyncExitStack() as opened:
                try:
                    connection = await opened.enter_async_context(engine.begin())
                except OSError as error:  # a TimeoutError is one
                    reason = str(error) or type(error).__name__
                    message = f"the database cannot be reached: {reason}"
                    raise DatabaseUnavailable(message) from error
                yield connection
        except sql_errors.TimeoutError as error:
            raise DatabaseUnavailable("every connection to the database is in use") from error
        except sql_errors.DBAPIError as error:
            if type(error) not in _NOT_SERVING:
                raise
            if str(getattr(error.orig, "sqlstate", "")).startswith(_REFUSED_VALUES):
                raise DatabaseError(f"the database refuses a value: {error.orig}") from error
            raise DatabaseUnavailable(f"the database does not serve: {error.orig}") from error


def _sqlite_engine(url: URL, options: DatabaseOptions) -> AsyncEngine:
    path = Path(str(url.database))
    try:
        make_private_directory(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseUnavailable(f"the database {path} cannot be opened: {error}") from error
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        pool_size=options.connections,
        max_overflow=0,
        pool_timeout=options.busy_timeout,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {int(options.busy_timeout * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        purpose = connection.get_execution_options()[_PURPOSE]
        if purpose == "migrate":
            # Changing a table drops and renames it, which must not cascade; heeded only outside
            # of transactions.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql(_BEGIN[purpose])

    return engine


def _postgresql_engine(url: URL, options: DatabaseOptions) -> AsyncEngine:
    waits = str(int(options.busy_timeout * 1000))
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=options.connections,
        max_overflow=0,
        pool_timeout=options.busy_timeout,
        # A connection that its server has closed meanwhile is made anew.
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "timeout": options.busy_timeout,
            "server_settings": {"lock_timeout": waits, "application_name": "sild"},
        },
    )


_ENGINES = {"sqlite": _sqlite_engine, "postgresql": _postgresql_engine}
