"""The databases of a security server: where they are, and that their schemas follow the code.

The server's own configuration and its accounts are in one, the message log in another: both are
files, unless the settings name a PostgreSQL for all, or one for the message log alone.
"""

import logging
from pathlib import Path

from sild.components.accounts.schema import MIGRATIONS as ACCOUNTS
from sild.components.messagelog.schema import MIGRATIONS as MESSAGE_LOG
from sild.components.serverconf.schema import MIGRATIONS as SERVER_CONFIGURATION
from sild.runtime.database import Database
from sild.runtime.migrations import migrate
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings


def open_database(path: Path) -> Database:
    """The database in this file; close it, or use it as an async context."""
    return Database.open(f"sqlite:///{path.absolute()}")


def open_configuration(layout: Layout, settings: SecurityServerSettings) -> Database:
    """The database of the server's own configuration and accounts."""
    if settings.server.database is None:
        return open_database(layout.server_database)
    return Database.open(settings.server.database)


def open_message_database(layout: Layout, settings: SecurityServerSettings) -> Database:
    """The database of the message log, wherever the settings say it is."""
    url = settings.message_log.database or settings.server.database
    return open_database(layout.message_database) if url is None else Database.open(url)


async def migrate_configuration(layout: Layout, settings: SecurityServerSettings) -> None:
    """As `migrate_databases`, but for the message log."""
    _quieten()
    async with open_configuration(layout, settings) as database:
        for migrations in (SERVER_CONFIGURATION, ACCOUNTS):
            await migrate(database, migrations)


async def migrate_databases(layout: Layout, settings: SecurityServerSettings) -> None:
    """Make what is not there, and change what is of an earlier release; all or none of each."""
    await migrate_configuration(layout, settings)
    async with open_message_database(layout, settings) as database:
        await migrate(database, MESSAGE_LOG)


def _quieten() -> None:
    # It tells of every plug-in that it has.
    logging.getLogger("alembic").setLevel(logging.WARNING)
