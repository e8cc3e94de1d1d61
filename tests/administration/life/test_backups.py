"""A running server is backed up and restored: by its API, and by the command line beside it."""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager, suppress

import pytest

from administration.life.world import ALONE, CONSUMER, everything, rows
from ecosystem.processes import children_of, family_of, is_running, until
from sild.components.backup.archive import UnpackLimits, unpack_archive
from sild.runtime.files import make_private_directory
from sild.runtime.gnupg_home import GnupgHome

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no GnuPG"),
]

SECONDS = 180


@asynccontextmanager
async def spoiled(life, server, client):
    """Everything is changed, rows and keys, after what the block gives was saved."""
    group = await server.ask(
        "POST", f"/clients/{client}/local-groups", {"code": "kept", "description": "Kept"}
    )
    before = await everything(server, client)
    yield before
    assert await everything(server, client) == before
    groups = await server.ask("GET", f"/clients/{client}/local-groups")
    (again,) = (each for each in groups if each["code"] == group["code"])
    await server.ask("DELETE", f"/local-groups/{again['id']}")
    await life.answers_soon()


async def spoil(life, server, client):
    groups = await server.ask("GET", f"/clients/{client}/local-groups")
    (group,) = (each for each in groups if each["code"] == "kept")
    await server.ask("DELETE", f"/local-groups/{group['id']}")
    (chosen,) = await server.ask("GET", "/system/timestamping-services")
    await server.ask("POST", "/system/timestamping-services/delete", chosen)
    await server.ask("POST", "/tokens/0/keys", {"label": "afterwards"})
    await life.founding.add_client(server, client.split(":")[2], "Later")


@pytest.mark.parametrize("which", ["ss2", "ss1"])
@rows("BK-01", "BK-02", "BK-03")
async def test_a_running_server_is_restored_by_its_api(life, which):
    server = getattr(life, which)
    client = {"ss2": ALONE, "ss1": CONSUMER}[which]
    async with spoiled(life, server, client) as before:
        logged = await life.count_of_messages(server)
        name = (await server.ask("POST", "/backups"))["filename"]
        assert name in [each["filename"] for each in await server.ask("GET", "/backups")]
        await spoil(life, server, client)
        assert await everything(server, client) != before
        processes = children_of(server.process.pid)
        restored = await server.ask("PUT", f"/backups/{name}/restore")
        assert restored == {"hsm_tokens_logged_out": False}
        await life.started_anew(server, processes)
        assert "Later" not in str(await server.ask("GET", "/clients"))
        # The message log is as it was, and goes on.
        await life.until_more_messages_than(logged, server)
    # What is added now does not meet what was there before.
    added = await life.founding.add_client(server, client.split(":")[2], "Newest")
    await life.forget(server, added)
    await server.ask("DELETE", f"/backups/{name}")


@rows("BK-04")
async def test_a_running_server_is_restored_by_the_command_line_and_a_hang_up(life):
    ss1 = life.ss1
    async with spoiled(life, ss1, CONSUMER) as before:
        path = (await command(ss1, "backup", "create")).strip()
        await spoil(life, ss1, CONSUMER)
        assert await everything(ss1, CONSUMER) != before
        assert "restart" in await command(ss1, "backup", "restore", path)
        await life.reload(ss1)


@rows("BK-03")
async def test_a_restoration_that_was_interrupted_is_finished_before_anything_starts(life):
    ss1 = life.ss1
    async with spoiled(life, ss1, CONSUMER):
        name = (await ss1.ask("POST", "/backups"))["filename"]
        await spoil(life, ss1, CONSUMER)
        family = family_of(ss1)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await ss1.process.wait()
        await until(lambda: not any(map(is_running, family)), SECONDS, "all of them are gone")
        await decide(ss1.home, name)
        await ss1.forget_session()
        await ss1.start()
        assert not (ss1.home / "restoring" / "restoring.json").exists()
        told = (ss1.home / "server.log").read_text()
        assert "a restoration that was interrupted is finished" in told
        await ss1.ask("PUT", "/tokens/0/login", {"password": life.pin})
        await life.until_healthy(ss1)


async def decide(home, name):
    """Leave what a restoration leaves that was interrupted when all was decided."""
    stage = home / "restoring" / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    make_private_directory(stage)
    opened = home / "restoring" / "opened.tar"
    await GnupgHome(home / "gnupg").open(home / "backup" / name, opened, 2**30, signed=True)
    unpack_archive(opened, stage, UnpackLimits(2**30))
    opened.unlink()
    mark = home / "restoring" / "restoring.json"
    mark.write_text('{"keep_files": false, "skip_databases": false}')


@rows("BK-05")
async def test_backups_are_made_by_themselves_and_deleted_when_they_are_old(life):
    ss1 = life.ss1
    ss1.further["backup"] = {"backup-cron": "* * * * * ?", "backup-cleanup-cron": "* * * * * ?"}
    await life.reload(ss1)

    def automatic(backups):
        return [each for each in backups if each["filename"].startswith("ss-automatic-backup")]

    first = automatic(await ss1.until("/backups", automatic))[-1]["filename"]
    kept = ss1.home / "backup" / first
    long_ago = kept.stat().st_mtime - 31 * 86400
    os.utime(kept, (long_ago, long_ago))
    gone = lambda found: first not in [each["filename"] for each in found]  # noqa: E731
    await ss1.until("/backups", gone)
    del ss1.further["backup"]
    await life.reload(ss1)
    for each in automatic(await ss1.ask("GET", "/backups")):
        await ss1.ask("DELETE", f"/backups/{each['filename']}")


async def command(server, *arguments):
    """What a command beside the server says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sild", "security-server", *arguments),
        *("--home", str(server.home)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()
