"""Use cases on security servers."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.paging import Found, Page
from sild.components.centralserver.registry_errors import AuthCertificateNotFound
from sild.components.centralserver.registry_ports import Deletions
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_searching import (
    ClientFilter,
    ClientRow,
    find_clients,
    find_servers,
)
from sild.components.centralserver.registry_turns import changing
from sild.components.centralserver.registry_values import AuthCertificateRow, ServerRow
from sild.components.centralserver.system import check_address
from sild.protocol.ids import SecurityServerId
from sild.runtime.clock import Clock
from sild.runtime.database import Database


@dataclass(frozen=True, slots=True)
class RegisteredServers:
    """The security servers: each act is one transaction, and raises Refusals.

    Servers come, and change owners, by management requests alone.
    """

    database: Database
    clock: Clock
    deletions: Deletions

    async def search(self, text: str, page: Page | None = None) -> Found[ServerRow]:
        """The servers with a text in their code or their owner's name, class or code."""
        async with self.database.reading() as connection:
            return await find_servers(connection, text, page)

    async def get(self, server: SecurityServerId) -> ServerRow:
        """A server; raises ServerNotFound."""
        async with self.database.reading() as connection:
            return await self._rows(connection).get_server(server)

    async def set_address(self, server: SecurityServerId, address: str) -> ServerRow:
        """Say where a server is; raises ServerNotFound, InvalidAddress."""
        check_address(address)
        async with changing(self.database) as connection:
            return await self._rows(connection).set_address(server, address)

    async def remove(self, server: SecurityServerId) -> None:
        """Remove a server, with a deletion request for each client and certificate that it has.

        Raises ServerNotFound.
        """
        comments = f"{server} deletion"
        async with changing(self.database) as connection:
            rows = self._rows(connection)
            for link in await rows.clients_of(server):
                await self.deletions.delete_client(connection, server, link.client, comments)
            for certificate in await rows.auth_certificates_of(server):
                await self.deletions.delete_auth_certificate(
                    connection, server, certificate.der, comments
                )
            await rows.remove_server(server)

    async def auth_certificates_of(
        self, server: SecurityServerId
    ) -> tuple[AuthCertificateRow, ...]:
        """The authentication certificates of a server; raises ServerNotFound."""
        async with self.database.reading() as connection:
            return await self._rows(connection).auth_certificates_of(server)

    async def remove_auth_certificate(
        self, server: SecurityServerId, number: int
    ) -> AuthCertificateRow:
        """Remove an authentication certificate by a deletion request, and give it.

        Raises ServerNotFound, AuthCertificateNotFound.
        """
        async with changing(self.database) as connection:
            for certificate in await self._rows(connection).auth_certificates_of(server):
                if certificate.id == number:
                    await self.deletions.delete_auth_certificate(
                        connection, server, certificate.der
                    )
                    return certificate
        raise AuthCertificateNotFound(f"{server} has no authentication certificate {number}")

    async def clients_of(self, server: SecurityServerId) -> tuple[ClientRow, ...]:
        """The clients of a server but for its owner, disabled ones too; raises ServerNotFound."""
        async with self.database.reading() as connection:
            return (await find_clients(connection, ClientFilter(server=server))).items

    def _rows(self, connection: AsyncConnection) -> RegistryRows:
        return RegistryRows(connection, self.clock.now())
