"""What was done by hand to the logs of two real servers is found, and named.

Rows of the store, journals that were not taken yet, and archives: each is altered, cut out, moved
and cut off. What even this leaves unsaid is told by what stands elsewhere: a head that was kept, a
container of the other server, a last digest. More of each: `tests/cli/test_log_tree.py` (rows that
are moved or put in, heads), `tests/runtime/test_journal.py` (any byte of a journal),
`tests/protocol/asic/test_archive.py` (any byte of an archive).
"""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ecosystem.archived import archive_now, sild
from ecosystem.duo import PORTAL, REGISTER, Duo, plan_at
from ecosystem.processes import until
from evidence_builder import entries_in, rezipped
from runtime.test_journal import lose_mark
from sild.components.messagelog.entries import RecordEntry, read_entry, write_entry
from sild.protocol.asic.archive import LINKING_INFO
from sild.runtime.journal_segments import RECORD_SIZE, Segment, checksum, record_head

NETWORK = "127.0.43"
SECONDS = 120
TAKEN, WAITING = 4, 8
"""Messages in the store, and in the journal alone: a request and a response each."""
# Journals are taken when somebody asks for what is in them, and have several segments.
STILL_LOG = (
    ("take-interval", "3600.0"),
    ("segment-bytes", "16384"),
    ("archive-transaction-batch", "4"),
)


@dataclass
class Stopped:
    """The consumer's server, stopped, and how to have it again as it was then."""

    duo: Duo
    server: object
    kept: Path
    head: Path
    """Kept when the first messages were in the store; `older` is the store when half of them were."""
    older: Path
    first: str
    last: str
    """The ids of the first message that the older store has not, and of the last of all."""
    peers: dict
    """Of these two, the provider's containers of the requests."""

    @property
    def home(self):
        return self.server.layout.home

    @property
    def journal(self):
        return self.server.layout.journal(0)

    def restore(self):
        shutil.rmtree(self.home)
        shutil.copytree(self.kept, self.home, symlinks=True)
        (self.home / "server.log").write_bytes(b"")

    def segments(self):
        return sorted(self.journal.glob("*.journal"))

    async def audit(self, *known):
        """What an audit says: its exit code and findings."""
        code, out, err = await sild("log", "audit", "--home", self.home, "--json", *known)
        assert code in {0, 1}, err
        return code, [(each["kind"], each["text"]) for each in json.loads(out)["findings"]]

    async def start(self):
        await self.server.start()
        await self.server.ready()

    async def told_at_start(self, words):
        """Start the server, and come back when its log has these words."""
        log = self.home / "server.log"
        await self.server.start()
        await until(lambda: words in log.read_text(), SECONDS, f"{words} in {log}")
        await self.duo.stop(self.server)


def without_sockets(folder, names):
    return [name for name in names if (Path(folder) / name).is_socket()]


async def sent(duo, count):
    answers = [await duo.call("/mirror", content=b"%d" % number) for number in range(count)]
    return [answer.headers["x-road-id"] for answer in answers]


@pytest.fixture(scope="module")
async def stopped(tmp_path_factory, anyio_backend):
    folder = tmp_path_factory.mktemp("tampered")
    plan = plan_at(NETWORK, folder / "servers", message_log=STILL_LOG)
    async with Duo(plan) as duo:
        consumer, provider = duo.consumer, duo.provider
        await sent(duo, TAKEN // 2)
        assert await consumer.control.record_count() == TAKEN
        head, older = folder / "head.json", folder / "older.db"
        with closing(sqlite3.connect(consumer.layout.message_database)) as database:
            database.execute("VACUUM INTO ?", [str(older)])
        first, *_ = await sent(duo, TAKEN // 2)
        await consumer.control.stamp_waiting()
        assert await consumer.control.record_count() == 2 * TAKEN
        await sild("log", "head", "--home", consumer.layout.home, "--out", head)
        *_, last = await sent(duo, WAITING)
        peers = {query_id: folder / f"{query_id}.asice" for query_id in (first, last)}
        for query_id, path in peers.items():
            await provider.control.export_container(query_id, REGISTER, False, str(path))
        await duo.stop(consumer)
        kept = folder / "kept"
        shutil.copytree(consumer.layout.home, kept, symlinks=True, ignore=without_sockets)
        stopped = Stopped(duo, consumer, kept, head, older, first, last, peers)
        assert len(rows(stopped, "SELECT id FROM messagelog_record")) == 2 * TAKEN
        yield stopped


@pytest.fixture(autouse=True)
async def as_it_was(stopped):
    stopped.restore()
    yield
    if stopped.server.process.returncode is None:
        await stopped.duo.stop(stopped.server)


def rows(stopped, *statements):
    """Run statements in the server's SQLite file; what the last one gives."""
    with closing(sqlite3.connect(stopped.server.layout.message_database)) as database:
        for statement in statements:
            found = database.execute(statement).fetchall()
        database.commit()
    return found


async def test_logs_that_nobody_touched_are_as_they_were(stopped):
    containers = [each for path in stopped.peers.values() for each in ("--container", path)]
    missing = f"no record has the message of {stopped.peers[stopped.last]}"
    assert await stopped.audit("--head", stopped.head) == (0, [])
    assert await stopped.audit(*containers) == (1, [("truncated", missing)])
    await stopped.start()
    assert await stopped.server.control.record_count() == 2 * (TAKEN + WAITING)
    assert await stopped.audit("--head", stopped.head, *containers) == (0, [])


# Rows

SIGNATURE_OF_5 = "(SELECT signature FROM messagelog_record WHERE id = 5)"


@pytest.mark.parametrize(
    ("statements", "findings"),
    [
        (
            ["UPDATE messagelog_record SET body = x'00' WHERE id = 3"],
            [("altered", "record 3, or its leaf, is not what it was")],
        ),
        (
            [f"UPDATE messagelog_signature SET document = x'00' WHERE digest = {SIGNATURE_OF_5}"],
            [("altered", "record 5 cannot be read: it was altered")],
        ),
        (
            ["DELETE FROM messagelog_record WHERE id = 4"],
            [("deleted", "record 4 was deleted by hand")],
        ),
        (
            [
                "UPDATE messagelog_record SET id = 99 WHERE id = 2",
                "UPDATE messagelog_record SET id = 2 WHERE id = 7",
                "UPDATE messagelog_record SET id = 7 WHERE id = 99",
            ],
            [("moved", "record 2 stood as record 7"), ("moved", "record 7 stood as record 2")],
        ),
        (
            ["DELETE FROM messagelog_record WHERE id > 6"],
            [
                ("deleted", "record 7 was deleted by hand"),
                ("deleted", "record 8 was deleted by hand"),
            ],
        ),
        (
            [
                "DELETE FROM messagelog_record WHERE id > 6",
                "DELETE FROM messagelog_leaf WHERE record_id > 6",
            ],
            [
                ("truncated", "the time-stamped head 1 is of 8 records, and the log has 6"),
                ("truncated", "the tree was of 8 records, and 6 of its leaves are there"),
            ],
        ),
    ],
    ids=["body", "signature", "deleted", "swapped", "cut off", "cut off with leaves"],
)
async def test_what_was_done_to_rows_is_named(stopped, statements, findings):
    rows(stopped, *statements)
    assert await stopped.audit() == (1, findings)


async def test_an_older_store_that_was_put_back_is_found_by_what_stands_elsewhere(stopped):
    """Its tree and heads are of then, too, but what was taken since is in no journal any more."""
    database = stopped.server.layout.message_database
    for path in stopped.home.glob(f"{database.name}*"):
        path.unlink()
    shutil.copy(stopped.older, database)
    code, findings = await stopped.audit("--head", stopped.head)
    assert code == 1
    assert findings[0] == (
        "truncated",
        f"the head in {stopped.head} is of {2 * TAKEN} records, and the log has {TAKEN}",
    )
    kind, text = findings[1]
    assert (kind, text.endswith(".journal is missing")) == ("journal", True)
    shutil.rmtree(stopped.journal)
    container = stopped.peers[stopped.first]
    missing = f"no record has the message of {container}"
    assert ("truncated", missing) in (await stopped.audit("--container", container))[1]


# Journals


def places_in(path):
    """Where each record in a segment begins and ends."""
    with Segment(path.parent, int(path.stem)) as segment:
        return [(each.offset, each.end) for each in segment.records(segment.size)]


def change(path, edit):
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)


def alter(stopped):
    """A byte in the middle of a record in the middle."""
    path = stopped.segments()[1]
    start, end = places_in(path)[2]
    place = (start + RECORD_SIZE + end) // 2
    change(path, lambda content: content.__setitem__(place, content[place] ^ 1))
    return f"{path}, offset {start}: the payload of a record is damaged"


def cut_out(stopped):
    path = stopped.segments()[1]
    start, end = places_in(path)[2]
    change(path, lambda content: content.__delitem__(slice(start, end)))
    return f"{path}, offset {start}: record 3 where 2 was due"


def swap(stopped):
    path = stopped.segments()[1]
    (start, middle), (_, end) = places_in(path)[1:3]

    def edit(content):
        content[start:end] = content[middle:end] + content[start:middle]

    change(path, edit)
    return f"{path}, offset {start}: record 2 where 1 was due"


def newest_in_use(stopped):
    return [path for path in stopped.segments() if places_in(path)][-1]


def cut_off_in_a_record(stopped):
    path = newest_in_use(stopped)
    start, end = places_in(path)[-1]
    change(path, lambda content: content.__delitem__(slice((start + end) // 2, None)))
    return f"{path}, offset {start}: "


def cut_off_between_records(stopped):
    path = newest_in_use(stopped)
    start, _ = places_in(path)[-1]
    change(path, lambda content: content.__delitem__(slice(start, None)))
    return f"{path}, offset {start}: "


def remove_oldest(stopped):
    path = stopped.segments()[0]
    path.unlink()
    return f"{path} is missing"


def remove_one_between(stopped):
    path = stopped.segments()[1]
    path.unlink()
    return f"{path} is missing"


def remove_newest(stopped):
    path = stopped.segments()[-1]
    path.unlink()
    return f"{path} is missing"


def remove_mark(stopped):
    path = stopped.journal / "durable"
    path.unlink()
    return f"{path} is missing"


@pytest.mark.parametrize(
    "tamper",
    [
        alter,
        cut_out,
        swap,
        cut_off_in_a_record,
        cut_off_between_records,
        remove_oldest,
        remove_one_between,
        remove_newest,
        remove_mark,
    ],
)
async def test_what_was_done_to_a_journal_is_named_by_an_audit_and_at_the_start(stopped, tamper):
    """With the file and the place."""
    assert len(stopped.segments()) >= 3
    words = tamper(stopped)
    code, [(kind, text)] = await stopped.audit()
    assert (code, kind) == (1, "journal")
    assert text.startswith(words)
    await stopped.told_at_start(words)
    code, findings = await stopped.audit()
    assert any(text.startswith(words) for _, text in findings)


async def test_a_journal_that_was_removed_as_a_whole_is_missed(stopped):
    newest = stopped.segments()[-1]
    shutil.rmtree(stopped.journal)
    assert await stopped.audit() == (1, [("journal", f"{stopped.journal} is missing")])
    # The worker begins another, which cannot pass for the one of which the store has taken a part.
    await stopped.told_at_start(f"{stopped.journal.name} cannot be taken")
    assert stopped.segments()[0] > newest
    code, [(_, text)] = await stopped.audit()
    assert (code, text.endswith("is missing")) == (1, True)


async def test_a_journal_cut_off_below_what_was_taken_is_found_without_its_mark(stopped):
    """As after a loss of power, which leaves of the mark nothing: but the store has read on."""
    path, *later = stopped.segments()
    ((_, place),) = rows(stopped, "SELECT segment, place FROM messagelog_journal")
    for each in later:
        each.unlink()
    cut = next(start for start, end in places_in(path) if end > place)
    change(path, lambda content: content.__delitem__(slice(cut, None)))
    lose_mark(stopped.journal)
    words = f"{path}, offset {place}: no durable record begins there"
    assert await stopped.audit() == (1, [("journal", words)])
    await stopped.told_at_start("cannot be taken")
    assert (await stopped.audit())[0] == 1


async def test_a_journal_cut_off_with_its_mark_is_found_by_a_container_of_the_other_server(stopped):
    """Nothing here differs from a loss of power before the last record was synced."""
    path = newest_in_use(stopped)
    with Segment(path.parent, int(path.stem)) as segment:
        found = list(segment.records(segment.size))
    entries = [(each, read_entry(each.payload)) for each in found]
    cut = min(
        each.offset
        for each, entry in entries
        if isinstance(entry, RecordEntry) and entry.record.query_id == stopped.last
    )
    for later in stopped.segments():
        if later > path:
            later.unlink()
    change(path, lambda content: content.__delitem__(slice(cut, None)))
    lose_mark(stopped.journal)
    await stopped.start()
    assert await stopped.server.control.record_count() == 2 * (TAKEN + WAITING) - 2
    await stopped.duo.stop(stopped.server)
    assert await stopped.audit() == (0, [])
    container = stopped.peers[stopped.last]
    words = f"no record has the message of {container}"
    assert await stopped.audit("--container", container) == (1, [("truncated", words)])


async def test_a_journal_with_checksums_made_anew_holds_what_its_signature_does_not_cover(stopped):
    path = newest_in_use(stopped)
    with Segment(path.parent, int(path.stem)) as segment:
        salt, found = segment.header.salt, list(segment.records(segment.size))
    entries = [(each, read_entry(each.payload)) for each in found]
    place, entry = next(
        (each, entry)
        for each, entry in entries
        if isinstance(entry, RecordEntry) and entry.record.query_id == stopped.last
    )
    message = entry.record.message.replace(b"/mirror", b"/mirage")
    payload = write_entry(replace(entry, record=replace(entry.record, message=message)))
    head = record_head(salt, place.number, place.durable, payload, checksum(payload))
    change(
        path, lambda content: content.__setitem__(slice(place.offset, place.end), head + payload)
    )
    await stopped.start()
    assert await stopped.audit() == (0, [])
    exported = stopped.home / "exported.asice"
    await stopped.server.control.export_container(stopped.last, PORTAL, False, str(exported))
    code, out, _ = await sild("verify", exported, "--conf", stopped.home / "globalconf", "--json")
    assert (code, json.loads(out)["verdict"]) == (1, "invalid")
    container = stopped.peers[stopped.last]
    words = f"no record has the message of {container}"
    assert await stopped.audit("--container", container) == (1, [("truncated", words)])


# Archives


@pytest.fixture(scope="module")
async def archived(stopped, tmp_path_factory):
    """Archives of the server, and what is listed of them in the order of their chain."""
    stopped.restore()
    await stopped.start()
    await archive_now(stopped.server)
    await stopped.duo.stop(stopped.server)
    code, out, _ = await sild("archive", "list", "--home", stopped.home, "--json")
    listed = json.loads(out)["archives"]
    assert (code, len(listed)) == (0, (TAKEN + WAITING) // 2)
    folder = tmp_path_factory.mktemp("archives")
    for each in listed:
        shutil.copy(stopped.server.layout.archives / each["file"], folder)
    return folder, listed


@pytest.fixture
async def archives(archived, tmp_path):
    """A copy of them, and their last digest."""
    folder, listed = archived
    paths = [Path(shutil.copy(folder / each["file"], tmp_path)) for each in listed]
    digest = listed[-1]["last_digest"]
    assert await verified(paths, "--last-digest", digest) == (0, "")
    return paths, digest


async def verified(paths, *known):
    """What is said of archives: the exit code and the error."""
    code, out, _ = await sild("verify-archive", "--first", "--json", *known, *paths)
    return code, json.loads(out)["error"] or ""


def containers_of(path):
    return [name for name in entries_in(path.read_bytes()) if name != LINKING_INFO]


async def test_an_archive_with_another_byte_is_named(archives):
    paths, _ = archives
    size = paths[1].stat().st_size
    change(paths[1], lambda content: content.__setitem__(size // 2, content[size // 2] ^ 1))
    code, error = await verified(paths)
    assert (code, paths[1].name in error) == (1, True)


async def test_a_container_that_was_taken_out_of_an_archive_is_named(archives):
    paths, _ = archives
    gone = containers_of(paths[2])[1]
    left = {n: each for n, each in entries_in(paths[2].read_bytes()).items() if n != gone}
    paths[2].write_bytes(rezipped(left))
    code, error = await verified(paths)
    assert code == 1
    assert paths[2].name in error
    assert gone in error


async def test_an_archive_that_was_taken_out_is_named_by_the_one_before(archives):
    paths, _ = archives
    before, gone, after = paths[1:4]
    gone.unlink()
    code, error = await verified([path for path in paths if path != gone])
    assert code == 1
    assert f"the chain breaks after {before.name}" in error
    assert f"{after.name} goes on from" in error
    assert f"of {gone.name}" in error


async def test_archives_that_were_given_each_others_names_and_links_are_named(archives):
    paths, _ = archives
    one, other = paths[1:3]
    contents = [entries_in(path.read_bytes()) for path in (one, other)]
    links = [content.pop(LINKING_INFO) for content in contents]
    for path, content, link in zip((one, other), reversed(contents), links, strict=True):
        path.write_bytes(rezipped(content | {LINKING_INFO: link}))
    code, error = await verified(paths)
    assert code == 1
    assert one.name in error
    assert other.name in error


async def test_the_last_archive_is_missed_by_its_digest(archives):
    paths, digest = archives
    assert (await verified(paths[:-1]))[0] == 0
    code, error = await verified(paths[:-1], "--last-digest", digest)
    assert code == 1
    assert f"the chain ends with {paths[-2].name}" in error
    assert digest in error
