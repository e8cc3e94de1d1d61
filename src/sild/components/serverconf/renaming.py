"""Other names for subsystems: kept here until the global configuration has them.

A subsystem that is not registered gets its name with its registration; for a registered one the
Central Server is asked at once. What the name was before is kept too, so that any other name in
the global configuration ends the waiting.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sild.components.serverconf.errors import ClientNotReady, NameUnchanged, RenameSubmitted
from sild.components.serverconf.ports import World
from sild.components.serverconf.rename_rows import (
    Rename,
    drop_rename,
    find_rename,
    put_rename,
    read_renames,
)
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import ClientStatus
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId

_FIRST_VERSION_WITH_NAMES = 5


@dataclass(frozen=True, slots=True)
class Renaming:
    """The names that subsystems of this server are to have."""

    store: ConfigurationStore
    world: World

    async def prepare(self, client: ClientId, name: str) -> Rename | None:
        """Check a new name; give what the Central Server is to be asked for now.

        None where the name is kept for the registration. Raises GlobalConfOutdated,
        ClientNotFound, ClientNotReady, NameUnchanged, RenameSubmitted.
        """
        conf = self.world.global_conf()
        if not has_subsystem_names(conf):
            raise ClientNotReady(
                "subsystems have names only from version 5 of the global configuration on"
            )
        async with self.store.transaction() as kept:
            status = (await kept.get_client(client)).status
            if not client.is_subsystem:
                raise ClientNotReady(f"{client} cannot be renamed: it is no subsystem")
            old = conf.find_subsystem_name(client)
            if old == name:
                raise NameUnchanged(f"{client} has the name {name!r}")
            if status is ClientStatus.SAVED:
                await keep_name(kept, conf, client, name)
                return None
            if status is not ClientStatus.REGISTERED:
                raise ClientNotReady(f"a client that is {status.value} cannot be renamed")
            known = await find_rename(kept, client)
            if known is not None and known.submitted:
                message = f"the Central Server was asked to call {client} {known.new_name!r}"
                raise RenameSubmitted(message)
            return Rename(client, old, name, submitted=True)

    async def note_submitted(self, rename: Rename) -> None:
        """Note that the Central Server was asked for a name."""
        async with self.store.transaction() as kept:
            await put_rename(kept, rename)

    async def name_to_register(self, client: ClientId) -> str | None:
        """The name with which a client is to be registered; raises GlobalConfOutdated."""
        if not has_subsystem_names(self.world.global_conf()):
            return None
        async with self.store.reading() as kept:
            known = await find_rename(kept, client)
        return None if known is None else known.new_name

    async def note_registration(self, client: ClientId) -> None:
        """Note that the name was sent with the registration."""
        async with self.store.transaction() as kept:
            known = await find_rename(kept, client)
            if known is not None:
                await put_rename(kept, replace(known, submitted=True))

    async def follow(self, conf: GlobalConf) -> tuple[ClientId, ...]:
        """Wait no longer for names where the global configuration has another than before."""
        async with self.store.reading() as known:
            if not _arrived(await read_renames(known), conf):
                return ()
        async with self.store.transaction() as kept:
            arrived = _arrived(await read_renames(kept), conf)
            for client in arrived:
                await drop_rename(kept, client)
            return arrived


def has_subsystem_names(conf: GlobalConf) -> bool:
    """Whether the global configuration tells the names of subsystems."""
    return conf.instances[conf.instance].version >= _FIRST_VERSION_WITH_NAMES


async def keep_name(kept: Configuration, conf: GlobalConf, client: ClientId, name: str) -> None:
    """Keep the name that a subsystem is to be registered with, if it has another."""
    old = conf.find_subsystem_name(client)
    if old != name:
        await put_rename(kept, Rename(client, old, name, submitted=False))


def _arrived(renames: Iterable[Rename], conf: GlobalConf) -> tuple[ClientId, ...]:
    return tuple(
        each.client
        for each in renames
        if (conf.find_subsystem_name(each.client) or None) != each.old_name
    )
