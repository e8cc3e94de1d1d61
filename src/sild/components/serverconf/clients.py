"""Use cases on clients and their local groups."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from sild.components.serverconf.errors import (
    CertificateExists,
    CertificateNotFound,
    ClientExists,
    GroupExists,
    OwnerIsFixed,
    ServerAlreadySet,
)
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import (
    DELETABLE_CLIENTS,
    Client,
    ClientEvent,
    ClientStatus,
    ConnectionType,
    InvalidConfiguration,
    InvalidMove,
    LocalGroup,
    check_code,
    client_after,
    next_status,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock

_LONGEST_DESCRIPTION = 255


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What became of a client when the global configuration changed."""

    client: ClientId
    before: ClientStatus
    after: ClientStatus


class Clients:
    """The members and subsystems that use this security server."""

    def __init__(self, store: ConfigurationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def set_server(self, server: SecurityServerId) -> None:
        """Say, once, which security server this is; its owner becomes a client."""
        async with self._store.transaction() as conf:
            await put_server(conf, server)

    async def add(
        self, client: ClientId, connection_type: ConnectionType, *, in_global_conf: bool
    ) -> Client:
        """Add a client: registered at once if the Central Server links it to this server."""
        async with self._store.transaction() as conf:
            check_client_id(client, await conf.get_server())
            if await conf.find_client(client) is not None:
                raise ClientExists(f"{client} is a client of this security server already")
            status = next_status(ClientStatus.SAVED, in_global_conf=in_global_conf)
            added = Client(client, status, connection_type)
            await conf.add_client(added)
            return added

    async def set_connection_type(self, client: ClientId, connection_type: ConnectionType) -> None:
        """Say how the client's information systems connect."""
        async with self._store.transaction() as conf:
            found = await conf.get_client(client)
            await conf.replace_client(replace(found, connection_type=connection_type))

    async def add_certificate(self, client: ClientId, certificate: bytes) -> str:
        """Trust an information system's certificate (DER or PEM); give the SHA-256 of its DER."""
        der = read_certificate(certificate).der
        async with self._store.transaction() as conf:
            found = await conf.get_client(client)
            if der in found.certificates:
                raise CertificateExists(f"{client} has this certificate already")
            await conf.replace_client(replace(found, certificates=(*found.certificates, der)))
        return hashlib.sha256(der).hexdigest()

    async def remove_certificate(self, client: ClientId, sha256: str) -> None:
        """Trust it no longer."""
        async with self._store.transaction() as conf:
            found = await conf.get_client(client)
            left = tuple(
                der for der in found.certificates if hashlib.sha256(der).hexdigest() != sha256
            )
            if len(left) == len(found.certificates):
                raise CertificateNotFound(f"{client} has no certificate {sha256!r}")
            await conf.replace_client(replace(found, certificates=left))

    async def move(self, client: ClientId, event: ClientEvent) -> ClientStatus:
        """Note that a request about the client was sent; give its new status."""
        async with self._store.transaction() as conf:
            await _check_not_owner(conf, client, event.value)
            found = await conf.get_client(client)
            moved = replace(found, status=client_after(found.status, event))
            await conf.replace_client(moved)
            return moved.status

    async def remove(self, client: ClientId) -> None:
        """Remove a client with its services, groups and rights."""
        async with self._store.transaction() as conf:
            await _check_not_owner(conf, client, "delete")
            found = await conf.get_client(client)
            if found.status not in DELETABLE_CLIENTS:
                raise InvalidMove(f"a client that is {found.status.value} cannot be deleted")
            await conf.remove_client(client)

    async def follow(self, registered: Collection[ClientId]) -> tuple[StatusChange, ...]:
        """Let every client's status follow the global configuration.

        `registered` are all that it lists as clients of this server, the owner among them.
        """
        async with self._store.transaction() as conf:
            changes = []
            for client in await conf.clients():
                after = next_status(client.status, in_global_conf=client.id in registered)
                if after is not client.status:
                    await conf.replace_client(replace(client, status=after))
                    changes.append(StatusChange(client.id, client.status, after))
            return tuple(changes)

    async def add_group(self, group: LocalGroup) -> None:
        """Add a local group."""
        check_group(group)
        async with self._store.transaction() as conf:
            if any(known.code == group.code for known in await conf.groups(group.owner)):
                raise GroupExists(f"{group.owner} has a local group {group.code!r} already")
            await conf.add_group(group, self._clock.now())

    async def describe_group(self, owner: ClientId, code: str, description: str) -> None:
        """Change what people read about a local group."""
        async with self._store.transaction() as conf:
            group = replace(await conf.get_group(owner, code), description=description)
            check_group(group)
            await conf.replace_group(group, self._clock.now())

    async def set_group_members(
        self, owner: ClientId, code: str, members: Iterable[ClientId]
    ) -> None:
        """Say who is in a local group."""
        async with self._store.transaction() as conf:
            group = replace(await conf.get_group(owner, code), members=frozenset(members))
            check_group(group)
            await conf.replace_group(group, self._clock.now())

    async def remove_group(self, owner: ClientId, code: str) -> None:
        """Remove a local group and the rights that it has."""
        async with self._store.transaction() as conf:
            await conf.get_group(owner, code)
            await conf.remove_group(owner, code)


async def put_server(conf: Configuration, server: SecurityServerId) -> None:
    """Set the server's identity and make its owner a client; no other identity may be there."""
    known = await conf.find_server()
    if known is not None and known != server:
        raise ServerAlreadySet(f"this is {known} and cannot become {server}")
    if known is None:
        await conf.set_server(server)
    if await conf.find_client(server.owner) is None:
        await conf.add_client(Client(server.owner))


def check_client_id(client: ClientId, server: SecurityServerId) -> None:
    """Refuse a client of another instance, and parts that could not be written."""
    if client.instance != server.owner.instance:
        raise InvalidConfiguration(f"{client} is not of instance {server.owner.instance!r}")
    for name, part in zip(
        ("the member class", "the member code", "the subsystem code"),
        client.parts[1:],
        strict=False,
    ):
        check_code(name, part)


def check_group(group: LocalGroup) -> None:
    """Refuse a group that could not be written, or with members that are no subsystems."""
    check_code("the code of a local group", group.code)
    if len(group.description) > _LONGEST_DESCRIPTION:
        raise InvalidConfiguration(
            f"the description of a local group has at most {_LONGEST_DESCRIPTION} characters"
        )
    for member in group.members:
        if not member.is_subsystem:
            raise InvalidConfiguration(f"{member} cannot be in a local group: it is no subsystem")


async def _check_not_owner(conf: Configuration, client: ClientId, act: str) -> None:
    server = await conf.get_server()
    if client == server.owner:
        raise OwnerIsFixed(f"{client} owns this security server: {act} is not for it")
