"""How the states of clients move: by what was asked of the Central Server, and what came of it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from sild.components.serverconf.errors import OwnerIsFixed
from sild.components.serverconf.store import ConfigurationStore
from sild.model.services import Client, ClientEvent, ClientStatus, client_once_taken, next_status
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What became of a client when the global configuration changed."""

    client: ClientId
    before: ClientStatus
    after: ClientStatus


class ClientStates:
    """The states of this server's clients."""

    def __init__(self, store: ConfigurationStore) -> None:
        self._store = store

    async def move(
        self, client: ClientId, event: ClientEvent, before: ClientStatus | None = None
    ) -> ClientStatus:
        """Note that a request about the client was sent; give its new status.

        It was sent when the client was `before`, or what it is. Raises OwnerIsFixed,
        ClientNotFound, InvalidMove.
        """
        async with self._store.transaction() as conf:
            if client == (await conf.get_server()).owner:
                message = f"{client} owns this security server: {event.value} is not for it"
                raise OwnerIsFixed(message)
            found = await conf.get_client(client)
            status = client_once_taken(before or found.status, found.status, event)
            moved = replace(found, status=status)
            await conf.replace_client(moved)
            return moved.status

    async def follow(self, registered: Collection[ClientId]) -> tuple[StatusChange, ...]:
        """Let every client's status follow the global configuration.

        `registered` are all that it lists as clients of this server, the owner among them.
        """
        async with self._store.reading() as known:
            if not _changes(await known.clients(), registered):
                return ()
        async with self._store.transaction() as conf:
            clients = {client.id: client for client in await conf.clients()}
            changes = _changes(clients.values(), registered)
            for change in changes:
                await conf.replace_client(replace(clients[change.client], status=change.after))
            return changes


def _changes(
    clients: Collection[Client], registered: Collection[ClientId]
) -> tuple[StatusChange, ...]:
    after = (
        (each, next_status(each.status, in_global_conf=each.id in registered)) for each in clients
    )
    return tuple(
        StatusChange(client.id, client.status, status)
        for client, status in after
        if status is not client.status
    )
