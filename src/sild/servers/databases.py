"""The databases of a security server: where they are, and that their schemas follow the code."""

import logging
from pathlib import Path

from sild.components.messagelog.schema import MIGRATIONS as MESSAGE_LOG
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.serverconf.schema import MIGRATIONS as SERVER_CONFIGURATION
from sild.runtime.database import Database
from sild.runtime.migrations import migrate
from sild.servers.layout import Layout


def open_database(path: Path) -> Database:
    """The database in this file; close it, or use it as an async context."""
    return Database.open(f"sqlite:///{path.absolute()}")


def open_message_database(layout: Layout, settings: MessageLogSettings) -> Database:
    """The database of the message log, wherever the settings say it is."""
    if settings.database is None:
        return open_database(layout.message_database)
    return Database.open(settings.database)


async def migrate_databases(layout: Layout, settings: MessageLogSettings) -> None:
    """Make what is not there, and change what is of an earlier release; all or none of each."""
    # It tells of every plug-in that it has.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for database, migrations in (
        (open_database(layout.server_database), SERVER_CONFIGURATION),
        (open_message_database(layout, settings), MESSAGE_LOG),
    ):
        async with database:
            await migrate(database, migrations)
