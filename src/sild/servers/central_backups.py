"""What of a Central Server is backed up, for its API, for the command line, and as it starts."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sild import __version__
from sild.components.accounts.tables import METADATA as ACCOUNTS
from sild.components.backup.backups import BackupPlaces, Backups
from sild.components.backup.dump import SavedDatabase
from sild.components.backup.saved import SavedServer
from sild.components.centralserver.schema import TABLES as REGISTRY
from sild.components.centralserver.source_anchors import SourceAnchors
from sild.components.centralserver.system import Node, PublicPorts, System
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database
from sild.servers.central_database import migrate_central, open_central_database
from sild.servers.central_layout import CentralLayout
from sild.servers.central_settings import (
    CentralServerSettings,
    read_central_settings,
    tells_secrets,
)

_LOG = logging.getLogger(__name__)


async def _nothing() -> None:
    return None


def _always(_: Path) -> bool:
    """Say of a private key's file that it is private."""
    return True


class CentralBackups:
    """Makes the use cases of backups, always of the same things."""

    def __init__(
        self,
        layout: CentralLayout,
        settings: CentralServerSettings,
        database: Database,
        clock: Clock,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._database = database
        self._clock = clock

    def make(self, restored: Callable[[], Awaitable[None]] = _nothing) -> Backups:
        """The use cases; `restored` is awaited after each restoration."""
        layout, settings = self._layout, self._settings.backup
        places = BackupPlaces(
            settings.backup_path or layout.backups, layout.gnupg, layout.home / "restoring"
        )
        return Backups(self._saved(), places, settings, self._clock, restored)

    def _saved(self) -> SavedServer:
        layout, node = self._layout, node_of(self._settings)
        anchors = SourceAnchors(self._database, node, self._clock)
        return SavedServer(
            kind="central-server",
            identity=System(self._database, node, anchors, __version__).identity,
            version=__version__,
            databases=(SavedDatabase("central", self._database, (REGISTRY, ACCOUNTS)),),
            files={
                "signer": layout.keys,
                "sild.toml": layout.settings_file,
                "devices.toml": layout.devices_file,
                "api-tls.pem": layout.api_tls,
                "management-service-tls.pem": layout.services_tls,
                "configuration-parts": layout.configuration_parts,
            },
            private={
                "sild.toml": tells_secrets,
                "api-tls.pem": _always,
                "management-service-tls.pem": _always,
            },
        )


def node_of(settings: CentralServerSettings) -> Node:
    """Which of the nodes on one database this is, and where others reach it."""
    center, listeners = settings.center, settings.listeners
    ports = PublicPorts(
        listeners.registration_port,
        listeners.management_port,
        listeners.configuration_http_port,
        listeners.configuration_https_port,
    )
    return Node(center.ha_node_name, center.high_availability, ports)


@asynccontextmanager
async def open_central_backups(home: Path) -> AsyncIterator[Backups]:
    """The backups of the server in this directory, which may run or not."""
    layout = CentralLayout(home)
    settings = read_central_settings(layout)
    await migrate_central(layout, settings.center)
    async with open_central_database(layout, settings.center) as database:
        yield CentralBackups(layout, settings, database, SystemClock()).make()


async def finish_restoration(layout: CentralLayout, settings: CentralServerSettings) -> bool:
    """Finish a restoration that was interrupted, before anybody reads what it restores.

    Says whether there was one. Raises BackupBusy and RestoreFailed.
    """
    async with open_central_database(layout, settings.center) as database:
        backups = CentralBackups(layout, settings, database, SystemClock()).make()
        finished = await backups.finish_interrupted()
    if finished:
        _LOG.warning("a restoration that was interrupted is finished")
    return finished
