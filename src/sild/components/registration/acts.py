"""What an administrator asks of the Central Server, and what becomes of it here.

Each act is checked first, then sent, and noted only when the Central Server has taken it: what
fails on the way leaves everything as it was. Afterwards the global configuration decides
(`next_status`, `next_certificate_status`).
"""

import asyncio
from dataclasses import dataclass, field

from sild.components.registration.composing import Composer
from sild.components.registration.errors import (
    CertificateNotMovable,
    ClientNotMovable,
    LocalClientNotFound,
    OwnerStays,
)
from sild.components.registration.ports import Keys, LocalClients, Standing
from sild.components.registration.sending import RequestSender
from sild.model.services import ClientEvent, ClientStatus, InvalidMove, client_after
from sild.model.tokens import (
    CertificateEntry,
    CertificateEvent,
    certificate_after,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import (
    AddressChange,
    AuthCertDeletion,
    AuthCertRegistration,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    ClientRequest,
    MaintenanceDisable,
    MaintenanceEnable,
    OwnerChange,
)


@dataclass(frozen=True, slots=True)
class Registration:
    """The acts; each gives the id of its request at the Central Server."""

    keys: Keys
    clients: LocalClients
    standing: Standing
    composer: Composer
    sender: RequestSender
    acting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of two who ask for the same, the second finds what the first has changed."""

    async def register_certificate(self, sha256: str, address: str) -> int:
        """Ask that an authentication certificate be registered, and the server at this address.

        Raises AuthCertificateUnknown, CertificateNotMovable, SendingFailed and what composing does.
        """
        async with self.acting:
            entry = await self._movable(sha256, CertificateEvent.REGISTER)
            request = AuthCertRegistration(self._server, entry.certificate, address)
            number = await self.sender.send(request)
            await self.keys.move_certificate(sha256, CertificateEvent.REGISTER, entry.status)
            return number

    async def try_registration(self, sha256: str | None, address: str) -> int:
        """Ask whether a registration would be taken; without a certificate, only who answers.

        Raises as `register_certificate`; the Central Server refuses what has no certificate, by
        a fault that shows that it was reached.
        """
        certificate = b""
        if sha256 is not None:
            certificate = (await self.composer.find_auth_key(sha256)).entry.certificate
        request = AuthCertRegistration(self._server, certificate, address, dry_run=True)
        return await self.sender.send(request)

    async def unregister_certificate(self, sha256: str) -> int:
        """Ask that an authentication certificate be removed; raises as `register_certificate`."""
        async with self.acting:
            entry = await self._movable(sha256, CertificateEvent.UNREGISTER)
            number = await self.sender.send(AuthCertDeletion(self._server, entry.certificate))
            await self.keys.move_certificate(sha256, CertificateEvent.UNREGISTER, entry.status)
            return number

    async def mark_certificate_deleted(self, sha256: str) -> None:
        """Note that a certificate is to be removed though nobody could be asked.

        Raises AuthCertificateUnknown, CertificateNotMovable.
        """
        entry = await self._movable(sha256, CertificateEvent.UNREGISTER)
        await self.keys.move_certificate(sha256, CertificateEvent.UNREGISTER, entry.status)

    async def register_client(self, client: ClientId, name: str | None = None) -> int:
        """Ask that a client be registered; raises as `_about_client`."""
        request = ClientRegistration(self._server, client, name)
        return await self._about_client(request, ClientEvent.REGISTER)

    async def unregister_client(self, client: ClientId) -> int:
        """Ask that a client be removed; raises as `_about_client`."""
        request = ClientDeletion(self._server, client)
        return await self._about_client(request, ClientEvent.UNREGISTER)

    async def disable_client(self, client: ClientId) -> int:
        """Ask that a client rest; raises as `_about_client`."""
        return await self._about_client(ClientDisable(self._server, client), ClientEvent.DISABLE)

    async def enable_client(self, client: ClientId) -> int:
        """Ask that a client's rest end; raises as `_about_client`."""
        return await self._about_client(ClientEnable(self._server, client), ClientEvent.ENABLE)

    async def rename_client(self, client: ClientId, name: str) -> int:
        """Ask that a registered subsystem be called otherwise.

        Raises LocalClientNotFound, ClientNotMovable, SendingFailed and what composing does.
        """
        if self._status_of(client) is not ClientStatus.REGISTERED:
            raise ClientNotMovable(f"{client} is not registered", str(client))
        return await self.sender.send(ClientRename(self._server, client, name))

    async def change_owner(self, new_owner: ClientId) -> int:
        """Ask that a registered member own the server; raises as `rename_client`, OwnerStays."""
        if new_owner == self._server.owner:
            raise OwnerStays(f"{new_owner} owns the server", str(new_owner))
        if self._status_of(new_owner) is not ClientStatus.REGISTERED:
            raise ClientNotMovable(f"{new_owner} is not registered", str(new_owner))
        return await self.sender.send(OwnerChange(self._server, new_owner))

    async def change_address(self, address: str) -> int:
        """Ask that the server be found elsewhere; raises SendingFailed and what composing does."""
        return await self.sender.send(AddressChange(self._server, address))

    async def enable_maintenance(self, message: str | None = None) -> int:
        """Ask that nobody call the server; raises SendingFailed and what composing does."""
        return await self.sender.send(MaintenanceEnable(self._server, message))

    async def disable_maintenance(self) -> int:
        """Ask that the server be called again; raises SendingFailed and what composing does."""
        return await self.sender.send(MaintenanceDisable(self._server))

    @property
    def _server(self) -> SecurityServerId:
        return self.standing.snapshot().server

    async def _about_client(self, request: ClientRequest, event: ClientEvent) -> int:
        """Send a request that moves a client.

        Raises OwnerStays, LocalClientNotFound, ClientNotMovable, SendingFailed and what composing
        does.
        """
        client = request.client
        if client == self._server.owner:
            raise OwnerStays(f"{client} owns the server: it cannot {event.value}", str(client))
        async with self.acting:
            before = self._status_of(client)
            try:
                client_after(before, event)
            except InvalidMove as error:
                raise ClientNotMovable(error.message, str(client)) from None
            number = await self.sender.send(request)
            await self.clients.move(client, event, before)
            return number

    def _status_of(self, client: ClientId) -> ClientStatus:
        for each in self.standing.snapshot().clients:
            if each.id == client:
                return each.status
        raise LocalClientNotFound(f"{client} is no client of this security server", str(client))

    async def _movable(self, sha256: str, event: CertificateEvent) -> CertificateEntry:
        entry = (await self.composer.find_auth_key(sha256)).entry
        try:
            certificate_after(entry.status, event)
        except InvalidMove as error:
            raise CertificateNotMovable(error.message, sha256) from None
        return entry
