"""Global groups as one transaction sees and changes them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.registry_errors import GroupExists, GroupNotFound
from sild.components.centralserver.registry_tables import CLIENT, GROUP, GROUP_MEMBER
from sild.components.centralserver.registry_values import OWNERS_GROUP, GroupRow

_OWNERS_DESCRIPTION = "Security server owners"


class GroupRows:
    """Global groups; what is added or changed now is so at `now`. Clients are named by key."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def all(self) -> tuple[GroupRow, ...]:
        """Every group."""
        rows = await self._connection.execute(_select_groups().order_by(GROUP.c.id))
        return tuple(_group_of(row) for row in rows)

    async def get(self, code: str) -> GroupRow:
        """One group; raises GroupNotFound."""
        row = await self._row(_select_groups().where(GROUP.c.code == code))
        if row is None:
            raise _no_group(code)
        return _group_of(row)

    async def make(self, code: str, description: str) -> None:
        """Add a group without members; raises GroupExists."""
        there = GroupExists(f"there is a global group {code!r} already", code)
        if await self._find_key(code) is not None:
            raise there
        moments = {"created": self._now, "updated": self._now}
        values = {"code": code, "description": description, **moments}
        try:
            await self._connection.execute(insert(GROUP).values(values))
        except IntegrityError:
            # Another transaction was faster.
            raise there from None

    async def describe(self, code: str, description: str) -> None:
        """Say what a group is for; raises GroupNotFound."""
        values = {"description": description, "updated": self._now}
        is_it = GROUP.c.id == await self._key(code)
        await self._connection.execute(update(GROUP).where(is_it).values(values))

    async def unmake(self, code: str) -> None:
        """Remove a group with all memberships; raises GroupNotFound."""
        is_it = GROUP.c.id == await self._key(code)
        await self._connection.execute(delete(GROUP).where(is_it))

    async def add(self, code: str, client: int) -> bool:
        """Add a client, and say whether it was no member before; raises GroupNotFound."""
        group = await self._key(code)
        is_it = (GROUP_MEMBER.c.group_id == group) & (GROUP_MEMBER.c.client_id == client)
        if await self._row(select(GROUP_MEMBER.c.id).where(is_it)) is not None:
            return False
        values = {"group_id": group, "client_id": client, "created": self._now}
        await self._connection.execute(insert(GROUP_MEMBER).values(values))
        await self._touch(select(GROUP.c.id).where(GROUP.c.id == group))
        return True

    async def remove(self, code: str, client: int) -> bool:
        """Remove a client, and say whether it was a member; raises GroupNotFound."""
        group = await self._key(code)
        is_it = (GROUP_MEMBER.c.group_id == group) & (GROUP_MEMBER.c.client_id == client)
        removed = await self._connection.execute(delete(GROUP_MEMBER).where(is_it))
        if not removed.rowcount:
            return False
        await self._touch(select(GROUP.c.id).where(GROUP.c.id == group))
        return True

    async def hold_owners(self) -> None:
        """Let nobody else change the group of the servers' owners before this transaction ends."""
        if await self._find_key(OWNERS_GROUP) is None:
            await self.make(OWNERS_GROUP, _OWNERS_DESCRIPTION)

    async def touch_those_of_member(self, client: int) -> None:
        """Note that groups change as a client with its subsystems is about to be removed."""
        theirs = or_(CLIENT.c.id == client, CLIENT.c.member_id == client)
        of_client = GROUP_MEMBER.c.client_id == CLIENT.c.id
        await self._touch(
            select(GROUP_MEMBER.c.group_id).join_from(GROUP_MEMBER, CLIENT, of_client).where(theirs)
        )

    async def _touch(self, groups: Select[Any]) -> None:
        changed = update(GROUP).where(GROUP.c.id.in_(groups)).values(updated=self._now)
        await self._connection.execute(changed)

    async def _row(self, query: Select[Any]) -> Any:
        return (await self._connection.execute(query)).first()

    async def _key(self, code: str) -> int:
        key = await self._find_key(code)
        if key is None:
            raise _no_group(code)
        return key

    async def _find_key(self, code: str) -> int | None:
        row = await self._row(select(GROUP.c.id).where(GROUP.c.code == code).with_for_update())
        return None if row is None else int(row.id)


def _select_groups() -> Select[Any]:
    members = (
        select(func.count())
        .select_from(GROUP_MEMBER)
        .where(GROUP_MEMBER.c.group_id == GROUP.c.id)
        .scalar_subquery()
    )
    return select(*GROUP.c, members.label("members"))


def _group_of(row: Any) -> GroupRow:
    return GroupRow(row.code, row.description, row.members, row.created, row.updated)


def _no_group(code: str) -> GroupNotFound:
    return GroupNotFound(f"there is no global group {code!r}")
