"""Audit records to the lines that log daemons and their readers know."""

from sild.model.audit import AuditRecord
from sild.runtime.auditlog import AuditSink
from sild.runtime.clock import Clock


class AuditLog:
    """Writes each record as a line: when, where, which request, and the JSON of SPEC-AL."""

    def __init__(self, sink: AuditSink, host: str, program: str, clock: Clock) -> None:
        self._sink = sink
        self._host = host
        self._program = program
        self._clock = clock

    def record(self, record: AuditRecord) -> None:
        """Keep a record."""
        now = self._clock.now()
        seconds, exact = (now.isoformat(timespec=kind) for kind in ("seconds", "milliseconds"))
        head = f"{seconds} {self._host} correlation-id: [{record.correlation_id}] INFO "
        self._sink.write(f"{head} [{self._program}] {exact} - {record.to_json()}")
