"""The message log as control keeps it: journals are taken in, records found and exported."""

import asyncio
import logging
import os
from pathlib import Path

from sild.components.messagelog.containers import SignedDocuments
from sild.components.messagelog.errors import JournalDamaged
from sild.components.messagelog.index import JournalTaker
from sild.components.messagelog.ports import Authorities, TimestampFetcher
from sild.components.messagelog.records import RecordSummary
from sild.components.messagelog.store import MessageStore
from sild.components.messagelog.timestamping import Timestamping
from sild.protocol.ids import ClientId
from sild.runtime.database import Database
from sild.runtime.files import write_private
from sild.runtime.journal import JournalError

_LOG = logging.getLogger(__name__)


class KeptMessages:
    """Finds what was durable when it was asked, taken in by then or not."""

    def __init__(
        self,
        journals: Path,
        database: Database,
        fetcher: TimestampFetcher,
        authorities: Authorities,
    ) -> None:
        self._store = MessageStore(database)
        self._taker = JournalTaker(journals, self._store)
        timestamping = Timestamping(self._store, fetcher, authorities)
        self._documents = SignedDocuments(self._store, timestamping)

    async def take(self) -> int:
        """Take all journals; raises JournalError, JournalDamaged, OSError."""
        return await self._taker.take_all()

    async def find(self, query_id: str) -> tuple[RecordSummary, ...]:
        """The records of the messages with this id."""
        await self._catch_up()
        return await self._store.find_by_query_id(query_id)

    async def count(self) -> int:
        """How many records there are."""
        await self._catch_up()
        return await self._store.count()

    async def export(
        self, query_id: str, owner: ClientId, path: Path, *, is_response: bool
    ) -> Path:
        """Write a container as a private file, in the directory or under the name; give its path.

        A name must not be there yet. Raises what `SignedDocuments.export` raises, and OSError.
        """
        await self._catch_up()
        document = await self._documents.export(query_id, owner, is_response=is_response)
        return await asyncio.to_thread(_write, path, document.name, document.content)

    async def _catch_up(self) -> None:
        try:
            await self.take()
        except (JournalError, JournalDamaged, OSError) as error:
            # What is in the store can be had all the same; the periodic job fails loudly.
            _LOG.warning("not every journal could be taken: %s", error)


def _write(path: Path, name: str, content: bytes) -> Path:
    file = path
    if path.is_dir():
        file = path / name
    elif os.path.lexists(path):
        # The caller may do less to files than this process.
        raise FileExistsError(f"{path} is there already")
    write_private(file, content)
    return file
