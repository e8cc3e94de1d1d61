"""Find what was changed in journals by hand, and name the file and the place.

Checksums and numbers say what a journal held; the mark beside it and the store say how far it went.
Whoever makes all of these anew is found by what stands elsewhere: see `audit.py`.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from sild.components.messagelog.audit import Finding, Kind
from sild.components.messagelog.entries import SignatureEntry, read_entry
from sild.components.messagelog.reference import IMPORTED
from sild.components.messagelog.store import MessageStore
from sild.runtime.journal import JournalCorrupt, JournalError, Position, read_recoverable
from sild.runtime.packing import PackingError

# A journal may be taken and released while it is read.
_TRIES = 20


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What an audit of journals found, and how much it looked at."""

    journals: int
    entries: int
    """Records, signatures and pieces of bodies that stand in journals, taken or not."""
    findings: tuple[Finding, ...]


async def audit_journals(folder: Path, store: MessageStore) -> JournalReport:
    """Read all journals in a folder; what was taken of each is there, or was released."""
    taken = await store.positions()
    names = {name for name in taken if not name.startswith(IMPORTED)}
    names |= set(await asyncio.to_thread(_names_in, folder))
    entries, findings = 0, []
    for name in sorted(names):
        found = await _audit(folder / name, store)
        entries += found if isinstance(found, int) else 0
        if isinstance(found, Finding):
            findings.append(found)
    return JournalReport(len(names), entries, tuple(findings))


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


async def _audit(directory: Path, store: MessageStore) -> int | Finding:
    taken = await store.find_position(directory.name)
    for _ in range(_TRIES):
        found = await asyncio.to_thread(_read, directory, taken)
        before, taken = taken, await store.find_position(directory.name)
        if isinstance(found, int) or before == taken:
            return found
    return await asyncio.to_thread(_read, directory, taken)


def _read(directory: Path, taken: Position | None) -> int | Finding:
    """How many entries there are, or what is wrong with the first that is not as it was."""
    count = 0
    try:
        if taken is not None and not directory.is_dir():
            raise JournalCorrupt(f"{directory} is missing")
        for record in read_recoverable(directory, taken):
            _check_entry(directory, record.position, record.payload)
            count += 1
    except (JournalError, OSError) as error:
        return Finding(Kind.JOURNAL, str(error))
    return count


def _check_entry(directory: Path, position: Position, payload: bytes) -> None:
    place = f"{directory}, segment {position.segment}, offset {position.offset}"
    try:
        entry = read_entry(payload)
    except PackingError as error:
        raise JournalCorrupt(f"{place}: {error}") from error
    match entry:
        case SignatureEntry(digest, document) if hashlib.sha256(document).digest() != digest:
            raise JournalCorrupt(f"{place}: a signature is not the one that its digest names")
