"""A message log from its worker's side to its store, with signed messages to put in."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from pki_builder import MEMBER, NOON, TestTsa
from signing_builder import ATTACHMENT, MESSAGE, TestSigner
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.containers import SignedDocuments
from sild.components.messagelog.encryption import open_cipher
from sild.components.messagelog.entries import read_entry
from sild.components.messagelog.index import JournalTaker, TakeLimits
from sild.components.messagelog.log import Conditions, JournalLog
from sild.components.messagelog.schema import MIGRATIONS
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.stamps import StampStore
from sild.components.messagelog.store import MessageStore
from sild.components.messagelog.timestamping import Timestamping
from sild.model.messages import MessageRecord
from sild.protocol.errors import NetworkError
from sild.protocol.globalconf.shared_parameters import TimestampingService
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.files import SpoolDirectory, SpoolLimits
from sild.runtime.journal import Journal, JournalLimits, read_records
from sild.runtime.migrations import migrate

OWNER = MEMBER.subsystem("S1")
PART = (
    b"GET\r\n/r1/DEV/GOV/M2/S2/service\r\n"
    b"X-Road-Client:DEV/GOV/M1/S1\r\nx-road-request-id:1\r\nx-road-id:DEV-1\r\n"
)
SIGNER = TestSigner.create()
TSA = TestTsa.create()
TRUST = replace(SIGNER.trust, tsas=(TSA.approved(),))
STAMPED_AT = NOON + timedelta(minutes=5)
TIME_MS = int(NOON.timestamp() * 1000)


def records_of(*bodies, owner=OWNER, is_response=False):
    """Records of messages that are signed together, each with its body or None."""
    parts = [{MESSAGE: PART} | ({} if body is None else {ATTACHMENT: body}) for body in bodies]
    return [
        MessageRecord(
            query_id=f"id-{number}",
            owner=owner,
            is_response=is_response,
            time_ms=TIME_MS + number,
            message=PART,
            signature=signed.signature,
            hash_chain_result=signed.hash_chain_result,
            hash_chain=signed.hash_chain,
            request_id=f"request-{number}",
        )
        for number, signed in enumerate(SIGNER.sign(*parts))
    ]


def plain_record(query_id="id", signature=b"a signature", **fields):
    """A record whose signature means nothing."""
    return MessageRecord(
        **(
            {"query_id": query_id, "owner": OWNER, "is_response": False, "time_ms": TIME_MS}
            | fields
        ),
        message=PART,
        signature=signature,
    )


@dataclass
class Writer:
    """A worker's side."""

    log: JournalLog
    journal: Journal
    directory: Path
    spool: SpoolDirectory
    tasks: asyncio.TaskGroup

    @property
    def entries(self):
        """What the journal holds."""
        return [read_entry(record.payload) for record in read_records(self.directory)]

    async def spooled(self, content):
        """A body as large ones come."""
        spooled = self.spool.spool()
        await spooled.append(content)
        return spooled


@asynccontextmanager
async def writing(path, name="worker-0", *, clock=None, limits=None, conditions=None, **settings):
    """A worker's message log; its journal is in the folder `journal` of the path."""
    clock = clock or SystemClock()
    directory = path / "journal" / name
    spool = SpoolDirectory(path / "spool" / name, SpoolLimits(memory=1000))
    async with (
        Journal.open(directory, name, limits, clock) as journal,
        asyncio.TaskGroup() as tasks,
    ):
        told = conditions(tasks) if conditions else Conditions()
        log = JournalLog(journal, MessageLogSettings(**settings), clock, tasks.create_task, told)
        yield Writer(log, journal, directory, spool, tasks)
    spool.close()


SMALL_SEGMENTS = JournalLimits(segment_bytes=100_000)


def service(url="http://tsa.test/", tsa=TSA, cost=None, name="Test TSA"):
    """A time-stamping service as the global configuration approves it."""
    return TimestampingService(name, url, tsa.signer.certificate, cost)


CHOSEN = ChosenService("Test TSA", "http://tsa.test/")


@dataclass
class Authority:
    """Time-stamping authorities that answer or are silent, by their addresses."""

    approved: tuple = (service(),)
    answers: dict = field(default_factory=lambda: {"http://tsa.test/": TSA})
    asked: list = field(default_factory=list)

    async def fetch_timestamp(self, url, request):
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None:
            raise NetworkError(f"{url} is silent")
        return answer if isinstance(answer, bytes) else answer.answer(request, at=STAMPED_AT)


class Kept:
    """Control's side."""

    def __init__(self, path, database, limits, settings):
        self.database = database
        self.folder = path / "journal"
        self.store = MessageStore(database, open_cipher(settings))
        self.stamps = StampStore(database)
        self.taker = JournalTaker(self.folder, self.store, limits)
        self.authority = Authority()
        self.timestamping = Timestamping(
            (self.store, self.stamps), self.authority, lambda: self.authority.approved, settings
        )
        self.documents = SignedDocuments(self.store, self.timestamping)

    async def summaries(self):
        return [summary async for summary in self.store.in_order()]

    async def records(self):
        """Every whole record in order."""
        return [await self.store.get_record(summary.id) for summary in await self.summaries()]

    async def rows(self, sql):
        """What a query of the tables gives."""
        async with self.database.reading() as connection:
            return list(await connection.exec_driver_sql(sql))


def url_at(path):
    """Where the database of a path is: where a file there says, or in it."""
    named = path / "database-url"
    return named.read_text() if named.exists() else f"sqlite:///{path / 'messagelog.db'}"


@asynccontextmanager
async def keeping(path, limits=None, **settings):
    """Control's side of the message log, its database that of the path."""
    async with Database.open(url_at(path)) as database:
        await migrate(database, MIGRATIONS)
        kept = Kept(path, database, limits or TakeLimits(), MessageLogSettings(**settings))
        if not await kept.stamps.chosen():
            await kept.timestamping.choose([CHOSEN])
        yield kept
