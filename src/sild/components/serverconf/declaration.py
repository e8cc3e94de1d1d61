"""A whole server configuration as one value, and making the stored one equal to it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sild.components.serverconf.clients import check_client_id, put_server
from sild.components.serverconf.groups import check_group
from sild.components.serverconf.new_descriptions import (
    ServiceParameters,
    rest_description,
    soap_description,
)
from sild.components.serverconf.rights import check_subject
from sild.components.serverconf.rows import Description
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import (
    ANY_METHOD,
    ANY_PATH,
    DEFAULT_TIMEOUT_SECONDS,
    AccessRight,
    Client,
    ConnectionType,
    Endpoint,
    InvalidConfiguration,
    LocalGroup,
    ServiceType,
    check_endpoint,
)
from sild.protocol.ids import ClientId, SecurityServerId, ServiceId, SubjectId
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class DeclaredRight:
    """Who may call a method and path of a service, or by default all of it."""

    subject: SubjectId
    method: str = ANY_METHOD
    path: str = ANY_PATH


@dataclass(frozen=True, slots=True)
class DeclaredService:
    """A REST service, or by its type a SOAP one; only those of SOAP have versions.

    Endpoints (method, path) that rights name need not be repeated.
    """

    code: str
    url: str
    rights: tuple[DeclaredRight, ...] = ()
    endpoints: tuple[tuple[str, str], ...] = ()
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    verify_tls: bool = True
    disabled_notice: str | None = None
    type: ServiceType = ServiceType.REST
    version: str | None = None


@dataclass(frozen=True, slots=True)
class DeclaredGroup:
    """A local group."""

    code: str
    members: tuple[ClientId, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class DeclaredClient:
    """A client; `certificates` (DER or PEM) are those of its information systems."""

    id: ClientId
    connection_type: ConnectionType = ConnectionType.SSLAUTH
    certificates: tuple[bytes, ...] = ()
    services: tuple[DeclaredService, ...] = ()
    groups: tuple[DeclaredGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerDeclaration:
    """All that a server's own configuration holds; its owner is a client without saying so."""

    server: SecurityServerId
    clients: tuple[DeclaredClient, ...] = ()


async def apply_declaration(
    store: ConfigurationStore, declaration: ServerDeclaration, clock: Clock
) -> None:
    """Make the stored configuration equal to the declaration, in one transaction.

    What is equal already is left as it is, statuses of clients among it. A client that is not
    declared is removed here whatever its status; the Central Server hears nothing of it.
    """
    _check_unique("client", (client.id for client in declaration.clients))
    async with store.transaction() as conf:
        await put_server(conf, declaration.server)
        declared = {client.id: client for client in declaration.clients}
        declared.setdefault(declaration.server.owner, DeclaredClient(declaration.server.owner))
        for client in await conf.clients():
            if client.id not in declared:
                await conf.remove_client(client.id)
        for each in declared.values():
            check_client_id(each.id, declaration.server)
            await _apply_client(conf, each)
            await _apply_services(conf, each, clock)
            await _apply_groups(conf, each, clock)
            await _apply_rights(conf, each, clock)


async def _apply_client(conf: Configuration, declared: DeclaredClient) -> None:
    certificates = tuple(
        dict.fromkeys(read_certificate(certificate).der for certificate in declared.certificates)
    )
    known = await conf.find_client(declared.id)
    wanted = replace(
        known or Client(declared.id),
        connection_type=declared.connection_type,
        certificates=certificates,
    )
    if known is None:
        await conf.add_client(wanted)
    elif known != wanted:
        await conf.replace_client(wanted)


async def _apply_services(conf: Configuration, declared: DeclaredClient, clock: Clock) -> None:
    _check_unique("service", ((service.code, service.version) for service in declared.services))
    described = [_description(declared.id, service) for service in declared.services]
    wanted = {_service_of(description): description for description in described}
    for known in await conf.descriptions(declared.id):
        match = wanted.get(_service_of(known))
        if match is None or match.type is not known.type:
            await conf.remove_description(known)
            continue
        if replace(match, id=known.id, refreshed=known.refreshed) != known:
            changed = replace(match, id=known.id, refreshed=clock.now())
            await conf.replace_description(changed)
        del wanted[_service_of(known)]
    for description in wanted.values():
        await conf.add_description(replace(description, refreshed=clock.now()))
    await _apply_endpoints(conf, declared)


def _service_of(description: Description) -> ServiceId | None:
    """The service of a description that holds just one, as all do that are declared."""
    return description.services[0].id if len(description.services) == 1 else None


def _description(provider: ClientId, declared: DeclaredService) -> Description:
    parameters = ServiceParameters(declared.url, declared.timeout_seconds, declared.verify_tls)
    if declared.type is ServiceType.WSDL:
        service = ServiceId(provider, declared.code, declared.version)
        checked = soap_description(service, parameters)
    elif declared.type is ServiceType.REST and declared.version is None:
        checked = rest_description(provider, declared.code, parameters)
    else:
        raise InvalidConfiguration(
            f"{declared.code!r} is no REST service without a version and no SOAP service"
        )
    notice = declared.disabled_notice
    services = tuple(replace(service, disabled_notice=notice) for service in checked.services)
    return replace(checked, services=services, disabled_notice=notice)


async def _apply_endpoints(conf: Configuration, declared: DeclaredClient) -> None:
    wanted = {
        Endpoint(declared.id, service.code, method, path): None
        for service in declared.services
        for method, path in (
            *service.endpoints,
            *((right.method, right.path) for right in service.rights),
        )
    }
    known = set(await conf.endpoints(declared.id))
    for endpoint in sorted(known - wanted.keys(), key=str):
        if not endpoint.is_base:
            await conf.remove_endpoint(endpoint)
    for endpoint in wanted:
        check_endpoint(endpoint.method, endpoint.path)
        if endpoint not in known:
            await conf.add_endpoint(endpoint)


async def _apply_groups(conf: Configuration, declared: DeclaredClient, clock: Clock) -> None:
    _check_unique("local group", (group.code for group in declared.groups))
    known = {group.code: group for group in await conf.groups(declared.id)}
    for each in declared.groups:
        group = LocalGroup(declared.id, each.code, frozenset(each.members), each.description)
        check_group(group)
        before = known.pop(group.code, None)
        if before is None:
            await conf.add_group(group, clock.now())
        elif before != group:
            await conf.replace_group(group, clock.now())
    for gone in known.values():
        await conf.remove_group(gone.owner, gone.code)


async def _apply_rights(conf: Configuration, declared: DeclaredClient, clock: Clock) -> None:
    wanted = {
        AccessRight(Endpoint(declared.id, service.code, right.method, right.path), right.subject)
        for service in declared.services
        for right in service.rights
    }
    known = set(await conf.rights(declared.id))
    for right in known - wanted:
        await conf.revoke(right)
    for right in sorted(wanted - known, key=str):
        await check_subject(conf, right)
        await conf.grant(right, clock.now())


def _check_unique(what: str, names: Iterable[object]) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise InvalidConfiguration(f"{what} {name} is declared twice")
        seen.add(name)
