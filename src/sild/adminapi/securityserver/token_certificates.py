"""Certificates of keys: imported, activated, registered and deleted."""

from typing import Annotated

from fastapi import Path

from sild.adminapi.asked import Act, Asked
from sild.adminapi.bodies import Octets
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import told_certificate, told_client
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.system_bodies import SecurityServerAddress
from sild.adminapi.securityserver.token_bodies import TokenCertificate
from sild.adminapi.securityserver.token_views import (
    TokenViews,
    told_held_certificate,
    told_key,
)
from sild.components.signer.acts import HeldCertificate
from sild.components.signer.errors import InvalidCertificate
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest
from sild.model.tokens import (
    CertificateEntry,
    CertificateEvent,
    KeyUsage,
    PossibleAction,
    certificate_after,
)
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate, read_certificate

OPERATIONS = Operations("token-certificates")

_LONGEST_HASH = 64
_VIEWS = (Permission.VIEW_AUTH_CERT, Permission.VIEW_SIGN_CERT, Permission.VIEW_UNKNOWN_CERT)
_IMPORTS = (Permission.IMPORT_AUTH_CERT, Permission.IMPORT_SIGN_CERT)
_ACTIVATES = (Permission.ACTIVATE_DISABLE_AUTH_CERT, Permission.ACTIVATE_DISABLE_SIGN_CERT)
_DELETES = {
    KeyUsage.AUTHENTICATION: Permission.DELETE_AUTH_CERT,
    KeyUsage.SIGNING: Permission.DELETE_SIGN_CERT,
    None: Permission.DELETE_UNKNOWN_CERT,
}

HashPath = Annotated[
    str,
    Path(alias="hash", min_length=1, max_length=_LONGEST_HASH, pattern="^[a-fA-F0-9]+"),
]


class NotForAuthentication(BadRequest):
    """Only authentication certificates are registered with the Central Server."""

    code = "sign_cert_not_supported"


@OPERATIONS.post(
    "/token-certificates",
    "importCertificate",
    permission=_IMPORTS,
    event=AuditEvent.IMPORT_CERT_FILE,
    status=201,
    also=(400, 404, 406, 409),
)
async def import_certificate(body: Octets, asked: Asked, server: Served) -> TokenCertificate:
    """Keep a certificate with the key that it belongs to."""
    certificate = _read(body)
    asked.tell(**told_certificate(certificate))
    asked.require(_permission_to_import(certificate))
    return await _imported(server, asked, await server.certificates.import_certificate(body))


@OPERATIONS.get(
    "/token-certificates/{hash}", "getCertificate", permission=_VIEWS, also=(400, 404, 406)
)
async def get_certificate(sha256: HashPath, asked: Asked, server: Served) -> TokenCertificate:
    """Show a certificate."""
    held = await server.certificates.get(sha256)
    certificate = read_certificate(held.entry.certificate)
    auth, sign, unknown = _VIEWS
    if certificate.is_authentication:
        asked.require(auth)
    else:
        asked.require(sign if certificate.is_signing else unknown)
    return TokenViews(server).certificate(held.token, held.key, held.entry)


@OPERATIONS.delete(
    "/token-certificates/{hash}",
    "deleteCertificate",
    permission=tuple(_DELETES.values()),
    event=AuditEvent.DELETE_CERT,
    status=204,
    also=(400, 404, 409),
)
async def delete_certificate(sha256: HashPath, asked: Asked, server: Served) -> None:
    """Forget a certificate, or remove one from its token that was only found there."""
    held = await server.certificates.get(sha256)
    asked.becomes(
        AuditEvent.DELETE_CERT_FROM_CONFIG
        if held.entry.saved
        else AuditEvent.DELETE_CERT_FROM_TOKEN
    )
    _tell(asked, held)
    server.certificates.check_possible(PossibleAction.DELETE, held.token, held.entry)
    asked.require(_DELETES[held.key.usage])
    await server.certificates.delete_certificate(held)


@OPERATIONS.put(
    "/token-certificates/{hash}/activate",
    "activateCertificate",
    permission=_ACTIVATES,
    event=AuditEvent.ACTIVATE_CERT,
    status=204,
    also=(400, 404, 406, 409),
)
async def activate_certificate(sha256: HashPath, asked: Asked, server: Served) -> None:
    """Let a certificate be used, if OCSP says that it is good."""
    held = await _to_switch(server, asked, sha256, PossibleAction.ACTIVATE)
    await server.certificates.activate(held.entry.sha256)


@OPERATIONS.put(
    "/token-certificates/{hash}/disable",
    "disableCertificate",
    permission=_ACTIVATES,
    event=AuditEvent.DISABLE_CERT,
    status=204,
    also=(400, 404, 406, 409),
)
async def disable_certificate(sha256: HashPath, asked: Asked, server: Served) -> None:
    """Let a certificate be used no more."""
    held = await _to_switch(server, asked, sha256, PossibleAction.DISABLE)
    await server.certificates.disable(held.entry.sha256)


@OPERATIONS.post(
    "/token-certificates/{hash}/import",
    "importCertificateFromToken",
    permission=(*_IMPORTS, Permission.IMPORT_UNKNOWN_CERT),
    event=AuditEvent.IMPORT_CERT_TOKEN,
    status=201,
    also=(400, 404, 406, 409),
)
async def import_certificate_from_token(
    sha256: HashPath, asked: Asked, server: Served
) -> TokenCertificate:
    """Use a signing certificate that was found on its token."""
    held = await server.certificates.get(sha256)
    _tell(asked, held)
    server.certificates.check_possible(PossibleAction.IMPORT_FROM_TOKEN, held.token, held.entry)
    asked.require(_permission_to_import(read_certificate(held.entry.certificate)))
    return await _imported(server, asked, await server.certificates.import_from_token(sha256))


@OPERATIONS.get(
    "/token-certificates/{hash}/possible-actions",
    "getPossibleActionsForCertificate",
    permission=(Permission.VIEW_KEYS, *_VIEWS),
    also=(400, 404, 406),
)
async def get_possible_actions_for_certificate(
    sha256: HashPath, server: Served
) -> list[PossibleAction]:
    """Say what can be done with a certificate now."""
    held = await server.certificates.get(sha256)
    return TokenViews(server).actions(held.token, held.entry)


@OPERATIONS.put(
    "/token-certificates/{hash}/register",
    "registerCertificate",
    permission=Permission.SEND_AUTH_CERT_REG_REQ,
    event=AuditEvent.REGISTER_AUTH_CERT,
    status=204,
    also=(400, 404, 406, 409),
)
async def register_certificate(
    sha256: HashPath, body: SecurityServerAddress, asked: Asked, server: Served
) -> None:
    """Ask that an authentication certificate be registered, and the server at this address."""
    held = await _of_server(server, asked, sha256, PossibleAction.REGISTER)
    asked.tell(address=body.address)
    number = await server.registration.register_certificate(held.entry.sha256, body.address)
    asked.tell(managementRequestId=number, certStatus=_after(held, CertificateEvent.REGISTER))


@OPERATIONS.put(
    "/token-certificates/{hash}/unregister",
    "unregisterAuthCertificate",
    permission=Permission.SEND_AUTH_CERT_DEL_REQ,
    event=AuditEvent.UNREGISTER_AUTH_CERT,
    status=204,
    also=(400, 404, 406, 409),
)
async def unregister_auth_certificate(sha256: HashPath, asked: Asked, server: Served) -> None:
    """Ask that an authentication certificate be removed from the server's."""
    held = await _of_server(server, asked, sha256, PossibleAction.UNREGISTER)
    number = await server.registration.unregister_certificate(held.entry.sha256)
    asked.tell(managementRequestId=number, certStatus=_after(held, CertificateEvent.UNREGISTER))


@OPERATIONS.put(
    "/token-certificates/{hash}/mark-for-deletion",
    "markAuthCertForDeletion",
    permission=Permission.SEND_AUTH_CERT_DEL_REQ,
    event=AuditEvent.SKIP_UNREGISTER_AUTH_CERT,
    status=204,
    also=(400, 404, 406, 409),
)
async def mark_auth_cert_for_deletion(sha256: HashPath, asked: Asked, server: Served) -> None:
    """Note that an authentication certificate goes though nobody could be asked."""
    held = await _of_server(server, asked, sha256, PossibleAction.UNREGISTER)
    await server.registration.mark_certificate_deleted(held.entry.sha256)
    asked.tell(certStatus=_after(held, CertificateEvent.UNREGISTER))


async def _imported(
    server: SecurityServer, asked: Act, entry: CertificateEntry
) -> TokenCertificate:
    usage = KeyUsage.AUTHENTICATION if entry.member is None else KeyUsage.SIGNING
    asked.tell(keyUsage=usage.value)
    if entry.member is not None:
        asked.tell(clientIdentifier=told_client(entry.member))
    held = await server.certificates.get(entry.sha256)
    return TokenViews(server).certificate(held.token, held.key, held.entry)


async def _to_switch(
    server: SecurityServer, asked: Act, sha256: str, action: PossibleAction
) -> HeldCertificate:
    """Find a certificate that the caller may activate and disable, and that this can be done to."""
    held = await server.certificates.get(sha256)
    certificate = read_certificate(held.entry.certificate)
    auth, sign = _ACTIVATES
    if not (certificate.is_authentication or certificate.is_signing):
        raise InvalidCertificate(f"{certificate.name} neither authenticates nor signs")
    asked.require(auth if certificate.is_authentication else sign)
    _tell(asked, held)
    server.certificates.check_possible(action, held.token, held.entry)
    return held


async def _of_server(
    server: SecurityServer, asked: Act, sha256: str, action: PossibleAction
) -> HeldCertificate:
    """Find an authentication certificate that this can be done to."""
    held = await server.certificates.get(sha256)
    _tell(asked, held)
    if not read_certificate(held.entry.certificate).is_authentication:
        raise NotForAuthentication("not an auth cert", "not an auth cert")
    server.certificates.check_possible(action, held.token, held.entry)
    return held


def _tell(asked: Act, held: HeldCertificate) -> None:
    asked.tell(**told_key(held), **told_held_certificate(held.entry))


def _after(held: HeldCertificate, event: CertificateEvent) -> str:
    return certificate_after(held.entry.status, event).value


def _permission_to_import(certificate: Certificate) -> Permission:
    auth, sign = _IMPORTS
    return auth if certificate.is_authentication else sign


def _read(data: bytes) -> Certificate:
    try:
        return read_certificate(data)
    except IncorrectCertificate as error:
        raise InvalidCertificate(error.message) from error
