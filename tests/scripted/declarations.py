"""What a topology means to security servers whose administrators declare them from within."""

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredGroup,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)


def declaration_of(topology, server, provider_urls):
    """The server's own configuration; `provider_urls` say where provider applications answer."""
    clients = [_declared(topology, client, provider_urls) for client in server.clients]
    return ServerDeclaration(server.id, tuple(clients))


def _declared(topology, client, provider_urls):
    if not client.is_subsystem:
        return DeclaredClient(client)
    planned = topology.get_subsystem(client)
    return DeclaredClient(
        id=client,
        connection_type=planned.connection_type,
        services=tuple(_service(service, provider_urls) for service in planned.services),
        groups=tuple(
            DeclaredGroup(group.code, group.members, group.description or group.code)
            for group in planned.groups
        ),
    )


def _service(planned, provider_urls):
    return DeclaredService(
        code=planned.code,
        url=provider_urls[planned.provider] + planned.path,
        type=planned.type,
        version=planned.version,
        rights=tuple(
            DeclaredRight(grant.subject, grant.method, grant.path) for grant in planned.grants
        ),
    )
