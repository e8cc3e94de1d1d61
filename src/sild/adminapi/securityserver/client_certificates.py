"""Certificates of clients: those of their information systems, and those that they sign by."""

from typing import Annotated

from fastapi import Body as RawBody
from fastapi import Path
from pydantic import Field

from sild.adminapi.asked import Asked
from sild.adminapi.certificates import CertificateDetails
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.client_bodies import ClientPath, told_certificate, told_client
from sild.adminapi.securityserver.server import Served
from sild.adminapi.securityserver.service_client_ids import client_from_encoded
from sild.adminapi.securityserver.token_bodies import TokenCertificate
from sild.adminapi.securityserver.token_views import TokenViews
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("clients")

_LONGEST_HASH = 64

File = Annotated[bytes, RawBody(media_type="application/octet-stream")]
AnyHash = Annotated[str, Field(min_length=1, max_length=_LONGEST_HASH), Path(alias="hash")]
Hash = Annotated[
    str, Field(min_length=1, max_length=_LONGEST_HASH, pattern="^[a-fA-F0-9]+"), Path(alias="hash")
]


@OPERATIONS.get(
    "/clients/{id}/sign-certificates",
    "getClientSignCertificates",
    permission=Permission.VIEW_CLIENT_DETAILS,
    also=(400, 404, 406, 409),
)
async def get_client_sign_certificates(
    client: ClientPath, server: Served
) -> list[TokenCertificate]:
    """List the certificates that a client's member signs by."""
    found = await server.clients.sign_certificates(client_from_encoded(client))
    views = TokenViews(server)
    return [views.certificate(token, key, entry) for token, key, entry in found]


@OPERATIONS.get(
    "/clients/{id}/tls-certificates",
    "getClientTlsCertificates",
    permission=Permission.VIEW_CLIENT_INTERNAL_CERTS,
    also=(400, 404, 406, 409),
)
async def get_client_tls_certificates(
    client: ClientPath, server: Served
) -> list[CertificateDetails]:
    """List the certificates of a client's information systems."""
    found = await server.clients.certificates(client_from_encoded(client))
    return [CertificateDetails.of(certificate) for certificate in found]


@OPERATIONS.post(
    "/clients/{id}/tls-certificates",
    "addClientTlsCertificate",
    permission=Permission.ADD_CLIENT_INTERNAL_CERT,
    event=AuditEvent.ADD_CLIENT_INTERNAL_CERT,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_client_tls_certificate(
    client: ClientPath, body: File, asked: Asked, server: Served
) -> CertificateDetails:
    """Trust the certificate of an information system."""
    owner = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(owner))
    added = await server.clients.add_certificate(owner, body)
    asked.tell(**told_certificate(added))
    return CertificateDetails.of(added)


@OPERATIONS.get(
    "/clients/{id}/tls-certificates/{hash}",
    "getClientTlsCertificate",
    permission=Permission.VIEW_CLIENT_INTERNAL_CERT_DETAILS,
    also=(400, 404, 406, 409),
)
async def get_client_tls_certificate(
    client: ClientPath, sha256: Hash, server: Served
) -> CertificateDetails:
    """Show a certificate of an information system."""
    owner = client_from_encoded(client)
    return CertificateDetails.of(await server.clients.get_certificate(owner, sha256))


@OPERATIONS.delete(
    "/clients/{id}/tls-certificates/{hash}",
    "deleteClientTlsCertificate",
    permission=Permission.DELETE_CLIENT_INTERNAL_CERT,
    event=AuditEvent.DELETE_CLIENT_INTERNAL_CERT,
    status=204,
    also=(400, 404, 409),
)
async def delete_client_tls_certificate(
    client: ClientPath, sha256: AnyHash, asked: Asked, server: Served
) -> None:
    """Trust a certificate of an information system no longer."""
    owner = client_from_encoded(client)
    asked.tell(clientIdentifier=told_client(owner))
    found = await server.clients.get_certificate(owner, sha256)
    asked.tell(**told_certificate(found))
    await server.clients.remove_certificate(owner, sha256)
