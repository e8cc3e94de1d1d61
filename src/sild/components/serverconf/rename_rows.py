"""The names that subsystems are to have, in SQL."""

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from sild.components.serverconf.rows import client_of, is_client
from sild.components.serverconf.store import Configuration
from sild.components.serverconf.tables import CLIENT, RENAME
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class Rename:
    """A subsystem's new name; `submitted` says whether the Central Server was asked for it."""

    client: ClientId
    old_name: str | None
    new_name: str
    submitted: bool


async def read_renames(conf: Configuration) -> tuple[Rename, ...]:
    """All names that were not in the global configuration when last looked."""
    query = (
        select(CLIENT, RENAME)
        .join_from(RENAME, CLIENT, CLIENT.c.id == RENAME.c.client_id)
        .order_by(CLIENT.c.id)
    )
    rows = (await conf.connection.execute(query)).all()
    return tuple(
        Rename(client_of(row), row.old_name or None, row.new_name, row.submitted) for row in rows
    )


async def find_rename(conf: Configuration, client: ClientId) -> Rename | None:
    """The new name of a subsystem."""
    return next((each for each in await read_renames(conf) if each.client == client), None)


async def put_rename(conf: Configuration, rename: Rename) -> None:
    """Keep a client's new name in place of another; nothing if it is no client any more."""
    await drop_rename(conf, rename.client)
    row = (
        await conf.connection.execute(select(CLIENT.c.id).where(is_client(CLIENT, rename.client)))
    ).first()
    if row is None:
        return
    values = {
        "client_id": row.id,
        "old_name": rename.old_name or "",
        "new_name": rename.new_name,
        "submitted": rename.submitted,
    }
    await conf.connection.execute(insert(RENAME).values(values))


async def drop_rename(conf: Configuration, client: ClientId) -> None:
    """Forget a client's new name."""
    theirs = select(CLIENT.c.id).where(is_client(CLIENT, client))
    await conf.connection.execute(delete(RENAME).where(RENAME.c.client_id.in_(theirs)))
