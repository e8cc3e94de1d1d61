import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from components.backup.builders import PRIVATE, Server, make_tables, tar_of
from sild.components.backup.backups import Backups
from sild.components.backup.errors import (
    BackupBusy,
    BackupFailed,
    BackupKeyNotMade,
    BackupNotFound,
    BackupRefused,
    InvalidBackupName,
    NotABackup,
    NotYetInitialized,
    RestoreFailed,
)
from sild.components.backup.saved import RestoreOptions
from sild.components.backup.settings import BackupSettings
from sild.runtime.database import Database
from sild.runtime.gnupg import GnupgError
from sild.runtime.gnupg_home import GnupgHome

pytestmark = pytest.mark.anyio
PLAIN = RestoreOptions(plain=True)


def run(command):
    return subprocess.run(command, capture_output=True, check=False)


async def test_a_backup_is_restored(server):
    before = await server.state()
    began = server.clock.now()
    made = await server.backups.create()
    ended = server.clock.now()
    assert made in await server.backups.list()
    names = [moment.strftime("conf_backup_%Y%m%d-%H%M%S") for moment in (began, ended)]
    assert names[0] <= made.name[: len(names[0])] <= names[1]
    await server.spoil()
    spoiled = await server.state()
    assert spoiled != before
    await server.backups.restore(made.name)
    assert await server.state() == before
    assert server.restored == 1
    # The copy that was made before restoring brings back what was there.
    await server.backups.restore_file(server.places.pre_restore, PLAIN)
    assert await server.state() == spoiled
    assert not (server.places.work / "stage").exists()


@pytest.mark.parametrize("encrypted", [False, True])
async def test_what_is_private_is_encrypted_in_every_backup(tmp_path, server, encrypted):
    settings = BackupSettings(backup_encryption_enabled=encrypted)
    backups = Backups(server.saved, server.places, settings, server.clock)
    made = backups.path_of((await backups.create()).name)
    before = await server.state()
    opened = tmp_path / "opened.tar"
    await GnupgHome(server.places.gnupg).open(made, opened, 2**30)
    await backups.restore_file(made, RestoreOptions())
    for tar in (opened, server.places.pre_restore):
        assert b"files/tls.pem" in tar.read_bytes()
        assert PRIVATE not in tar.read_bytes()
    assert await server.state() == before


async def test_what_is_private_of_another_server_stays_as_it_is(tmp_path, server, caplog):
    made = await server.backups.create()
    path = server.backups.path_of(made.name)
    before = await server.state()
    await server.spoil()
    await server.backups.close()
    server.places.gnupg.rename(tmp_path / "elsewhere")
    await server.backups.restore_file(path, RestoreOptions(unsigned=True, force=True))
    tables, files = await server.state()
    assert (tables, files) == (before[0], before[1] | {"tls.pem": b"other"})
    assert "tls.pem is not restored" in caplog.text
    (server.home / "tls.pem").unlink()
    await server.backups.restore_file(path, RestoreOptions(unsigned=True, force=True))
    assert not (server.home / "tls.pem").exists()


async def test_what_is_private_may_be_in_clear_in_a_backup_of_before(tmp_path, server):
    tar = server.places.work / "old.tar"
    clear = replace(server.saved, private={})
    old = Backups(clear, server.places, BackupSettings(), server.clock)
    made = old.path_of((await old.create()).name)
    await GnupgHome(server.places.gnupg).open(made, tar, 2**30)
    assert PRIVATE in tar.read_bytes()
    before = await server.state()
    await server.spoil()
    await server.backups.restore_file(made, RestoreOptions())
    assert await server.state() == before


async def test_backups_are_private_and_leave_nothing_beside_them(server):
    made = await server.backups.create()
    assert server.backups.path_of(made.name).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in server.places.folder.iterdir()] == [made.name]
    assert not (server.places.work / "backup").exists()


async def test_two_backups_of_one_second_have_two_names(server):
    names = {(await server.backups.create()).name for _ in range(3)}
    assert len(names) == 3


async def test_links_are_not_followed(server):
    (server.home / "keys" / "link").symlink_to("/etc/passwd")
    (server.home / "keys" / "folder").symlink_to("/etc")
    made = await server.backups.create()
    await server.backups.restore(made.name)
    assert "keys/link" in server.files()
    gnupg = GnupgHome(server.places.gnupg)
    await gnupg.open(server.backups.path_of(made.name), server.home / "out.tar", 10**7)
    assert b"keys/link" not in (server.home / "out.tar").read_bytes()


async def test_an_encrypted_backup_is_restored(tmp_path, database):
    server = Server(tmp_path / "home", database, backup_encryption_enabled=True)
    await server.set_up()
    before = await server.state()
    made = await server.backups.create()
    packets = run(("gpg", "--list-packets", "--list-only", str(server.backups.path_of(made.name))))
    assert b"pubkey enc packet" in packets.stdout
    await server.spoil()
    await server.backups.restore(made.name)
    assert await server.state() == before
    await server.backups.close()


async def test_a_backup_for_a_stranger_without_a_key_is_not_made(tmp_path, database):
    settings = {"backup_encryption_enabled": True, "backup_encryption_keyids": ("0xDEADBEEF",)}
    server = Server(tmp_path / "home", database, **settings)
    await server.set_up()
    with pytest.raises(BackupFailed):
        await server.backups.create()
    assert await server.backups.list() == ()
    with pytest.raises(BackupKeyNotMade):
        await server.backups.import_recipient(b"no key")
    await server.backups.close()


async def test_a_backup_is_encrypted_for_others_too(server, tmp_path):
    other = GnupgHome(tmp_path / "other")
    key = await other.make_key("Auditor")
    await server.backups.import_recipient(await other.export_key(key))
    settings = BackupSettings(backup_encryption_enabled=True, backup_encryption_keyids=(key,))
    backups = Backups(server.saved, server.places, settings, server.clock)
    made = await backups.create()
    await other.import_key(await backups.public_key())
    await other.open(backups.path_of(made.name), tmp_path / "out.tar", 10**7, signed=False)
    assert (tmp_path / "out.tar").read_bytes()[257:262] == b"ustar"
    await backups.restore(made.name)
    await other.stop_agent()


async def test_anybody_with_the_public_key_verifies_a_backup(server, tmp_path):
    made = await server.backups.create()
    outside = GnupgHome(tmp_path / "outside")
    await outside.import_key(await server.backups.public_key())
    command = ("gpg", "--homedir", str(outside.directory), "--batch", "--verify")
    verified = run((*command, str(server.backups.path_of(made.name))))
    assert verified.returncode == 0
    assert b"Good signature" in verified.stderr
    await outside.stop_agent()


async def test_a_key_is_made_once(server):
    before = await server.backups.public_key()
    await server.backups.make_key("OTHER")
    assert await server.backups.public_key() == before


async def test_a_key_that_was_made_and_not_noted_is_found_again(server):
    before = await server.backups.public_key()
    (server.places.gnupg / "sild-backup-key").unlink()
    await server.backups.make_key("DEV")
    assert await server.backups.public_key() == before


async def test_a_key_that_cannot_be_made_is_refused(tmp_path, database):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "gnupg").write_bytes(b"in the way")
    with pytest.raises(BackupKeyNotMade):
        await Server(tmp_path / "home", database).backups.make_key("DEV")


async def test_before_the_initialisation_there_is_no_backup(tmp_path, database):
    server = Server(tmp_path / "home", database, identity="")
    await server.set_up(key=False)
    with pytest.raises(NotYetInitialized):
        await server.backups.create()
    assert await server.backups.create_automatic() is None
    server.identity = "DEV"
    with pytest.raises(NotYetInitialized):
        await server.backups.create()
    with pytest.raises(NotYetInitialized):
        await server.backups.public_key()


async def test_automatic_backups_are_old_after_thirty_days_and_others_never(server):
    await server.backups.create()
    automatic = await server.backups.create_automatic()
    assert automatic.name.startswith("cs-automatic-backup-")
    assert await server.backups.old() == ()
    server.clock.turn(timedelta(days=31))
    await server.backups.create_automatic()
    assert [each.name for each in await server.backups.old()] == [automatic.name]


async def test_backups_are_listed_with_the_newest_first(server):
    names = []
    for _ in range(3):
        names.append((await server.backups.create()).name)
        server.clock.turn(timedelta(minutes=1))
    (server.places.folder / "notes.txt").write_text("no backup")
    (server.places.folder / ".hidden.gpg").write_text("no backup")
    (server.places.folder / "folder.gpg").mkdir()
    assert [each.name for each in await server.backups.list()] == names[::-1]


@pytest.mark.parametrize(
    "name", ["incorrect.backup", ".incorrect.gpg", "a/b.gpg", "../x.gpg", "", "ä.gpg", "x.gpg\n"]
)
async def test_what_is_no_name_of_a_backup_is_refused(server, name):
    with pytest.raises(InvalidBackupName):
        await server.backups.keep(name, b"\xa3")
    with pytest.raises(InvalidBackupName):
        server.backups.exists(name)
    for asked in (server.backups.delete, server.backups.restore):
        with pytest.raises(BackupNotFound):
            await asked(name)


async def test_a_backup_that_is_not_there_is_refused(server):
    for asked in (server.backups.delete, server.backups.restore):
        with pytest.raises(BackupNotFound) as refused:
            await asked("gone.gpg")
        assert refused.value.metadata == ("gone.gpg",)


async def test_a_link_in_the_folder_is_no_backup(server):
    await server.backups.create()
    (server.places.folder / "link.gpg").symlink_to("/etc/passwd")
    assert len(await server.backups.list()) == 1
    with pytest.raises(BackupNotFound):
        server.backups.path_of("link.gpg")


async def test_a_backup_is_sent_taken_and_deleted(server):
    made = await server.backups.create()
    content = server.backups.path_of(made.name).read_bytes()
    assert not server.backups.exists("sent.gpg")
    sent = await server.backups.keep("sent.gpg", content)
    assert server.backups.exists("sent.gpg")
    await server.backups.restore(sent.name)
    await server.backups.delete(sent.name)
    assert [each.name for each in await server.backups.list()] == [made.name]


async def test_what_gnupg_did_not_write_is_not_taken(server):
    for content in (b"", b"plain text", tar_of([])):
        with pytest.raises(NotABackup):
            await server.backups.keep("x.gpg", content)
    assert await server.backups.list() == ()


async def refuse(server, path, options=None, error=BackupRefused):
    before = await server.state()
    with pytest.raises(error):
        await server.backups.restore_file(path, options or RestoreOptions())
    assert await server.state() == before
    assert server.restored == 0
    assert server.backups.running is None


async def test_what_this_server_did_not_sign_is_refused(server, tmp_path):
    made = server.backups.path_of((await server.backups.create()).name)
    other = GnupgHome(tmp_path / "other")
    key = await other.make_key("DEV")
    tar = tmp_path / "x.tar"
    await GnupgHome(server.places.gnupg).open(made, tar, 10**7)
    await other.seal(tar, tmp_path / "forged.gpg", key, ())
    await refuse(server, tmp_path / "forged.gpg")
    # Not even when this server knows the other key, its secret half included.
    await server.backups.import_recipient(await other.export_key(key))
    await refuse(server, tmp_path / "forged.gpg")
    secret = run(("gpg", "--homedir", str(other.directory), "--batch", "--export-secret-keys", key))
    await server.backups.import_recipient(secret.stdout)
    await refuse(server, tmp_path / "forged.gpg")
    signed_only = run(
        ("gpg", "--batch", "--store", "--output", str(tmp_path / "unsigned.gpg"), str(tar))
    )
    assert signed_only.returncode == 0
    await refuse(server, tmp_path / "unsigned.gpg")
    (tmp_path / "junk.gpg").write_bytes(b"\xa3junk")
    await refuse(server, tmp_path / "junk.gpg")
    # What is compressed has more than one form, and GnuPG does not always read what follows: what
    # it opens is what was signed all the same.
    whole, signed = made.read_bytes(), tar.read_bytes()
    places = range(len(whole) // 20, len(whole), len(whole) // 10)
    flipped = [whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :] for at in places]
    refused = []
    for number, content in enumerate((*flipped, whole * 2)):
        changed = tmp_path / f"changed-{number}.gpg"
        changed.write_bytes(content)
        try:
            await GnupgHome(server.places.gnupg).open(changed, tmp_path / "changed.tar", 10**7)
        except GnupgError:
            refused.append(changed)
        else:
            assert (tmp_path / "changed.tar").read_bytes() == signed
    await refuse(server, refused[0])
    await server.backups.restore_file(tmp_path / "unsigned.gpg", RestoreOptions(unsigned=True))
    await other.stop_agent()


async def test_a_backup_of_another_server_is_refused_unless_forced(server):
    made = server.backups.path_of((await server.backups.create()).name)
    server.identity = "OTHER"
    await refuse(server, made)
    await server.backups.restore_file(made, RestoreOptions(force=True))
    assert server.restored == 1


async def test_a_backup_of_another_kind_of_server_is_refused_even_when_forced(server):
    made = server.backups.path_of((await server.backups.create()).name)
    other = Backups(
        replace(server.saved, kind="security"), server.places, BackupSettings(), server.clock
    )
    with pytest.raises(BackupRefused):
        await other.restore_file(made, RestoreOptions(force=True))


async def test_a_backup_that_swells_is_refused(server):
    made = server.backups.path_of((await server.backups.create()).name)
    small = BackupSettings(largest_backup=100_000)
    backups = Backups(server.saved, server.places, small, server.clock)
    before = await server.state()
    with pytest.raises(BackupRefused):
        await backups.restore_file(made, RestoreOptions())
    assert await server.state() == before


async def test_a_backup_of_a_database_that_is_not_here_is_refused(server):
    made = server.backups.path_of((await server.backups.create()).name)
    fewer = replace(server.saved, databases=())
    with pytest.raises(BackupRefused):
        await Backups(fewer, server.places, BackupSettings(), server.clock).restore_file(
            made, RestoreOptions()
        )


async def test_files_that_the_backup_lacks_can_be_kept(server):
    made = server.backups.path_of((await server.backups.create()).name)
    await server.spoil()
    await server.backups.restore_file(made, RestoreOptions(keep_files=True))
    assert {"keys/one.p12", "keys/three.p12"} <= server.files().keys()


async def test_databases_can_be_left_alone(server):
    made = server.backups.path_of((await server.backups.create()).name)
    await server.spoil()
    rows, _ = await server.state()
    await server.backups.restore_file(made, RestoreOptions(skip_databases=True))
    assert (await server.state())[0] == rows
    assert "keys/one.p12" in server.files()


async def test_one_backup_or_restoration_runs_at_a_time(server):
    made = await server.backups.create()
    other = Backups(server.saved, server.places, BackupSettings(), server.clock)
    seen = []

    async def identity():
        seen.append(server.backups.running)
        with pytest.raises(BackupBusy):
            await other.create()
        with pytest.raises(BackupBusy):
            await other.restore(made.name)
        return "DEV"

    watched = Backups(
        replace(server.saved, identity=identity), server.places, BackupSettings(), server.clock
    )
    await watched.create()
    assert watched.running is None
    server.backups = watched
    await watched.create()
    assert seen[-1].what == "backup"


async def test_a_restoration_whose_files_cannot_be_put_is_finished_at_the_next_start(server):
    before = await server.state()
    made = await server.backups.create()
    await server.spoil()
    (server.home / "sild.toml").unlink()
    (server.home / "sild.toml").mkdir()
    server.write("sild.toml/in-the-way", b"")
    with pytest.raises(RestoreFailed, match="finished"):
        await server.backups.restore(made.name)
    with pytest.raises(RestoreFailed, match="restart"):
        await server.backups.restore(made.name)
    with pytest.raises(RestoreFailed):
        await server.backups.finish_interrupted()
    (server.home / "sild.toml" / "in-the-way").unlink(missing_ok=True)
    (server.home / "sild.toml").rmdir()
    assert await server.backups.finish_interrupted()
    assert await server.state() == before
    assert not await server.backups.finish_interrupted()


_CHILD = """
import asyncio, os, signal, sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from components.backup.builders import METADATA, Server
from sild.components.backup.backups import Backups
from sild.components.backup.dump import SavedDatabase
from sild.components.backup.settings import BackupSettings
from sild.runtime.database import Database

class Dying:
    def __init__(self, database, when):
        self.database, self.when = database, when
        self.reading = database.reading

    @asynccontextmanager
    async def transaction(self):
        async with self.database.transaction() as connection:
            yield connection
            self.die("before the commit")
        self.die("after the commit")

    def die(self, moment):
        if self.when == moment:
            os.kill(os.getpid(), signal.SIGKILL)

async def main(home, url, name, when):
    async with Database.open(url) as database:
        server = Server(Path(home), database)
        dying = SavedDatabase("registry", Dying(database, when), (METADATA,))
        saved = replace(server.saved, databases=(dying,))
        backups = Backups(saved, server.places, BackupSettings(), server.clock)
        print("ready", flush=True)
        await backups.restore(name)

asyncio.run(main(*sys.argv[1:]))
"""


def restoring(server, url, name, when):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = (sys.executable, "-c", _CHILD, str(server.home), url, name, when)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)


@pytest.fixture
async def killed(engine, request, tmp_path):
    """A server whose database others can open, with a backup that differs from its state."""
    url = f"sqlite:///{tmp_path / 'registry' / 'central.db'}"
    if engine == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with Database.open(url) as database:
        server = Server(tmp_path / "home", database)
        await server.set_up()
        server.url = url
        server.new = await server.state()
        server.name = (await server.backups.create()).name
        await server.spoil()
        server.old = await server.state()
        yield server
        await server.backups.close()


@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
async def test_a_restoration_that_was_decided_is_finished_after_a_kill(killed, when):
    with restoring(killed, killed.url, killed.name, when) as child:
        assert await asyncio.to_thread(child.wait) == -signal.SIGKILL
    assert await killed.backups.finish_interrupted()
    assert await killed.state() == killed.new
    await killed.backups.create()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_kill_at_any_moment_leaves_the_old_or_the_new_state(killed):
    for milliseconds in (5, 20, 35, 50, 65, 80, 100):
        with restoring(killed, killed.url, killed.name, "never") as child:
            assert await asyncio.to_thread(child.stdout.readline) == b"ready\n"
            await asyncio.sleep(milliseconds / 1000)
            child.kill()
            await asyncio.to_thread(child.wait)
        await killed.backups.finish_interrupted()
        found = await killed.state()
        assert found in (killed.old, killed.new)
        if found == killed.new:
            await killed.spoil()


async def test_what_a_killed_process_had_just_begun_is_waited_for(killed):
    held = os.open(killed.places.work / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    finishing = asyncio.create_task(killed.backups.finish_interrupted())
    await asyncio.sleep(0.3)
    assert not finishing.done()
    os.close(held)
    assert not await finishing


async def test_nothing_is_left_of_what_was_not_decided(killed):
    await killed.backups.create()
    stage = killed.places.work / "stage"
    stage.mkdir()
    (stage / "x").write_bytes(b"")
    assert not await killed.backups.finish_interrupted()
    assert not stage.exists()
    assert await killed.state() == killed.old


@pytest.mark.parametrize("first", ["sqlite", "postgresql"])
async def test_a_backup_moves_to_another_engine(tmp_path, postgres, first):
    urls = [f"sqlite:///{tmp_path / 'one' / 'x.db'}", postgres.new_database()]
    if first == "postgresql":
        urls.reverse()
    home = tmp_path / "home"
    async with Database.open(urls[0]) as source, Database.open(urls[1]) as target:
        old = Server(home, source)
        await old.set_up()
        expected = await old.state()
        name = (await old.backups.create()).name
        await make_tables(target)
        new = Server(home, target)
        await new.backups.restore(name)
        assert await new.state() == expected
        await new.backups.close()
