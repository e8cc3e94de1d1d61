"""What a security server's operations act upon: its use cases, given to them by the server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

if TYPE_CHECKING:
    from sild.components.accounts.accounts import Accounts
    from sild.components.backup.backups import Backups
    from sild.components.confclient.anchor import Anchor
    from sild.components.diagnostics.alerts import Alerts
    from sild.components.diagnostics.connections import ConnectionTests
    from sild.components.diagnostics.diagnostics import Diagnostics
    from sild.components.messagelog.chosen import TimestampingServices
    from sild.components.registration.acts import Registration
    from sild.components.serverconf.clients import Clients
    from sild.components.serverconf.descriptions import Descriptions
    from sild.components.serverconf.endpoints import Endpoints
    from sild.components.serverconf.groups import LocalGroups
    from sild.components.serverconf.initialization import Initialization
    from sild.components.serverconf.orphans import Orphans
    from sild.components.serverconf.references import References
    from sild.components.serverconf.renaming import Renaming
    from sild.components.serverconf.rights import Rights
    from sild.components.serverconf.service_clients import ServiceClients
    from sild.components.serverconf.services import Services
    from sild.components.serverconf.standing import ServerStanding
    from sild.components.signer.acts import CertificateActs
    from sild.components.signer.authorities import CertificateAuthorities
    from sild.components.signer.rpc import SignerForControl
    from sild.components.tlsidentity.identity import ServedTls
    from sild.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class SecurityServer:
    """The use cases of a security server, by area."""

    clients: "Clients"
    groups: "LocalGroups"
    orphans: "Orphans"
    renaming: "Renaming"
    registration: "Registration"
    descriptions: "Descriptions"
    services: "Services"
    endpoints: "Endpoints"
    rights: "Rights"
    service_clients: "ServiceClients"
    references: "References"
    timestamping: "TimestampingServices"
    tokens: "SignerForControl"
    certificates: "CertificateActs"
    authorities: "CertificateAuthorities"
    initialization: "Initialization"
    anchor: "Anchor"
    internal_tls: "ServedTls"
    standing: "ServerStanding"
    diagnostics: "Diagnostics"
    connections: "ConnectionTests"
    alerts: "Alerts"
    backups: "Backups"
    accounts: "Accounts"
    clock: "Clock"
    version: str
    node_type: str


def security_server_of(request: Request) -> SecurityServer:
    """The use cases that this application was made for."""
    server = request.app.state.server
    if not isinstance(server, SecurityServer):
        raise TypeError("the application was made without a security server")
    return server


Served = Annotated[SecurityServer, Depends(security_server_of)]
"""A parameter of an operation: the use cases."""
