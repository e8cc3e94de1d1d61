"""Local groups in SQL, by their numbers, with what people are shown of them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from sild.components.serverconf.errors import GroupNotFound
from sild.components.serverconf.rows import client_of, provider_of, select_of_client
from sild.components.serverconf.store import Configuration
from sild.components.serverconf.tables import GROUP, GROUP_MEMBER
from sild.model.services import LocalGroup
from sild.protocol.ids import ClientId

_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A subsystem in a local group, and since when."""

    client: ClientId
    added: datetime


@dataclass(frozen=True, slots=True)
class KeptGroup:
    """A local group as it is kept."""

    id: int
    owner: ClientId
    code: str
    description: str
    updated: datetime
    members: tuple[GroupMember, ...]

    @property
    def group(self) -> LocalGroup:
        """What the message path knows of it."""
        members = frozenset(member.client for member in self.members)
        return LocalGroup(self.owner, self.code, members, self.description)


async def read_groups(conf: Configuration, owner: ClientId | None = None) -> tuple[KeptGroup, ...]:
    """All local groups, or those of one client."""
    return await _read(conf, select_of_client(GROUP, owner))


async def get_kept_group(conf: Configuration, group_id: int) -> KeptGroup:
    """One local group; raises GroupNotFound."""
    # A larger number is none that the database could be asked for.
    if 0 <= group_id <= _LARGEST_ID:
        found = await _read(conf, select_of_client(GROUP, None).where(GROUP.c.id == group_id))
        if found:
            return found[0]
    raise GroupNotFound(f"there is no local group {group_id}")


async def _read(conf: Configuration, query: Select[Any]) -> tuple[KeptGroup, ...]:
    rows = (await conf.connection.execute(query)).all()
    members: dict[int, list[GroupMember]] = defaultdict(list)
    theirs = GROUP_MEMBER.c.group_id.in_([row.id for row in rows])
    kept = select(GROUP_MEMBER).where(theirs).order_by(GROUP_MEMBER.c.id)
    for each in (await conf.connection.execute(kept)).all():
        members[each.group_id].append(GroupMember(client_of(each), each.added))
    return tuple(
        KeptGroup(
            row.id, provider_of(row), row.code, row.description, row.updated, tuple(members[row.id])
        )
        for row in rows
    )
