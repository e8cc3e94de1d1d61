"""What a topology means to each part of an ecosystem: authorities, publisher, servers."""

from collections.abc import Mapping

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredGroup,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)
from sild.devnet.authorities import Authorities, AuthoritiesSettings
from sild.devnet.certification import CaSettings
from sild.devnet.registry import Registry
from sild.devnet.topology import (
    CertificateProfile,
    PlannedServer,
    PlannedService,
    PlannedSubsystem,
    Topology,
)
from sild.model.tokens import KeyUsage
from sild.protocol.globalconf.private_parameters import ManagementService
from sild.protocol.globalconf.shared_parameters import (
    GlobalGroup,
    Member,
    MemberClass,
    SecurityServer,
    Subsystem,
)
from sild.protocol.ids import ClientId

# A Central Server is not part of the devnet yet; nobody answers here.
_NO_MANAGEMENT = "https://127.0.0.1:4001/managementservice/"

# What the profiles leave open in subjects, beside names of servers.
_COUNTRIES = {CertificateProfile.BASIC: "EE"}


def authorities_settings(topology: Topology) -> AuthoritiesSettings:
    """The authorities that a topology wants."""
    return AuthoritiesSettings(
        ca=CaSettings(topology.instance, has_intermediate=topology.has_intermediate_ca),
        profile=topology.profile.value,
        tsas=topology.tsas,
    )


def registry_of(topology: Topology, authorities: Authorities) -> Registry:
    """All that is registered: servers have no authentication certificates yet.

    Raises DevnetError unless the authorities are being served.
    """
    return Registry(
        instance=topology.instance,
        management=ManagementService(_NO_MANAGEMENT, None, topology.management),
        member_classes=tuple(MemberClass(*described) for described in topology.member_classes),
        members=_members(topology),
        servers=tuple(
            SecurityServer(server.id, server.address, clients=server.clients)
            for server in topology.servers
        ),
        groups=tuple(
            GlobalGroup(group.id, group.description, group.members) for group in topology.groups
        ),
        certification_services=(authorities.certification_service(),),
        timestamping_services=authorities.timestamping_services(),
    )


def _members(topology: Topology) -> tuple[Member, ...]:
    descriptions = dict(topology.member_classes)
    return tuple(
        Member(
            id=member.id,
            name=member.name,
            class_description=descriptions[member.id.member_class],
            subsystems=tuple(Subsystem(each.id, each.name) for each in member.subsystems),
        )
        for member in topology.members
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
