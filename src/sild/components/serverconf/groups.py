"""Use cases on local groups: subsystems that a client gives rights to as one."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from sild.components.serverconf.errors import (
    GroupExists,
    GroupMemberExists,
    GroupMemberGone,
    GroupMemberNotFound,
    GroupMembersMissing,
)
from sild.components.serverconf.group_rows import KeptGroup, get_kept_group, read_groups
from sild.components.serverconf.ports import World
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import InvalidConfiguration, LocalGroup, check_code
from sild.protocol.errors import GlobalConfOutdated, MalformedGlobalConf
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId
from sild.runtime.clock import Clock

_LONGEST_DESCRIPTION = 255


@dataclass(frozen=True, slots=True)
class Named:
    """What a client in a group is called, as far as that is known."""

    member: str | None
    subsystem: str | None


@dataclass(frozen=True, slots=True)
class LocalGroups:
    """The local groups of this server's clients."""

    store: ConfigurationStore
    world: World
    clock: Clock

    async def groups_of(self, owner: ClientId) -> tuple[KeptGroup, ...]:
        """The groups of a client; raises ClientNotFound."""
        async with self.store.reading() as kept:
            await kept.get_client(owner)
            return await read_groups(kept, owner)

    async def get(self, group_id: int) -> KeptGroup:
        """A group; raises GroupNotFound."""
        async with self.store.reading() as kept:
            return await get_kept_group(kept, group_id)

    def name_of(self, client: ClientId) -> Named:
        """What a client is called; nothing while no global configuration is valid."""
        try:
            conf = self.world.global_conf()
        except (GlobalConfOutdated, MalformedGlobalConf):
            return Named(None, None)
        return Named(conf.find_member_name(client), conf.find_subsystem_name(client))

    async def add(self, group: LocalGroup) -> KeptGroup:
        """Add a group; raises ClientNotFound, GroupExists, InvalidConfiguration."""
        check_group(group)
        async with self.store.transaction() as kept:
            await kept.get_client(group.owner)
            if any(known.code == group.code for known in await kept.groups(group.owner)):
                raise GroupExists(f"{group.owner} has a local group {group.code!r} already")
            added = await kept.add_group(group, self.clock.now())
            return await get_kept_group(kept, added)

    async def describe(self, group_id: int, description: str) -> KeptGroup:
        """Change what people read about a group; raises GroupNotFound, InvalidConfiguration."""
        async with self.store.transaction() as kept:
            group = replace((await get_kept_group(kept, group_id)).group, description=description)
            await self._save(kept, group)
            return await get_kept_group(kept, group_id)

    async def add_members(self, group_id: int, clients: Collection[ClientId]) -> None:
        """Put subsystems of any instance in a group: all, or none.

        Raises GroupMembersMissing, GroupNotFound, GroupMemberNotFound, GroupMemberExists,
        InvalidConfiguration, GlobalConfOutdated.
        """
        if not clients:
            raise GroupMembersMissing("it is not said who is to be put in the group")
        conf = self.world.global_conf()
        async with self.store.transaction() as kept:
            group = (await get_kept_group(kept, group_id)).group
            for client in clients:
                await _check_new_member(kept, conf, group, client)
            await self._save(kept, replace(group, members=group.members.union(clients)))

    async def remove_members(self, group_id: int, clients: Collection[ClientId]) -> None:
        """Put subsystems out of a group: all, or none; raises GroupNotFound, GroupMemberGone."""
        async with self.store.transaction() as kept:
            group = (await get_kept_group(kept, group_id)).group
            if not clients:
                raise GroupMemberGone("it is not said who is to be put out of the group")
            for client in clients:
                if client not in group.members:
                    raise GroupMemberGone(f"{client} is not in the group {group.code!r}")
            await self._save(kept, replace(group, members=group.members.difference(clients)))

    async def remove(self, group_id: int) -> None:
        """Remove a group and the rights that it has; raises GroupNotFound."""
        async with self.store.transaction() as kept:
            group = await get_kept_group(kept, group_id)
            await kept.remove_group(group.owner, group.code)

    async def _save(self, kept: Configuration, group: LocalGroup) -> None:
        check_group(group)
        await kept.replace_group(group, self.clock.now())


def check_group(group: LocalGroup) -> None:
    """Refuse a group that could not be written, or with members that are no subsystems."""
    check_code("the code of a local group", group.code)
    if len(group.description) > _LONGEST_DESCRIPTION:
        raise InvalidConfiguration(
            f"the description of a local group has at most {_LONGEST_DESCRIPTION} characters"
        )
    for member in group.members:
        if not member.is_subsystem:
            raise InvalidConfiguration(f"{member} cannot be in a local group: it is no subsystem")


async def _check_new_member(
    kept: Configuration, conf: GlobalConf, group: LocalGroup, client: ClientId
) -> None:
    if not conf.is_known(client) and await kept.find_client(client) is None:
        raise GroupMemberNotFound(f"nobody knows {client}")
    if client in group.members:
        raise GroupMemberExists(f"{client} is in the group {group.code!r}")
