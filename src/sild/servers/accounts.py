"""A server's accounts: its first, and those that the command line changes beside the server."""

import contextlib
import logging
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sild.components.accounts.accounts import Accounts
from sild.components.accounts.errors import UserExists
from sild.components.accounts.settings import AccountSettings, UserSource
from sild.components.accounts.store import AccountStore
from sild.model.audit import SYSTEM_USER, Audit, AuditEvent, AuditRecord
from sild.model.permissions import CENTRAL_SERVER, SECURITY_SERVER, Role, RoleTable
from sild.runtime.auditlog import AuditSink
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.files import read_private
from sild.servers.audit import audit_log_of, open_audit_sink
from sild.servers.central_database import migrate_central, open_central_database
from sild.servers.central_layout import CentralLayout
from sild.servers.central_settings import read_central_settings
from sild.servers.databases import migrate_configuration, open_configuration
from sild.servers.layout import Layout
from sild.servers.settings import read_server_settings

_LOG = logging.getLogger(__name__)

_FIRST_USER_LIMIT = 4096

CENTRAL_PROGRAM, SECURITY_PROGRAM = "Sild Central Server", "Sild Security Server"


class ToldAct:
    """What somebody does at the command line, and what the audit log is told of it."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @asynccontextmanager
    async def telling(self, event: AuditEvent, **data: object) -> AsyncIterator[None]:
        """Tell of what the block does or, when it raises, fails to do."""
        record = AuditRecord(event, data, user=_os_user())
        try:
            yield
        except Exception as error:
            reason = str(error) or type(error).__name__
            self._audit.record(AuditRecord(event, data, user=record.user, reason=reason))
            raise
        self._audit.record(record)


Act = Callable[[Accounts, ToldAct], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where a server keeps its accounts and its audit log."""

    database: AbstractAsyncContextManager[Database]
    sink: AuditSink
    settings: AccountSettings
    roles: RoleTable
    program: str


async def with_central_accounts(home: Path, act: Act) -> None:
    """Do something to the accounts of the Central Server in this directory, running or not."""
    layout = CentralLayout(home)
    settings = read_central_settings(layout)
    await migrate_central(layout, settings.center)
    kept = _Kept(
        open_central_database(layout, settings.center),
        open_audit_sink(layout.audit_log, settings.admin_api),
        settings.accounts,
        CENTRAL_SERVER,
        CENTRAL_PROGRAM,
    )
    await _with(kept, act)


async def with_server_accounts(home: Path, act: Act) -> None:
    """Do something to the accounts of the security server in this directory, running or not."""
    layout = Layout(home)
    settings = read_server_settings(layout)
    await migrate_configuration(layout, settings)
    kept = _Kept(
        open_configuration(layout, settings),
        open_audit_sink(layout.audit_log, settings.admin_api),
        settings.accounts,
        SECURITY_SERVER,
        SECURITY_PROGRAM,
    )
    await _with(kept, act)


async def _with(kept: _Kept, act: Act) -> None:
    clock = SystemClock()
    try:
        async with kept.database as database:
            accounts = Accounts(AccountStore(database), kept.roles, kept.settings, clock)
            await act(accounts, ToldAct(audit_log_of(kept.sink, kept.program, clock)))
    finally:
        kept.sink.close()


async def make_first_user(accounts: Accounts, roles: RoleTable, path: Path | None) -> None:
    """Make the user that a private file names as NAME:PASSWORD, where there is none yet.

    It has every role that a person may have. Raises OSError, FileError, and what `add_user` does.
    """
    if path is None or await accounts.users():
        return
    name, _, password = read_private(path, _FIRST_USER_LIMIT).decode().strip().partition(":")
    theirs = [role for role in roles if role is not Role.MANAGEMENT_SERVICE]
    # Of nodes that start at once, one is the first.
    with contextlib.suppress(UserExists):
        await accounts.add_user(name, password, theirs)


async def warn_of_nobody(accounts: Accounts, settings: AccountSettings, command: str) -> None:
    """Say in the log that nobody can log in, while that is so, and what makes an account."""
    if settings.users is UserSource.LOCAL and not await accounts.users():
        _LOG.warning(
            "nobody can log in, for there are no accounts: `sild %s user add` makes one", command
        )


def _os_user() -> str:
    """Who is logged in on this machine."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return SYSTEM_USER
