"""The audit log of a server: a file of its own and, where wanted, the log daemon.

What the server does by itself is told, too, as done by the user `system`.
"""

import socket
from pathlib import Path

from sild.adminapi.auditing import AuditLog
from sild.adminapi.settings import AdminApiSettings
from sild.components.backup.backups import Backups
from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.refusals import Refusal
from sild.runtime.auditlog import AuditFile, AuditSink, AuditSinks, AuditSyslog
from sild.runtime.clock import Clock


def open_audit_sink(file: Path, api: AdminApiSettings) -> AuditSink:
    """Where the lines go; raises OSError."""
    sinks: list[AuditSink] = [AuditFile(api.audit_log or file)]
    if api.audit_syslog:
        sinks.append(AuditSyslog(*api.syslog_address()))
    return AuditSinks(*sinks)


def audit_log_of(sink: AuditSink, program: str, clock: Clock) -> AuditLog:
    """The lines as every part of a server writes them, which is called so in them."""
    return AuditLog(sink, socket.gethostname(), program, clock)


async def make_automatic_backup(backups: Backups, audit: Audit) -> None:
    """Make a backup and tell of it, or of why there is none; raises what making it does."""
    try:
        made = await backups.create_automatic()
    except Refusal as error:
        audit.record(AuditRecord(AuditEvent.BACKUP, reason=error.message))
        raise
    if made is not None:
        audit.record(AuditRecord(AuditEvent.BACKUP, {"backupFileName": made.name}))


async def delete_old_backups(backups: Backups, audit: Audit) -> None:
    """Delete automatic backups that were kept long enough, and tell of each.

    One that cannot be deleted does not keep the others; raises what deleting the last such did.
    """
    failed: Refusal | None = None
    for backup in await backups.old():
        named = {"backupFileName": backup.name}
        try:
            await backups.delete(backup.name)
        except Refusal as error:
            failed = error
            audit.record(AuditRecord(AuditEvent.DELETE_BACKUP, named, reason=error.message))
        else:
            audit.record(AuditRecord(AuditEvent.DELETE_BACKUP, named))
    if failed is not None:
        raise failed
