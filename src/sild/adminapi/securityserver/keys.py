"""Keys: shown, named and deleted; requests for their certificates are made, shown and deleted."""

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Plain
from sild.adminapi.operations import Operations
from sild.adminapi.problems import Deviation, WarningsDetected
from sild.adminapi.securityserver.csr_orders import (
    ASK,
    check_csr_permission,
    order_of,
    told_order,
)
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.token_bodies import CsrGenerate, Key, KeyName, KeyUsageType
from sild.adminapi.securityserver.token_views import TokenViews, told_key
from sild.components.signer.certificates import CertificateRequest
from sild.components.signer.errors import WrongKeyUsage
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.tokens import CertificateStatus, KeyUsage, PossibleAction, RequestEntry
from sild.protocol.globalconf.shared_parameters import CsrFormat
from sild.protocol.ids import file_name_part

OPERATIONS = Operations("keys")

_BINARY = "application/octet-stream"
_LONGEST_CSR_ID = 40
_ASKED = tuple(ASK.values())
_DELETES = {
    None: Permission.DELETE_KEY,
    KeyUsage.AUTHENTICATION: Permission.DELETE_AUTH_KEY,
    KeyUsage.SIGNING: Permission.DELETE_SIGN_KEY,
}
_DELETES_REQUESTS = {
    KeyUsage.AUTHENTICATION: Permission.DELETE_AUTH_CERT,
    KeyUsage.SIGNING: Permission.DELETE_SIGN_CERT,
}
_KNOWN_CENTRALLY = frozenset(
    {CertificateStatus.REGISTERED, CertificateStatus.REGISTRATION_IN_PROGRESS}
)
_CSR_ACTIONS = {
    KeyUsageType.AUTHENTICATION: PossibleAction.GENERATE_AUTH_CSR,
    KeyUsageType.SIGNING: PossibleAction.GENERATE_SIGN_CSR,
}

KeyPath = Annotated[str, Path(alias="id", min_length=1), Plain]
CsrPath = Annotated[str, Path(alias="csr_id", min_length=1, max_length=_LONGEST_CSR_ID), Plain]
Format = Annotated[CsrFormat, Query(alias="csr_format")]
IgnoreWarnings = Annotated[bool, Query()]


@OPERATIONS.get("/keys/{id}", "getKey", permission=Permission.VIEW_KEYS, also=(400, 404, 406))
async def get_key(key_id: KeyPath, server: Served) -> Key:
    """Show a key."""
    return await _shown(server, key_id)


@OPERATIONS.patch(
    "/keys/{id}",
    "updateKey",
    permission=Permission.EDIT_KEY_FRIENDLY_NAME,
    event=AuditEvent.UPDATE_KEY_NAME,
    also=(400, 404, 406, 409),
)
async def update_key(key_id: KeyPath, body: KeyName, asked: Asked, server: Served) -> Key:
    """Call a key otherwise."""
    held = await server.certificates.get_key(key_id)
    asked.tell(keyId=key_id, keyFriendlyName=body.name)
    server.certificates.check_possible(PossibleAction.EDIT_FRIENDLY_NAME, held.token, held.key)
    await server.tokens.rename_key(key_id, body.name)
    return await _shown(server, key_id)


@OPERATIONS.delete(
    "/keys/{id}",
    "deleteKey",
    permission=tuple(_DELETES.values()),
    event=AuditEvent.DELETE_KEY,
    status=204,
    also=(400, 404, 409),
)
async def delete_key(
    key_id: KeyPath, asked: Asked, server: Served, ignore_warnings: IgnoreWarnings = False
) -> None:
    """Delete a key for good; its authentication certificate is unregistered before."""
    held = await server.certificates.get_key(key_id)
    asked.tell(**told_key(held))
    asked.require(_DELETES[held.key.usage])
    server.certificates.check_possible(PossibleAction.DELETE, held.token, held.key)
    known = [
        entry
        for entry in held.key.certificates
        if held.key.usage is KeyUsage.AUTHENTICATION and entry.status in _KNOWN_CENTRALLY
    ]
    if known and not ignore_warnings:
        raise WarningsDetected(Deviation("auth_key_with_registered_cert_warning", (key_id,)))
    if known:
        asked.require(Permission.SEND_AUTH_CERT_DEL_REQ)
    for entry in known:
        await server.registration.unregister_certificate(entry.sha256)
    asked.becomes(AuditEvent.DELETE_KEY_FROM_TOKEN_AND_CONFIG)
    await server.certificates.delete_key(held)


@OPERATIONS.get(
    "/keys/{id}/possible-actions",
    "getPossibleActionsForKey",
    permission=Permission.VIEW_KEYS,
    also=(400, 404, 406),
)
async def get_possible_actions_for_key(key_id: KeyPath, server: Served) -> list[PossibleAction]:
    """Say what can be done with a key now."""
    held = await server.certificates.get_key(key_id)
    return TokenViews(server).actions(held.token, held.key)


@OPERATIONS.post(
    "/keys/{id}/csrs",
    "generateCsr",
    permission=_ASKED,
    event=AuditEvent.GENERATE_CSR,
    status=201,
    gives=_BINARY,
    also=(400, 404, 406, 409),
)
async def generate_csr(
    key_id: KeyPath, body: CsrGenerate, asked: Asked, server: Served
) -> Response:
    """Make a request for a certificate of a key."""
    check_csr_permission(asked, body)
    held = await server.certificates.get_key(key_id)
    asked.tell(**told_key(held))
    asked.tell(**told_order(body))
    order = order_of(body, server, key_id)
    if held.key.usage not in {None, order.usage}:
        raise WrongKeyUsage(f"key {held.key.label!r} is for something else")
    action = _CSR_ACTIONS[body.key_usage_type]
    server.certificates.check_possible(action, held.token, held.key)
    made = await server.tokens.generate_request(order)
    held = await server.certificates.get_key(key_id)
    request = held.get_request(made.id)
    asked.tell(subjectName=request.subject)
    return _file(server, request, made, body.csr_format, status=201)


@OPERATIONS.get(
    "/keys/{id}/csrs/{csr_id}",
    "downloadCsr",
    permission=_ASKED,
    gives=_BINARY,
    also=(400, 404, 406),
)
async def download_csr(
    key_id: KeyPath,
    csr_id: CsrPath,
    asked: Asked,
    server: Served,
    csr_format: Format = CsrFormat.PEM,
) -> Response:
    """Hand out a request once more."""
    held = await server.certificates.get_key(key_id)
    request = held.get_request(csr_id)
    usage = KeyUsageType((held.key.usage or KeyUsage.AUTHENTICATION).value)
    asked.require(ASK[usage])
    made = await server.tokens.get_request(csr_id)
    return _file(server, request, made, csr_format)


@OPERATIONS.delete(
    "/keys/{id}/csrs/{csr_id}",
    "deleteCsr",
    permission=tuple(_DELETES_REQUESTS.values()),
    event=AuditEvent.DELETE_CSR,
    status=204,
    also=(400, 404, 406, 409),
)
async def delete_csr(key_id: KeyPath, csr_id: CsrPath, asked: Asked, server: Served) -> None:
    """Forget a request."""
    asked.tell(csrId=csr_id)
    held = await server.certificates.get_key(key_id)
    asked.tell(**told_key(held))
    request = held.get_request(csr_id)
    asked.require(_DELETES_REQUESTS[held.key.usage or KeyUsage.AUTHENTICATION])
    server.certificates.check_possible(PossibleAction.DELETE, held.token, request)
    await server.tokens.delete_request(csr_id)


@OPERATIONS.get(
    "/keys/{id}/csrs/{csr_id}/possible-actions",
    "getPossibleActionsForCsr",
    permission=Permission.VIEW_KEYS,
    also=(400, 404, 406),
)
async def get_possible_actions_for_csr(
    key_id: KeyPath, csr_id: CsrPath, server: Served
) -> list[PossibleAction]:
    """Say what can be done with a request now."""
    held = await server.certificates.get_key(key_id)
    return TokenViews(server).actions(held.token, held.get_request(csr_id))


async def _shown(server: SecurityServer, key_id: str) -> Key:
    held = await server.certificates.get_key(key_id)
    return TokenViews(server).key(held.token, held.key)


def _file(
    server: SecurityServer,
    request: RequestEntry,
    made: CertificateRequest,
    csr_format: CsrFormat,
    *,
    status: int = 200,
) -> Response:
    """A request as a file, named after whom the certificate is for."""
    own = server.certificates.world.snapshot().server
    if request.member is None:
        kind, of, parts = "auth", "securityserver", own.parts
    else:
        kind, of, parts = "sign", "member", request.member.parts
    day = f"{server.clock.now():%Y%m%d}"
    name = f"{kind}_csr_{day}_{of}_{'_'.join(parts)}.{csr_format.value.lower()}"
    headers = {"content-disposition": f'attachment; filename="{file_name_part(name)}"'}
    content = made.pem if csr_format is CsrFormat.PEM else made.der
    return Response(content, status, headers, _BINARY)
