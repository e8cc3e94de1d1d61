"""The registry as one transaction sees and changes it.

Each change raises a refusal of `registry_errors` where something stands against it. The group of
the servers' owners follows every change of servers by itself.
"""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.registry_errors import (
    AuthCertificateExists,
    AuthCertificateNotFound,
    ClientRegistered,
    MemberClassNotFound,
    MemberExists,
    MemberNotFound,
    MemberNotRegistered,
    ServerExists,
    ServerNotFound,
    SubsystemExists,
    SubsystemNotFound,
    SubsystemNotRegistered,
    SubsystemRegistered,
)
from sild.components.centralserver.registry_group_rows import GroupRows
from sild.components.centralserver.registry_tables import (
    AUTH_CERTIFICATE,
    CLIENT,
    MEMBER_CLASS,
    SERVER,
    SERVER_CLIENT,
)
from sild.components.centralserver.registry_values import (
    OWNERS_GROUP,
    AuthCertificateRow,
    ClientLink,
    MemberRow,
    ServerRow,
    SubsystemRow,
    client_of,
    client_values,
    is_client,
    is_server,
    select_servers,
    server_id_of,
    server_of,
)
from sild.model.refusals import Conflict
from sild.protocol.ids import ClientId, SecurityServerId


class RegistryRows:
    """Members, subsystems and servers; what is added or changed now is so at `now`."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self.groups = GroupRows(connection, now)

    async def has_member_class(self, code: str) -> bool:
        """Whether there is such a member class."""
        found = select(MEMBER_CLASS.c.id).where(MEMBER_CLASS.c.code == code)
        return await self._row(found) is not None

    async def find_member(self, client: ClientId) -> MemberRow | None:
        """The member that this is, or that has this subsystem."""
        row = await self._row(select(CLIENT).where(is_client(client.member)))
        return None if row is None else MemberRow(client_of(row), row.name)

    async def add_member(self, client: ClientId, name: str) -> MemberRow:
        """Add a member; raises MemberClassNotFound, MemberExists."""
        member = client.member
        if await self.find_member(member) is not None:
            raise MemberExists(f"{member} is there already", member.short)
        if not await self.has_member_class(member.member_class):
            code = member.member_class
            raise MemberClassNotFound(f"there is no member class {code!r}", "code", code)
        there = MemberExists(f"{member} is there already", member.short)
        await self._insert(CLIENT, self._client_row(member, name), there)
        return MemberRow(member, name)

    async def rename_member(self, client: ClientId, name: str) -> MemberRow:
        """Give a member another name; raises MemberNotFound."""
        key = await self._member_key(client)
        await self._rename(key, name)
        return MemberRow(client.member, name)

    async def remove_member(self, client: ClientId) -> None:
        """Remove a member with its subsystems, servers and memberships; raises MemberNotFound."""
        key = await self._member_key(client)
        await self.groups.touch_those_of_member(key)
        await self._connection.execute(delete(CLIENT).where(CLIENT.c.id == key))

    async def find_subsystem(self, client: ClientId) -> SubsystemRow | None:
        """A subsystem."""
        if not client.is_subsystem:
            return None
        row = await self._row(select(CLIENT).where(is_client(client)))
        return None if row is None else SubsystemRow(client, row.name)

    async def add_subsystem(self, client: ClientId, name: str | None) -> SubsystemRow:
        """Add a subsystem to its member; raises MemberNotFound, SubsystemExists."""
        if not client.is_subsystem:
            raise SubsystemNotFound(f"{client} is no subsystem")
        if await self.find_subsystem(client) is not None:
            raise SubsystemExists(f"{client} is there already", client.short)
        row = await self._row(_held(client.member))
        if row is None:
            raise MemberNotFound(f"there is no {client.member}", "code", client.member_code)
        values = self._client_row(client, name or None) | {"member_id": row.id}
        there = SubsystemExists(f"{client} is there already", client.short)
        await self._insert(CLIENT, values, there)
        return SubsystemRow(client, name or None)

    async def rename_subsystem(self, client: ClientId, name: str | None) -> SubsystemRow:
        """Give a subsystem another name, or none; raises SubsystemNotFound."""
        await self._rename(await self._subsystem_key(client), name or None)
        return SubsystemRow(client, name or None)

    async def remove_subsystem(self, client: ClientId) -> None:
        """Remove a subsystem that no server has; raises SubsystemNotFound, SubsystemRegistered."""
        key = await self._subsystem_key(client)
        links = select(SERVER_CLIENT.c.id).where(SERVER_CLIENT.c.client_id == key)
        if await self._row(links.limit(1)) is not None:
            raise SubsystemRegistered(f"{client} is the client of a security server")
        await self.groups.touch_those_of_member(key)
        await self._connection.execute(delete(CLIENT).where(CLIENT.c.id == key))

    async def find_server(self, server: SecurityServerId) -> ServerRow | None:
        """A security server."""
        row = await self._row(select_servers().where(is_server(server)))
        return None if row is None else server_of(row)

    async def get_server(self, server: SecurityServerId) -> ServerRow:
        """A security server; raises ServerNotFound."""
        found = await self.find_server(server)
        if found is None:
            raise _no_server(server)
        return found

    async def add_server(self, server: SecurityServerId, address: str) -> ServerRow:
        """Add a server, whose owner joins the owners; raises MemberNotFound, ServerExists."""
        owner = await self._member_key(server.owner)
        values = {
            "owner_id": owner,
            "server_code": server.server_code,
            "address": address,
            "in_maintenance": False,
            "created": self._now,
            "updated": self._now,
        }
        there = ServerExists(f"{server} is there already", str(server))
        if await self.find_server(server) is not None:
            raise there
        await self._insert(SERVER, values, there)
        await self.add_to_owners(server.owner)
        return await self.get_server(server)

    async def remove_server(self, server: SecurityServerId) -> None:
        """Remove a server with its certificates and links; raises ServerNotFound."""
        key = await self._server_key(server)
        await self._connection.execute(delete(SERVER).where(SERVER.c.id == key))
        await self.remove_from_owners_if_none(server.owner)

    async def change_owner(self, server: SecurityServerId, new_owner: ClientId) -> SecurityServerId:
        """Give a server to one of its clients, and let its owner be a client of it.

        Raises ServerNotFound, MemberNotFound, ServerExists.
        """
        key, owner = await self._server_key(server), await self._member_key(new_owner)
        changed = SecurityServerId(new_owner.member, server.server_code)
        there = ServerExists(f"{changed} is there already", str(changed))
        if await self.find_server(changed) is not None:
            raise there
        values = {"owner_id": owner, "updated": self._now}
        try:
            await self._connection.execute(update(SERVER).where(SERVER.c.id == key).values(values))
        except IntegrityError:
            raise there from None
        of_server = SERVER_CLIENT.c.server_id == key
        is_link = of_server & (SERVER_CLIENT.c.client_id == owner)
        await self._connection.execute(delete(SERVER_CLIENT).where(is_link))
        if await self.find_client_link(changed, server.owner) is None:
            await self.add_client(changed, server.owner)
        await self.remove_from_owners_if_none(server.owner)
        await self.add_to_owners(new_owner)
        return changed

    async def set_address(self, server: SecurityServerId, address: str) -> ServerRow:
        """Say where a server is; raises ServerNotFound."""
        return await self._set(server, address=address)

    async def set_maintenance(
        self, server: SecurityServerId, message: str | None, *, on: bool
    ) -> ServerRow:
        """Say whether a server is in maintenance, and why; raises ServerNotFound."""
        told = (message or None) if on else None
        return await self._set(server, in_maintenance=on, maintenance_message=told)

    async def auth_certificates_of(
        self, server: SecurityServerId
    ) -> tuple[AuthCertificateRow, ...]:
        """The authentication certificates of a server; raises ServerNotFound."""
        is_its = AUTH_CERTIFICATE.c.server_id == await self._server_key(server)
        found = select(AUTH_CERTIFICATE).where(is_its).order_by(AUTH_CERTIFICATE.c.id)
        rows = await self._connection.execute(found)
        return tuple(AuthCertificateRow(row.id, row.content) for row in rows)

    async def add_auth_certificate(self, server: SecurityServerId, der: bytes) -> None:
        """Add a certificate; raises ServerNotFound, AuthCertificateExists."""
        key = await self._server_key(server)
        there = AuthCertificateExists("a server has this authentication certificate already")
        if await self.find_server_of_certificate(der) is not None:
            raise there
        values = {"server_id": key, "sha256": _sha256(der), "content": der}
        await self._insert(AUTH_CERTIFICATE, values, there)

    async def remove_auth_certificate(self, server: SecurityServerId, der: bytes) -> None:
        """Remove a certificate; raises ServerNotFound, AuthCertificateNotFound."""
        is_its = AUTH_CERTIFICATE.c.server_id == await self._server_key(server)
        is_it = is_its & (AUTH_CERTIFICATE.c.sha256 == _sha256(der))
        removed = await self._connection.execute(delete(AUTH_CERTIFICATE).where(is_it))
        if not removed.rowcount:
            raise AuthCertificateNotFound(f"{server} has no such authentication certificate")

    async def find_server_of_certificate(self, der: bytes) -> SecurityServerId | None:
        """The server that has this authentication certificate."""
        of_server = AUTH_CERTIFICATE.c.server_id == SERVER.c.id
        found = select_servers().join(AUTH_CERTIFICATE, of_server)
        row = await self._row(found.where(AUTH_CERTIFICATE.c.sha256 == _sha256(der)))
        return None if row is None else server_id_of(row)

    async def clients_of(self, server: SecurityServerId) -> tuple[ClientLink, ...]:
        """The clients of a server but for its owner; raises ServerNotFound."""
        is_its = SERVER_CLIENT.c.server_id == await self._server_key(server)
        rows = await self._connection.execute(_select_links().where(is_its))
        return tuple(ClientLink(server, client_of(row), row.enabled) for row in rows)

    async def find_client_link(
        self, server: SecurityServerId, client: ClientId
    ) -> ClientLink | None:
        """How a client is linked to a server; raises ServerNotFound."""
        is_its = SERVER_CLIENT.c.server_id == await self._server_key(server)
        row = await self._row(_select_links().where(is_its, is_client(client)))
        return None if row is None else ClientLink(server, client, row.enabled)

    async def add_client(self, server: SecurityServerId, client: ClientId) -> None:
        """Link a client to a server.

        Raises ServerNotFound, MemberNotFound, SubsystemNotFound, ClientRegistered.
        """
        key = await self._server_key(server)
        there = ClientRegistered(f"{client} is a client of {server} already")
        if await self.find_client_link(server, client) is not None:
            raise there
        values = {"server_id": key, "client_id": await self._client_key(client), "enabled": True}
        await self._insert(SERVER_CLIENT, values, there)

    async def remove_client(self, server: SecurityServerId, client: ClientId) -> None:
        """Unlink a client; raises ServerNotFound, MemberNotRegistered, SubsystemNotRegistered."""
        key = await self._link_key(server, client)
        await self._connection.execute(delete(SERVER_CLIENT).where(SERVER_CLIENT.c.id == key))

    async def set_client_enabled(
        self, server: SecurityServerId, client: ClientId, enabled: bool
    ) -> None:
        """Let a link count, or not; raises as `remove_client`."""
        is_it = SERVER_CLIENT.c.id == await self._link_key(server, client)
        await self._connection.execute(update(SERVER_CLIENT).where(is_it).values(enabled=enabled))

    async def add_group_member(self, code: str, client: ClientId) -> bool:
        """Add a client to a global group, and say whether it was no member before.

        Raises GroupNotFound, MemberNotFound, SubsystemNotFound.
        """
        return await self.groups.add(code, await self._client_key(client))

    async def remove_group_member(self, code: str, client: ClientId) -> bool:
        """Remove a client from a global group, and say whether it was a member.

        Raises GroupNotFound.
        """
        row = await self._row(_held(client))
        return row is not None and await self.groups.remove(code, row.id)

    async def add_to_owners(self, member: ClientId) -> None:
        """See that a member is in the group of the servers' owners, which is made if need be."""
        key = await self._member_key(member)
        await self.groups.hold_owners()
        await self.groups.add(OWNERS_GROUP, key)

    async def remove_from_owners_if_none(self, member: ClientId) -> None:
        """See that a member who owns no server is not in the group of the servers' owners."""
        key = await self._member_key(member)
        # Held first: who gives the member a server meanwhile is either seen here, or waits.
        await self.groups.hold_owners()
        owned = select(SERVER.c.id).where(SERVER.c.owner_id == key).limit(1)
        if await self._row(owned) is None:
            await self.groups.remove(OWNERS_GROUP, key)

    def _client_row(self, client: ClientId, name: str | None) -> dict[str, Any]:
        moments = {"created": self._now, "updated": self._now}
        return {**client_values(client), **_name(name), **moments}

    async def _rename(self, key: int, name: str | None) -> None:
        values = {**_name(name), "updated": self._now}
        await self._connection.execute(update(CLIENT).where(CLIENT.c.id == key).values(values))

    async def _set(self, server: SecurityServerId, **values: Any) -> ServerRow:
        is_it = SERVER.c.id == await self._server_key(server)
        changed = update(SERVER).where(is_it).values(**values, updated=self._now)
        await self._connection.execute(changed)
        return await self.get_server(server)

    async def _row(self, query: Select[Any]) -> Any:
        return (await self._connection.execute(query)).first()

    async def _insert(self, table: Table, values: dict[str, Any], there: Conflict) -> None:
        try:
            await self._connection.execute(insert(table).values(values))
        except IntegrityError:
            # Another transaction was faster.
            raise there from None

    async def _client_key(self, client: ClientId) -> int:
        row = await self._row(_held(client))
        if row is None:
            missing = SubsystemNotFound if client.is_subsystem else MemberNotFound
            raise missing(f"there is no {client}", str(client))
        return int(row.id)

    async def _member_key(self, client: ClientId) -> int:
        row = await self._row(_held(client.member))
        if row is None:
            raise MemberNotFound(f"there is no {client.member}")
        return int(row.id)

    async def _subsystem_key(self, client: ClientId) -> int:
        row = await self._row(_held(client)) if client.is_subsystem else None
        if row is None:
            raise SubsystemNotFound(f"there is no {client}")
        return int(row.id)

    async def _server_key(self, server: SecurityServerId) -> int:
        row = await self._row(select_servers().where(is_server(server)))
        if row is None:
            raise _no_server(server)
        return int(row.id)

    async def _link_key(self, server: SecurityServerId, client: ClientId) -> int:
        is_its = SERVER_CLIENT.c.server_id == await self._server_key(server)
        row = await self._row(_select_links().where(is_its, is_client(client)))
        if row is None:
            missing = SubsystemNotRegistered if client.is_subsystem else MemberNotRegistered
            raise missing(f"{client} is no client of {server}")
        return int(row.id)


def _held(client: ClientId) -> Select[Any]:
    """Its key; who would change or remove it otherwise waits for this transaction.

    Read-only transactions do not ask for it.
    """
    return select(CLIENT.c.id).where(is_client(client)).with_for_update()


def _select_links() -> Select[Any]:
    names = ("instance", "member_class", "member_code", "subsystem_code")
    return (
        select(SERVER_CLIENT.c.id, SERVER_CLIENT.c.enabled, *(CLIENT.c[name] for name in names))
        .join_from(SERVER_CLIENT, CLIENT, CLIENT.c.id == SERVER_CLIENT.c.client_id)
        .order_by(SERVER_CLIENT.c.id)
    )


def _name(name: str | None) -> dict[str, str | None]:
    return {"name": name, "name_folded": (name or "").casefold()}


def _sha256(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _no_server(server: SecurityServerId) -> ServerNotFound:
    return ServerNotFound(f"there is no {server}", str(server))
