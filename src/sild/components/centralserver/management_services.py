"""Who provides the management services, and through which Security Servers (CI-04, CI-05)."""

from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_tables import CLIENT, SERVER, SERVER_CLIENT
from sild.components.centralserver.registry_turns import changing
from sild.components.centralserver.registry_values import (
    OWNER,
    is_client,
    select_servers,
    server_id_of,
)
from sild.components.centralserver.system import (
    Node,
    Parameter,
    SystemParameters,
    read_parameters,
    set_parameter,
)
from sild.components.centralserver.system_errors import (
    ProviderMemberNotFound,
    ProviderNotFound,
    ProviderNotSet,
    ProviderNotSubsystem,
    ProviderRegistered,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import Clock
from sild.runtime.database import Database


class Registrations(Protocol):
    """Registration requests of the Central Server's own, approved as they are made."""

    async def register_client(
        self, connection: AsyncConnection, server: SecurityServerId, client: ClientId
    ) -> None:
        """Link a client to a server, and leave the approved request behind."""
        ...


@dataclass(frozen=True, slots=True)
class ManagementConfiguration:
    """Who provides the management services, and what its administrator must know."""

    provider: ClientId | None
    provider_name: str
    servers: tuple[SecurityServerId, ...]
    services_address: str
    wsdl_address: str
    owners_group: str


@dataclass(frozen=True, slots=True)
class ManagementServices:
    """The use cases."""

    database: Database
    node: Node
    registrations: Registrations
    clock: Clock

    async def configuration(self) -> ManagementConfiguration:
        """What holds now; raises ProviderMemberNotFound."""
        async with self.database.reading() as connection:
            return await self._configuration(connection)

    async def appoint(self, provider: ClientId) -> ManagementConfiguration:
        """Let a subsystem provide the services; raises ProviderNotSubsystem, ProviderNotFound."""
        if provider.subsystem_code is None:
            raise ProviderNotSubsystem(f"{provider} is no subsystem", provider.encoded)
        async with changing(self.database) as connection:
            parameters = await read_parameters(connection, self.node)
            rows = RegistryRows(connection, self.clock.now())
            is_ours = provider.instance == parameters.instance
            if not is_ours or await rows.find_subsystem(provider) is None:
                raise ProviderNotFound(f"there is no {provider}")
            for parameter, value in (
                (Parameter.PROVIDER_CLASS, provider.member_class),
                (Parameter.PROVIDER_CODE, provider.member_code),
                (Parameter.PROVIDER_SUBSYSTEM, provider.subsystem_code),
            ):
                await set_parameter(connection, self.node, parameter, value)
            return await self._configuration(connection)

    async def register(self, server: SecurityServerId) -> ManagementConfiguration:
        """Make the provider a client of a Security Server, unless it is one's already.

        Raises ProviderNotSet, ProviderNotFound, ProviderRegistered and what the request raises.
        """
        async with changing(self.database) as connection:
            provider = (await read_parameters(connection, self.node)).provider
            if provider is None:
                raise ProviderNotSet("nobody was appointed to provide the management services")
            if await RegistryRows(connection, self.clock.now()).find_subsystem(provider) is None:
                raise ProviderNotFound(f"there is no {provider}")
            if (await connection.execute(_servers_of(provider))).first() is not None:
                raise ProviderRegistered(f"{provider} is a client of a Security Server already")
            await self.registrations.register_client(connection, server, provider)
            return await self._configuration(connection)

    async def server_addresses(self) -> tuple[str, ...]:
        """The addresses of the security servers that have the provider for a client."""
        async with self.database.reading() as connection:
            provider = (await read_parameters(connection, self.node)).provider
            rows = () if provider is None else await _carrying(connection, provider)
            return tuple(sorted({row.address for row in rows}))

    async def _configuration(self, connection: AsyncConnection) -> ManagementConfiguration:
        parameters = await read_parameters(connection, self.node)
        if parameters.provider is None:
            return _described(parameters, "", ())
        provider = parameters.provider
        member = await RegistryRows(connection, self.clock.now()).find_member(provider)
        if member is None:
            raise ProviderMemberNotFound(f"there is no {provider.member}, who was appointed")
        found = {server_id_of(row) for row in await _carrying(connection, provider)}
        return _described(parameters, member.name, tuple(sorted(found, key=str)))


def _described(
    parameters: SystemParameters, name: str, servers: tuple[SecurityServerId, ...]
) -> ManagementConfiguration:
    return ManagementConfiguration(
        provider=parameters.provider,
        provider_name=name,
        servers=servers,
        services_address=parameters.services_address,
        wsdl_address=parameters.wsdl_address,
        owners_group=parameters.owners_group,
    )


async def _carrying(connection: AsyncConnection, provider: ClientId) -> list[Any]:
    """The servers that have the provider for a client that is enabled, or for their owner."""
    rows = list(await connection.execute(_servers_of(provider).where(SERVER_CLIENT.c.enabled)))
    if not provider.is_subsystem:
        owned = select_servers().where(is_client(provider, OWNER))
        rows += await connection.execute(owned)
    return rows


def _servers_of(client: ClientId) -> Select[tuple[object, ...]]:
    of_server = SERVER_CLIENT.c.server_id == SERVER.c.id
    of_client = CLIENT.c.id == SERVER_CLIENT.c.client_id
    linked = select_servers().join(SERVER_CLIENT, of_server).join(CLIENT, of_client)
    return linked.where(is_client(client))
