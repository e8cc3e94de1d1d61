"""The management API of a security server, and what it does again and again, within control."""

import asyncio
import logging
import ssl
from functools import partial
from typing import TYPE_CHECKING

from sild.adminapi.application import Services, make_application
from sild.adminapi.backups import BackupSide
from sild.adminapi.securityserver.application import AREAS, DESCRIPTION
from sild.adminapi.securityserver.own import Refreshed
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.store import AccountStore
from sild.model.permissions import SECURITY_SERVER, on_secondary_node
from sild.model.refusals import Refusal
from sild.runtime.asgi import AsgiApp
from sild.runtime.files import FileError
from sild.runtime.schedule import Period
from sild.runtime.timed import LOOK_SECONDS, Timed
from sild.runtime.tls import SwappableContext, TlsSetupError
from sild.servers.accounts import SECURITY_PROGRAM, make_first_user, warn_of_nobody
from sild.servers.audit import (
    audit_log_of,
    delete_old_backups,
    make_automatic_backup,
    open_audit_sink,
)
from sild.servers.doors import API_CONNECTIONS, CannotListen, Door, Doors, door_context
from sild.servers.health import serve_health
from sild.servers.internal_tls import make_internal_tls, read_internal_tls
from sild.servers.layout import Layout
from sild.servers.metrics import serve_metrics
from sild.servers.server_parts import Around, make_parts
from sild.servers.settings import NodeType, SecurityServerSettings

if TYPE_CHECKING:
    from sild.runtime.http_server import HttpServer

_LOG = logging.getLogger(__name__)
# When a port that was taken is tried again, in seconds.
_LISTEN_RETRY = 5.0


class Administration:
    """The API with its accounts and its audit log; `server` are the use cases behind it."""

    def __init__(self, layout: Layout, settings: SecurityServerSettings, around: Around) -> None:
        self._layout = layout
        self._settings = settings
        self._control = around.control
        self._clock = around.control.clock
        self._sink = open_audit_sink(layout.audit_log, settings.admin_api)
        self._audit = audit_log_of(self._sink, SECURITY_PROGRAM, self._clock)
        secondary = settings.server.node_type is NodeType.SECONDARY
        self._roles = on_secondary_node(SECURITY_SERVER) if secondary else SECURITY_SERVER
        self.accounts = Accounts(
            AccountStore(around.databases.configuration),
            self._roles,
            settings.accounts,
            self._clock,
        )
        parts = make_parts(layout, settings, around, self.accounts)
        self.server, self._diagnosing = parts.server, parts.diagnosing
        self._doors = Doors(settings.listeners.listen_address, self._clock)
        self._telling: list[HttpServer] = []
        self._plan(around)

    def _plan(self, around: Around) -> None:
        settings, backups = self._settings.backup, self.server.backups
        look = Period(LOOK_SECONDS, LOOK_SECONDS, expected=(Refusal,))
        make = partial(make_automatic_backup, backups, self._audit)
        making = Timed(settings.backup_cron, make, self._clock)
        around.control.schedule.every("automatic-backup", look, making.look)
        clear = partial(delete_old_backups, backups, self._audit)
        clearing = Timed(settings.backup_cleanup_cron, clear, self._clock)
        around.control.schedule.every("old-backups", look, clearing.look)

    async def run(self) -> None:
        """Answer until cancelled.

        A port that is taken, or a certificate that is none, is tried again: messages are exchanged
        meanwhile.
        """
        settings = self._settings
        try:
            await make_first_user(self.accounts, self._roles, settings.server.first_user_file)
        except (OSError, FileError, Refusal) as error:
            _LOG.error("the first user is not made: %s", error)
        await self._tell_machines()
        if not settings.listeners.api_port:
            return
        api = self._api()
        while True:
            try:
                door = Door(settings.listeners.api_port, api, self._tls(), API_CONNECTIONS)
                await self._doors.open((door,))
            except (CannotListen, TlsSetupError, FileError, OSError) as error:
                _LOG.error("the management API is not served: %s", error)
                await asyncio.sleep(_LISTEN_RETRY)
            else:
                break
        host, port = settings.server.internal_host, settings.listeners.api_port
        _LOG.info("the management API is at https://%s:%d", host, port)
        await warn_of_nobody(self.accounts, settings.accounts, "security-server")

    async def _tell_machines(self) -> None:
        """Answer balancers and Prometheus, where there is a port for them."""
        settings, diagnosing, clock = self._settings, self._diagnosing, self._clock
        for serving in (
            partial(serve_health, diagnosing.health, settings.health, clock),
            partial(serve_metrics, diagnosing.metrics, settings.metrics, clock),
        ):
            try:
                served = await serving()
            except CannotListen as error:
                _LOG.error("the server does not tell how it fares: %s", error)
            else:
                self._telling += [] if served is None else [served]

    async def refresh_now(self, *, ocsp: bool) -> Refreshed:
        """Download the global configuration and follow it; ask OCSP responders too, if wanted.

        Raises GlobalConfOutdated where none is valid.
        """
        await self._control.refresh()
        if ocsp:
            await self._control.refresh_ocsp()
        return Refreshed(expires_at=self._control.global_conf().valid_until)

    async def close(self) -> None:
        """Stop listening; running requests end within the grace."""
        for served in self._telling:
            await served.close(0)
        await self._doors.close(self._settings.server.stop_grace)
        await self.server.backups.close()
        self._sink.close()

    def _tls(self) -> SwappableContext:
        path, host = self._layout.api_tls, self._settings.server.internal_host
        make_internal_tls(path, host, self._clock.now())
        return SwappableContext(self._context())

    def _context(self) -> ssl.SSLContext:
        return door_context(read_internal_tls(self._layout.api_tls))

    def _api(self) -> AsgiApp:
        services = Services(self.accounts, self._roles, self._audit, self._clock)
        app = make_application(DESCRIPTION, AREAS, services, self._settings.admin_api)
        app.state.server = self.server
        app.state.refreshing = self
        app.state.backup_side = BackupSide(self.server.backups, self.server.tokens)
        return app
