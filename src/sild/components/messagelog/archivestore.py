"""The store as archiving sees it: what waits for an archive, where each chain stands."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import ColumnElement, delete, insert, select, update

from sild.components.messagelog.archivegroups import Group, Grouping
from sild.components.messagelog.store import take_turns
from sild.components.messagelog.tables import ARCHIVE_CHAIN, ARCHIVE_NOTED, RECORD
from sild.protocol.asic.archive import START, ChainHead
from sild.protocol.ids import ClientId
from sild.runtime.database import Database

_PAGE = 400


class ArchiveStore:
    """The tables of the message log, as archiving sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def groups(self, grouping: Grouping) -> tuple[Group, ...]:
        """The groups that have records to archive."""
        if grouping is Grouping.NONE:
            return (Group(grouping),)
        columns = [RECORD.c.instance, RECORD.c.member_class, RECORD.c.member_code]
        if grouping is Grouping.SUBSYSTEM:
            columns.append(RECORD.c.subsystem_code)
        query = select(*columns).where(*_waiting()).distinct().order_by(*columns)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(
            Group(
                grouping,
                ClientId(
                    row["instance"],
                    row["member_class"],
                    row["member_code"],
                    row.get("subsystem_code") or None,
                ),
            )
            for row in rows
        )

    async def waiting(self, group: Group) -> AsyncIterator[int]:
        """The records of a group that are time-stamped and not archived, in their order."""
        last = 0
        while True:
            query = (
                select(RECORD.c.id)
                .where(*_waiting(), *_of(group), RECORD.c.id > last)
                .order_by(RECORD.c.id)
                .limit(_PAGE)
            )
            async with self._database.reading() as connection:
                found = (await connection.execute(query)).scalars().all()
            for record_id in found:
                yield record_id
            if len(found) < _PAGE:
                return
            last = found[-1]

    async def head(self, group: Group) -> ChainHead:
        """Where the chain of a group stands."""
        query = select(ARCHIVE_CHAIN).where(ARCHIVE_CHAIN.c.chain == group.key)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return START if row is None else ChainHead(row.digest, row.archive)

    async def note(self, group: Group, head: ChainHead, records: Sequence[int]) -> None:
        """In one transaction: the archive exists, the chain stands at it, these are archived."""
        async with self._database.transaction() as connection:
            await take_turns(connection)
            await connection.execute(insert(ARCHIVE_NOTED).values(archive=head.archive))
            await connection.execute(
                delete(ARCHIVE_CHAIN).where(ARCHIVE_CHAIN.c.chain == group.key)
            )
            await connection.execute(
                insert(ARCHIVE_CHAIN).values(
                    chain=group.key, digest=head.digest, archive=head.archive
                )
            )
            for start in range(0, len(records), _PAGE):
                page = records[start : start + _PAGE]
                await connection.execute(
                    update(RECORD).where(RECORD.c.id.in_(page)).values(archived=True)
                )

    async def noted(self) -> tuple[str, ...]:
        """Archives that exist and may not have got their names."""
        async with self._database.reading() as connection:
            return tuple((await connection.execute(select(ARCHIVE_NOTED.c.archive))).scalars())

    async def forget(self, archive: str) -> None:
        """Note that an archive has its name."""
        async with self._database.transaction() as connection:
            await connection.execute(
                delete(ARCHIVE_NOTED).where(ARCHIVE_NOTED.c.archive == archive)
            )


def _waiting() -> tuple[ColumnElement[bool], ...]:
    return RECORD.c.archived.is_(False), RECORD.c.timestamp_id.is_not(None)


def _of(group: Group) -> tuple[ColumnElement[bool], ...]:
    owner = group.owner
    if owner is None:
        return ()
    conditions = (
        RECORD.c.instance == owner.instance,
        RECORD.c.member_class == owner.member_class,
        RECORD.c.member_code == owner.member_code,
    )
    if group.grouping is Grouping.MEMBER:
        return conditions
    return (*conditions, RECORD.c.subsystem_code == (owner.subsystem_code or ""))
