"""The security server itself: version, anchor, internal TLS, address and maintenance mode."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from sild.adminapi.asked import Act, Asked
from sild.adminapi.bodies import Octets
from sild.adminapi.certificates import CertificateDetails
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import told_certificate
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.system_bodies import (
    Anchor,
    DistinguishedName,
    MaintenanceMode,
    MaintenanceModeMessage,
    NodeType,
    NodeTypeResponse,
    SecurityServerAddress,
    SecurityServerAddressStatus,
    VersionInfo,
)
from sild.components.tlsidentity import errors as tls_errors
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest, Conflict
from sild.protocol.globalconf import anchor as globalconf

OPERATIONS = Operations("system")

_XML, _GZIP, _BINARY = "application/xml", "application/gzip", "application/octet-stream"
_CERTIFICATE = "cert"
_NO_JAVA = 0


class InvalidCertificate(BadRequest):
    """What was sent is no certificate."""

    code = "invalid_certificate"


class CertificateNotImported(BadRequest):
    """What was sent is no chain of the key's certificate."""

    code = "import_internal_cert_failed"


class CertificateExists(Conflict):
    """What was sent is in use already."""

    code = "certificate_already_exists"


@OPERATIONS.get(
    "/system/version", "systemVersion", permission=Permission.VIEW_VERSION, also=(400, 404, 406)
)
async def system_version(server: Served) -> VersionInfo:
    """Show which version runs."""
    return VersionInfo(
        info=server.version,
        java_version=_NO_JAVA,
        min_java_version=_NO_JAVA,
        max_java_version=_NO_JAVA,
        using_supported_java_version=True,
        java_vendor=platform.python_implementation(),
        java_runtime_version=platform.python_version(),
        global_configuration_version=server.standing.find_configuration_version(),
    )


@OPERATIONS.get("/system/node-type", "getNodeType", permission=Permission.VIEW_NODE_TYPE, also=())
async def get_node_type(server: Served) -> NodeTypeResponse:
    """Show what kind of node this is."""
    return NodeTypeResponse(node_type=NodeType(server.node_type))


@OPERATIONS.get(
    "/system/anchor", "getAnchor", permission=Permission.VIEW_ANCHOR, also=(400, 404, 406)
)
async def get_anchor(server: Served) -> Anchor:
    """Show the configuration anchor."""
    return Anchor.of(await server.anchor.get())


@OPERATIONS.get(
    "/system/anchor/download",
    "downloadAnchor",
    permission=Permission.DOWNLOAD_ANCHOR,
    gives=_XML,
    also=(400, 404, 406),
)
async def download_anchor(server: Served) -> Response:
    """Hand out the configuration anchor as it was uploaded."""
    anchor = await server.anchor.get()
    moment = f"{anchor.generated_at:%Y-%m-%d_%H_%M_%S}" if anchor.generated_at else ""
    return _file(f"configuration_anchor_UTC_{moment}.xml", anchor.document or b"", _XML)


@OPERATIONS.post(
    "/system/anchor/previews",
    "previewAnchor",
    permission=Permission.UPLOAD_ANCHOR,
    status=201,
    also=(400, 404, 406, 409),
)
async def preview_anchor(
    content: Octets, server: Served, validate_instance: Annotated[bool, Query()] = True
) -> Anchor:
    """Show what an anchor says, and keep nothing."""
    return Anchor.of(await server.anchor.preview(content, any_instance=not validate_instance))


@OPERATIONS.post(
    "/system/anchor",
    "uploadInitialAnchor",
    permission=Permission.INIT_CONFIG,
    event=AuditEvent.INIT_ANCHOR,
    status=201,
    also=(400, 404, 406, 409),
)
async def upload_initial_anchor(content: Octets, asked: Asked, server: Served) -> Response:
    """Keep the first anchor."""
    _tell_anchor(asked, await server.anchor.preview(content, any_instance=True))
    await server.anchor.import_first(content)
    return Response(status_code=201)


@OPERATIONS.put(
    "/system/anchor",
    "replaceAnchor",
    permission=Permission.UPLOAD_ANCHOR,
    event=AuditEvent.UPLOAD_ANCHOR,
    status=201,
    also=(400, 404, 406, 409),
)
async def replace_anchor(content: Octets, asked: Asked, server: Served) -> Response:
    """Keep another anchor of the same instance."""
    _tell_anchor(asked, await server.anchor.preview(content, any_instance=True))
    await server.anchor.replace(content)
    return Response(status_code=201)


@OPERATIONS.get(
    "/system/certificate",
    "getSystemCertificate",
    permission=Permission.VIEW_INTERNAL_TLS_CERT,
    also=(400, 404, 406),
)
async def get_system_certificate(server: Served) -> CertificateDetails:
    """Show the internal TLS certificate."""
    return CertificateDetails.of(await server.internal_tls.certificate())


@OPERATIONS.post(
    "/system/certificate",
    "generateSystemTlsKeyAndCertificate",
    permission=Permission.GENERATE_INTERNAL_TLS_KEY_CERT,
    event=AuditEvent.GENERATE_INTERNAL_TLS_KEY_CERT,
    status=204,
    also=(400, 404, 406),
)
async def generate_system_tls_key_and_certificate(asked: Asked, server: Served) -> None:
    """Make a new internal TLS key with a certificate that it signs itself."""
    asked.tell(**told_certificate(await server.internal_tls.generate()))


@OPERATIONS.get(
    "/system/certificate/export",
    "downloadSystemCertificate",
    permission=Permission.EXPORT_INTERNAL_TLS_CERT,
    gives=_GZIP,
    also=(400, 404, 406),
)
async def download_system_certificate(server: Served) -> Response:
    """Hand out the internal TLS certificate."""
    return _file("certs.tar.gz", await server.internal_tls.archive(_CERTIFICATE), _GZIP)


@OPERATIONS.post(
    "/system/certificate/csr",
    "generateSystemCertificateRequest",
    permission=Permission.GENERATE_INTERNAL_TLS_CSR,
    event=AuditEvent.GENERATE_INTERNAL_TLS_CSR,
    status=201,
    gives=_BINARY,
    also=(400, 404, 406),
)
async def generate_system_certificate_request(
    body: DistinguishedName, asked: Asked, server: Served
) -> Response:
    """Ask for a certificate of the internal TLS key."""
    name = body.name or ""
    asked.tell(subjectName=name)
    content = await server.internal_tls.request(name)
    day = f"{server.clock.now():%Y%m%d}"
    return _file(f"internal_tls_cert_request_{day}.p10", content, _BINARY, status=201)


@OPERATIONS.post(
    "/system/certificate/import",
    "importSystemCertificate",
    permission=Permission.IMPORT_INTERNAL_TLS_CERT,
    event=AuditEvent.IMPORT_INTERNAL_TLS_CERT,
    also=(400, 404, 406, 409),
)
async def import_system_certificate(
    content: Octets, asked: Asked, server: Served
) -> CertificateDetails:
    """Take a certificate of the internal TLS key."""
    with _import_refusals():
        taken = await server.internal_tls.take(content)
    asked.tell(**told_certificate(taken))
    return CertificateDetails.of(taken)


@OPERATIONS.get(
    "/system/server-address",
    "getServerAddress",
    permission=Permission.CHANGE_SS_ADDRESS,
    also=(400, 404, 406, 409),
)
async def get_server_address(server: Served) -> SecurityServerAddressStatus:
    """Show where the server is found, and where it is to be."""
    return SecurityServerAddressStatus.of(await server.standing.address())


@OPERATIONS.put(
    "/system/server-address",
    "addressChange",
    permission=Permission.CHANGE_SS_ADDRESS,
    event=AuditEvent.EDIT_SECURITY_SERVER_ADDRESS,
    status=202,
    also=(400, 404, 406, 409),
)
async def address_change(body: SecurityServerAddress, asked: Asked, server: Served) -> Response:
    """Ask the Central Server that this server be found elsewhere."""
    asked.tell(address=body.address)
    await server.standing.change_address(body.address)
    return Response(status_code=202)


@OPERATIONS.get(
    "/system/maintenance-mode",
    "maintenanceMode",
    permission=Permission.TOGGLE_MAINTENANCE_MODE,
    also=(400, 404, 406, 409),
)
async def maintenance_mode(server: Served) -> MaintenanceMode:
    """Show whether the server is in maintenance."""
    return MaintenanceMode.of(await server.standing.maintenance())


@OPERATIONS.put(
    "/system/maintenance-mode/enable",
    "enableMaintenanceMode",
    permission=Permission.TOGGLE_MAINTENANCE_MODE,
    event=AuditEvent.ENABLE_MAINTENANCE_MODE,
    status=204,
    also=(400, 404, 409),
)
async def enable_maintenance_mode(
    body: MaintenanceModeMessage, asked: Asked, server: Served
) -> None:
    """Ask the Central Server that nobody call this server."""
    asked.tell(message=body.message)
    asked.tell(managementRequestId=await server.standing.enable_maintenance(body.message))


@OPERATIONS.put(
    "/system/maintenance-mode/disable",
    "disableMaintenanceMode",
    permission=Permission.TOGGLE_MAINTENANCE_MODE,
    event=AuditEvent.DISABLE_MAINTENANCE_MODE,
    status=204,
    also=(400, 404, 409),
)
async def disable_maintenance_mode(asked: Asked, server: Served) -> None:
    """Ask the Central Server that this server be called again."""
    asked.tell(managementRequestId=await server.standing.disable_maintenance())


def _tell_anchor(asked: Act, anchor: globalconf.Anchor) -> None:
    asked.tell(
        anchorFileHash=anchor.display_hash,
        anchorFileHashAlgorithm="SHA-224",
        generatedAt=anchor.generated_at and anchor.generated_at.isoformat(timespec="seconds"),
    )


@contextmanager
def _import_refusals() -> Iterator[None]:
    """Say what is wrong with a certificate by the codes that clients of this API know."""
    try:
        yield
    except tls_errors.NotCertificates as error:
        raise InvalidCertificate(error.message) from error
    except tls_errors.ChainNotValid as error:
        raise CertificateNotImported(error.message) from error
    except tls_errors.CertificateInUse as error:
        raise CertificateExists(error.message) from error


def _file(name: str, content: bytes, media_type: str, status: int = 200) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, status, headers, media_type)
