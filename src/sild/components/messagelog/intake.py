"""What the entries of a journal come to: signatures, pieces of bodies and records to be added."""

from collections.abc import Mapping
from dataclasses import dataclass

from sild.components.messagelog.entries import (
    AbandonedEntry,
    BodyEntry,
    Entry,
    RecordEntry,
    SignatureEntry,
    session_of,
)
from sild.components.messagelog.errors import JournalDamaged
from sild.runtime.journal import Position


@dataclass(frozen=True, slots=True)
class TakenEntry:
    """An entry, and where it stands in its journal."""

    position: Position
    entry: Entry


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a body, which begins at the offset; pieces are numbered from 0."""

    body_key: str
    number: int
    content: bytes
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What there is of a body whose record has not come yet."""

    pieces: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be added; its body stands in it, or in pieces with the key."""

    position: Position
    entry: RecordEntry
    body_key: str | None


class Intake:
    """Some entries of one journal, taken in order; it goes on where the intake before ended."""

    def __init__(self, unfinished: Mapping[str, Unfinished]) -> None:
        self.unfinished = dict(unfinished)
        self.signatures: dict[bytes, bytes] = {}
        self.pieces: list[Piece] = []
        self.records: list[NewRecord] = []
        self.dropped: set[str] = set()
        """Bodies whose record will never come: the pieces that were added before are to go."""
        self._session: str | None = None

    def take(self, taken: TakenEntry) -> None:
        """Take the next entry; raises JournalDamaged."""
        match taken.entry:
            case SignatureEntry(digest, document):
                self.signatures[digest] = document
            case BodyEntry(key, content):
                self._follow(key)
                found = self.unfinished.get(key, Unfinished())
                self.pieces.append(Piece(key, found.pieces, content, found.size))
                self.unfinished[key] = Unfinished(found.pieces + 1, found.size + len(content))
            case AbandonedEntry(key):
                self._follow(key)
                self._drop({key} & self.unfinished.keys())
            case RecordEntry(key) as entry:
                self._follow(key)
                self.records.append(NewRecord(taken.position, entry, self._finish(entry)))

    def _follow(self, key: str) -> None:
        """Drop what another session left unfinished: that writer is gone."""
        session = session_of(key)
        if session != self._session:
            self._session = session
            self._drop({other for other in self.unfinished if session_of(other) != session})

    def _drop(self, keys: set[str]) -> None:
        if keys:
            self.dropped |= keys
            self.pieces = [piece for piece in self.pieces if piece.body_key not in keys]
            for key in keys:
                del self.unfinished[key]

    def _finish(self, entry: RecordEntry) -> str | None:
        found = self.unfinished.pop(entry.record_key, None)
        in_pieces = entry.body_size if entry.record.body is None else 0
        size = found.size if found else 0
        if size != (in_pieces or 0):
            message = (
                f"the record {entry.record_key} has a body of {in_pieces} bytes, of which {size} "
                "stand before it"
            )
            raise JournalDamaged(message)
        return entry.record_key if found else None
