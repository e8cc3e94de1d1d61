"""The process of a Central Server that does everything but hold its keys.

The management API, the registration and management services, the generation of global
configuration, and its distribution.
"""

import asyncio
import contextlib
import logging
import signal
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sild.adminapi.application import Services, make_application
from sild.adminapi.backups import BackupSide
from sild.adminapi.centralserver.application import AREAS, DESCRIPTION
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.errors import UserExists
from sild.components.accounts.store import AccountStore
from sild.components.centralserver.configuration_parts import PartDescriptionError
from sild.components.centralserver.source_errors import NotPublished
from sild.components.signer.rpc import connect_control as connect_signer
from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.permissions import CENTRAL_SERVER, Role
from sild.model.refusals import Refusal
from sild.runtime.asgi import AsgiApp, asgi_handler
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database, DatabaseError
from sild.runtime.fetch import Fetcher
from sild.runtime.files import FileError, read_private
from sild.runtime.http_server import Admission, Endpoint, HttpServer, Limits, serve
from sild.runtime.schedule import Job, Period, Schedule
from sild.runtime.timed import LOOK_SECONDS, Timed
from sild.runtime.tls import (
    AnyCertificate,
    SwappableContext,
    TlsIdentity,
    TlsPolicy,
    server_context,
)
from sild.servers.central_audit import audit_log_of, open_audit_sink
from sild.servers.central_backups import finish_restoration
from sild.servers.central_database import open_central_database
from sild.servers.central_layout import CentralLayout
from sild.servers.central_parts import Around, make_parts, start_anew
from sild.servers.central_settings import CentralServerSettings
from sild.servers.internal_tls import read_internal_tls
from sild.servers.processes import STOPPING, run_until_stopped

_LOG = logging.getLogger(__name__)

_FIRST_USER_LIMIT = 4096
_CONNECTIONS = 2000
_API_CONNECTIONS = 500


# What people do that no configuration could tell of.
_NO_CHANGE = frozenset(
    {
        AuditEvent.FORM_LOGIN,
        AuditEvent.FORM_LOGOUT,
        AuditEvent.KEY_MANAGEMENT_PAM_LOGIN,
        AuditEvent.API_KEY_AUTHENTICATION,
        AuditEvent.API_KEY_CREATE,
        AuditEvent.API_KEY_UPDATE,
        AuditEvent.API_KEY_REMOVE,
    }
)


class CannotListen(Exception):
    """A port is taken, or the address is not this machine's."""


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


@dataclass(frozen=True, slots=True)
class _Door:
    """One port: what answers there, over what."""

    port: int
    app: AsgiApp
    tls: SwappableContext | None
    connections: int = _CONNECTIONS


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
        self._sink = open_audit_sink(layout, settings)
        self._audit = Announcing(audit_log_of(self._sink, self._clock))
        self.accounts = Accounts(
            AccountStore(database), CENTRAL_SERVER, settings.accounts, self._clock
        )
        keys = connect_signer(layout.signer_admin_socket)
        around = Around(database, fetcher, keys, self.accounts, self._audit, self._clock)
        self.parts = make_parts(layout, settings, around)
        self._schedule = Schedule(self._clock)
        self._plan()
        self._servers: list[HttpServer] = []

    def _plan(self) -> None:
        center, backup = self._settings.center, self._settings.backup
        interval = center.global_conf_generation_interval
        publishing = self._schedule.every(
            "global-configuration",
            Period(interval, min(interval, 60.0), expected=(NotPublished,)),
            self.parts.central.publisher.publish,
        )
        if center.generate_on_change:
            self._audit.job = publishing
        backups = self.parts.central.backups
        look = Period(LOOK_SECONDS, LOOK_SECONDS, expected=(Refusal,))
        making = Timed(backup.backup_cron, backups.create_automatic, self._clock)
        self._schedule.every("automatic-backup", look, making.look)
        clearing = Timed(backup.backup_cleanup_cron, backups.delete_old, self._clock)
        self._schedule.every("old-backups", look, clearing.look)

    async def open(self) -> None:
        """Make what is missing, and listen."""
        await self._make_first_user()
        await self.parts.management_tls.make_if_missing()
        api_tls = SwappableContext(_context(read_internal_tls(self._layout.api_tls)))
        services_tls = SwappableContext(api_tls.current)
        self.parts.management_tls.follow(
            lambda identity: setattr(services_tls, "current", _context(identity))
        )
        listeners = self._settings.listeners
        distribution = self.parts.distribution
        for door in (
            _Door(listeners.api_port, self._api(), api_tls, _API_CONNECTIONS),
            _Door(listeners.registration_port, self.parts.registration_service, services_tls),
            _Door(listeners.management_port, self.parts.management_service, services_tls),
            _Door(listeners.configuration_http_port, distribution, None),
            _Door(listeners.configuration_https_port, distribution, services_tls),
        ):
            if door.port:
                await self._listen(door)

    def _api(self) -> AsgiApp:
        services = Services(self.accounts, CENTRAL_SERVER, self._audit, self._clock)
        app = make_application(DESCRIPTION, AREAS, services, self._settings.admin_api)
        central = self.parts.central
        app.state.central = central
        app.state.backup_side = BackupSide(central.backups, central.tokens)
        return app

    async def _listen(self, door: _Door) -> None:
        host = self._settings.listeners.listen_address
        scheme = "http" if door.tls is None else "https"
        limits = Limits(connections=door.connections, admission=Admission())
        endpoint = Endpoint(host, door.port, door.tls)
        try:
            server = await serve(asgi_handler(door.app, scheme), endpoint, limits, self._clock)
        except OSError as error:
            message = f"cannot listen on {host} port {door.port}: {error.strerror}"
            raise CannotListen(message) from error
        self._servers.append(server)

    async def _make_first_user(self) -> None:
        path = self._settings.server.first_user_file
        if path is None or await self.accounts.users():
            return
        name, _, password = read_private(path, _FIRST_USER_LIMIT).decode().strip().partition(":")
        roles = [role for role in CENTRAL_SERVER if role is not Role.MANAGEMENT_SERVICE]
        # Of nodes that start at once, one is the first.
        with contextlib.suppress(UserExists):
            await self.accounts.add_user(name, password, roles)

    async def run(self) -> None:
        """Do all jobs until cancelled."""
        await self._schedule.run()

    async def close(self) -> None:
        """Stop listening; running requests end within the grace."""
        grace = self._settings.server.stop_grace
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.close(grace))
        await self.parts.central.backups.close()
        self._sink.close()


def _context(identity: TlsIdentity) -> ssl.SSLContext:
    # Who asks is authenticated by what is inside; a certificate is told of where one is shown.
    return server_context(TlsPolicy(), identity, AnyCertificate.WANTED)


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
        # After SIGHUP the supervisor starts it again, with what is on the disk by then.
        await run_until_stopped(process.run, (*STOPPING, signal.SIGHUP))
