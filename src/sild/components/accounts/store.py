"""Users and API keys in SQL."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.accounts.errors import UserExists
from sild.components.accounts.tables import API_KEY, API_KEY_ROLE, USER, USER_ROLE
from sild.model.permissions import Role
from sild.runtime.database import Database

_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A local user; of the password only its hash is known."""

    name: str
    roles: frozenset[Role]
    password: str
    changed: datetime
    """When the password was set."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key; its text is known to its owner alone."""

    id: int
    roles: frozenset[Role]


class AccountRows:
    """Users and API keys as one transaction sees and changes them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def users(self) -> tuple[StoredUser, ...]:
        """All users, by name."""
        rows = (await self._connection.execute(select(USER).order_by(USER.c.name))).all()
        return tuple([await self._user_of(row) for row in rows])

    async def find_user(self, name: str) -> StoredUser | None:
        """One user."""
        row = (await self._connection.execute(select(USER).where(USER.c.name == name))).first()
        return None if row is None else await self._user_of(row)

    async def add_user(self, user: StoredUser) -> None:
        """Add a user; raises UserExists where another transaction was first."""
        values = {"name": user.name, "password": user.password, "changed": user.changed}
        try:
            added = await self._connection.execute(insert(USER).values(values).returning(USER.c.id))
        except IntegrityError:
            raise UserExists(f"there is a user {user.name} already", user.name) from None
        await self._set_roles(USER_ROLE, added.scalar_one(), user.roles)

    async def set_user_roles(self, name: str, roles: frozenset[Role]) -> None:
        """Give a user these roles and no others."""
        found = await self._connection.execute(select(USER.c.id).where(USER.c.name == name))
        await self._set_roles(USER_ROLE, found.scalar_one(), roles)

    async def set_password(self, name: str, password: str, changed: datetime) -> None:
        """Save the hash of a user's new password."""
        values = {"password": password, "changed": changed}
        await self._connection.execute(update(USER).where(USER.c.name == name).values(values))

    async def replace_hash(self, name: str, old: str, new: str) -> None:
        """Save another hash of the same password, unless the password was changed meanwhile."""
        is_same = (USER.c.name == name) & (USER.c.password == old)
        await self._connection.execute(update(USER).where(is_same).values(password=new))

    async def remove_user(self, name: str) -> None:
        """Remove a user."""
        await self._connection.execute(delete(USER).where(USER.c.name == name))

    async def keys(self) -> tuple[ApiKey, ...]:
        """All API keys, the oldest first."""
        ids = await self._connection.execute(select(API_KEY.c.id).order_by(API_KEY.c.id))
        return tuple([await self._key_of(key) for key in ids.scalars().all()])

    async def find_key(self, key_id: int) -> ApiKey | None:
        """One API key."""
        if key_id > _LARGEST_ID:
            return None
        query = select(API_KEY.c.id).where(API_KEY.c.id == key_id)
        found = (await self._connection.execute(query)).scalar_one_or_none()
        return None if found is None else await self._key_of(found)

    async def find_key_of_hash(self, sha256: str) -> ApiKey | None:
        """The API key whose text has this hash."""
        query = select(API_KEY.c.id).where(API_KEY.c.sha256 == sha256)
        found = (await self._connection.execute(query)).scalar_one_or_none()
        return None if found is None else await self._key_of(found)

    async def add_key(self, sha256: str, roles: frozenset[Role], now: datetime) -> ApiKey:
        """Add an API key."""
        values = {"sha256": sha256, "created": now}
        query = insert(API_KEY).values(values).returning(API_KEY.c.id)
        key_id: int = (await self._connection.execute(query)).scalar_one()
        await self._set_roles(API_KEY_ROLE, key_id, roles)
        return ApiKey(key_id, roles)

    async def set_key_roles(self, key_id: int, roles: frozenset[Role]) -> None:
        """Give an API key these roles and no others."""
        await self._set_roles(API_KEY_ROLE, key_id, roles)

    async def remove_key(self, key_id: int) -> None:
        """Remove an API key."""
        await self._connection.execute(delete(API_KEY).where(API_KEY.c.id == key_id))

    async def _user_of(self, row: Any) -> StoredUser:
        roles = await self._roles_of(USER_ROLE, row.id)
        return StoredUser(row.name, roles, row.password, row.changed)

    async def _key_of(self, key_id: int) -> ApiKey:
        return ApiKey(key_id, await self._roles_of(API_KEY_ROLE, key_id))

    async def _roles_of(self, table: Table, owner: int) -> frozenset[Role]:
        owner_id, role = table.primary_key.columns
        names = await self._connection.execute(select(role).where(owner_id == owner))
        return frozenset(map(Role, names.scalars().all()))

    async def _set_roles(self, table: Table, owner: int, roles: Iterable[Role]) -> None:
        owner_id, role = table.primary_key.columns
        await self._connection.execute(delete(table).where(owner_id == owner))
        for each in roles:
            values = {owner_id.name: owner, role.name: each.value}
            await self._connection.execute(insert(table).values(values))


class AccountStore:
    """Where users and API keys rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AccountRows]:
        """Accounts, changed as a whole or not at all."""
        async with self._database.transaction() as connection:
            yield AccountRows(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AccountRows]:
        """Accounts as they stand at one moment."""
        async with self._database.reading() as connection:
            yield AccountRows(connection)
