import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.runtime.clock import TurnedClock
from sild.runtime.journal import (
    Journal,
    JournalCorrupt,
    JournalLimits,
    JournalLocked,
    JournalUnavailable,
    Position,
    read_records,
    read_recoverable,
    release_records,
)
from sild.runtime.journal_mark import Mark, find_mark
from sild.runtime.journal_segments import (
    HEADER_SIZE,
    RECORD_SIZE,
    Segment,
    checksum,
    record_head,
)

BODIES = st.lists(st.lists(st.binary(max_size=50), min_size=1, max_size=3), min_size=1, max_size=5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


@contextlib.contextmanager
def scratch():
    """A directory a hypothesis example: in memory, so that thousands of syncs cost nothing."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


def write(path, *groups, limits=None, close=True):
    """Append each group behind the one before, each a sync of its own; give the positions."""

    async def scenario():
        journal = Journal.open(path, "test", limits)
        positions = [position for group in groups for position in await journal.append_many(group)]
        await journal.close()
        return positions

    return asyncio.run(scenario())


def payloads(path, after=None):
    return [record.payload for record in read_records(path, after)]


def lose_mark(path):
    """What a crash of the machine may leave of the mark, which nobody syncs after it was made."""
    content = (path / "durable").read_bytes()
    (path / "durable").write_bytes(bytes(20) + content[20:])


def segment_files(path):
    return sorted(path.glob("*.journal"))


def test_what_is_acknowledged_is_read_in_order_with_its_position(path):
    given_positions = write(path, [b"one", b""], [b"x" * 300_000], [b"last"])
    records = list(read_records(path))
    assert [record.payload for record in records] == [b"one", b"", b"x" * 300_000, b"last"]
    assert [record.position for record in records] == given_positions
    assert given_positions == sorted(set(given_positions))
    for place, position in enumerate(given_positions):
        assert [r.position for r in read_records(path, position)] == given_positions[place + 1 :]


def test_positions_go_on_growing_over_openings(path):
    positions = [position for _ in range(3) for position in write(path, [b"a"], [b"b"])]
    assert positions == sorted(set(positions))
    assert payloads(path) == [b"a", b"b"] * 3


def test_an_opening_without_appends_leaves_no_trail(path):
    for _ in range(3):
        write(path)
    assert [file.name for file in segment_files(path)] == ["0000000001.journal"]
    write(path, [b"a"])
    for _ in range(3):
        write(path)
    assert len(segment_files(path)) == 2
    assert payloads(path) == [b"a"]


def test_files_are_for_their_owner_alone(path):
    write(path, [b"a"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


def test_a_reader_sees_what_is_acknowledged_while_the_writer_goes_on(path):
    async def scenario():
        async with Journal.open(path, "test") as journal:
            seen = []
            for number in range(20):
                await journal.append(b"%d" % number)
                after = seen[-1].position if seen else None
                seen += read_records(path, after)
                assert len(seen) == number + 1

    asyncio.run(scenario())


def test_appends_at_once_share_syncs_and_keep_their_order(path):
    async def scenario():
        async with Journal.open(path, "test") as journal:
            bodies = [b"%d" % number for number in range(1000)]
            positions = await asyncio.gather(*[journal.append(body) for body in bodies])
            assert positions == sorted(positions)
            assert payloads(path) == bodies

    asyncio.run(scenario())
    with Segment(path, 1) as segment:
        groups = {found.durable for found in segment.records(segment.size)}
    assert 2 <= len(groups) < 20


def test_one_writer_has_the_directory(path):
    async def scenario():
        async with Journal.open(path, "test"):
            with pytest.raises(JournalLocked, match="another process"):
                Journal.open(path, "test")

    asyncio.run(scenario())
    write(path)


def test_a_closed_journal_refuses(path):
    async def scenario():
        journal = Journal.open(path, "test")
        waiting = asyncio.get_running_loop().create_task(journal.append(b"a"))
        await asyncio.sleep(0)
        await journal.close()
        await journal.close()
        assert (await waiting).segment == 1
        with pytest.raises(JournalUnavailable, match="closed"):
            await journal.append(b"b")

    asyncio.run(scenario())
    assert payloads(path) == [b"a"]


def test_a_cancelled_append_disturbs_nobody(path):
    async def scenario():
        async with Journal.open(path, "test") as journal:
            task = asyncio.get_running_loop().create_task(journal.append(b"a"))
            await asyncio.sleep(0)
            task.cancel()
            await journal.append(b"b")

    asyncio.run(scenario())
    assert payloads(path)[-1] == b"b"


def test_records_and_queues_over_the_limits_are_refused(path):
    async def scenario():
        limits = JournalLimits(record_bytes=10, waiting_bytes=12)
        async with Journal.open(path, "test", limits) as journal:
            with pytest.raises(JournalUnavailable, match="record of 11 bytes"):
                await journal.append(b"x" * 11)
            outcomes = await asyncio.gather(
                *[journal.append(b"x" * 10) for _ in range(2)], return_exceptions=True
            )
            assert isinstance(outcomes[0], Position)
            assert "already wait" in str(outcomes[1])
            await journal.append(b"x")
            assert await journal.append_many([]) == []

    asyncio.run(scenario())


def test_a_full_segment_is_followed_by_the_next(path):
    positions = write(path, *[[b"x" * 100]] * 10, limits=JournalLimits(segment_bytes=300))
    assert [position.segment for position in positions] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len(payloads(path)) == 10
    assert len(payloads(path, positions[4])) == 5


def test_an_old_segment_is_followed_by_the_next(path):
    async def scenario():
        clock = TurnedClock()
        async with Journal.open(path, "test", JournalLimits(segment_age=60), clock) as journal:
            await journal.append(b"a")
            clock.turn(timedelta(seconds=61))
            await journal.append(b"b")

    asyncio.run(scenario())
    assert len(segment_files(path)) == 2
    assert payloads(path) == [b"a", b"b"]


def test_an_idle_journal_begins_a_segment_so_that_the_last_record_can_be_released(path):
    async def scenario():
        async with Journal.open(path, "test", JournalLimits(segment_age=0.5)) as journal:
            position = await journal.append(b"a")
            release_records(path, position)
            assert len(segment_files(path)) == 1
            while len(segment_files(path)) == 1:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
            release_records(path, position)
            assert [file.name for file in segment_files(path)] == ["0000000002.journal"]
            assert payloads(path, position) == []
            await journal.append(b"b")
            assert payloads(path, position) == [b"b"]

    asyncio.run(scenario())


def test_only_segments_fully_taken_are_released(path):
    limits = JournalLimits(segment_bytes=150)
    positions = write(path, *[[b"x" * 50]] * 6, limits=limits)
    assert [position.segment for position in positions] == [1, 1, 2, 2, 3, 3]
    release_records(path, positions[2])
    assert len(payloads(path, positions[2])) == 3
    assert [file.name for file in segment_files(path)] == [
        "0000000002.journal",
        "0000000003.journal",
    ]
    release_records(path, positions[5])
    assert [file.name for file in segment_files(path)] == ["0000000003.journal"]
    after = write(path, [b"more"])
    assert after > positions[5:]
    assert payloads(path, positions[5]) == [b"more"]


def test_a_missing_segment_is_never_passed_over(path):
    limits = JournalLimits(segment_bytes=50)
    positions = write(path, *[[b"x" * 50]] * 5, limits=limits)
    (path / "0000000003.journal").unlink()
    for call in (lambda: payloads(path), lambda: write(path)):
        with pytest.raises(JournalCorrupt, match=r"0000000003.journal is missing"):
            call()
    for number in (1, 2, 4):
        (path / f"000000000{number}.journal").unlink()
    for position, number in ((positions[0], 2), (positions[3], 4)):
        with pytest.raises(JournalCorrupt, match=f"000000000{number}.journal is missing"):
            payloads(path, position)
    (path / "0000000005.journal").unlink()
    with pytest.raises(JournalCorrupt, match=r"0000000005.journal is missing"):
        payloads(path, positions[4])
    with pytest.raises(JournalCorrupt, match=r"0000000005.journal is missing"):
        write(path)


@pytest.mark.parametrize("read", [0, 1])
def test_a_segment_that_was_removed_before_its_end_was_read_is_missed(path, read):
    """The next may well be the one that a reader wants after it has released it."""
    limits = JournalLimits(segment_bytes=150)
    positions = write(path, *[[b"x" * 50]] * 4, limits=limits)
    release_records(path, positions[read])
    released = read == 1
    assert (path / "0000000001.journal").exists() is not released
    if released:
        assert len(payloads(path, positions[1])) == 2
    else:
        (path / "0000000001.journal").unlink()
    with pytest.raises(JournalCorrupt, match=r"0000000001.journal is missing"):
        payloads(path, positions[0])


def test_what_was_released_is_remembered_for_the_segment_alone(path):
    positions = write(path, *[[b"x" * 50]] * 6, limits=JournalLimits(segment_bytes=150))
    release_records(path, positions[2])
    assert len(payloads(path, positions[2])) == 3
    (path / "0000000002.journal").unlink()
    with pytest.raises(JournalCorrupt, match=r"0000000002.journal is missing"):
        payloads(path, positions[2])


def test_a_journal_without_its_mark_is_not_believed(path):
    (position,) = write(path, [b"a"])
    (path / "durable").unlink()
    calls = (
        lambda: payloads(path),
        lambda: payloads(path, position),
        lambda: list(read_recoverable(path)),
        lambda: write(path),
    )
    for call in calls:
        with pytest.raises(JournalCorrupt, match="durable is missing"):
            call()


def test_a_segment_cut_off_below_what_was_read_is_named_once_another_follows(path):
    """A loss of power leaves nothing of the mark, but never takes what was synced and read."""
    positions = write(path, [b"one"], [b"two"], [b"three"])
    (file,) = segment_files(path)
    os.truncate(file, positions[1].offset)
    lose_mark(path)
    with pytest.raises(JournalCorrupt, match=rf"offset {positions[2].offset}: no durable record"):
        list(read_recoverable(path, positions[2]))
    write(path, [b"more"])
    with pytest.raises(JournalCorrupt, match=rf"offset {positions[2].offset}: no durable record"):
        payloads(path, positions[2])
    assert payloads(path, positions[0]) == [b"more"]


def test_a_segment_emptied_without_its_mark_gives_no_position_again(path):
    (position,) = write(path, [b"one"])
    (file,) = segment_files(path)
    os.truncate(file, HEADER_SIZE)
    lose_mark(path)
    (again,) = write(path, [b"two"])
    assert again.segment > position.segment
    with pytest.raises(JournalCorrupt, match="no durable record"):
        payloads(path, position)


def test_a_journal_may_begin_where_none_before_it_has_been(path):
    (position,) = write(path, [b"a"], limits=JournalLimits(first_segment=1_795_000_000))
    assert position == Position(1_795_000_000, HEADER_SIZE)
    shutil.rmtree(path)
    write(path, [b"b"], limits=JournalLimits(first_segment=1_795_000_001))
    with pytest.raises(JournalCorrupt, match=r"1795000000.journal is missing"):
        payloads(path, position)


@settings(max_examples=60, deadline=None)
@given(groups=BODIES, data=st.data())
def test_what_an_opening_would_keep_can_be_read_before(groups, data):
    with scratch() as path:
        write(path, *groups)
        (file,) = segment_files(path)
        os.truncate(file, data.draw(st.integers(HEADER_SIZE, file.stat().st_size)))
        lose_mark(path)
        found = [record.payload for record in read_recoverable(path)]
        write(path)
        assert payloads(path) == found


def test_a_position_that_the_journal_never_gave_is_refused(path):
    (position,) = write(path, [b"x" * 50])
    write(path, [b"y"])
    with pytest.raises(JournalCorrupt, match="offset 37"):
        payloads(path, replace(position, offset=position.offset + 1))


@settings(max_examples=60, deadline=None)
@given(groups=BODIES, data=st.data())
def test_a_crash_at_any_byte_leaves_a_prefix_of_the_records(groups, data):
    """What a crash of the machine leaves of a file that was being written: any prefix."""
    with scratch() as path:
        write(path, *groups)
        whole = list(itertools.chain(*groups))
        (file,) = segment_files(path)
        cut = data.draw(st.integers(HEADER_SIZE, file.stat().st_size))
        os.truncate(file, cut)
        lose_mark(path)
        assert payloads(path) == []
        (more,) = write(path, [b"more"])
        left = payloads(path)
        assert left[-1] == b"more"
        assert left[:-1] == whole[: len(left) - 1]
        assert sum(len(payload) + RECORD_SIZE for payload in left[:-1]) <= cut - HEADER_SIZE
        assert list(read_records(path))[-1].position == more


@settings(max_examples=60, deadline=None)
@given(groups=BODIES, data=st.data())
def test_garbage_in_the_torn_end_is_cut_off(groups, data):
    """A file system may give the torn end its length and any content."""
    with scratch() as path:
        write(path, *groups)
        (file,) = segment_files(path)
        torn = data.draw(st.binary(min_size=1, max_size=100) | st.just(bytes(100)))
        sound = file.stat().st_size
        with file.open("ab") as appended:
            appended.write(torn)
        assert payloads(path) == list(itertools.chain(*groups))
        write(path, [b"more"])
        assert payloads(path) == [*itertools.chain(*groups), b"more"]
        assert file.stat().st_size == sound


@settings(max_examples=150, deadline=None)
@given(groups=BODIES, data=st.data())
def test_any_flipped_byte_is_detected(groups, data):
    with scratch() as path:
        write(path, *groups)
        (file,) = segment_files(path)
        content = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        for call in (lambda: payloads(path), lambda: write(path)):
            with pytest.raises(JournalCorrupt, match=r"0000000001.journal, offset \d+"):
                call()


@settings(max_examples=100, deadline=None)
@given(groups=BODIES, data=st.data())
def test_without_the_mark_damage_is_told_from_a_torn_end_by_what_follows(groups, data):
    """After a crash of the machine the mark may say nothing; later records still do."""
    with scratch() as path:
        positions = write(path, *groups)
        (file,) = segment_files(path)
        content = bytearray(file.read_bytes())
        place = data.draw(st.integers(HEADER_SIZE, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        lose_mark(path)
        last_group = positions[-len(groups[-1])].offset
        if place < last_group:
            with pytest.raises(JournalCorrupt, match="more was durable"):
                write(path)
        else:
            write(path)
            left = payloads(path)
            whole = list(itertools.chain(*groups))
            assert left == whole[: len(left)]
            assert len(whole) - len(groups[-1]) <= len(left) < len(whole)


def test_a_payload_cannot_pass_for_records(path):
    """A torn record that held the bytes of a later record must not look like damage."""
    write(path, [b"a"], [b"b"], [b"c"])
    (file,) = segment_files(path)
    forged = file.read_bytes()[HEADER_SIZE:] * 3
    other = path.with_name("other")
    write(other, [forged])
    (file,) = segment_files(other)
    os.truncate(file, file.stat().st_size - 1)
    lose_mark(other)
    write(other)
    assert payloads(other) == []


def test_a_record_out_of_its_place_is_detected(path):
    write(path, [b"a"], [b"b"])
    (file,) = segment_files(path)
    content = file.read_bytes()
    first, second = content[HEADER_SIZE:-33], content[-33:]
    for wrong in (second + first, first + first, second):
        file.write_bytes(content[:HEADER_SIZE] + wrong)
        with pytest.raises(JournalCorrupt, match="was due"):
            payloads(path)


def test_records_of_another_journal_are_detected(path):
    other = path.with_name("other")
    write(path, [b"a"])
    write(other, [b"a"])
    (file,), (foreign,) = segment_files(path), segment_files(other)
    file.write_bytes(file.read_bytes()[:HEADER_SIZE] + foreign.read_bytes()[HEADER_SIZE:])
    with pytest.raises(JournalCorrupt, match="damaged"):
        payloads(path)


def test_damage_in_an_older_segment_is_named(path):
    write(path, *[[b"x" * 50]] * 4, limits=JournalLimits(segment_bytes=50))
    file = path / "0000000002.journal"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(JournalCorrupt, match=r"0000000002.journal"):
        write(path)
    with pytest.raises(JournalCorrupt, match=r"0000000002.journal, offset 36"):
        payloads(path)
    file.write_bytes(content[:-1] + b"y")
    seen = []
    with pytest.raises(JournalCorrupt, match="payload"):
        seen.extend(read_records(path))
    assert len(seen) == 1


def test_what_a_crashed_opening_left_is_removed(path):
    write(path, [b"a"])
    (path / "0000000002.tmp").write_bytes(b"half")
    write(path, [b"b"])
    assert payloads(path) == [b"a", b"b"]
    assert not list(path.glob("*.tmp"))


def test_a_mark_put_back_by_a_crash_makes_readers_wait_and_not_fail(path):
    first, second = write(path, [b"a"], [b"b"])
    mark = Mark(path)
    mark.write(second)
    mark.close()
    assert payloads(path) == [b"a"]
    assert payloads(path, first) == []
    assert payloads(path, second) == []
    write(path, [b"c"])
    assert payloads(path, second) == [b"c"]
    mark = Mark(path)
    mark.write(second)
    mark.close()
    assert payloads(path) == [b"a"]
    assert payloads(path, Position(2, HEADER_SIZE)) == []


def test_a_mark_half_written_is_not_believed(path):
    write(path, [b"a"])
    content = (path / "durable").read_bytes()
    (path / "durable").write_bytes(content[:19] + bytes(1) + content[20:])
    assert find_mark(path) is None
    assert payloads(path) == []


# Failures of the disk: the system's own, not imagined ones.


async def outcomes(journal, bodies):
    return await asyncio.gather(*[journal.append(body) for body in bodies], return_exceptions=True)


@contextlib.contextmanager
def failing(journal, device):
    """Lets the open segment's writes and syncs meet a device that fails them."""
    descriptor = journal._segment.descriptor
    kept = os.dup(descriptor)
    broken = os.open(device, os.O_RDWR)
    os.dup2(broken, descriptor)
    yield
    os.dup2(kept, descriptor)
    os.close(broken)
    os.close(kept)


# One takes no byte; the other takes all and cannot sync.
DEVICES = pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])


@DEVICES
def test_a_failed_group_is_refused_and_the_next_append_begins_a_segment(path, device):
    async def scenario():
        async with Journal.open(path, "test") as journal:
            await journal.append(b"a")
            with failing(journal, device), pytest.raises(JournalUnavailable):
                await journal.append_many([b"b", b"c"])
            assert (await journal.append(b"d")).segment == 2
            assert payloads(path) == [b"a", b"d"]

    asyncio.run(scenario())
    write(path, [b"e"])
    assert payloads(path) == [b"a", b"d", b"e"]


def test_what_a_failed_sync_left_in_the_file_is_never_read(path):
    """After a failed sync the kernel may show bytes that the disk does not hold."""

    async def scenario():
        async with Journal.open(path, "test") as journal:
            await journal.append(b"a")
            with failing(journal, "/dev/null"), pytest.raises(JournalUnavailable):
                await journal.append(b"lost")
            with Segment(path, 1) as segment:
                head = record_head(segment.header.salt, 1, 1, b"lost", checksum(b"lost"))
            with segment_files(path)[0].open("ab") as file:
                file.write(head + b"lost")
            with Segment(path, 1) as segment:
                assert [found.payload for found in segment.records(segment.size)] == [b"a", b"lost"]
            assert payloads(path) == [b"a"]
            await journal.append(b"b")
            assert payloads(path) == [b"a", b"b"]

    asyncio.run(scenario())
    write(path, [b"c"])
    assert payloads(path) == [b"a", b"b", b"c"]


@DEVICES
def test_a_segment_that_failed_empty_is_replaced_and_leaves_no_trail(path, device):
    async def scenario():
        async with Journal.open(path, "test") as journal:
            with failing(journal, device), pytest.raises(JournalUnavailable):
                await journal.append(b"lost")
            assert await journal.append(b"a") == Position(1, HEADER_SIZE)
            assert len(segment_files(path)) == 1
            assert payloads(path) == [b"a"]

    asyncio.run(scenario())


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 1 MB, where root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if (
        os.geteuid() != 0
        or subprocess.run(command, capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("only root may mount, and not everywhere")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(tiny_disk):
    path = tiny_disk / "journal"
    kept = []

    async def fill(journal):
        while True:
            body = b"%06d" % len(kept) * 2000
            await journal.append(body)
            kept.append(body)

    async def scenario():
        async with Journal.open(path, "test", JournalLimits(segment_bytes=100_000)) as journal:
            with pytest.raises(JournalUnavailable, match="No space left"):
                await fill(journal)
            refused = await outcomes(journal, [b"x" * 40_000] * 50)
            assert all(isinstance(outcome, JournalUnavailable) for outcome in refused)
            assert payloads(path) == kept
            release_records(path, list(read_records(path))[40].position)
            await journal.append(b"room again")
            assert payloads(path)[-2:] == [kept[-1], b"room again"]

    asyncio.run(scenario())
    assert payloads(path)[-2:] == [kept[-1], b"room again"]


@pytest.mark.parametrize("room", [1000, 3000, 3072])
def test_a_write_cut_short_refuses_and_keeps_what_was_acknowledged(path, room):
    script = """
import asyncio, resource, sys
from pathlib import Path
from sild.runtime.journal import *
async def scenario():
    path, room = Path(sys.argv[1]), int(sys.argv[2])
    async with Journal.open(path, "test") as journal:
        await journal.append(b"a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        for _ in range(3):
            try:
                await journal.append(b"x" * 4000)
                print("acknowledged")
            except JournalUnavailable:
                print("refused")
        await journal.append(b"b")
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        await journal.append(b"c")
asyncio.run(scenario())
"""
    command = [sys.executable, "-c", script, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["refused"] * 3, done.stderr
    assert payloads(path) == [b"a", b"b", b"c"]
    assert segment_files(path)[0].stat().st_size == HEADER_SIZE + RECORD_SIZE + 1


def test_a_read_only_directory_is_unavailable_and_readable(tiny_disk):
    path = tiny_disk / "journal"
    write(path, [b"a"])
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(JournalUnavailable, match="Read-only file system"):
        write(path)
    assert payloads(path) == [b"a"]
    subprocess.run(["mount", "-o", "remount,rw", str(tiny_disk)], check=True)
    write(path, [b"b"])
    assert payloads(path) == [b"a", b"b"]


WRITER = """
import asyncio, os, sys
from pathlib import Path
from sild.runtime.journal import *
async def scenario():
    path = Path(sys.argv[1])
    limits = JournalLimits(segment_bytes=200_000)
    async with Journal.open(path, "test", limits) as journal:
        async def worker(name):
            number = 0
            while True:
                body = b"%d:%d:" % (name, number) + os.urandom(500 * (name % 4))
                position = await journal.append(body)
                line = b"%d %d %s\\n" % (position.segment, position.offset, body.split(b":")[1])
                os.write(1, line)
                number += 1
        async with asyncio.TaskGroup() as group:
            for name in range(8):
                group.create_task(worker(name))
asyncio.run(scenario())
"""


def kill_a_writer(path, seconds):
    """Runs a writer, kills it, and gives the positions that it saw acknowledged."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        first = process.stdout.readline()
        killer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        killer.start()
        lines = (first + process.stdout.read()).split(b"\n")[:-1]
        killer.join()
    return [Position(*map(int, line.split()[:2])) for line in lines]


def test_everything_acknowledged_survives_a_kill(path):
    acknowledged = set()
    chance = random.Random(7)
    for _ in range(4):
        acknowledged |= set(kill_a_writer(path, chance.uniform(0.005, 0.08)))
        # What the mark makes visible before anyone mends, and all after.
        assert acknowledged <= {record.position for record in read_records(path)}
    write(path)
    positions = [record.position for record in read_records(path)]
    assert positions == sorted(set(positions))
    assert acknowledged <= set(positions)


@pytest.mark.soak
def test_everything_acknowledged_survives_many_kills(path):
    acknowledged = set()
    chance = random.Random(8)
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        acknowledged |= set(kill_a_writer(path, chance.uniform(0.001, 0.3)))
        assert acknowledged <= {record.position for record in read_records(path)}
        if len(acknowledged) > 100_000:
            shutil.rmtree(path)
            acknowledged.clear()
