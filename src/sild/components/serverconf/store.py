"""The server's own configuration in SQL: read and changed within one transaction.

What stands in the tables has passed the use cases; what comes out is values of `sild.model`.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.serverconf.errors import (
    ClientNotFound,
    DescriptionNotFound,
    EndpointNotFound,
    GroupNotFound,
    ServerNotSet,
)
from sild.components.serverconf.rows import (
    PROVIDER_COLUMNS,
    Description,
    client_of,
    client_values,
    description_of,
    description_values,
    endpoint_of,
    endpoint_values,
    equal,
    is_client,
    is_subject,
    member_of,
    member_values,
    provider_of,
    select_of_client,
    subject_of,
    subject_values,
)
from sild.components.serverconf.tables import (
    CERTIFICATE,
    CLIENT,
    DESCRIPTION,
    ENDPOINT,
    GROUP,
    GROUP_MEMBER,
    RIGHT,
    SERVER,
    SERVICE,
)
from sild.model.services import (
    AccessRight,
    Client,
    ClientStatus,
    ConnectionType,
    Endpoint,
    LocalGroup,
    Service,
)
from sild.protocol.ids import (
    ClientId,
    LocalGroupId,
    SecurityServerId,
)
from sild.runtime.database import Database

Changed = Callable[[], Awaitable[None]]
"""Told after each change."""

_ONLY = 1  # the id of the one row about this server


class Configuration:
    """The configuration as one transaction sees and changes it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def connection(self) -> AsyncConnection:
        """The transaction itself, for rows that have a module of their own."""
        return self._connection

    async def find_server(self) -> SecurityServerId | None:
        """Which security server this is."""
        row = await self._row(select(SERVER))
        if row is None:
            return None
        return SecurityServerId(member_of(row), row.server_code)

    async def get_server(self) -> SecurityServerId:
        """Which security server this is; raises ServerNotSet."""
        server = await self.find_server()
        if server is None:
            raise ServerNotSet("the security server has no identity yet")
        return server

    async def set_server(self, server: SecurityServerId) -> None:
        """Say which security server this is."""
        await self._connection.execute(delete(SERVER))
        values = {"id": _ONLY, **member_values(server.owner), "server_code": server.server_code}
        await self._connection.execute(insert(SERVER).values(values))

    async def clients(self) -> tuple[Client, ...]:
        """All clients."""
        return await self._read_clients(select(CLIENT))

    async def get_client(self, client: ClientId) -> Client:
        """One client; raises ClientNotFound."""
        found = await self.find_client(client)
        if found is None:
            raise _no_client(client)
        return found

    async def find_client(self, client: ClientId) -> Client | None:
        """One client."""
        found = await self._read_clients(select(CLIENT).where(is_client(CLIENT, client)))
        return found[0] if found else None

    async def add_client(self, client: Client) -> None:
        """Add a client."""
        values = {
            **client_values(client.id),
            "status": client.status.value,
            "connection_type": client.connection_type.value,
        }
        added = await self._insert(CLIENT, values)
        await self._add_certificates(added, client.certificates)

    async def replace_client(self, client: Client) -> None:
        """Save a client's status, connection type and certificates."""
        key = await self._client_key(client.id)
        values = {"status": client.status.value, "connection_type": client.connection_type.value}
        await self._connection.execute(update(CLIENT).where(CLIENT.c.id == key).values(values))
        await self._connection.execute(delete(CERTIFICATE).where(CERTIFICATE.c.client_id == key))
        await self._add_certificates(key, client.certificates)

    async def remove_client(self, client: ClientId) -> None:
        """Remove a client with all that is its own."""
        key = await self._client_key(client)
        await self._connection.execute(delete(CLIENT).where(CLIENT.c.id == key))

    async def forget_subject(self, client: ClientId) -> None:
        """Take every right from a client, and put it out of every local group."""
        await self._connection.execute(delete(RIGHT).where(is_subject(client)))
        await self._connection.execute(delete(GROUP_MEMBER).where(is_client(GROUP_MEMBER, client)))

    async def descriptions(self, provider: ClientId | None = None) -> tuple[Description, ...]:
        """All service descriptions, or those of one client."""
        query = select_of_client(DESCRIPTION, provider)
        return await self._read_descriptions(query)

    async def get_description(self, description_id: int) -> Description:
        """One service description; raises DescriptionNotFound."""
        query = select_of_client(DESCRIPTION, None).where(DESCRIPTION.c.id == description_id)
        found = await self._read_descriptions(query)
        if not found:
            raise DescriptionNotFound(f"there is no service description {description_id}")
        return found[0]

    async def add_description(self, description: Description) -> int:
        """Add a service description with its services and their base endpoints; give its id."""
        client = await self._client_key(description.provider)
        added = await self._insert(
            DESCRIPTION, {"client_id": client, **description_values(description)}
        )
        await self._add_services(added, description.services)
        await self._tidy_endpoints(description.provider, client)
        return added

    async def replace_description(self, description: Description) -> None:
        """Save a description's address, notice and services.

        Endpoints, and rights to them, stay while some service of the client has their code.
        """
        key = description.id
        if key is None:
            raise DescriptionNotFound("a service description without an id was never saved")
        values = description_values(description)
        await self._connection.execute(
            update(DESCRIPTION).where(DESCRIPTION.c.id == key).values(values)
        )
        await self._connection.execute(delete(SERVICE).where(SERVICE.c.description_id == key))
        await self._add_services(key, description.services)
        await self._tidy_endpoints(
            description.provider, await self._client_key(description.provider)
        )

    async def remove_description(self, description: Description) -> None:
        """Remove a service description with its services, their endpoints and rights."""
        await self._connection.execute(
            delete(DESCRIPTION).where(DESCRIPTION.c.id == description.id)
        )
        await self._tidy_endpoints(
            description.provider, await self._client_key(description.provider)
        )

    async def endpoints(self, provider: ClientId | None = None) -> tuple[Endpoint, ...]:
        """All endpoints, or those of one client."""
        rows = await self._rows(select_of_client(ENDPOINT, provider))
        return tuple(endpoint_of(row) for row in rows)

    async def add_endpoint(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        client = await self._client_key(endpoint.provider)
        await self._insert(ENDPOINT, {"client_id": client, **endpoint_values(endpoint)})

    async def rename_service(self, provider: ClientId, old: str, new: str) -> None:
        """Let the endpoints of a service, and the rights to them, follow its new code."""
        client = await self._client_key(provider)
        is_old = and_(ENDPOINT.c.client_id == client, ENDPOINT.c.service_code == old)
        await self._connection.execute(update(ENDPOINT).where(is_old).values(service_code=new))

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Remove an endpoint and the rights to it."""
        key = await self._endpoint_key(endpoint)
        await self._connection.execute(delete(ENDPOINT).where(ENDPOINT.c.id == key))

    async def rights(self, provider: ClientId | None = None) -> tuple[AccessRight, ...]:
        """All rights, or those to services of one client."""
        query = select_of_client(ENDPOINT, provider, RIGHT).join(
            RIGHT, RIGHT.c.endpoint_id == ENDPOINT.c.id
        )
        names = {column: f"right_{column.name}" for column in RIGHT.c}
        query = query.with_only_columns(
            *PROVIDER_COLUMNS,
            *ENDPOINT.c,
            *(column.label(name) for column, name in names.items()),
        )
        return tuple(
            AccessRight(endpoint_of(row), subject_of(row)) for row in await self._rows(query)
        )

    async def grant(self, right: AccessRight, now: datetime) -> None:
        """Add a right; raises EndpointNotFound."""
        key = await self._endpoint_key(right.endpoint)
        values = {
            "endpoint_id": key,
            **subject_values(right.subject),
            "granted": now,
        }
        await self._insert(RIGHT, values)

    async def revoke(self, right: AccessRight) -> None:
        """Remove a right."""
        key = await self._endpoint_key(right.endpoint)
        values = subject_values(right.subject)
        is_right = and_(RIGHT.c.endpoint_id == key, *equal(RIGHT, values))
        await self._connection.execute(delete(RIGHT).where(is_right))

    async def groups(self, owner: ClientId | None = None) -> tuple[LocalGroup, ...]:
        """All local groups, or those of one client."""
        query = select_of_client(GROUP, owner)
        rows = await self._rows(query)
        members: dict[int, set[ClientId]] = defaultdict(set)
        theirs = GROUP_MEMBER.c.group_id.in_(_ids(query, GROUP))
        for member in await self._rows(select(GROUP_MEMBER).where(theirs)):
            members[member.group_id].add(client_of(member))
        return tuple(
            LocalGroup(provider_of(row), row.code, frozenset(members[row.id]), row.description)
            for row in rows
        )

    async def get_group(self, owner: ClientId, code: str) -> LocalGroup:
        """One local group; raises GroupNotFound."""
        for group in await self.groups(owner):
            if group.code == code:
                return group
        raise GroupNotFound(f"{owner} has no local group {code!r}")

    async def add_group(self, group: LocalGroup, now: datetime) -> int:
        """Add a local group with its members; give its id."""
        values = {
            "client_id": await self._client_key(group.owner),
            "code": group.code,
            "description": group.description,
            "updated": now,
        }
        added = await self._insert(GROUP, values)
        await self._add_members(added, group.members, now)
        return added

    async def replace_group(self, group: LocalGroup, now: datetime) -> None:
        """Save a local group's description and members."""
        is_group = await self._is_group(group.owner, group.code)
        row = await self._row(select(GROUP.c.id).where(is_group))
        if row is None:
            raise GroupNotFound(f"{group.owner} has no local group {group.code!r}")
        values = {"description": group.description, "updated": now}
        await self._connection.execute(update(GROUP).where(is_group).values(values))
        theirs = GROUP_MEMBER.c.group_id == row.id
        known = {client_of(each) for each in await self._rows(select(GROUP_MEMBER).where(theirs))}
        for gone in known - group.members:
            await self._connection.execute(
                delete(GROUP_MEMBER).where(theirs, is_client(GROUP_MEMBER, gone))
            )
        await self._add_members(row.id, group.members - known, now)

    async def remove_group(self, owner: ClientId, code: str) -> None:
        """Remove a local group and the rights that it has."""
        client = await self._client_key(owner)
        own_endpoints = select(ENDPOINT.c.id).where(ENDPOINT.c.client_id == client)
        is_right = and_(RIGHT.c.endpoint_id.in_(own_endpoints), is_subject(LocalGroupId(code)))
        await self._connection.execute(delete(RIGHT).where(is_right))
        await self._connection.execute(delete(GROUP).where(await self._is_group(owner, code)))

    async def _rows(self, query: Select[Any]) -> Sequence[Any]:
        rows: Sequence[Any] = (await self._connection.execute(query)).all()
        return rows

    async def _row(self, query: Select[Any]) -> Any:
        return (await self._connection.execute(query)).first()

    async def _insert(self, table: Table, values: dict[str, Any]) -> int:
        result = await self._connection.execute(insert(table).values(values))
        key = result.inserted_primary_key
        assert key is not None  # noqa: S101 - each table has one
        return int(key[0])

    async def _client_key(self, client: ClientId) -> int:
        row = await self._row(select(CLIENT.c.id).where(is_client(CLIENT, client)))
        if row is None:
            raise _no_client(client)
        return int(row.id)

    async def _endpoint_key(self, endpoint: Endpoint) -> int:
        client = await self._client_key(endpoint.provider)
        values = {"client_id": client, **endpoint_values(endpoint)}
        row = await self._row(select(ENDPOINT.c.id).where(*equal(ENDPOINT, values)))
        if row is None:
            raise EndpointNotFound(
                f"{endpoint.provider} has no endpoint {endpoint.method} {endpoint.path} of "
                f"service {endpoint.service_code!r}"
            )
        return int(row.id)

    async def _is_group(self, owner: ClientId, code: str) -> ColumnElement[bool]:
        return and_(GROUP.c.client_id == await self._client_key(owner), GROUP.c.code == code)

    async def _read_clients(self, query: Select[Any]) -> tuple[Client, ...]:
        rows = await self._rows(query.order_by(CLIENT.c.id))
        certificates: dict[int, list[bytes]] = defaultdict(list)
        theirs = CERTIFICATE.c.client_id.in_(_ids(query, CLIENT))
        kept = select(CERTIFICATE).where(theirs).order_by(CERTIFICATE.c.id)
        for certificate in await self._rows(kept):
            certificates[certificate.client_id].append(certificate.content)
        return tuple(
            Client(
                client_of(row),
                ClientStatus(row.status),
                ConnectionType(row.connection_type),
                tuple(certificates[row.id]),
            )
            for row in rows
        )

    async def _add_certificates(self, client: int, certificates: Iterable[bytes]) -> None:
        for content in certificates:
            sha256 = hashlib.sha256(content).hexdigest()
            values = {"client_id": client, "sha256": sha256, "content": content}
            await self._insert(CERTIFICATE, values)

    async def _read_descriptions(self, query: Select[Any]) -> tuple[Description, ...]:
        rows = await self._rows(query)
        services: dict[int, list[Any]] = defaultdict(list)
        theirs = SERVICE.c.description_id.in_(_ids(query, DESCRIPTION))
        for service in await self._rows(select(SERVICE).where(theirs).order_by(SERVICE.c.id)):
            services[service.description_id].append(service)
        return tuple(description_of(row, services[row.id]) for row in rows)

    async def _add_services(self, description: int, services: Iterable[Service]) -> None:
        for service in services:
            values = {
                "description_id": description,
                "code": service.id.service_code,
                "version": service.id.service_version or "",
                "url": service.url,
                "timeout_seconds": service.timeout_seconds,
                "verify_tls": service.verify_tls,
                "title": service.title or "",
            }
            await self._insert(SERVICE, values)

    async def _tidy_endpoints(self, provider: ClientId, client: int) -> None:
        """Let each service code of a client have its base endpoint, and no other code any."""
        codes = {
            service.id.service_code
            for description in await self.descriptions(provider)
            for service in description.services
        }
        known = await self.endpoints(provider)
        gone = {endpoint.service_code for endpoint in known} - codes
        if gone:
            is_gone = and_(ENDPOINT.c.client_id == client, ENDPOINT.c.service_code.in_(gone))
            await self._connection.execute(delete(ENDPOINT).where(is_gone))
        for code in sorted(codes - {e.service_code for e in known if e.is_base}):
            await self.add_endpoint(Endpoint(provider, code))

    async def _add_members(self, group: int, members: Iterable[ClientId], now: datetime) -> None:
        for member in sorted(members, key=str):
            values = {"group_id": group, **client_values(member), "added": now}
            await self._insert(GROUP_MEMBER, values)


class ConfigurationStore:
    """Where the configuration rests; whoever has to know of changes is told of each."""

    def __init__(self, database: Database, changed: Changed | None = None) -> None:
        self._database = database
        self._changed = changed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Configuration]:
        """The configuration, changed as a whole or not at all.

        When the block has ended the change is stored, and known where it has to be.
        """
        async with self._database.transaction() as connection:
            yield Configuration(connection)
        if self._changed is not None:
            await self._changed()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Configuration]:
        """The configuration as it stands at one moment, to be read only."""
        async with self._database.reading() as connection:
            yield Configuration(connection)


def _no_client(client: ClientId) -> ClientNotFound:
    return ClientNotFound(f"{client} is no client of this security server", client.encoded)


def _ids(query: Select[Any], table: Table) -> Select[Any]:
    return query.with_only_columns(table.c.id).order_by(None)
