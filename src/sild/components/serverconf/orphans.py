"""What a client that was removed left in the tokens: keys, certificates and requests of its member.

Nothing is left behind while another client of the same member is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sild.components.serverconf.client_ports import DeletableKeys
from sild.components.serverconf.errors import OrphansNotFound
from sild.components.serverconf.store import ConfigurationStore
from sild.model.tokens import CertificateEntry, Key, RequestEntry, Token
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class _Left:
    """What is to go: whole keys, and of keys that others use too, what is the member's."""

    keys: tuple[Key, ...]
    certificates: tuple[CertificateEntry, ...]
    requests: tuple[RequestEntry, ...]

    def __bool__(self) -> bool:
        return bool(self.keys or self.certificates or self.requests)


@dataclass(frozen=True, slots=True)
class Orphans:
    """The keys of members that have no client here any more."""

    store: ConfigurationStore
    keys: DeletableKeys

    async def check_exist(self, client: ClientId) -> None:
        """Refuse a client of which nothing is left: raises OrphansNotFound."""
        await self._get(client)

    async def remove(self, client: ClientId) -> None:
        """Remove what is left of it; raises OrphansNotFound, and what the signer does."""
        left = await self._get(client)
        for key in left.keys:
            await self.keys.delete_key(key.id)
        for certificate in left.certificates:
            await self.keys.delete_certificate(certificate.sha256)
        for request in left.requests:
            await self.keys.delete_request(request.id)

    async def _get(self, client: ClientId) -> _Left:
        async with self.store.reading() as kept:
            clients = await kept.clients()
        if any(each.id.member == client.member for each in clients):
            raise OrphansNotFound(f"{client.member} is still a client, or has one")
        left = _left_of(client.member, await self.keys.tokens())
        if not left:
            raise OrphansNotFound(f"nothing is left of {client}")
        return left


def _left_of(member: ClientId, tokens: Iterable[Token]) -> _Left:
    keys, certificates, requests = [], [], []
    for token in tokens:
        for key in token.keys:
            users = {each.member for each in key.certificates}
            users |= {each.member for each in key.requests}
            if users == {member}:
                keys.append(key)
                continue
            certificates += [each for each in key.certificates if each.member == member]
            requests += [each for each in key.requests if each.member == member]
    return _Left(tuple(keys), tuple(certificates), tuple(requests))
