"""The process of a Central Server that does everything but hold its keys.

The management API, the registration and management services, the generation of global
configuration, and its distribution.
"""

import logging
from contextlib import AsyncExitStack
from functools import partial

from sild.adminapi.application import Services, make_application
from sild.adminapi.backups import BackupSide
from sild.adminapi.centralserver.application import AREAS, DESCRIPTION
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.store import AccountStore
from sild.components.centralserver.configuration_parts import PartDescriptionError
from sild.components.centralserver.source_errors import NotPublished
from sild.components.signer.rpc import connect_control as connect_signer
from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.permissions import CENTRAL_SERVER
from sild.model.refusals import Refusal
from sild.runtime.asgi import AsgiApp
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database, DatabaseError
from sild.runtime.fetch import Fetcher
from sild.runtime.files import FileError
from sild.runtime.schedule import Job, Period, Schedule
from sild.runtime.timed import LOOK_SECONDS, Timed
from sild.runtime.tls import SwappableContext, TlsSetupError
from sild.servers.accounts import CENTRAL_PROGRAM, make_first_user, warn_of_nobody
from sild.servers.audit import (
    audit_log_of,
    delete_old_backups,
    make_automatic_backup,
    open_audit_sink,
)
from sild.servers.central_backups import finish_restoration
from sild.servers.central_database import open_central_database
from sild.servers.central_layout import CentralLayout
from sild.servers.central_parts import Around, make_parts, start_anew
from sild.servers.central_settings import CentralServerSettings
from sild.servers.doors import API_CONNECTIONS, CannotListen, Door, Doors, door_context
from sild.servers.internal_tls import read_internal_tls
from sild.servers.processes import run_until_stopped

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0
"""How soon publishing is tried again: at a start, the signer may only be opening its token."""

# What is done that no configuration could tell of, or that it was just told of.
_NO_CHANGE = frozenset(
    {
        AuditEvent.FORM_LOGIN,
        AuditEvent.FORM_LOGOUT,
        AuditEvent.KEY_MANAGEMENT_PAM_LOGIN,
        AuditEvent.API_KEY_AUTHENTICATION,
        AuditEvent.API_KEY_CREATE,
        AuditEvent.API_KEY_UPDATE,
        AuditEvent.API_KEY_REMOVE,
        AuditEvent.BACKUP,
        AuditEvent.PUBLISH_GLOBAL_CONFIGURATION,
    }
)


class Announcing:
    """Keeps audit records, and has each change that succeeded published."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self.job: Job | None = None

    def record(self, record: AuditRecord) -> None:
        """Keep a record."""
        self._audit.record(record)
        changes = record.reason is None and record.event not in _NO_CHANGE
        if self.job is not None and changes:
            self.job.run_now()


class CentralProcess:
    """The process, wired together."""

    def __init__(
        self,
        layout: CentralLayout,
        settings: CentralServerSettings,
        database: Database,
        fetcher: Fetcher,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._clock: Clock = SystemClock()
        self._sink = open_audit_sink(layout.audit_log, settings.admin_api)
        self._audit = Announcing(audit_log_of(self._sink, CENTRAL_PROGRAM, self._clock))
        self.accounts = Accounts(
            AccountStore(database), CENTRAL_SERVER, settings.accounts, self._clock
        )
        keys = connect_signer(layout.signer_admin_socket)
        around = Around(database, fetcher, keys, self.accounts, self._audit, self._clock)
        self.parts = make_parts(layout, settings, around)
        self._schedule = Schedule(self._clock)
        self._plan()
        self._doors = Doors(settings.listeners.listen_address, self._clock)

    def _plan(self) -> None:
        center, backup = self._settings.center, self._settings.backup
        interval = center.global_conf_generation_interval
        publishing = self._schedule.every(
            "global-configuration",
            Period(interval, min(interval, _RETRY_SECONDS), expected=(NotPublished,)),
            self.parts.central.publisher.publish,
        )
        if center.generate_on_change:
            self._audit.job = publishing
        backups = self.parts.central.backups
        look = Period(LOOK_SECONDS, LOOK_SECONDS, expected=(Refusal,))
        make = partial(make_automatic_backup, backups, self._audit)
        making = Timed(backup.backup_cron, make, self._clock)
        self._schedule.every("automatic-backup", look, making.look)
        clear = partial(delete_old_backups, backups, self._audit)
        clearing = Timed(backup.backup_cleanup_cron, clear, self._clock)
        self._schedule.every("old-backups", look, clearing.look)

    async def open(self) -> None:
        """Make what is missing, and listen."""
        await make_first_user(self.accounts, CENTRAL_SERVER, self._settings.server.first_user_file)
        await self.parts.management_tls.make_if_missing()
        api_tls = SwappableContext(door_context(read_internal_tls(self._layout.api_tls)))
        services_tls = SwappableContext(api_tls.current)
        self.parts.management_tls.follow(
            lambda identity: setattr(services_tls, "current", door_context(identity))
        )
        listeners = self._settings.listeners
        distribution = self.parts.distribution
        await self._doors.open(
            (
                Door(listeners.api_port, self._api(), api_tls, API_CONNECTIONS),
                Door(listeners.registration_port, self.parts.registration_service, services_tls),
                Door(listeners.management_port, self.parts.management_service, services_tls),
                Door(listeners.configuration_http_port, distribution),
                Door(listeners.configuration_https_port, distribution, services_tls),
            )
        )
        host, port = self._settings.server.tls_host, listeners.api_port
        _LOG.info("the management API is at https://%s:%d", host, port)
        await warn_of_nobody(self.accounts, self._settings.accounts, "central-server")

    def _api(self) -> AsgiApp:
        services = Services(self.accounts, CENTRAL_SERVER, self._audit, self._clock)
        app = make_application(DESCRIPTION, AREAS, services, self._settings.admin_api)
        central = self.parts.central
        app.state.central = central
        app.state.backup_side = BackupSide(central.backups, central.tokens)
        return app

    async def run(self) -> None:
        """Do all jobs until cancelled."""
        await self._schedule.run()

    async def close(self) -> None:
        """Stop listening; running requests end within the grace."""
        await self._doors.close(self._settings.server.stop_grace)
        await self.parts.central.backups.close()
        self._sink.close()


async def run_central(layout: CentralLayout, settings: CentralServerSettings) -> int:
    """The process's main coroutine; gives the exit code."""
    try:
        await _run(layout, settings)
    except (
        CannotListen,
        DatabaseError,
        FileError,
        OSError,
        PartDescriptionError,
        Refusal,
        TlsSetupError,
    ) as error:
        _LOG.error("%s", error)
        return 1
    return 0


async def _run(layout: CentralLayout, settings: CentralServerSettings) -> None:
    if await finish_restoration(layout, settings):
        # The end of this process's predecessor interrupted it; the signer read what was there then.
        start_anew()
        return
    async with AsyncExitStack() as opened:
        database = await opened.enter_async_context(open_central_database(layout, settings.center))
        fetcher = await opened.enter_async_context(Fetcher())
        process = CentralProcess(layout, settings, database, fetcher)
        opened.push_async_callback(process.close)
        await process.open()
        await run_until_stopped(process.run)
