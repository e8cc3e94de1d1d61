"""What servers have answered, and what their logs say of it."""

from contextlib import suppress

from sild.components.messagelog.entries import RecordEntry, read_entry
from sild.components.messagelog.store import MessageStore
from sild.runtime.database import Database
from sild.runtime.journal import JournalError, read_records


class Ledger:
    """The ids of messages whose answers have reached a caller."""

    def __init__(self):
        self.answered = []

    def note(self, query_id):
        self.answered.append(query_id)

    async def check(self, servers):
        """Each of them is in each log, request and response."""
        assert self.answered
        for server in servers:
            known = await recorded_by(server.layout)
            for is_response in (False, True):
                lost = [each for each in self.answered if (each, is_response) not in known]
                assert not lost, f"{server.plan.id} has lost of {len(self.answered)}: {lost}"


async def recorded_by(layout):
    """The id of each message in a server's log, and whether it is a response."""
    for _ in range(5):
        # What moves from the journal to the store meanwhile is in either.
        with suppress(JournalError, FileNotFoundError):
            found = in_journal(layout.journal(0))
            return found | await stored_by(layout)
    message = f"the journal below {layout.home} cannot be read"
    raise AssertionError(message)


def in_journal(directory):
    """The same of what is in a journal."""
    entries = (read_entry(record.payload) for record in read_records(directory))
    return {
        (entry.record.query_id, entry.record.is_response)
        for entry in entries
        if isinstance(entry, RecordEntry)
    }


async def stored_by(layout):
    """The same of what has been taken from the journal into the store."""
    path = layout.message_database
    if not path.exists():
        return set()
    async with Database.open(f"sqlite:///{path.absolute()}") as database:
        summaries = MessageStore(database).in_order()
        found = [(each.query_id, each.is_response) async for each in summaries]
    assert len(set(found)) == len(found), f"records are in {path} twice"
    return set(found)
