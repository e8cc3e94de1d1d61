"""The message log as control keeps it: journals taken, records stamped, found and exported."""

import asyncio
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sild.components.messagelog.archivestore import ArchiveStore
from sild.components.messagelog.archiving import Archiving
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.bundles import Bundles
from sild.components.messagelog.chosen import TimestampingServices
from sild.components.messagelog.cleaning import Cleaning
from sild.components.messagelog.containers import SignedDocuments
from sild.components.messagelog.encryption import open_cipher
from sild.components.messagelog.errors import JournalDamaged
from sild.components.messagelog.index import JournalTaker
from sild.components.messagelog.ports import Authorities, Note, TimestampFetcher, unnoted
from sild.components.messagelog.records import RecordSummary
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.settling import Place
from sild.components.messagelog.stamps import StampStore
from sild.components.messagelog.standing import StandingKeeper
from sild.components.messagelog.store import MessageStore
from sild.components.messagelog.timestamping import Timestamping
from sild.model.costs import Strategy
from sild.model.messages import WantedDocuments
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId
from sild.runtime.clock import Clock
from sild.runtime.database import Database
from sild.runtime.files import write_private
from sild.runtime.journal import JournalError, Position
from sild.servers.document_calls import WrittenDocuments
from sild.servers.layout import Layout

_LOG = logging.getLogger(__name__)
_ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class MessageLogStatus:
    """How the message log fares, for people and scripts."""

    enabled: bool
    failing_since: datetime | None
    has_provider: bool
    waiting: int
    """Records without a time-stamp."""


@dataclass(frozen=True, slots=True)
class StampSources:
    """Who stamps: the authorities that are approved, and how they are asked."""

    fetcher: TimestampFetcher
    authorities: Authorities
    note: Note = unnoted


class KeptMessages:
    """Finds what was durable when it was asked, taken in by then or not."""

    def __init__(
        self,
        layout: Layout,
        database: Database,
        sources: StampSources,
        settings: MessageLogSettings,
        clock: Clock,
    ) -> None:
        self._store = MessageStore(database, open_cipher(settings))
        self._stamps = StampStore(database)
        self._taker = JournalTaker(layout.journals, self._store)
        self._timestamping = Timestamping(
            (self._store, self._stamps),
            sources.fetcher,
            sources.authorities,
            settings,
            sources.note,
        )
        self._standing = StandingKeeper(layout.stamping_standing, clock)
        self._documents = SignedDocuments(self._store, self._timestamping)
        self._cleaning = Cleaning(database, settings)
        self._archiving = Archiving(self._store, ArchiveStore(database), settings, layout.archives)
        self._clock = clock
        self._bundles = Bundles(self._documents, settings)
        self._bundle_folder = layout.documents
        self._enabled = settings.enabled
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def take(self) -> int:
        """Take all journals; raises JournalError, JournalDamaged, OSError."""
        return await self._taker.take_all()

    async def stamp_waiting(self) -> int:
        """Time-stamp all that waits; give how many records that were.

        Raises NoTimestampingProvider, TimestampRefused, GlobalConfOutdated. While a journal cannot
        be taken it counts as failed: what stands in there waits as well.
        """
        all_taken = await self._catch_up()
        try:
            stamped = await self._timestamping.stamp_waiting()
        except Exception:
            self._standing.failed()
            raise
        if all_taken:
            self._standing.succeeded()
        else:
            self._standing.failed()
        return stamped

    async def archive(self) -> int:
        """Archive all that is time-stamped; give how many records that were.

        Raises ArchivingFailed, OSError.
        """
        return await self._archiving.archive()

    async def clean(self) -> int:
        """Delete what was archived long enough ago; give how many records that were.

        Raises what `take` raises: nothing is deleted while journals cannot be taken.
        """
        await self.take()
        return await self._cleaning.clean(self._clock.now())

    async def tell_standing(self) -> None:
        """Tell the workers how time-stamping stands; raises OSError."""
        try:
            asked = await self._timestamping.asked()
        except ProtocolError:
            # Without a configuration nothing is known of services, and no message goes on anyway.
            self._standing.tell(has_provider=True)
        else:
            self._standing.tell(has_provider=bool(asked.urls))

    async def status(self) -> MessageLogStatus:
        """How the message log fares."""
        standing = self._standing.standing
        waiting = await self._stamps.count_waiting()
        return MessageLogStatus(
            self._enabled, standing.failing_since, standing.has_provider, waiting
        )

    async def stamping_urls(self) -> tuple[str, ...]:
        """The addresses of the services that are asked, in order; raises GlobalConfOutdated."""
        return (await self._timestamping.asked()).urls

    async def services(self) -> tuple[ChosenService, ...]:
        """The time-stamping services that were chosen for this server."""
        return await self._stamps.chosen()

    def chosen_services(self, authorities: Authorities, strategy: Strategy) -> TimestampingServices:
        """What is chosen of these, to be looked at and changed."""
        return TimestampingServices(self._stamps, authorities, strategy, self.tell_standing)

    async def choose_services(self, services: tuple[ChosenService, ...]) -> None:
        """Use these services; raises TimestampingServiceNotFound, GlobalConfOutdated."""
        await self._timestamping.choose(services)
        await self.tell_standing()

    async def commit(self, journal: str, places: tuple[Place, ...]) -> None:
        """Return when the store holds the records at these places; raises MessageLogError."""
        await self._catch_up()
        taken = await self._store.find_position(journal)
        if taken is None or taken < Position(*max(places)):
            message = f"the journal {journal} was not taken up to {max(places)}"
            raise JournalDamaged(message)

    async def stamp(self, journal: str, places: tuple[Place, ...]) -> tuple[str, ...]:
        """The same, each record with a time-stamp of its own; gives why not, or a blank."""
        await self.commit(journal, places)
        return tuple(await asyncio.gather(*[self._stamp_one(journal, each) for each in places]))

    async def _stamp_one(self, journal: str, place: Place) -> str:
        found = await self._stamps.find_at(journal, Position(*place))
        if found is None:
            return f"there is no record at {place} of {journal}"
        try:
            async with self._asking:
                await self._timestamping.stamp(await self._store.get_record(found))
        except ProtocolError as error:
            return error.message
        return ""

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

    async def write_documents(self, wanted: WantedDocuments) -> WrittenDocuments | None:
        """Write signed documents to a file of their own; raises what `Bundles.write` raises."""
        await self._catch_up()
        path = self._bundle_folder / self._clock.uuid()
        bundle = await self._bundles.write(wanted, path)
        if bundle is None:
            return None
        return WrittenDocuments(str(bundle.path), bundle.name, bundle.media_type, bundle.size)

    async def _catch_up(self) -> bool:
        """Take what is durable; say whether that could be done of all journals."""
        try:
            await self.take()
        except (JournalError, JournalDamaged, OSError) as error:
            # What is in the store can be had all the same; the periodic job fails loudly.
            _LOG.warning("not every journal could be taken: %s", error)
            return False
        return True


def _write(path: Path, name: str, content: bytes) -> Path:
    file = path
    if path.is_dir():
        file = path / name
    elif os.path.lexists(path):
        # The caller may do less to files than this process.
        raise FileExistsError(f"{path} is there already")
    write_private(file, content)
    return file
