"""Use cases on member classes."""

from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.registry_errors import (
    MemberClassExists,
    MemberClassInUse,
    MemberClassNotFound,
)
from sild.components.centralserver.registry_tables import MEMBER_CLASS
from sild.components.centralserver.registry_texts import check_description, check_identifier
from sild.components.centralserver.registry_turns import changing
from sild.protocol.globalconf.shared_parameters import MemberClass
from sild.runtime.database import Database


@dataclass(frozen=True, slots=True)
class MemberClasses:
    """The classes that members are of: each act is one transaction, and raises Refusals."""

    database: Database

    async def all(self) -> tuple[MemberClass, ...]:
        """Every class, in the order of the codes."""
        found = select(MEMBER_CLASS).order_by(func.lower(MEMBER_CLASS.c.code), MEMBER_CLASS.c.id)
        async with self.database.reading() as connection:
            rows = await connection.execute(found)
            return tuple(MemberClass(row.code, row.description) for row in rows)

    async def add(self, code: str, description: str) -> MemberClass:
        """Add a class; raises MemberClassExists."""
        check_identifier("code", code)
        check_description("description", description)
        there = MemberClassExists(f"there is a member class {code!r} already", code)
        async with changing(self.database) as connection:
            if await _find_key(connection, code) is not None:
                raise there
            values = {"code": code, "description": description}
            try:
                await connection.execute(insert(MEMBER_CLASS).values(values))
            except IntegrityError:
                # Another transaction was faster.
                raise there from None
        return MemberClass(code, description)

    async def describe(self, code: str, description: str) -> MemberClass:
        """Say what a class stands for; raises MemberClassNotFound."""
        check_description("description", description)
        async with changing(self.database) as connection:
            is_it = MEMBER_CLASS.c.id == await _get_key(connection, code)
            values = {"description": description}
            await connection.execute(update(MEMBER_CLASS).where(is_it).values(values))
        return MemberClass(code, description)

    async def remove(self, code: str) -> None:
        """Remove a class that no member has; raises MemberClassNotFound, MemberClassInUse."""
        used = MemberClassInUse(f"members have the class {code!r}", "code", code)
        async with changing(self.database) as connection:
            is_it = MEMBER_CLASS.c.id == await _get_key(connection, code)
            try:
                await connection.execute(delete(MEMBER_CLASS).where(is_it))
            except IntegrityError:
                # The table keeps a class while a member has it.
                raise used from None


async def _find_key(connection: AsyncConnection, code: str) -> int | None:
    found = select(MEMBER_CLASS.c.id).where(MEMBER_CLASS.c.code == code)
    return (await connection.execute(found)).scalar_one_or_none()


async def _get_key(connection: AsyncConnection, code: str) -> int:
    key = await _find_key(connection, code)
    if key is None:
        raise MemberClassNotFound(f"there is no member class {code!r}", "code", code)
    return key
