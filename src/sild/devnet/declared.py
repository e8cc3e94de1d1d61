"""What a topology means to each part of an ecosystem: authorities and servers."""

from collections.abc import Mapping
from dataclasses import replace

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredGroup,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)
from sild.devnet.authorities import AuthoritiesSettings
from sild.devnet.certification import CaSettings
from sild.devnet.topology import (
    CertificateProfile,
    PlannedServer,
    PlannedService,
    PlannedSubsystem,
    Topology,
)
from sild.model.services import ServiceType
from sild.model.tokens import KeyUsage
from sild.protocol.ids import ClientId, GlobalGroupId
from sild.protocol.management.requests import RequestType

_OWNERS = "security-server-owners"

# What the profiles leave open in subjects, beside names of servers.
_COUNTRIES = {CertificateProfile.BASIC: "EE"}


def authorities_settings(topology: Topology) -> AuthoritiesSettings:
    """The authorities that a topology wants."""
    return AuthoritiesSettings(
        ca=CaSettings(topology.instance, has_intermediate=topology.has_intermediate_ca),
        profile=topology.profile.value,
        tsas=topology.tsas,
    )


def request_fields(topology: Topology, server: PlannedServer, usage: KeyUsage) -> dict[str, str]:
    """What fills the fields of a request's subject that the profile leaves open, by keyword."""
    profile = topology.profile
    fields = {}
    if profile in _COUNTRIES:
        fields["C"] = _COUNTRIES[profile]
    if profile is CertificateProfile.FI:
        fields["O"] = topology.get_member(server.id.owner).name
    if usage is KeyUsage.AUTHENTICATION and profile in _NAMES_SERVER:
        fields["CN"] = f"{server.id.server_code}.devnet.example"
    return fields


_NAMES_SERVER = frozenset({CertificateProfile.BASIC, CertificateProfile.FI, CertificateProfile.IS})


def declaration_of(
    topology: Topology, server: PlannedServer, provider_urls: Mapping[str, str]
) -> ServerDeclaration:
    """The server's own configuration; `provider_urls` say where provider applications answer."""
    clients = [_declared(topology, client, provider_urls) for client in server.clients]
    return ServerDeclaration(server.id, tuple(clients))


def _declared(
    topology: Topology, client: ClientId, provider_urls: Mapping[str, str]
) -> DeclaredClient:
    if not client.is_subsystem:
        return DeclaredClient(client)
    planned: PlannedSubsystem = topology.get_subsystem(client)
    return DeclaredClient(
        id=client,
        connection_type=planned.connection_type,
        services=tuple(_service(service, provider_urls) for service in planned.services),
        groups=tuple(
            DeclaredGroup(group.code, group.members, group.description or group.code)
            for group in planned.groups
        ),
    )


def _service(planned: PlannedService, provider_urls: Mapping[str, str]) -> DeclaredService:
    return DeclaredService(
        code=planned.code,
        url=provider_urls[planned.provider] + planned.path,
        type=planned.type,
        version=planned.version,
        rights=tuple(
            DeclaredRight(grant.subject, grant.method, grant.path) for grant in planned.grants
        ),
    )


def with_management(client: DeclaredClient, url: str) -> DeclaredClient:
    """The provider of the management services, answered for by the Central Server at this URL."""
    owners = GlobalGroupId(client.id.instance, _OWNERS)
    services = tuple(
        DeclaredService(
            code=kind.service_code,
            url=url,
            rights=(DeclaredRight(owners),),
            # The Central Server's certificate is its own; each request proves itself.
            verify_tls=False,
            type=ServiceType.WSDL,
        )
        for kind in RequestType
        if kind is not RequestType.AUTH_CERT_REGISTRATION
    )
    return replace(client, services=(*client.services, *services))
