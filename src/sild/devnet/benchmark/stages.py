"""The life of a message record, each stage in a process of its own: what it takes.

Run as `python -m sild.devnet.benchmark.stages STAGE HOME URL RECORDS`; it prints lines of JSON,
`told` while it works and the figures at the end.
"""

import asyncio
import json
import logging
import os
import sys
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sild.components.messagelog.archivestore import ArchiveStore
from sild.components.messagelog.archiving import Archiving
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.index import JournalTaker
from sild.components.messagelog.log import JournalLog
from sild.components.messagelog.schema import MIGRATIONS
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.stamps import StampStore
from sild.components.messagelog.store import MessageStore
from sild.components.messagelog.timestamping import Timestamping
from sild.devnet.benchmark.figures import Spent
from sild.devnet.benchmark.processes import cpu_seconds, peak_memory_bytes
from sild.devnet.benchmark.signatory import INSTANCE, Authorities, Signatory
from sild.devnet.errors import DevnetError
from sild.model.messages import MessageRecord
from sild.protocol.asic.archive import LINKING_INFO, verify_archive
from sild.protocol.asic.judge import judge_container
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database
from sild.runtime.journal import Journal
from sild.runtime.loop import run
from sild.runtime.migrations import migrate

Tell = Callable[[str], None]

_SAVERS = 64
_WORKER = "worker-0"
_TELL_EVERY = 2000
_TELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the stages of one engine find what those before them left."""

    home: Path
    url: str
    """Of the database."""
    records: int

    @property
    def journals(self) -> Path:
        """The folder of journals."""
        return self.home / "journal"

    @property
    def archives(self) -> Path:
        """The directory of archives."""
        return self.home / "archive"

    def authorities(self, clock: Clock) -> Authorities:
        """Those that all stages share."""
        return Authorities.at(self.home / "authorities", clock)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The database with its tables."""
        async with Database.open(self.url) as database:
            await migrate(database, MIGRATIONS)
            yield database

    def check_all(self, done: int, what: str) -> None:
        """Raise DevnetError unless it was done to all records."""
        if done != self.records:
            raise DevnetError(f"{done} of {self.records} records were {what}")


class Watch:
    """What this process takes from now on."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self._records, self._clock, self._pid = place.records, clock, os.getpid()
        self._begun, self._cpu = clock.monotonic(), cpu_seconds([self._pid])

    def read(self) -> Spent:
        """What it took until now."""
        return Spent(
            self._records,
            self._clock.monotonic() - self._begun,
            cpu_seconds([self._pid]) - self._cpu,
            peak_memory_bytes(self._pid),
        )


async def log_records(place: Place, tell: Tell) -> Spent:
    """Log signed messages, many at once, and take them into the store meanwhile."""
    clock, settings = SystemClock(), MessageLogSettings()
    tell(f"signing {place.records:,} messages")
    signatory = Signatory(place.authorities(clock), clock)
    records = iter(list(signatory.records(place.records)))
    async with (
        place.database() as database,
        asyncio.TaskGroup() as tasks,
        Journal.open(place.journals / _WORKER, _WORKER) as journal,
    ):
        log = JournalLog(journal, settings, clock, tasks.create_task)
        taker = JournalTaker(place.journals, MessageStore(database))
        watch, taken, waiting = Watch(place, clock), 0, True
        savers = [tasks.create_task(_save(log, records)) for _ in range(_SAVERS)]
        while waiting:
            _, pending = await asyncio.wait(savers, timeout=settings.take_interval)
            waiting = bool(pending)
            taken += await taker.take_all()
            tell(f"logged and taken {taken:,} of {place.records:,} messages")
        spent = watch.read()
        kept = await MessageStore(database).count()
    place.check_all(kept, "logged")
    return spent


async def _save(log: JournalLog, records: Iterator[MessageRecord]) -> None:
    for record in records:
        await log.save(record, record.body)


async def stamp_records(place: Place, tell: Tell) -> Spent:
    """Time-stamp all records, in the batches of a server."""
    clock, settings = SystemClock(), MessageLogSettings()
    authorities = place.authorities(clock)
    approved = (authorities.approved_tsa,)
    async with place.database() as database:
        stores = (MessageStore(database), StampStore(database))
        stamping = Timestamping(stores, authorities, lambda: approved, settings)
        await stamping.choose([ChosenService(each.name, each.url) for each in approved])
        tell(f"time-stamping {place.records:,} records")
        watch = Watch(place, clock)
        stamped = await stamping.stamp_waiting()
        spent = watch.read()
    place.check_all(stamped, "time-stamped")
    return spent


async def archive_records(place: Place, tell: Tell) -> Spent:
    """Archive all records as containers."""
    clock = SystemClock()
    async with place.database() as database, asyncio.TaskGroup() as tasks:
        archiving = Archiving(
            MessageStore(database), ArchiveStore(database), MessageLogSettings(), place.archives
        )
        telling = tasks.create_task(_tell_of_archives(place, tell))
        watch = Watch(place, clock)
        archived = await archiving.archive()
        spent = watch.read()
        telling.cancel()
    place.check_all(archived, "archived")
    return spent


async def _tell_of_archives(place: Place, tell: Tell) -> None:
    while True:
        count = len(list(place.archives.glob("*.zip")))
        tell(f"archiving {place.records:,} records, {count} archives so far")
        await asyncio.sleep(_TELL_SECONDS)


async def verify_containers(place: Place, tell: Tell) -> Spent:
    """Verify all archives and all containers in them."""
    clock = SystemClock()
    trusts = {INSTANCE: place.authorities(clock).trust}
    watch, verified = Watch(place, clock), 0
    for path in sorted(place.archives.glob("*.zip")):
        with path.open("rb") as file:
            verify_archive(file)
        for name, content in _containers(path):
            judgement = judge_container(content, trusts)
            if judgement.error is not None:
                raise DevnetError(f"{name}: {judgement.error.message}")
            if verified % _TELL_EVERY == 0:
                tell(f"verified {verified:,} of {place.records:,} containers")
            verified += 1
    spent = watch.read()
    place.check_all(verified, "verified")
    return spent


def _containers(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name != LINKING_INFO:
                yield name, archive.read(name)


STAGES: Mapping[str, Callable[[Place, Tell], Awaitable[Spent]]] = {
    "log": log_records,
    "stamp": stamp_records,
    "archive": archive_records,
    "verify": verify_containers,
}
"""By their names, in their order."""


async def _main(stage: str, home: str, url: str, records: str) -> None:
    place = Place(Path(home), url, int(records))
    said: Mapping[str, object]
    try:
        said = asdict(await STAGES[stage](place, lambda text: _say({"told": text})))
    except DevnetError as error:
        said = {"failed": str(error)}
    _say(said)


def _say(said: Mapping[str, object]) -> None:
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    # That a batch is full, or an archive was written, is no news here.
    logging.basicConfig(level=logging.ERROR)
    run(_main(*sys.argv[1:]))
