"""The audit log of a Central Server: a file of its own and, where wanted, the log daemon."""

import socket

from sild.adminapi.auditing import AuditLog
from sild.runtime.auditlog import AuditFile, AuditSink, AuditSinks, AuditSyslog
from sild.runtime.clock import Clock
from sild.servers.central_layout import CentralLayout
from sild.servers.central_settings import CentralServerSettings


def open_audit_sink(layout: CentralLayout, settings: CentralServerSettings) -> AuditSink:
    """Where the lines go; raises OSError."""
    api = settings.admin_api
    sinks: list[AuditSink] = [AuditFile(api.audit_log or layout.audit_log)]
    if api.audit_syslog:
        sinks.append(AuditSyslog(*api.syslog_address()))
    return AuditSinks(*sinks)


def audit_log_of(sink: AuditSink, clock: Clock) -> AuditLog:
    """The lines as every part of this server writes them."""
    return AuditLog(sink, socket.gethostname(), "Sild Central Server", clock)
