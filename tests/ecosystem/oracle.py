"""What clients were answered, by a ledger of their own, compared with the logs of both servers."""

import asyncio
import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from sild.components.messagelog.entries import RecordEntry, read_entry
from sild.components.messagelog.tables import JOURNAL, PIECE, RECORD, SIGNATURE
from sild.runtime.database import Database
from sild.runtime.journal import JournalError, Position, read_records


def digest(content):
    """The SHA-256 of some bytes."""
    return hashlib.sha256(content).digest()


@dataclass(frozen=True)
class Acknowledged:
    """A message whose answer has reached its client, and the digests of what went and came."""

    kind: str
    query_id: str
    request_id: str | None
    asked: bytes
    answered: bytes
    in_body: bool
    """Whether what was sent and answered is the body of a record, or its message."""


@dataclass(frozen=True)
class Recorded:
    """What the store says of a message."""

    request_id: str | None
    message: bytes
    body: bytes


class LogReader:
    """Follows the log of one server: its store, and of its journals what is not there yet.

    Everything is read once. What no log may ever hold raises AssertionError.
    """

    def __init__(self, layout):
        self._layout = layout
        self._last = 0
        self._positions = {}
        self.stored = {}
        """By query id and whether it is a response; None once it needs no looking at any more."""
        self.journalled = set()

    async def read(self):
        """Read what has come since."""
        for _ in range(20):
            # What control takes meanwhile is released in the journal, and found in the store.
            with suppress(JournalError, FileNotFoundError):
                taken = await self._read_store()
                self.journalled = await asyncio.to_thread(self._read_journals, taken)
                break
        else:
            message = f"the journals of {self._layout.home} cannot be read"
            raise AssertionError(message)
        await self._read_store()

    async def _read_store(self):
        """Read new records, and up to where journals were taken at that moment."""
        url = f"sqlite:///{self._layout.message_database.absolute()}"
        new = (
            select(RECORD, JOURNAL.c.name, SIGNATURE.c.digest)
            .join_from(RECORD, JOURNAL)
            .join(SIGNATURE, RECORD.c.signature == SIGNATURE.c.digest, isouter=True)
            .where(RECORD.c.id > self._last)
            .order_by(RECORD.c.id)
        )
        async with Database.open(url) as database, database.reading() as connection:
            for row in (await connection.execute(new)).all():
                body = row.body or b""
                if row.body_key is not None:
                    pieces = select(PIECE.c.content).where(PIECE.c.body_key == row.body_key)
                    found = await connection.execute(pieces.order_by(PIECE.c.number))
                    body = b"".join(found.scalars())
                self._add(row, body)
            journals = (await connection.execute(select(JOURNAL))).all()
        return {each.name: Position(each.segment, each.place) for each in journals}

    def _add(self, row, body):
        key = (row.query_id, row.is_response)
        told = f"record {row.id} of {self._layout.home.name}, {key}"
        assert key not in self.stored, f"{told} is in the store twice"
        position = Position(row.segment, row.place)
        before = self._positions.get(row.name, Position(0, 0))
        assert position > before, f"{told} stands out of order: {position} after {before}"
        assert row.digest is not None, f"{told} has no signature"
        assert not row.is_response or (row.query_id, False) in self.stored, f"{told}: no request"
        self.stored[key] = Recorded(row.request_id, digest(row.message), digest(body))
        self._positions[row.name] = position
        self._last = row.id

    def _read_journals(self, taken):
        found = set()
        for directory in self._layout.journals.iterdir():
            for record in read_records(directory, taken.get(directory.name)):
                entry = read_entry(record.payload)
                if isinstance(entry, RecordEntry):
                    key = (entry.record.query_id, entry.record.is_response)
                    told = f"{key} at {record.position} of {directory}"
                    assert key not in self.stored, f"{told} is in the store already"
                    assert key not in found, f"{told} is there twice"
                    found.add(key)
        return found


class Oracle:
    """Keeps what was acknowledged, and says whether logs hold just that."""

    def __init__(self, acknowledged=()):
        self.acknowledged = list(acknowledged)
        self.kinds = Counter(each.kind for each in self.acknowledged)

    def note(self, acknowledged):
        """An answer has come."""
        self.acknowledged.append(acknowledged)
        self.kinds[acknowledged.kind] += 1

    def compared_with(self, layout):
        """A comparison with the log of one server, which can be made again and again."""
        return Comparison(self, layout)


class Comparison:
    """One server's log beside the ledger."""

    def __init__(self, oracle, layout):
        self._name = layout.home.name
        self._oracle = oracle
        self._seen = 0
        self._pending = []
        self.log = LogReader(layout)

    async def make(self):
        """Each message that was acknowledged by now is in the log as its client knows it.

        Gives how many of them are not in the store yet.
        """
        acknowledged = self._oracle.acknowledged
        expected = self._pending + acknowledged[self._seen :]
        self._seen = len(acknowledged)
        await self.log.read()
        lost = [each for each in expected if not self._holds(each)]
        assert not lost, f"{self._name} has lost {len(lost)} of {self._seen}: {lost[:5]}"
        self._pending = [each for each in expected if not self._settle(each)]
        return len(self._pending)

    def _holds(self, each):
        known = self.log
        keys = [(each.query_id, is_response) for is_response in (False, True)]
        return all(key in known.stored or key in known.journalled for key in keys)

    def _settle(self, each):
        """Compare with the store; say whether both messages are there."""
        keys = [(each.query_id, is_response) for is_response in (False, True)]
        if any(key not in self.log.stored for key in keys):
            return False
        for key, expected in zip(keys, (each.asked, each.answered), strict=True):
            found = self.log.stored[key]
            content = found.body if each.in_body else found.message
            assert content == expected, f"{self._name} has logged something else as {key}"
            assert each.request_id in {None, found.request_id}, f"{key}: {found.request_id}"
            self.log.stored[key] = None
        return True
