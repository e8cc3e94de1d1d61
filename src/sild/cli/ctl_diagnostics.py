"""`sild ctl`: what works and what does not."""

from typing import Any

from sild.cli.ctl_operations import Operation, query, whole

_TIMES = ("prev_update_at", "next_update_at")
_HEALTH = ("url", "status_class", "error.code")


def _responders(found: Any) -> Any:
    return [
        {**each, "authority": ca["distinguished_name"]}
        for ca in found
        for each in ca["ocsp_responders"]
    ]


OPERATIONS = (
    Operation(
        "diagnostics configuration",
        "GET /diagnostics/globalconf",
        "say how old the global configuration is",
    ),
    Operation(
        "diagnostics ocsp",
        "GET /diagnostics/ocsp-responders",
        "say which OCSP responders answer",
        columns=("authority", *_HEALTH, *_TIMES, "error.metadata"),
        rows=_responders,
    ),
    Operation(
        "diagnostics timestamping",
        "GET /diagnostics/timestamping-services",
        "say which time-stamping services answer",
        columns=(*_HEALTH, "prev_update_at", "error.metadata"),
    ),
    Operation("diagnostics addons", "GET /diagnostics/addon-status", "say what is switched on"),
    Operation(
        "diagnostics backup-encryption",
        "GET /diagnostics/backup-encryption-status",
        "say whether backups are encrypted, and for whom",
    ),
    Operation(
        "diagnostics message-log-encryption",
        "GET /diagnostics/message-log-encryption-status",
        "say whether the message log is encrypted, and for whom",
    ),
    Operation(
        "diagnostics memory",
        "GET /diagnostics/proxy-memory-usage-status",
        "say how much memory is used",
    ),
    Operation(
        "diagnostics registration",
        "GET /diagnostics/auth-cert-req-status",
        "try to reach the registration service",
    ),
    Operation(
        "diagnostics downloads",
        "GET /diagnostics/global-conf-status",
        "try to download the global configuration from everywhere",
        columns=(
            "download_url",
            "connection_status.status_class",
            "connection_status.error.code",
            "connection_status.error.metadata",
        ),
    ),
    Operation(
        "diagnostics connection",
        "GET /diagnostics/other-security-server-status",
        "try to call another security server",
        (
            query("protocol_type", "of these", choices=("REST", "SOAP")),
            query("client_id", "who calls, a client of this server"),
            query("target_client_id", "who is called"),
            query("security_server_id", "on which server"),
        ),
    ),
    Operation(
        "diagnostics traffic",
        "GET /diagnostics/operational-monitoring",
        "count the messages of a time",
        (
            query("records_from", "since when, such as 2026-01-31T00:00:00Z"),
            query("records_to", "until when"),
            query("interval", "minutes to count together", kind=whole),
            query("--security-server-type", "of these", choices=("CLIENT", "PRODUCER")),
            query("--member-id", "with this member or subsystem"),
            query("--service-id", "of this service"),
        ),
        ("interval_start_time", "success_count", "failure_count"),
    ),
    Operation(
        "diagnostics report",
        "GET /diagnostics/info/download",
        "download a report for whoever helps you",
        saves="diagnostics.json",
    ),
)
