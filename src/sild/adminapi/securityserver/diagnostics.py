"""Diagnostics: how everything stands, tests of connections, and the report for support."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from sild.adminapi.bodies import Plain
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.diagnostics_bodies import (
    AddOnStatus,
    BackupEncryptionStatus,
    CaOcspDiagnostics,
    ConnectionStatus,
    GlobalConfConnectionStatus,
    GlobalConfDiagnostics,
    MessageLogEncryptionStatus,
    OperationalDataInterval,
    ProxyMemoryUsageStatus,
    TimestampingServiceDiagnostics,
)
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_client_ids import (
    client_from_encoded,
    server_from_encoded,
    service_from_encoded,
)
from sild.components.diagnostics.values import (
    ProtocolKind,
    ProviderQuestion,
    ServerSide,
    TrafficQuery,
)
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest

OPERATIONS = Operations("diagnostics")

_ALSO = (400, 404, 406)
_JSON = "application/json"
_INT32 = 2**31 - 1

IdText = Annotated[str, Query(), Plain]


class InvalidTrafficQuery(BadRequest):
    """Traffic cannot be asked for like this."""


@OPERATIONS.get(
    "/diagnostics/globalconf",
    "getGlobalConfDiagnostics",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_global_conf_diagnostics(server: Served) -> GlobalConfDiagnostics:
    """Say how the global configuration stands."""
    return GlobalConfDiagnostics.of(await server.diagnostics.global_conf())


@OPERATIONS.get(
    "/diagnostics/ocsp-responders",
    "getOcspRespondersDiagnostics",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_ocsp_responders_diagnostics(server: Served) -> list[CaOcspDiagnostics]:
    """Say how the OCSP responders of each CA stand."""
    return [CaOcspDiagnostics.of(each) for each in await server.diagnostics.responders()]


@OPERATIONS.get(
    "/diagnostics/timestamping-services",
    "getTimestampingServicesDiagnostics",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_timestamping_services_diagnostics(
    server: Served,
) -> list[TimestampingServiceDiagnostics]:
    """Say how the time-stamping services of this server stand."""
    found = await server.diagnostics.timestamping()
    return [TimestampingServiceDiagnostics.of(each) for each in found]


@OPERATIONS.get(
    "/diagnostics/addon-status",
    "getAddOnDiagnostics",
    permission=(Permission.DIAGNOSTICS, Permission.VIEW_TSPS),
    also=_ALSO,
)
async def get_add_on_diagnostics(server: Served) -> AddOnStatus:
    """Say which parts of the server are there."""
    return AddOnStatus.of(server.diagnostics.add_ons())


@OPERATIONS.get(
    "/diagnostics/backup-encryption-status",
    "getBackupEncryptionDiagnostics",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_backup_encryption_diagnostics(server: Served) -> BackupEncryptionStatus:
    """Say whether backups are encrypted."""
    return BackupEncryptionStatus.of(server.diagnostics.backup_encryption())


@OPERATIONS.get(
    "/diagnostics/message-log-encryption-status",
    "getMessageLogEncryptionDiagnostics",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_message_log_encryption_diagnostics(server: Served) -> MessageLogEncryptionStatus:
    """Say what of the message log is encrypted."""
    return MessageLogEncryptionStatus.of(await server.diagnostics.log_encryption())


@OPERATIONS.get(
    "/diagnostics/proxy-memory-usage-status",
    "getProxyMemoryUsage",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_proxy_memory_usage(server: Served) -> ProxyMemoryUsageStatus:
    """Say what the processes on the message path use."""
    return ProxyMemoryUsageStatus.of(await server.diagnostics.memory())


@OPERATIONS.get(
    "/diagnostics/info/download",
    "downloadDiagnosticsReport",
    permission=Permission.DOWNLOAD_DIAGNOSTICS_REPORT,
    also=_ALSO,
    gives=_JSON,
)
async def download_diagnostics_report(server: Served) -> Response:
    """Give all of this as a file for a support case."""
    content = await server.diagnostics.report()
    name = f"diagnostic-report-{server.clock.now():%Y%m%d%H%M%S}.json"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=_JSON, headers=headers)


@OPERATIONS.get(
    "/diagnostics/auth-cert-req-status",
    "getAuthCertReqStatus",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_auth_cert_req_status(server: Served) -> ConnectionStatus:
    """Test whether an authentication certificate could be registered."""
    return ConnectionStatus.of(await server.connections.registration())


@OPERATIONS.get(
    "/diagnostics/global-conf-status",
    "getGlobalConfStatus",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_global_conf_status(server: Served) -> list[GlobalConfConnectionStatus]:
    """Test every source of the global configuration."""
    return [GlobalConfConnectionStatus.of(each) for each in await server.connections.global_conf()]


@OPERATIONS.get(
    "/diagnostics/other-security-server-status",
    "getOtherSecurityServerStatus",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_other_security_server_status(
    protocol_type: Annotated[ProtocolKind, Query()],
    client_id: IdText,
    target_client_id: IdText,
    security_server_id: IdText,
    server: Served,
) -> ConnectionStatus:
    """Test whether a client can ask a provider at a security server for its methods."""
    question = ProviderQuestion(
        protocol_type,
        client_from_encoded(client_id),
        client_from_encoded(target_client_id),
        server_from_encoded(security_server_id),
    )
    return ConnectionStatus.of(await server.connections.provider(question))


def traffic_query_of(
    records_from: Annotated[datetime, Query()],
    records_to: Annotated[datetime, Query()],
    interval: Annotated[int, Query(ge=-_INT32 - 1, le=_INT32)],
    security_server_type: Annotated[str | None, Query(), Plain] = None,
    member_id: Annotated[str | None, Query(), Plain] = None,
    service_id: Annotated[str | None, Query(), Plain] = None,
) -> TrafficQuery:
    """Read which traffic is asked for; raises InvalidTrafficQuery, InvalidEncodedId."""
    since, until = _as_utc(records_from), _as_utc(records_to)
    if interval < 1:
        raise InvalidTrafficQuery("an interval has at least one minute", "interval")
    if until < since:
        raise InvalidTrafficQuery("the end is before the beginning", "records_to")
    service = None if service_id is None else service_from_encoded(service_id)
    return TrafficQuery(
        since,
        until,
        interval,
        None if security_server_type is None else _side_of(security_server_type),
        None if member_id is None else client_from_encoded(member_id),
        None if service is None else (service.provider, service.full_code),
    )


@OPERATIONS.get(
    "/diagnostics/operational-monitoring",
    "getOperationalDataIntervals",
    permission=Permission.DIAGNOSTICS,
    also=_ALSO,
)
async def get_operational_data_intervals(
    query: Annotated[TrafficQuery, Depends(traffic_query_of)], server: Served
) -> list[OperationalDataInterval]:
    """Say how many messages there were; nothing where operational monitoring is not there."""
    return [OperationalDataInterval.of(each) for each in await server.diagnostics.traffic(query)]


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _side_of(text: str) -> ServerSide:
    for side in ServerSide:
        if side.value.upper() == text.upper():
            return side
    raise InvalidTrafficQuery(f"{text!r} is no side of a message", "security_server_type")
