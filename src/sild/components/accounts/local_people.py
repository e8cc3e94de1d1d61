"""Local users: this server's own people, kept in its database."""

import hashlib

from sild.components.accounts.passwords import Passwords
from sild.components.accounts.ports import Person
from sild.components.accounts.store import AccountStore, StoredUser


class LocalPeople:
    """The users in the store, as a source of people."""

    def __init__(self, store: AccountStore, passwords: Passwords) -> None:
        self._store = store
        self._passwords = passwords

    async def find_authentic(self, name: str, password: str) -> Person | None:
        """Give the person whose name and password these are."""
        user = await self._find(name)
        if not await self._passwords.is_right(user.password if user else None, password):
            return None
        if user is None:
            return None
        if not self._passwords.is_outdated(user.password):
            return _person(user)
        stronger = await self._passwords.hash(password)
        async with self._store.transaction() as accounts:
            await accounts.replace_hash(name, user.password, stronger)
        return await self.find(name)

    async def find(self, name: str) -> Person | None:
        """Give a person as they are now."""
        user = await self._find(name)
        return None if user is None else _person(user)

    async def _find(self, name: str) -> StoredUser | None:
        async with self._store.reading() as accounts:
            return await accounts.find_user(name)


def _person(user: StoredUser) -> Person:
    return Person(user.name, user.roles, hashlib.sha256(user.password.encode()).hexdigest())
