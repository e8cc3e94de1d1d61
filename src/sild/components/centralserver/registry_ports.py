"""What the registry needs of the rest of the Central Server."""

from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.protocol.ids import ClientId, SecurityServerId


class Deletions(Protocol):
    """Deletion requests of the Central Server's own, carried out as they are made.

    Each happens within the transaction of the connection, one of `changing`, so that no request is
    left without its effect, nor an effect without its request.
    """

    async def delete_client(
        self,
        connection: AsyncConnection,
        server: SecurityServerId,
        client: ClientId,
        comments: str | None = None,
    ) -> None:
        """Unlink a client from a server, and leave the request behind."""
        ...

    async def delete_auth_certificate(
        self,
        connection: AsyncConnection,
        server: SecurityServerId,
        der: bytes,
        comments: str | None = None,
    ) -> None:
        """Take an authentication certificate from a server, and leave the request behind."""
        ...
