"""A Central Server's accounts, for the command line beside the running server."""

import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sild.components.accounts.accounts import Accounts
from sild.components.accounts.store import AccountStore
from sild.model.audit import SYSTEM_USER, Audit, AuditEvent, AuditRecord
from sild.model.permissions import CENTRAL_SERVER
from sild.runtime.clock import SystemClock
from sild.servers.central_audit import audit_log_of, open_audit_sink
from sild.servers.central_database import migrate_central, open_central_database
from sild.servers.central_layout import CentralLayout
from sild.servers.central_settings import read_central_settings


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


async def with_accounts(home: Path, act: Act) -> None:
    """Do something to the accounts of the server in this directory, which may run or not."""
    layout = CentralLayout(home)
    settings = read_central_settings(layout)
    await migrate_central(layout, settings.center)
    clock = SystemClock()
    sink = open_audit_sink(layout, settings)
    try:
        async with open_central_database(layout, settings.center) as database:
            accounts = Accounts(AccountStore(database), CENTRAL_SERVER, settings.accounts, clock)
            await act(accounts, ToldAct(audit_log_of(sink, clock)))
    finally:
        sink.close()


def _os_user() -> str:
    """Who is logged in on this machine."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return SYSTEM_USER
