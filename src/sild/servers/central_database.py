"""The database of a Central Server: where it is, and that its schema follows the code."""

import logging

from sild.components.accounts.schema import MIGRATIONS as ACCOUNTS
from sild.components.centralserver.schema import MIGRATIONS as REGISTRY
from sild.components.centralserver.settings import CenterSettings
from sild.runtime.database import Database
from sild.runtime.migrations import migrate
from sild.servers.central_layout import CentralLayout
from sild.servers.databases import open_database


def open_central_database(layout: CentralLayout, settings: CenterSettings) -> Database:
    """The registry's database, wherever the settings say it is."""
    if settings.database is None:
        return open_database(layout.database)
    return Database.open(settings.database)


async def migrate_central(layout: CentralLayout, settings: CenterSettings) -> None:
    """Make what is not there, and change what is of an earlier release; all or none of each."""
    # It tells of every plug-in that it has.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    async with open_central_database(layout, settings) as database:
        for migrations in (REGISTRY, ACCOUNTS):
            await migrate(database, migrations)
