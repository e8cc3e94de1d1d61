"""Use cases on clients: the members and subsystems that use this security server."""

import asyncio
from dataclasses import dataclass, replace

from sild.components.serverconf.client_ports import OcspAnswers
from sild.components.serverconf.client_search import (
    Circumstances,
    ClientFilter,
    RenameStatus,
    ShownClient,
    certified_members,
    management_provider,
    search,
    sign_certificates_of,
)
from sild.components.serverconf.errors import (
    AdditionalMemberExists,
    CertificateExists,
    CertificateNotFound,
    ClientExists,
    ClientNotReady,
    InvalidInstance,
    InvalidMemberClass,
    InvalidTlsCertificate,
    ManagementServiceNotDisablable,
    OwnerAlready,
    OwnerNotDeletable,
    OwnerNotRegistrable,
    OwnerNotUnregistrable,
    ServerAlreadySet,
    UnregisteredMember,
)
from sild.components.serverconf.ports import Tokens, World
from sild.components.serverconf.rename_rows import read_renames
from sild.components.serverconf.renaming import keep_name
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import (
    DELETABLE_CLIENTS,
    Client,
    ClientEvent,
    ClientStatus,
    ConnectionType,
    InvalidConfiguration,
    InvalidMove,
    check_code,
    client_after,
    next_status,
)
from sild.model.tokens import CertificateEntry, Key, Token
from sild.protocol.errors import GlobalConfOutdated, IncorrectCertificate, MalformedGlobalConf
from sild.protocol.globalconf.lookup import GlobalConf, ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate, read_certificate


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client to be added, of the server's own instance."""

    member_class: str
    member_code: str
    subsystem_code: str | None = None
    connection_type: ConnectionType = ConnectionType.SSLAUTH
    subsystem_name: str | None = None

    def id_in(self, instance: str) -> ClientId:
        """Give its identifier; raises InvalidConfiguration for parts that cannot be written."""
        for name, part in (
            ("the member class", self.member_class),
            ("the member code", self.member_code),
            ("the subsystem code", self.subsystem_code),
        ):
            if part is not None:
                check_code(name, part)
        return ClientId(instance, self.member_class, self.member_code, self.subsystem_code)


class Clients:
    """The clients of this security server, and what administrators do with them."""

    def __init__(
        self, store: ConfigurationStore, world: World, tokens: Tokens, answers: OcspAnswers
    ) -> None:
        self._store = store
        self._world = world
        self._tokens = tokens
        self._answers = answers
        # Of two that add a member beside the owner at once, only one may.
        self._adding = asyncio.Lock()

    async def set_server(self, server: SecurityServerId) -> None:
        """Say, once, which security server this is; its owner becomes a client."""
        async with self._store.transaction() as kept:
            await put_server(kept, server)

    async def find(self, wanted: ClientFilter) -> tuple[ShownClient, ...]:
        """The clients that are looked for.

        Where not only this server's own are, raises GlobalConfOutdated, MalformedGlobalConf.
        """
        conf = self._find_conf() if wanted.local_only else self._world.global_conf()
        async with self._store.reading() as kept:
            clients, around = await kept.clients(), await self._circumstances(kept, conf)
        return search(wanted, clients, replace(around, certified=await self._certified()))

    async def get(self, client: ClientId) -> ShownClient:
        """One of this server's clients; raises ClientNotFound."""
        async with self._store.reading() as kept:
            found = await kept.get_client(client)
            around = await self._circumstances(kept, self._find_conf())
        return replace(around, certified=await self._certified()).show(client, found)

    async def add(self, new: NewClient, *, ignore_warnings: bool = False) -> Client:
        """Add a client: registered at once if the Central Server links it to this server.

        Raises GlobalConfOutdated, InvalidMemberClass, InvalidConfiguration, ClientExists,
        AdditionalMemberExists, and, unless warnings are ignored, UnregisteredMember.
        """
        conf = self._world.global_conf()
        _check_member_class(conf, new.member_class)
        client = new.id_in(conf.instance)
        async with self._adding, self._store.transaction() as kept:
            server = await kept.get_server()
            check_client_id(client, server)
            known = {each.id for each in await kept.clients()}
            _check_addable(client, known, server.owner)
            if conf.find_member_name(client) is None and not ignore_warnings:
                member = client.member.short
                raise UnregisteredMember(f"{member} is no registered member", member)
            in_global_conf = conf.is_registered(client, server)
            status = next_status(ClientStatus.SAVED, in_global_conf=in_global_conf)
            added = Client(client, status, new.connection_type)
            await kept.add_client(added)
            if client.is_subsystem and new.subsystem_name:
                await keep_name(kept, conf, client, new.subsystem_name)
            return added

    async def set_connection_type(self, client: ClientId, connection_type: ConnectionType) -> None:
        """Say how the client's information systems connect; raises ClientNotFound."""
        async with self._store.transaction() as kept:
            found = await kept.get_client(client)
            await kept.replace_client(replace(found, connection_type=connection_type))

    async def remove(self, client: ClientId) -> None:
        """Remove a client with its services and groups.

        Rights and memberships that others gave it stay while it is a client of another server.
        Raises ClientNotFound, OwnerNotDeletable, ClientNotReady, GlobalConfOutdated.
        """
        async with self._store.transaction() as kept:
            found, server = await kept.get_client(client), await kept.get_server()
            if client == server.owner:
                raise OwnerNotDeletable(f"{client} owns this security server")
            if found.status not in DELETABLE_CLIENTS:
                raise ClientNotReady(f"a client that is {found.status.value} cannot be deleted")
            elsewhere = self._world.global_conf().servers_of(client)
            await kept.remove_client(client)
            if all(entry.id == server for entry in elsewhere):
                await kept.forget_subject(client)

    async def certificates(self, client: ClientId) -> tuple[Certificate, ...]:
        """The certificates of a client's information systems; raises ClientNotFound."""
        async with self._store.reading() as kept:
            found = await kept.get_client(client)
        return tuple(map(read_certificate, found.certificates))

    async def get_certificate(self, client: ClientId, sha256: str) -> Certificate:
        """One of them, by the SHA-256 of its DER; raises ClientNotFound, CertificateNotFound."""
        for certificate in await self.certificates(client):
            if certificate.sha256.hex() == sha256.lower():
                return certificate
        raise _no_certificate(client, sha256)

    async def add_certificate(self, client: ClientId, certificate: bytes) -> Certificate:
        """Trust an information system's certificate, DER or PEM.

        Raises InvalidTlsCertificate, ClientNotFound, CertificateExists.
        """
        try:
            added = read_certificate(certificate)
        except IncorrectCertificate as error:
            raise InvalidTlsCertificate(error.message) from error
        async with self._store.transaction() as kept:
            found = await kept.get_client(client)
            if added.der in found.certificates:
                raise CertificateExists(f"{client} has this certificate already")
            await kept.replace_client(replace(found, certificates=(*found.certificates, added.der)))
        return added

    async def remove_certificate(self, client: ClientId, sha256: str) -> None:
        """Trust it no longer; raises ClientNotFound, CertificateNotFound."""
        async with self._store.transaction() as kept:
            found = await kept.get_client(client)
            left = tuple(
                der
                for der in found.certificates
                if read_certificate(der).sha256.hex() != sha256.lower()
            )
            if len(left) == len(found.certificates):
                raise _no_certificate(client, sha256)
            await kept.replace_client(replace(found, certificates=left))

    async def sign_certificates(
        self, client: ClientId
    ) -> tuple[tuple[Token, Key, CertificateEntry], ...]:
        """The signing certificates of a client's member, with what they are on.

        Raises ClientNotFound.
        """
        async with self._store.reading() as kept:
            await kept.get_client(client)
        return tuple(sign_certificates_of(client.member, await self._tokens.tokens()))

    def servers_of(self, client: ClientId) -> tuple[ServerEntry, ...]:
        """The security servers that anybody is a client of; raises GlobalConfOutdated."""
        return self._world.global_conf().servers_of(client)

    async def check_event(self, client: ClientId, event: ClientEvent) -> None:
        """Refuse what may not be asked of the Central Server about a client now.

        Raises ClientNotFound, ClientNotReady, InvalidInstance, InvalidMemberClass,
        OwnerNotRegistrable, OwnerNotUnregistrable, ManagementServiceNotDisablable and, for what
        concerns the world, GlobalConfOutdated.
        """
        async with self._store.reading() as kept:
            found, server = await kept.get_client(client), await kept.get_server()
        is_owner = client == server.owner
        if event is ClientEvent.REGISTER:
            conf = self._world.global_conf()
            if client.instance != conf.instance:
                raise InvalidInstance(f"{client} is not of instance {conf.instance!r}")
            _check_member_class(conf, client.member_class)
            if is_owner:
                raise OwnerNotRegistrable(f"{client} owns this security server")
        try:
            client_after(found.status, event)
        except InvalidMove as error:
            raise ClientNotReady(error.message) from None
        if is_owner and event is ClientEvent.UNREGISTER:
            raise OwnerNotUnregistrable(f"{client} owns this security server")
        if is_owner:
            raise ClientNotReady(f"{client} owns this security server and cannot {event.value}")
        if event is ClientEvent.DISABLE:
            self._check_not_provider(client)

    async def check_owner(self, client: ClientId) -> ClientStatus:
        """Refuse who cannot be made the owner; give the client's status.

        Raises ClientNotReady, ClientNotFound, OwnerAlready.
        """
        if client.is_subsystem:
            raise ClientNotReady(f"{client} cannot own a security server: it is no member")
        async with self._store.reading() as kept:
            found, server = await kept.get_client(client), await kept.get_server()
        if client == server.owner:
            raise OwnerAlready(f"{client} owns this security server already")
        if found.status is not ClientStatus.REGISTERED:
            raise ClientNotReady(f"a member that is {found.status.value} cannot become the owner")
        return found.status

    def _check_not_provider(self, client: ClientId) -> None:
        if client == management_provider(self._world.global_conf()):
            message = f"{client} provides the management services and cannot be disabled"
            raise ManagementServiceNotDisablable(message)

    async def _circumstances(self, kept: Configuration, conf: GlobalConf | None) -> Circumstances:
        server = await kept.find_server()
        renames = {
            each.client: RenameStatus.SUBMITTED if each.submitted else RenameStatus.SET
            for each in await read_renames(kept)
        }
        owner = None if server is None else server.owner
        return Circumstances(owner, conf, renames=renames)

    async def _certified(self) -> frozenset[ClientId]:
        return certified_members(await self._tokens.tokens(), self._answers)

    def _find_conf(self) -> GlobalConf | None:
        """The global configuration; own clients are shown without, too."""
        try:
            return self._world.global_conf()
        except (GlobalConfOutdated, MalformedGlobalConf):
            return None


async def put_server(kept: Configuration, server: SecurityServerId) -> None:
    """Set the server's identity and make its owner a client; no other identity may be there."""
    known = await kept.find_server()
    if known is not None and known != server:
        raise ServerAlreadySet(f"this is {known} and cannot become {server}")
    if known is None:
        await kept.set_server(server)
    if await kept.find_client(server.owner) is None:
        await kept.add_client(Client(server.owner))


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


def _check_member_class(conf: GlobalConf, member_class: str) -> None:
    if all(each.code != member_class for each in conf.shared.member_classes):
        raise InvalidMemberClass(f"there is no member class {member_class!r}")


def _check_addable(client: ClientId, known: set[ClientId], owner: ClientId) -> None:
    if client in known:
        raise ClientExists(f"{client} is a client of this security server already")
    if client.is_subsystem:
        return
    for each in known:
        if not each.is_subsystem and each != owner:
            raise AdditionalMemberExists(f"{each} is the one member that may stand beside {owner}")


def _no_certificate(client: ClientId, sha256: str) -> CertificateNotFound:
    return CertificateNotFound(f"{client} has no certificate {sha256!r}")
