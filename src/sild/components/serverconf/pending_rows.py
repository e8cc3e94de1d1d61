"""Requests about this server that the global configuration does not show yet, as rows."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.serverconf.tables import PENDING


class PendingKind(Enum):
    """What is asked for; one request of a kind is under way at a time."""

    ADDRESS = "address"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request under way: the value that is wanted, and a message where one belongs to it."""

    kind: PendingKind
    value: str
    sent: datetime
    message: str = ""


class PendingRows:
    """The requests under way, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, kind: PendingKind) -> PendingRequest | None:
        """The request of a kind, if one is under way."""
        query = select(PENDING).where(PENDING.c.kind == kind.value)
        row = (await self._connection.execute(query)).first()
        return None if row is None else PendingRequest(kind, row.value, row.sent, row.message)

    async def put(self, request: PendingRequest) -> None:
        """Note a request, in the place of another of its kind."""
        await self.remove(request.kind)
        values = {
            "kind": request.kind.value,
            "value": request.value,
            "message": request.message,
            "sent": request.sent,
        }
        await self._connection.execute(insert(PENDING).values(values))

    async def remove(self, kind: PendingKind) -> None:
        """Note that no request of a kind is under way."""
        await self._connection.execute(delete(PENDING).where(PENDING.c.kind == kind.value))
