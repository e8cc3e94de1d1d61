"""Archives: what goes into them, how they chain, and what is left when the archiver ends badly."""

import os
import shutil
import stat
import subprocess
import zipfile
from dataclasses import replace

import pytest

from components.messagelog.builders import (
    OWNER,
    TRUST,
    keeping,
    records_of,
    writing,
)
from sild.components.messagelog.archivegroups import Group, Grouping, KeyMap
from sild.components.messagelog.archivestore import ArchiveStore
from sild.components.messagelog.archiving import Archiving
from sild.components.messagelog.errors import ArchivingFailed
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.asic.archive import LINKING_INFO, verify_archive
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import verify_container
from sild.protocol.ids import ClientId

pytestmark = pytest.mark.anyio

OTHER = ClientId("DEV", "GOV", "M2").subsystem("S2")


@pytest.fixture
def archiver(tmp_path, engine):
    """An archiver of some settings for what is kept; archives are in the folder `archive`."""
    assert engine

    def make(kept, **settings):
        archives = ArchiveStore(kept.database)
        return Archiving(kept.store, archives, MessageLogSettings(**settings), tmp_path / "archive")

    return make


async def fill(tmp_path, kept, *records, stamped=True):
    """Log records and take them in."""
    async with writing(tmp_path) as writer:
        for record in records:
            await writer.log.save(record, b"body")
    await kept.taker.take_all()
    if stamped:
        await kept.timestamping.stamp_waiting()


def some(count, owner=OWNER, prefix=""):
    """Signed records of an owner."""
    made = records_of(*[b"body"] * count, owner=owner)
    return [replace(record, query_id=f"{prefix}{record.query_id}") for record in made]


def archives(tmp_path):
    """The archives in the order of their chain, whose first goes on from nothing."""
    found = {}
    for path in (tmp_path / "archive").iterdir():
        assert path.suffix == ".zip", path
        with path.open("rb") as file:
            verified = verify_archive(file)
        found[verified.previous.digest] = (path, verified)
    chain, digest = [], ""
    while digest in found:
        path, verified = found.pop(digest)
        chain.append(path)
        digest = verified.last_digest
    assert not found
    return chain


def containers(path):
    """What an archive holds: by the names of its entries."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != LINKING_INFO}


async def test_what_is_time_stamped_is_archived_once(tmp_path, archiver):
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(3))
        assert await archiver(kept).archive() == 3
        assert await archiver(kept).archive() == 0
        (path,) = archives(tmp_path)
        held = containers(path)
        assert [name.partition("-request")[0] for name in held] == ["id-0", "id-1", "id-2"]
        for content in held.values():
            verify_container(read_container(content), {"DEV": TRUST})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await kept.rows("SELECT count(*) FROM messagelog_record WHERE archived") == [(3,)]


async def test_what_has_no_time_stamp_waits(tmp_path, archiver):
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(2), stamped=False)
        assert await archiver(kept).archive() == 0
        await kept.timestamping.stamp_waiting()
        assert await archiver(kept).archive() == 2


@pytest.mark.parametrize("limit", [{"archive_max_filesize": 1}, {"archive_transaction_batch": 1}])
async def test_archives_that_are_full_are_followed_by_others_that_link_to_them(
    tmp_path, archiver, limit
):
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(3))
        assert await archiver(kept, **limit).archive() == 3
        assert [len(containers(path)) for path in archives(tmp_path)] == [1, 1, 1]
        await fill(tmp_path, kept, *some(2, prefix="more-"))
        assert await archiver(kept).archive() == 2
        assert [len(containers(path)) for path in archives(tmp_path)] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("grouping", "expected"),
    [
        ("none", {"mlog-2": 4}),
        ("member", {"mlog-DEV_GOV_M1-": 3, "mlog-DEV_GOV_M2-": 1}),
        (
            "subsystem",
            {"mlog-DEV_GOV_M1_S1-": 2, "mlog-DEV_GOV_M1_S9-": 1, "mlog-DEV_GOV_M2_S2-": 1},
        ),
    ],
)
async def test_each_group_has_a_chain_of_its_own(tmp_path, archiver, grouping, expected):
    async with keeping(tmp_path) as kept:
        sibling = OWNER.member.subsystem("S9")
        records = [*some(2), *some(1, OTHER, "o"), *some(1, sibling, "s")]
        await fill(tmp_path, kept, *records)
        assert await archiver(kept, archive_grouping=Grouping(grouping)).archive() == 4
        found = {}
        for path in (tmp_path / "archive").iterdir():
            with path.open("rb") as file:
                verified = verify_archive(file)
            assert verified.previous.is_start
            (name,) = (each for each in expected if path.name.startswith(each))
            found[name] = verified.containers
        assert found == expected


STEPS = ("_rename", "note", "_give_name", "forget")


class Killed(BaseException):
    """Nothing of the archiver runs after this."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_an_archiver_that_ends_at_any_step_loses_and_doubles_nothing(
    tmp_path, archiver, monkeypatch, step, after
):
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(3))
        dying = archiver(kept, archive_transaction_batch=1)
        places = {
            "_rename": "sild.components.messagelog.archiving._rename",
            "_give_name": "sild.components.messagelog.archiving.Archiving._give_name",
            "note": "sild.components.messagelog.archivestore.ArchiveStore.note",
            "forget": "sild.components.messagelog.archivestore.ArchiveStore.forget",
        }
        with monkeypatch.context() as patched:
            die_at(patched, places[step], after=after)
            with pytest.raises(Killed):
                await dying.archive()
        archived = await archiver(kept).archive()
        names = [name for path in archives(tmp_path) for name in containers(path)]
        assert sorted(name[:4] for name in names) == ["id-0", "id-1", "id-2"]
        assert archived == (
            2 if step in ("_give_name", "forget") or (step, after) == ("note", True) else 3
        )


def die_at(patched, place, *, after):
    """Let the process end, as it were, before or after it has done this."""
    target, _, name = place.rpartition(".")
    module, _, cls = target.rpartition(".")
    owner = (
        __import__(target, fromlist=["x"])
        if cls.islower()
        else getattr(__import__(module, fromlist=["x"]), cls)
    )
    done = getattr(owner, name)

    def dies(*given):
        if after:
            done(*given)
        raise Killed

    async def dies_later(*given):
        if after:
            await done(*given)
        raise Killed

    patched.setattr(owner, name, dies_later if name in ("note", "forget") else dies)


async def test_an_archive_is_on_the_disk_before_its_records_count_as_archived(
    tmp_path, archiver, monkeypatch
):
    synced, before, fsync, note = [], [], os.fsync, ArchiveStore.note

    def syncs(descriptor):
        fsync(descriptor)
        found = os.fstat(descriptor)
        synced.append((found.st_ino, found.st_size))

    async def notes(*given):
        before.extend(synced)
        await note(*given)

    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(2))
        monkeypatch.setattr(os, "fsync", syncs)
        monkeypatch.setattr(ArchiveStore, "note", notes)
        assert await archiver(kept).archive() == 2
        (path,) = archives(tmp_path)
        assert (path.stat().st_ino, path.stat().st_size) in before


# Encryption


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory):
    """A GnuPG home with the server's key and one of a member."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    for name in ("server@test", "member@test"):
        run(
            home,
            "--passphrase",
            "",
            "--quick-generate-key",
            name,
            "future-default",
            "default",
            "never",
        )
    yield home
    subprocess.run(("gpgconf", "--homedir", str(home), "--kill", "all"), check=False)


def run(home, *arguments, given=None):
    """What GnuPG writes and says."""
    command = ("gpg", "--homedir", str(home), "--batch", "--no-tty", "--yes", *arguments)
    return subprocess.run(command, input=given, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("lines", "default", "reader"),
    [
        ("", "", "server@test"),
        ("", "member@test", "member@test"),
        ("# whose\nDEV/GOV/M1 = member@test\n", "", "member@test"),
        ("DEV/GOV/M2=member@test", "", "server@test"),
    ],
)
async def test_archives_are_signed_and_encrypted_for_whom_they_are(
    tmp_path, archiver, gnupg, lines, default, reader
):
    keys = tmp_path / "keys"
    keys.write_text(lines)
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(2))
        encrypting = archiver(
            kept,
            archive_grouping=Grouping.MEMBER,
            archive_encryption_enabled=True,
            archive_gpg_home_directory=gnupg,
            archive_encryption_keys_config=keys,
            archive_default_encryption_key=default,
        )
        assert await encrypting.archive() == 2
    (path,) = (tmp_path / "archive").iterdir()
    assert path.name.endswith(".zip.gpg")
    assert not zipfile.is_zipfile(path)
    opened = run(gnupg, "--status-fd", "2", "--decrypt", str(path))
    plain = tmp_path / "plain.zip"
    plain.write_bytes(opened.stdout)
    with plain.open("rb") as file:
        assert verify_archive(file).containers == 2
    told = opened.stderr.decode()
    assert "GOODSIG" in told
    key = next(line for line in told.splitlines() if "ENC_TO" in line).split()[2]
    listed = run(gnupg, "--list-keys", "--with-subkey-fingerprint", reader).stdout.decode()
    assert key in listed


async def test_what_cannot_be_encrypted_is_not_archived(tmp_path, archiver, gnupg):
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(2))
        settings = {"archive_encryption_enabled": True, "archive_gpg_home_directory": gnupg}
        with pytest.raises(ArchivingFailed, match="cannot be encrypted"):
            await archiver(kept, **settings, archive_default_encryption_key="nobody@test").archive()
        assert await kept.rows("SELECT count(*) FROM messagelog_record WHERE archived") == [(0,)]
        assert await archiver(kept).archive() == 2
        assert len(archives(tmp_path)) == 1


def test_a_map_of_keys_is_read_line_by_line(tmp_path):
    path = tmp_path / "keys"
    path.write_text("\n# a = b\nDEV/GOV/M1 = A\nDEV/GOV/M1=B\n")
    keys = KeyMap.read(path, "D")
    assert keys.of(Group(Grouping.SUBSYSTEM, OWNER)) == ("A", "B")
    assert keys.of(Group(Grouping.MEMBER, OTHER.member)) == ("D",)
    assert keys.of(Group(Grouping.NONE)) == ("D",)
    for bad in ("nothing", "= A", "DEV/GOV/M1 ="):
        path.write_text(f"\n{bad}\n")
        with pytest.raises(ArchivingFailed, match="line 2"):
            KeyMap.read(path, "D")


# Taking archives away


async def test_a_command_takes_archives_away_after_each_archiving(tmp_path, archiver):
    away = tmp_path / "away"
    away.mkdir()
    async with keeping(tmp_path) as kept:
        await fill(tmp_path, kept, *some(1))
        command = f"mv mlog-*.zip '{away}' && echo moved"
        assert await archiver(kept, archive_transfer_command=command).archive() == 1
        assert await archiver(kept, archive_transfer_command="false").archive() == 0
        assert len(list(away.iterdir())) == 1
        await fill(tmp_path, kept, *some(1, prefix="b"))
        with pytest.raises(ArchivingFailed, match="code 3: no room"):
            await archiver(kept, archive_transfer_command="echo no room; exit 3").archive()
        # The archive is there, and is taken away the next time.
        assert len(archives_left := list((tmp_path / "archive").iterdir())) == 1
        assert archives_left[0].suffix == ".zip"
