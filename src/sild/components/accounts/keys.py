"""API keys: made with no more than the maker's roles, shown once, kept as a hash."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sild.components.accounts.errors import ApiKeyNotFound, InvalidRole, RoleNotHeld
from sild.components.accounts.store import AccountRows, AccountStore, ApiKey
from sild.model.permissions import Role
from sild.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key with its text, which nobody sees again."""

    key: ApiKey
    text: str


class ApiKeys:
    """Use cases on API keys; a revoked key is refused from its next use on, by every node."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, roles: Iterable[str], held: frozenset[Role]) -> NewApiKey:
        """Make a key; raises InvalidRole, and RoleNotHeld for roles beyond those of the maker."""
        wanted = _roles(roles)
        _check_held(wanted, held)
        text = self._clock.uuid()
        async with self._store.transaction() as accounts:
            key = await accounts.add_key(_hash(text), wanted, self._clock.now())
        return NewApiKey(key, text)

    async def set_roles(self, key_id: int, roles: Iterable[str], held: frozenset[Role]) -> ApiKey:
        """Give a key other roles: those that it has already, or that the caller has."""
        async with self._store.transaction() as accounts:
            key = await _get(accounts, key_id)
            wanted = _roles(roles)
            _check_held(wanted - key.roles, held)
            await accounts.set_key_roles(key_id, wanted)
        return ApiKey(key_id, wanted)

    async def get(self, key_id: int) -> ApiKey:
        """Give a key; raises ApiKeyNotFound."""
        async with self._store.reading() as accounts:
            return await _get(accounts, key_id)

    async def all(self) -> tuple[ApiKey, ...]:
        """Give all keys."""
        async with self._store.reading() as accounts:
            return await accounts.keys()

    async def revoke(self, key_id: int) -> ApiKey:
        """Remove a key; give what it was. Raises ApiKeyNotFound."""
        async with self._store.transaction() as accounts:
            key = await _get(accounts, key_id)
            await accounts.remove_key(key_id)
        return key

    async def find_of_text(self, text: str) -> ApiKey | None:
        """Give the key whose text this is."""
        async with self._store.reading() as accounts:
            return await accounts.find_key_of_hash(_hash(text))


async def _get(accounts: AccountRows, key_id: int) -> ApiKey:
    key = await accounts.find_key(key_id)
    if key is None:
        raise ApiKeyNotFound(f"there is no API key {key_id}", str(key_id))
    return key


def _roles(names: Iterable[str]) -> frozenset[Role]:
    roles = set()
    for name in names:
        try:
            roles.add(Role(name))
        except ValueError:
            raise InvalidRole(f"{name!r} is no role") from None
    if not roles:
        raise InvalidRole("a key needs a role")
    return frozenset(roles)


def _check_held(wanted: frozenset[Role], held: frozenset[Role]) -> None:
    for role in wanted:
        # Nobody has the role of the server's own services: who administers the system gives it.
        needed = Role.SYSTEM_ADMINISTRATOR if role is Role.MANAGEMENT_SERVICE else role
        if needed not in held:
            raise RoleNotHeld(f"Missing authority: ROLE_{needed.value}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
