"""Take journals into the store, idempotently, in one total order.

Up to where a journal was taken is kept in the transaction that adds what stood there, and only
then are its segments released: a crash at any moment loses nothing and doubles nothing.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sild.components.messagelog.entries import read_entry
from sild.components.messagelog.errors import JournalDamaged
from sild.components.messagelog.intake import Intake, TakenEntry
from sild.components.messagelog.store import MessageStore
from sild.runtime.journal import JournalError, Position, read_records, release_records
from sild.runtime.packing import PackingError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TakeLimits:
    """How many entries, and how many bytes but for the last entry's, one transaction takes."""

    entries: int = 1000
    size: int = 4 * 1024**2


_DEFAULT_LIMITS = TakeLimits()


class JournalTaker:
    """Takes the journals that stand in one folder, each in a directory of its name."""

    def __init__(
        self, folder: Path, store: MessageStore, limits: TakeLimits = _DEFAULT_LIMITS
    ) -> None:
        self._folder = folder
        self._store = store
        self._limits = limits
        self._lock = asyncio.Lock()
        self._released: set[str] = set()

    async def take_all(self) -> int:
        """Take what is durable in all journals; give how many records that were.

        One journal that cannot be taken holds up no other; its error is raised at the end.
        """
        async with self._lock:
            taken, failures = 0, []
            for directory in await asyncio.to_thread(_directories, self._folder):
                try:
                    taken += await self._take(directory)
                except (JournalError, JournalDamaged, OSError) as error:
                    _LOG.error("the journal %s cannot be taken: %s", directory.name, error)
                    failures.append(error)
        if failures:
            raise failures[0]
        return taken

    async def _take(self, directory: Path) -> int:
        position = await self._store.find_position(directory.name)
        taken, moved = 0, directory.name not in self._released
        while batch := await asyncio.to_thread(_read_batch, directory, position, self._limits):
            taken += await self._add(directory.name, batch)
            position, moved = batch[-1].position, True
        if moved and position is not None:
            await asyncio.to_thread(release_records, directory, position)
            self._released.add(directory.name)
        return taken

    async def _add(self, journal: str, batch: Sequence[TakenEntry]) -> int:
        async with self._store.taking(journal) as taking:
            # Another process may have taken some of it since the position was read.
            fresh = [taken for taken in batch if taken.position > taking.position]
            if not fresh:
                return 0
            intake = Intake(await taking.unfinished())
            for taken in fresh:
                intake.take(taken)
            await taking.add(intake, fresh[-1].position)
        return len(intake.records)


def _directories(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _read_batch(directory: Path, after: Position | None, limits: TakeLimits) -> list[TakenEntry]:
    batch: list[TakenEntry] = []
    size = 0
    for record in read_records(directory, after):
        try:
            batch.append(TakenEntry(record.position, read_entry(record.payload)))
        except PackingError as error:
            message = f"{directory}, {record.position}: {error}"
            raise JournalDamaged(message) from error
        size += len(record.payload)
        if len(batch) >= limits.entries or size >= limits.size:
            break
    return batch
