"""What diagnostics answer, as the published contract lays it out."""

from typing import Annotated, Self

from pydantic import Field

from sild.adminapi.bodies import Body, CodeWithDetails, Instant, ShortText
from sild.components.diagnostics import values
from sild.protocol.globalconf.shared_parameters import CostType

_LONGEST = 255


def _code_of(trouble: values.Trouble | None) -> CodeWithDetails | None:
    if trouble is None:
        return None
    also = {name: list(details) for name, details in trouble.also.items()}
    return CodeWithDetails(
        code=trouble.code,
        metadata=list(trouble.details) or None,
        validation_errors=also or None,
    )


def _cost_of(cost: CostType | None) -> CostType:
    return cost or CostType.UNDEFINED


class GlobalConfDiagnostics(Body):
    """How the global configuration stands."""

    status_class: values.Standing
    prev_update_at: Instant
    next_update_at: Instant
    last_successful_url: ShortText | None = None
    error: CodeWithDetails | None = None

    @classmethod
    def of(cls, state: values.GlobalConfState) -> Self:
        """Lay out a state."""
        return cls(
            status_class=state.standing,
            prev_update_at=state.updated,
            next_update_at=state.next_update,
            last_successful_url=state.location,
            error=_code_of(state.trouble),
        )


class OcspResponderDiagnostics(Body):
    """How an OCSP responder stands."""

    url: ShortText
    cost_type: CostType
    status_class: values.Standing
    prev_update_at: Instant | None = None
    next_update_at: Instant
    error: CodeWithDetails | None = None

    @classmethod
    def of(cls, state: values.ResponderState) -> Self:
        """Lay out a state."""
        return cls(
            url=state.url,
            cost_type=_cost_of(state.cost),
            status_class=state.standing,
            prev_update_at=state.asked,
            next_update_at=state.next_update,
            error=_code_of(state.trouble),
        )


class CaOcspDiagnostics(Body):
    """The OCSP responders of a CA."""

    distinguished_name: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    ocsp_responders: list[OcspResponderDiagnostics]

    @classmethod
    def of(cls, state: values.CaState) -> Self:
        """Lay out a state."""
        return cls(
            distinguished_name=state.distinguished_name[:_LONGEST],
            ocsp_responders=[OcspResponderDiagnostics.of(each) for each in state.responders],
        )


class TimestampingServiceDiagnostics(Body):
    """How a time-stamping service stands."""

    url: ShortText
    cost_type: CostType
    status_class: values.Standing
    prev_update_at: Instant
    error: CodeWithDetails | None = None

    @classmethod
    def of(cls, state: values.TimestampingState) -> Self:
        """Lay out a state."""
        return cls(
            url=state.url,
            cost_type=_cost_of(state.cost),
            status_class=state.standing,
            prev_update_at=state.asked,
            error=_code_of(state.trouble),
        )


class AddOnStatus(Body):
    """Which parts of the server are there."""

    messagelog_enabled: bool
    opmonitoring_enabled: bool

    @classmethod
    def of(cls, parts: values.AddOns) -> Self:
        """Lay out which parts are there."""
        return cls(
            messagelog_enabled=parts.message_log,
            opmonitoring_enabled=parts.operational_monitoring,
        )


class BackupEncryptionStatus(Body):
    """Whether backups are encrypted, and to which keys."""

    backup_encryption_status: bool
    backup_encryption_keys: list[str]

    @classmethod
    def of(cls, encryption: values.BackupEncryption) -> Self:
        """Lay out what is known."""
        return cls(
            backup_encryption_status=encryption.enabled,
            backup_encryption_keys=list(encryption.keys),
        )


class MessageLogArchiveEncryptionMember(Body):
    """To which keys the archives of a member are encrypted."""

    member_id: str
    keys: list[str]
    default_key_used: bool

    @classmethod
    def of(cls, member: values.MemberKeys) -> Self:
        """Lay out a member's keys."""
        return cls(
            member_id=member.member.short,
            keys=list(member.keys),
            default_key_used=member.is_default,
        )


class MessageLogEncryptionStatus(Body):
    """What of the message log is encrypted."""

    message_log_archive_encryption_status: bool
    message_log_database_encryption_status: bool
    message_log_grouping_rule: str
    members: list[MessageLogArchiveEncryptionMember]

    @classmethod
    def of(cls, encryption: values.LogEncryption) -> Self:
        """Lay out what is known."""
        return cls(
            message_log_archive_encryption_status=encryption.archives,
            message_log_database_encryption_status=encryption.database,
            message_log_grouping_rule=encryption.grouping,
            members=[MessageLogArchiveEncryptionMember.of(each) for each in encryption.members],
        )


class ProxyMemoryUsageStatus(Body):
    """What the processes on the message path use, in bytes."""

    max_memory: float
    total_memory: float
    used_memory: float
    threshold: float | None = None
    usage_percent: float
    is_used_over_threshold: bool

    @classmethod
    def of(cls, use: values.MemoryUse) -> Self:
        """Lay out what is used."""
        memory = use.memory
        return cls(
            max_memory=memory.limit,
            total_memory=memory.peak,
            used_memory=memory.used,
            threshold=use.threshold,
            usage_percent=use.percent,
            is_used_over_threshold=use.is_over,
        )


class ConnectionStatus(Body):
    """What the test of a connection found."""

    status_class: values.Standing
    error: CodeWithDetails | None = None

    @classmethod
    def of(cls, finding: values.Finding) -> Self:
        """Lay out a finding."""
        return cls(status_class=finding.standing, error=_code_of(finding.trouble))


class GlobalConfConnectionStatus(Body):
    """What the test of one source of the global configuration found."""

    download_url: ShortText
    connection_status: ConnectionStatus

    @classmethod
    def of(cls, found: values.DownloadFinding) -> Self:
        """Lay out a finding."""
        return cls(
            download_url=found.url[:_LONGEST], connection_status=ConnectionStatus.of(found.finding)
        )


class OperationalDataInterval(Body):
    """How many messages there were from a moment on."""

    interval_start_time: Instant
    success_count: int
    failure_count: int

    @classmethod
    def of(cls, interval: values.TrafficInterval) -> Self:
        """Lay out an interval."""
        return cls(
            interval_start_time=interval.start,
            success_count=interval.succeeded,
            failure_count=interval.failed,
        )
