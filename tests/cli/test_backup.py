"""A server is backed up and restored from the command line."""

import argparse
import asyncio
import json
import shutil
import subprocess
from contextlib import asynccontextmanager

import pytest

from components.backup.builders import Server
from sild.cli import backup
from sild.runtime.database import Database
from sild.runtime.gnupg_home import GnupgHome
from sild.runtime.settings import SettingsError


@asynccontextmanager
async def opened(home, **settings):
    async with Database.open(f"sqlite:///{home / 'db' / 'x.db'}") as database:
        yield Server(home, database, **settings)


@pytest.fixture
def home(tmp_path):
    """A server that can be backed up."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    path = tmp_path / "home"
    path.mkdir()

    async def make():
        async with opened(path) as server:
            await server.set_up()

    asyncio.run(make())
    yield path
    asyncio.run(GnupgHome(path / "gnupg").stop_agent())


@pytest.fixture
def run(home, capsys):
    @asynccontextmanager
    async def open_backups(asked):
        if asked.home != home:
            raise SettingsError(["there is no such home"])
        async with opened(home) as server:
            server.identity = run.identity
            yield server.backups

    def run(*arguments, where=home):
        parser = argparse.ArgumentParser()
        backup.add_parser(parser.add_subparsers(), open_backups)
        asked = parser.parse_args(["backup", *map(str, arguments), "--home", str(where)])
        code = asked.run(asked)
        out, err = capsys.readouterr()
        return code, out, err

    run.identity = "DEV"
    return run


def state(home):
    async def read():
        async with opened(home) as server:
            return await server.state()

    return asyncio.run(read())


def spoil(home):
    async def change():
        async with opened(home) as server:
            await server.spoil()

    asyncio.run(change())


def test_a_server_is_backed_up_and_restored(run, home):
    before = state(home)
    code, out, err = run("create")
    assert (code, err) == (0, "")
    path = home / "backup" / out.strip().rpartition("/")[2]
    assert path.is_file()
    code, out, _ = run("list", "--json")
    assert [each["filename"] for each in json.loads(out)] == [path.name]
    assert path.name in run("list")[1]
    for asked in (path, path.name):
        spoil(home)
        code, out, _ = run("restore", asked)
        assert code == 0
        assert "restart" in out
        assert state(home) == before


def test_what_cannot_be_restored_is_refused_unless_told_otherwise(run, home, tmp_path):
    run("create")
    (path,) = (home / "backup").iterdir()
    run.identity = "OTHER"
    before = state(home)
    spoil(home)
    spoiled = state(home)
    code, _, err = run("restore", path)
    assert code == 1
    assert "'DEV'" in err
    assert state(home) == spoiled
    assert run("restore", "-F", path)[0] == 0
    assert state(home) == before
    spoil(home)
    tar = tmp_path / "x.tar"
    decrypt = ("gpg", "--homedir", str(home / "gnupg"), "--batch", "--output", str(tar))
    subprocess.run((*decrypt, "--decrypt", str(path)), check=True, capture_output=True)
    assert run("restore", "--force", tar)[0] == 1
    assert run("restore", "--force", "--plain", tar)[0] == 0
    assert state(home) == before
    stored = tmp_path / "stored.gpg"
    subprocess.run(("gpg", "--batch", "--output", str(stored), "--store", str(tar)), check=True)
    assert run("restore", "--force", stored)[0] == 1
    assert run("restore", "--force", "--no-signature-check", stored)[0] == 0


def test_parts_of_a_server_are_left_alone(run, home):
    run("create")
    (path,) = (home / "backup").iterdir()
    spoil(home)
    rows, _ = state(home)
    assert run("restore", "--keep-files", "--skip-database", path)[0] == 0
    found, files = state(home)
    assert found == rows
    assert {"keys/one.p12", "keys/three.p12"} <= files.keys()


def test_a_key_to_encrypt_for_is_taken(run, home, tmp_path):
    async def export():
        other = GnupgHome(tmp_path / "other")
        key = await other.make_key("Auditor")
        exported = await other.export_key(key)
        await other.stop_agent()
        return key, exported

    key, exported = asyncio.run(export())
    (tmp_path / "auditor.asc").write_bytes(exported)
    assert run("import-key", tmp_path / "auditor.asc")[0] == 0

    async def create():
        settings = {"backup_encryption_enabled": True, "backup_encryption_keyids": (key,)}
        async with opened(home, **settings) as server:
            return server.backups.path_of((await server.backups.create()).name)

    made = asyncio.run(create())
    command = ("gpg", "--homedir", str(tmp_path / "other"), "--batch", "--decrypt", str(made))
    decrypted = subprocess.run(command, check=False, capture_output=True)
    assert decrypted.stdout[257:262] == b"ustar"
    asyncio.run(GnupgHome(tmp_path / "other").stop_agent())
    (tmp_path / "junk").write_bytes(b"junk")
    assert run("import-key", tmp_path / "junk")[0] == 1


def test_a_backup_is_verified_elsewhere(run, home, tmp_path):
    run("create")
    (path,) = (home / "backup").iterdir()
    code, key, _ = run("public-key")
    assert code == 0
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(outside), "--batch")
    subprocess.run((*gpg, "--import"), input=key.encode(), check=True, capture_output=True)
    assert subprocess.run((*gpg, "--verify", str(path)), check=False).returncode == 0
    path.write_bytes(path.read_bytes()[:-10])
    assert subprocess.run((*gpg, "--verify", str(path)), check=False).returncode != 0
    asyncio.run(GnupgHome(outside).stop_agent())


def test_what_is_not_there_is_told(run, tmp_path):
    code, _, err = run("restore", "gone.gpg")
    assert code == 1
    assert "gone.gpg" in err
    assert run("restore", tmp_path / "gone.gpg")[0] == 1
    assert run("list", where=tmp_path)[0] == 2
