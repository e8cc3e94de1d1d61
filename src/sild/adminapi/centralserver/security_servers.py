"""Security servers, their addresses, certificates and clients."""

from typing import Annotated

from fastapi import Path

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Paging
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.registry_bodies import (
    Client,
    IdPath,
    PagedSecurityServers,
    SearchText,
    SecurityServer,
    SecurityServerAddress,
    page_asked,
    told_server,
)
from sild.adminapi.certificates import CertificateDetails, certificate_details
from sild.adminapi.operations import Operations
from sild.components.centralserver.registry_texts import server_from_encoded
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("security-servers")

_LARGEST_ID = 2**31 - 1


class SecurityServerAuthenticationCertificateDetails(CertificateDetails):
    """An authentication certificate, by its number in the registry."""

    id: int


@OPERATIONS.get(
    "/security-servers",
    "findSecurityServers",
    permission=Permission.VIEW_SECURITY_SERVERS,
    also=(400,),
)
async def find_security_servers(
    paging: Paging, central: Central, q: SearchText = ""
) -> PagedSecurityServers:
    """Search for servers."""
    found = await central.servers.search(q, page_asked(paging))
    return PagedSecurityServers(
        items=[SecurityServer.of(server) for server in found.items],
        paging_metadata=paging.metadata(found.total, len(found.items)),
    )


@OPERATIONS.delete(
    "/security-servers/{server_id}",
    "deleteSecurityServer",
    permission=Permission.DELETE_SECURITY_SERVER,
    event=AuditEvent.DELETE_SECURITY_SERVER,
    status=204,
    also=(400, 404, 409),
)
async def delete_security_server(server_id: IdPath, asked: Asked, central: Central) -> None:
    """Remove a server, leaving deletion requests for its clients and certificates."""
    server = server_from_encoded(server_id)
    asked.tell(**told_server(server))
    await central.servers.remove(server)


@OPERATIONS.get(
    "/security-servers/{server_id}",
    "getSecurityServer",
    permission=Permission.VIEW_SECURITY_SERVER_DETAILS,
)
async def get_security_server(server_id: IdPath, central: Central) -> SecurityServer:
    """Show a server."""
    return SecurityServer.of(await central.servers.get(server_from_encoded(server_id)))


@OPERATIONS.patch(
    "/security-servers/{server_id}",
    "updateSecurityServerAddress",
    permission=Permission.EDIT_SECURITY_SERVER_ADDRESS,
    event=AuditEvent.EDIT_SECURITY_SERVER_ADDRESS,
)
async def update_security_server_address(
    server_id: IdPath, body: SecurityServerAddress, asked: Asked, central: Central
) -> SecurityServer:
    """Say where a server is."""
    server = server_from_encoded(server_id)
    asked.tell(**told_server(server), address=body.server_address)
    return SecurityServer.of(await central.servers.set_address(server, body.server_address))


@OPERATIONS.get(
    "/security-servers/{server_id}/authentication-certificates",
    "getSecurityServerAuthCerts",
    permission=Permission.VIEW_SECURITY_SERVER_DETAILS,
)
async def get_security_server_auth_certs(
    server_id: IdPath, central: Central
) -> list[SecurityServerAuthenticationCertificateDetails]:
    """List the authentication certificates of a server."""
    found = await central.servers.auth_certificates_of(server_from_encoded(server_id))
    return [
        SecurityServerAuthenticationCertificateDetails(
            id=each.id, **dict(certificate_details(each.der))
        )
        for each in found
    ]


@OPERATIONS.delete(
    "/security-servers/{server_id}/authentication-certificates/{certificate_id}",
    "deleteSecurityServerAuthCert",
    permission=Permission.DELETE_SECURITY_SERVER_AUTH_CERT,
    event=AuditEvent.DELETE_SECURITY_SERVER_AUTH_CERT,
    status=204,
)
async def delete_security_server_auth_cert(
    server_id: IdPath,
    certificate_id: Annotated[int, Path(ge=1, le=_LARGEST_ID)],
    asked: Asked,
    central: Central,
) -> None:
    """Remove an authentication certificate from a server, leaving a deletion request."""
    server = server_from_encoded(server_id)
    asked.tell(**told_server(server))
    removed = await central.servers.remove_auth_certificate(server, certificate_id)
    asked.tell(certHash=removed.sha256.hex(":").upper(), certHashAlgorithm="SHA-256")


@OPERATIONS.get(
    "/security-servers/{server_id}/clients",
    "getSecurityServerClients",
    permission=Permission.VIEW_SECURITY_SERVER_DETAILS,
)
async def get_security_server_clients(server_id: IdPath, central: Central) -> list[Client]:
    """List the clients of a server."""
    found = await central.servers.clients_of(server_from_encoded(server_id))
    return [Client.of_row(row) for row in found]
