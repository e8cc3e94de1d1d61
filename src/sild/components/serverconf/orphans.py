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
class OrphanedKey:
    """A key that nobody else uses, and the token that it is on."""

    token: Token
    key: Key


@dataclass(frozen=True, slots=True)
class Left:
    """What is to go: whole keys, and of keys that others use too, what is the member's."""

    keys: tuple[OrphanedKey, ...]
    certificates: tuple[CertificateEntry, ...]
    requests: tuple[RequestEntry, ...]

    @property
    def all_certificates(self) -> tuple[CertificateEntry, ...]:
        """Every certificate that goes, those of whole keys among them."""
        return (*(each for left in self.keys for each in left.key.certificates), *self.certificates)

    @property
    def all_requests(self) -> tuple[RequestEntry, ...]:
        """Every request that goes, those of whole keys among them."""
        return (*(each for left in self.keys for each in left.key.requests), *self.requests)


@dataclass(frozen=True, slots=True)
class Orphans:
    """The keys of members that have no client here any more."""

    store: ConfigurationStore
    keys: DeletableKeys

    async def check_exist(self, client: ClientId) -> None:
        """Refuse a client of which nothing is left: raises OrphansNotFound."""
        await self._get(client)

    async def remove(self, client: ClientId) -> Left:
        """Remove what is left of it, and give that; raises OrphansNotFound, and the signer's."""
        left = await self._get(client)
        for orphaned in left.keys:
            await self.keys.delete_key(orphaned.key.id)
        for certificate in left.certificates:
            await self.keys.delete_certificate(certificate.sha256)
        for request in left.requests:
            await self.keys.delete_request(request.id)
        return left

    async def _get(self, client: ClientId) -> Left:
        async with self.store.reading() as kept:
            clients = await kept.clients()
        if any(each.id.member == client.member for each in clients):
            raise OrphansNotFound(f"{client.member} is still a client, or has one")
        left = _left_of(client.member, await self.keys.tokens())
        if not (left.keys or left.certificates or left.requests):
            raise OrphansNotFound(f"nothing is left of {client}")
        return left


def _left_of(member: ClientId, tokens: Iterable[Token]) -> Left:
    keys, certificates, requests = [], [], []
    for token in tokens:
        for key in token.keys:
            users = {each.member for each in key.certificates}
            users |= {each.member for each in key.requests}
            if users == {member}:
                keys.append(OrphanedKey(token, key))
                continue
            certificates += [each for each in key.certificates if each.member == member]
            requests += [each for each in key.requests if each.member == member]
    return Left(tuple(keys), tuple(certificates), tuple(requests))
