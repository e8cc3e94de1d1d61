"""What of a security server is backed up, for its API, for the command line, and as it starts.

The message log is no part of it, and stays as it is when a backup is restored; which
time-stamping services the server uses stands beside the log and is saved.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData

from sild import __version__
from sild.components.accounts.tables import METADATA as ACCOUNTS
from sild.components.backup.backups import BackupPlaces, Backups
from sild.components.backup.dump import SavedDatabase
from sild.components.backup.saved import SavedServer
from sild.components.backup.settings import BackupSettings
from sild.components.messagelog.tables import CHOSEN_TSA
from sild.components.serverconf.store import ConfigurationStore
from sild.components.serverconf.tables import METADATA as CONFIGURATION
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database
from sild.servers.databases import migrate_databases, open_configuration, open_message_database
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings, read_server_settings, tells_secrets

_LOG = logging.getLogger(__name__)


async def _nothing() -> None:
    return None


def _always(_: Path) -> bool:
    """Say of a private key's file that it is private."""
    return True


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The databases of a server: its configuration and accounts, and its message log."""

    configuration: Database
    messages: Database


class ServerBackups:
    """Makes the use cases of backups, always of the same things."""

    def __init__(
        self, layout: Layout, settings: BackupSettings, databases: BackedUp, clock: Clock
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._databases = databases
        self._clock = clock

    def make(self, restored: Callable[[], Awaitable[None]] = _nothing) -> Backups:
        """The use cases; `restored` is awaited after each restoration."""
        places = _places(self._layout, self._settings)
        return Backups(self._saved(), places, self._settings, self._clock, restored)

    def _saved(self) -> SavedServer:
        layout, databases = self._layout, self._databases
        return SavedServer(
            kind="security-server",
            identity=self._identity,
            version=__version__,
            databases=(
                SavedDatabase("serverconf", databases.configuration, (CONFIGURATION, ACCOUNTS)),
                SavedDatabase("timestamping", databases.messages, (_chosen_services(),)),
            ),
            files={
                "signer": layout.keys,
                "sild.toml": layout.settings_file,
                "devices.toml": layout.devices_file,
                "configuration-anchor.xml": layout.anchor_file,
                "internal-tls.pem": layout.internal_tls,
                "api-tls.pem": layout.api_tls,
            },
            private={
                "sild.toml": tells_secrets,
                "internal-tls.pem": _always,
                "api-tls.pem": _always,
            },
        )

    async def _identity(self) -> str:
        async with ConfigurationStore(self._databases.configuration).reading() as conf:
            server = await conf.find_server()
        return "" if server is None else server.short


def _chosen_services() -> MetaData:
    alone = MetaData()
    CHOSEN_TSA.to_metadata(alone)
    return alone


def _places(layout: Layout, settings: BackupSettings) -> BackupPlaces:
    folder = settings.backup_path or layout.backups
    return BackupPlaces(folder, layout.gnupg, layout.home / "restoring")


@asynccontextmanager
async def _opened(layout: Layout, settings: SecurityServerSettings) -> AsyncIterator[Backups]:
    async with (
        open_configuration(layout, settings) as configuration,
        open_message_database(layout, settings) as messages,
    ):
        databases = BackedUp(configuration, messages)
        yield ServerBackups(layout, settings.backup, databases, SystemClock()).make()


@asynccontextmanager
async def open_server_backups(home: Path) -> AsyncIterator[Backups]:
    """The backups of the server in this directory, which may run or not."""
    layout = Layout(home)
    settings = read_server_settings(layout)
    await migrate_databases(layout, settings)
    async with _opened(layout, settings) as backups:
        yield backups


async def finish_server_restoration(layout: Layout, settings: SecurityServerSettings) -> bool:
    """Finish a restoration that was interrupted, before anybody reads what it restores.

    Says whether there was one. Raises BackupBusy and RestoreFailed.
    """
    async with _opened(layout, settings) as backups:
        finished = await backups.finish_interrupted()
    if finished:
        _LOG.warning("a restoration that was interrupted is finished")
    return finished


async def make_backup_key(layout: Layout, server: str) -> None:
    """Make the key that signs the backups of a server in a home that nobody uses yet.

    Raises BackupKeyNotMade.
    """
    settings = SecurityServerSettings()
    async with _opened(layout, settings) as backups:
        try:
            await backups.make_key(server)
        finally:
            await backups.close()
