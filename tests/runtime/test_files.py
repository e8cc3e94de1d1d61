import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.runtime.files import (
    DirectoryHeld,
    FileError,
    FileNotPrivate,
    FileTooLarge,
    GenerationDirectory,
    SpoolDirectory,
    SpoolError,
    SpoolLimitExceeded,
    SpoolLimits,
    SpoolUnavailable,
    hold_directory,
    make_private_directory,
    read_bounded,
    read_private,
    write_private,
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_file_is_replaced_whole_and_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "key"
    write_private(path, b"old")
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_file_for_others_to_read_gets_its_mode_with_its_content(tmp_path):
    write_private(tmp_path / "anchor", b"public", mode=0o644)
    assert mode(tmp_path / "anchor") == 0o644


def test_a_failed_write_leaves_the_old_content_and_no_leftover(tmp_path):
    path = tmp_path / "key"
    path.mkdir()
    with pytest.raises(OSError):
        write_private(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_private_directory_is_tightened(tmp_path):
    loose = tmp_path / "run"
    loose.mkdir(mode=0o755)
    make_private_directory(loose)
    assert mode(loose) == 0o700
    make_private_directory(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


def test_a_symlink_is_refused_as_a_private_directory(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(FileError, match="not a directory of its own"):
        make_private_directory(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    os.chown(other, 12345, 12345)
    with pytest.raises(FileError, match="belongs to user 12345"):
        make_private_directory(other)


def test_a_file_over_the_limit_is_refused(tmp_path):
    path = tmp_path / "conf"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(FileTooLarge, match="more than 4 bytes"):
        read_bounded(path, 4)


def test_a_set_of_files_is_swapped_as_one_and_the_set_before_stays_readable(tmp_path):
    directory = GenerationDirectory(tmp_path / "conf")
    assert directory.current() is None
    first = directory.replace({"a": b"1", "EE/shared.xml": b"x"})
    assert directory.current() == first
    second = directory.replace({"a": b"2"})
    assert directory.current() == second
    assert (second / "a").read_bytes() == b"2"
    assert not (second / "EE").exists()
    assert (first / "EE/shared.xml").read_bytes() == b"x"
    assert mode(first / "EE") == 0o700
    assert mode(second / "a") == 0o600
    third = GenerationDirectory(tmp_path / "conf").replace({})
    assert sorted(path.name for path in (tmp_path / "conf").iterdir()) == [
        "current",
        second.name,
        third.name,
    ]


def test_what_a_crash_left_half_made_is_cleared_at_the_next_swap(tmp_path):
    directory = GenerationDirectory(tmp_path)
    directory.replace({"a": b"1"})
    (tmp_path / "generation-00000002.tmp").mkdir()
    (tmp_path / "current.tmp").symlink_to("generation-00000002")
    assert (directory.current() / "a").read_bytes() == b"1"
    directory.replace({"a": b"2"})
    assert not list(tmp_path.glob("*.tmp"))
    assert (directory.current() / "a").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "", "a\0b"])
def test_a_name_that_leads_out_of_the_set_is_refused(tmp_path, name):
    with pytest.raises(FileError, match="does not name a file inside"):
        GenerationDirectory(tmp_path).replace({name: b""})


def spool_directory(path, **limits):
    return SpoolDirectory(path / "spool", SpoolLimits(**limits))


async def contents(item, size=7):
    return b"".join([chunk async for chunk in item.chunks(size)])


@settings(max_examples=30, deadline=None)
@given(
    chunks=st.lists(st.binary(max_size=40), max_size=30),
    memory=st.integers(0, 300),
    size=st.integers(1, 50),
)
def test_what_is_appended_is_what_is_read(tmp_path_factory, chunks, memory, size):
    async def scenario():
        directory = spool_directory(tmp_path_factory.mktemp("s"), memory=memory)
        with directory.spool() as item:
            for chunk in chunks:
                await item.append(chunk)
            whole = b"".join(chunks)
            assert item.size == len(whole)
            assert await contents(item, size) == whole
            await item.append(b"more")
            assert await contents(item, size) == whole + b"more"
        assert directory.on_disk == 0
        directory.close()

    asyncio.run(scenario())


def test_few_bytes_stay_in_memory_and_many_go_to_a_nameless_file(tmp_path):
    async def scenario():
        directory = spool_directory(tmp_path, memory=10)
        with directory.spool() as item:
            await item.append(b"12345")
            await item.append(b"67890")
            assert item.held() == b"1234567890"
            assert directory.on_disk == 0
            await item.append(b"!")
            assert item.held() is None
            assert directory.on_disk == 11
            assert list((tmp_path / "spool").iterdir()) == []
        directory.close()

    asyncio.run(scenario())


def test_large_bodies_are_written_in_pieces_and_read_again(tmp_path):
    async def scenario():
        directory = spool_directory(tmp_path)
        body = os.urandom(1_300_000)
        with directory.spool() as item:
            for start in range(0, len(body), 70_001):
                await item.append(body[start : start + 70_001])
            assert await contents(item, 100_000) == body
            assert await contents(item, 2_000_000) == body
        directory.close()

    asyncio.run(scenario())


def test_an_item_over_its_limit_is_refused_and_only_closes_afterwards(tmp_path):
    async def scenario():
        directory = spool_directory(tmp_path, memory=2, item=10)
        with directory.spool() as item:
            await item.append(b"1234567890")
            with pytest.raises(SpoolLimitExceeded, match="may hold 10 bytes"):
                await item.append(b"1")
            with pytest.raises(SpoolUnavailable):
                await contents(item)
        assert directory.on_disk == 0
        directory.close()

    asyncio.run(scenario())


def test_all_items_together_keep_to_the_total(tmp_path):
    async def scenario():
        directory = spool_directory(tmp_path, memory=0, total=15)
        with directory.spool() as first, directory.spool() as second:
            await first.append(b"1234567890")
            with pytest.raises(SpoolLimitExceeded, match="10 of 15 bytes"):
                await second.append(b"123456")
            first.close()
            with directory.spool() as third:
                await third.append(b"123456")
        assert directory.on_disk == 0
        directory.close()

    asyncio.run(scenario())


def test_a_closed_item_refuses_and_closes_twice_in_peace(tmp_path):
    async def scenario():
        directory = spool_directory(tmp_path)
        item = directory.spool()
        item.close()
        item.close()
        with pytest.raises(SpoolError, match="closed"):
            await item.append(b"1")
        directory.close()

    asyncio.run(scenario())


def test_a_full_disk_is_a_refusal(tmp_path):
    script = """
import asyncio, resource, sys
from pathlib import Path
from sild.runtime.files import *
async def scenario():
    directory = SpoolDirectory(Path(sys.argv[1]), SpoolLimits(memory=0))
    with directory.spool() as item:
        await item.append(b"x" * 4000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            await item.append(b"x" * 300_000)
        except SpoolUnavailable as error:
            print("no:", error)
        try:
            await item.append(b"x")
        except SpoolUnavailable as error:
            print("no:", error)
asyncio.run(scenario())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("no:") == 2, done


def test_a_cancelled_write_does_not_close_the_file_under_the_thread(tmp_path):
    async def scenario():
        directory = spool_directory(tmp_path, memory=0)
        item = directory.spool()
        task = asyncio.get_running_loop().create_task(item.append(b"x" * 3_000_000))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(SpoolUnavailable):
            await item.append(b"y")
        item.close()
        directory.close()
        assert directory.on_disk == 0

    asyncio.run(scenario())


def test_leftovers_of_a_killed_run_are_removed_at_opening(tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "spool-abc").write_bytes(b"secret")
    (tmp_path / "spool" / "other").write_bytes(b"")
    spool_directory(tmp_path).close()
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["other"]


def test_without_nameless_files_a_name_lives_no_longer_than_its_opening(tmp_path):
    directory = spool_directory(tmp_path)
    descriptor = directory._open_unlinked()
    assert os.fstat(descriptor).st_nlink == 0
    assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o600
    os.close(descriptor)
    directory.close()


def test_a_spool_that_has_lost_its_directory_is_unavailable(tmp_path):
    directory = spool_directory(tmp_path, memory=0)
    Path(tmp_path / "spool").rmdir()

    async def scenario():
        with directory.spool() as item:
            await item.append(b"1")

    with pytest.raises(SpoolUnavailable, match="cannot spool in"):
        asyncio.run(scenario())
    directory.close()


# Secrets


@pytest.mark.parametrize("bits", [0o600, 0o400, 0o640, 0o440])
def test_a_secret_is_read_that_only_its_user_and_group_may_read(tmp_path, bits):
    path = tmp_path / "secret"
    write_private(path, b"12345", mode=bits)
    assert read_private(path, 5) == b"12345"
    with pytest.raises(FileTooLarge):
        read_private(path, 4)


@pytest.mark.parametrize("bits", [0o644, 0o604, 0o602, 0o620, 0o660, 0o601, 0o777])
def test_a_secret_that_others_may_read_or_change_is_not_read(tmp_path, bits):
    path = tmp_path / "secret"
    write_private(path, b"12345", mode=bits)
    with pytest.raises(FileNotPrivate, match=f"0{bits:o}"):
        read_private(path, 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_user_is_not_read(tmp_path):
    path = tmp_path / "secret"
    write_private(path, b"12345")
    os.chown(path, 12345, -1)
    with pytest.raises(FileNotPrivate, match="belongs to user 12345"):
        read_private(path, 5)


HOLDING = """
import sys
from pathlib import Path
from sild.runtime.files import hold_directory
directory = Path(sys.argv[1])
with hold_directory(directory, directory / "lock"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_directory_is_held_by_one_process_until_that_ends(tmp_path):
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        holding = hold_directory(tmp_path, tmp_path / "lock")
        with pytest.raises(DirectoryHeld, match=f"another process runs in {tmp_path} already"):
            holding.__enter__()
        holder.kill()
    with hold_directory(tmp_path, tmp_path / "lock"):
        pass
