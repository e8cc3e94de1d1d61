import asyncio
import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from components.messagelog.builders import SMALL_SEGMENTS, plain_record, writing
from sild.components.messagelog.entries import (
    AbandonedEntry,
    BodyEntry,
    RecordEntry,
    SignatureEntry,
    session_of,
)
from sild.components.messagelog.log import SIGNATURE_MEMORY_SECONDS, JournalLog
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.errors import LoggingFailed
from sild.runtime.clock import SystemClock, TurnedClock
from sild.runtime.files import SpoolUnavailable
from sild.runtime.journal import JournalLimits

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


def kinds(entries):
    return [type(entry).__name__.removesuffix("Entry") for entry in entries]


async def test_a_record_is_durable_when_save_returns(tmp_path):
    async with writing(tmp_path) as writer:
        await writer.log.save(plain_record(), b"the body")
        signature, record = writer.entries
        assert signature == SignatureEntry(sha256(b"a signature").digest(), b"a signature")
        assert record.signature_digest == signature.digest
        assert record.record == replace(plain_record(), signature=b"", body=b"the body")
        assert (record.body_size, record.body_may_be_cut) == (8, False)


async def test_a_message_without_a_body_has_none(tmp_path):
    async with writing(tmp_path) as writer:
        await writer.log.save(plain_record(), None)
        await writer.log.save(plain_record(), b"")
        none, empty = [entry for entry in writer.entries if isinstance(entry, RecordEntry)]
        assert (none.record.body, none.body_size) == (None, None)
        assert (empty.record.body, empty.body_size) == (b"", 0)


async def test_a_shared_signature_is_written_once(tmp_path):
    async with writing(tmp_path) as writer:
        await asyncio.gather(*[writer.log.save(plain_record(str(n)), None) for n in range(3)])
        await writer.log.save(plain_record("later"), None)
        assert kinds(writer.entries) == ["Signature", "Record", "Record", "Record", "Record"]


async def test_a_signature_is_written_again_when_it_is_no_longer_remembered(tmp_path):
    clock = TurnedClock()
    async with writing(tmp_path, clock=clock) as writer:
        for _ in range(2):
            await writer.log.save(plain_record(), None)
        clock.turn(timedelta(seconds=SIGNATURE_MEMORY_SECONDS + 1))
        await writer.log.save(plain_record(), None)
        for number in range(600):
            await writer.log.save(plain_record(signature=b"%d" % number), None)
        await writer.log.save(plain_record(), None)
        written = [entry for entry in writer.entries if isinstance(entry, SignatureEntry)]
        assert sum(entry.document == b"a signature" for entry in written) == 3
        assert len(written) == 603


async def test_a_signature_that_did_not_become_durable_is_written_again(tmp_path):
    async with writing(tmp_path) as writer:
        with failing(writer.journal), pytest.raises(LoggingFailed):
            await writer.log.save(plain_record(), None)
        await writer.log.save(plain_record(), None)
        assert kinds(writer.entries) == ["Signature", "Record"]


async def test_a_large_body_is_written_in_pieces_before_its_record(tmp_path):
    content = os.urandom(3 * MIB + 17)
    async with writing(tmp_path) as writer:
        with await writer.spooled(content) as body:
            await writer.log.save(plain_record("spooled"), body)
        await writer.log.save(plain_record("held"), content)
        entries = [entry for entry in writer.entries if not isinstance(entry, SignatureEntry)]
        assert kinds(entries) == ["Body", "Body", "Body", "Body", "Record"] * 2
        for half in (entries[:5], entries[5:]):
            assert b"".join(entry.piece for entry in half[:4]) == content
            assert len({entry.record_key for entry in half}) == 1
            assert (half[4].body_size, half[4].record.body) == (len(content), None)


async def test_keys_are_of_a_session_and_never_the_same(tmp_path):
    keys = []
    for _ in range(2):
        async with writing(tmp_path) as writer:
            await asyncio.gather(*[writer.log.save(plain_record(), None) for _ in range(3)])
            keys = [entry.record_key for entry in writer.entries if isinstance(entry, RecordEntry)]
    assert len(set(keys)) == 6
    assert [len({session_of(key) for key in half}) for half in (keys[:3], keys[3:], keys)] == [
        1,
        1,
        2,
    ]


# Bodies over the limit


async def test_a_body_over_the_limit_is_refused(tmp_path):
    async with writing(tmp_path, max_loggable_message_body_size=2000) as writer:
        assert writer.log.body_limit == 2000
        await writer.log.save(plain_record(), b"x" * 2000)
        with pytest.raises(LoggingFailed, match="2001 bytes"):
            await writer.log.save(plain_record(), b"x" * 2001)
        with await writer.spooled(b"x" * 2001) as body, pytest.raises(LoggingFailed):
            await writer.log.save(plain_record(), body)
        assert kinds(writer.entries) == ["Signature", "Record"]


@pytest.mark.parametrize("limit", [2000, 2 * MIB])
async def test_a_body_over_the_limit_may_be_truncated(tmp_path, limit):
    content = os.urandom(limit + 1)
    settings = {"max_loggable_message_body_size": limit, "truncated_body_allowed": True}
    async with writing(tmp_path, **settings) as writer:
        assert writer.log.body_limit is None
        assert writer.log.body_kept == limit
        await writer.log.save(plain_record(), content)
        with await writer.spooled(content) as body:
            await writer.log.save(plain_record(), body)
        await writer.log.save(plain_record(), content[:limit])
        await writer.log.save(plain_record(), b"x" * 100)
        records = [entry for entry in writer.entries if isinstance(entry, RecordEntry)]
        assert [(entry.body_size, entry.body_may_be_cut) for entry in records] == [
            *[(limit, True)] * 3,
            (100, False),
        ]
        for entry in records[:3]:
            pieces = [
                each.piece
                for each in writer.entries
                if isinstance(each, BodyEntry) and each.record_key == entry.record_key
            ]
            assert (entry.record.body or b"".join(pieces)) == content[:limit]


@pytest.mark.parametrize(
    "settings",
    [{"message_body_logging": False}, {"max_loggable_message_body_size": 0}],
)
async def test_where_bodies_are_not_logged_any_may_pass(tmp_path, settings):
    async with writing(tmp_path, **settings) as writer:
        assert writer.log.body_limit is None
        assert writer.log.body_kept == 0
        await writer.log.save(plain_record(), b"x" * MIB)
        *_, record = writer.entries
        assert (record.record.body, record.body_size) == (None, None)


# What is refused


@contextlib.contextmanager
def failing(journal):
    """Lets the journal's writes meet a full disk."""
    descriptor = journal._segment.descriptor
    kept, full = os.dup(descriptor), os.open("/dev/full", os.O_RDWR)
    os.dup2(full, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(full)
        os.close(kept)


async def test_a_failing_journal_refuses_all_that_wait_and_recovers(tmp_path):
    async with writing(tmp_path) as writer:
        await writer.log.save(plain_record("before"), None)
        with failing(writer.journal):
            saves = [writer.log.save(plain_record(str(n)), None) for n in range(3)]
            outcomes = await asyncio.gather(*saves, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [LoggingFailed] * 3
            assert "No space left" in str(outcomes[0])
        await writer.log.save(plain_record("after"), None)
        saved = [
            entry.record.query_id for entry in writer.entries if isinstance(entry, RecordEntry)
        ]
        assert saved == ["before", "after"]


async def test_a_closed_journal_refuses(tmp_path):
    async with writing(tmp_path) as writer:
        await writer.journal.close()
        with pytest.raises(LoggingFailed, match="closed"):
            await writer.log.save(plain_record(), None)


async def test_a_worker_whose_tasks_are_being_ended_still_saves(tmp_path):
    def refuse(_):
        raise RuntimeError("no more tasks")

    async with writing(tmp_path) as writer:
        log = JournalLog(writer.journal, MessageLogSettings(), SystemClock(), refuse)
        for body in (None, b"x" * 200_000, b"x" * MIB):
            await log.save(plain_record(), body)
        with await writer.spooled(b"x" * MIB) as broken:
            broken.chunks = BrokenSpool().pieces
            with pytest.raises(LoggingFailed, match="disk refused"):
                await log.save(plain_record(), broken)
        assert kinds(writer.entries).count("Record") == 3


@pytest.mark.parametrize("field", ["query_id", "request_id"])
@pytest.mark.parametrize("text", ["x" * 256, "a\0b", "\udc80"])
async def test_an_identifier_that_the_store_would_not_take_is_refused(tmp_path, field, text):
    async with writing(tmp_path) as writer:
        with pytest.raises(LoggingFailed):
            await writer.log.save(plain_record(**{field: text}), None)
        await writer.log.save(plain_record(**{field: "x" * 255}), None)
        assert len(writer.entries) == 2


async def test_a_record_that_is_too_large_is_refused_alone(tmp_path):
    limits = JournalLimits(record_bytes=2 * MIB)
    async with writing(tmp_path, limits=limits) as writer:
        huge = replace(plain_record("huge"), message=b"x" * (3 * MIB))
        saves = [writer.log.save(each, None) for each in (plain_record("small"), huge)]
        small, refused = await asyncio.gather(*saves, return_exceptions=True)
        assert small is None
        assert isinstance(refused, LoggingFailed)


class BrokenSpool:
    """A body whose disk fails after some pieces."""

    async def pieces(self, _):
        yield b"x" * MIB
        raise SpoolUnavailable("the spool's disk refused")


async def test_a_body_that_cannot_be_read_is_refused_and_its_pieces_are_abandoned(tmp_path):
    async with writing(tmp_path) as writer:
        with await writer.spooled(b"x" * MIB) as body:
            body.chunks = BrokenSpool().pieces
            with pytest.raises(LoggingFailed, match="disk refused"):
                await writer.log.save(plain_record(), body)
        await writer.log.save(plain_record(), None)
        piece, abandoned, *_ = writer.entries
        assert abandoned == AbandonedEntry(piece.record_key)


async def test_a_save_that_is_cancelled_disturbs_nobody(tmp_path):
    async with writing(tmp_path) as writer:
        cancelled = [
            writer.tasks.create_task(writer.log.save(plain_record("cancelled"), body))
            for body in (None, b"x" * (8 * MIB))
        ]
        going_on = writer.tasks.create_task(writer.log.save(plain_record("going on"), None))
        await asyncio.sleep(0)
        for task in cancelled:
            task.cancel()
        await going_on
    saved = [entry for entry in writer.entries if isinstance(entry, RecordEntry)]
    assert "going on" in [entry.record.query_id for entry in saved]
    abandoned = {entry.record_key for entry in writer.entries if isinstance(entry, AbandonedEntry)}
    pieces = {entry.record_key for entry in writer.entries if isinstance(entry, BodyEntry)}
    assert pieces <= abandoned
    assert abandoned.isdisjoint(entry.record_key for entry in saved)


FILL = f"""
import asyncio, resource, sys
sys.path[:0] = {[str(path) for path in sys.path]!r}
from pathlib import Path
from components.messagelog.builders import *
from sild.protocol.errors import LoggingFailed

async def scenario():
    async with writing(Path(sys.argv[1])) as writer:
        await writer.log.save(plain_record("first"), None)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        for body in [None] * 3 + [b"x" * 250_000, b"x" * 400_000, b"x" * 5_000_000] * 2:
            try:
                await writer.log.save(plain_record("limited"), body)
                print("saved", len(body or b""))
            except LoggingFailed:
                print("refused", len(body))

asyncio.run(scenario())
"""


async def test_a_journal_that_may_not_grow_refuses_what_it_cannot_hold(tmp_path):
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        *["saved 0"] * 3,
        *["saved 250000", "refused 400000", "refused 5000000"] * 2,
    ], done.stderr
    async with writing(tmp_path) as writer:
        saved = [entry for entry in writer.entries if isinstance(entry, RecordEntry)]
        assert [entry.body_size for entry in saved] == [None] * 4 + [250_000] * 2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, where root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount, and not everywhere")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def fill(log, saved):
    while True:
        await log.save(plain_record(str(len(saved))), b"x" * 50_000)
        saved.append(str(len(saved)))


async def test_a_full_disk_refuses_and_keeps_what_was_saved(small_disk):
    saved = []
    async with writing(small_disk, limits=SMALL_SEGMENTS) as writer:
        with pytest.raises(LoggingFailed, match="No space left"):
            await fill(writer.log, saved)
        with pytest.raises(LoggingFailed, match="No space left"):
            await writer.log.save(plain_record(), b"x" * MIB)
    records = [entry for entry in writer.entries if isinstance(entry, RecordEntry)]
    assert [entry.record.query_id for entry in records] == saved


async def test_a_directory_that_takes_no_file_refuses(tmp_path):
    """As a read-only one would; a journal that holds a file for writing keeps its disk writable."""
    async with writing(tmp_path, limits=JournalLimits(segment_bytes=1000)) as writer:
        await writer.log.save(plain_record("full"), b"x" * 1000)
        writer.directory.rename(tmp_path / "moved")
        with pytest.raises(LoggingFailed, match="No such file"):
            await writer.log.save(plain_record("refused"), None)
        (tmp_path / "moved").rename(writer.directory)
        await writer.log.save(plain_record("kept"), None)
    records = [entry for entry in writer.entries if isinstance(entry, RecordEntry)]
    assert [entry.record.query_id for entry in records] == ["full", "kept"]
