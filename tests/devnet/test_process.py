"""Servers of the devnet, started as programs and as forks: alike for who started them."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from ports import free_port
from sild.devnet.process import fork_server, start_server, stop_server

pytestmark = pytest.mark.anyio

LISTENERS = (
    "api-port",
    "registration-port",
    "management-port",
    "configuration-http-port",
    "configuration-https-port",
)
PATIENCE = 120
ORPHANED = """
import asyncio, sys
from pathlib import Path
from sild.devnet.process import fork_server

async def main():
    process = await fork_server("central-server", Path(sys.argv[1]))
    print(process.pid, flush=True)
    await asyncio.sleep(float(sys.argv[2]))

asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path):
    settings = {"listen-address": "127.0.0.1"} | {name: free_port() for name in LISTENERS}
    told = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    (tmp_path / "sild.toml").write_text(f"[listeners]\n{told}")
    return tmp_path


async def until(true):
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)


def tells_of(home, words):
    log = home / "server.log"
    return log.exists() and words in log.read_text()


@pytest.mark.parametrize("start", [start_server, fork_server])
async def test_a_server_runs_apart_until_it_is_stopped(home, start):
    process = await start("central-server", home)
    try:
        assert process.returncode is None
        await until(lambda: os.getsid(process.pid) == process.pid)
        await until((home / "run" / "signer.sock").exists)
        descriptors = Path(f"/proc/{process.pid}/fd")
        assert (descriptors / "0").readlink() == Path(os.devnull)
        assert (descriptors / "2").readlink() == home / "server.log"
    finally:
        await stop_server(process)
    assert process.returncode == 0
    assert await process.wait() == 0
    with pytest.raises(ProcessLookupError):
        process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("start", [start_server, fork_server])
async def test_several_wait_for_the_end_of_one_that_is_killed(home, start):
    process = await start("central-server", home)
    waiting = [asyncio.create_task(process.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    process.kill()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*waiting) == [-signal.SIGKILL] * 2
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("start", [start_server, fork_server])
async def test_settings_that_are_not_understood_end_it_and_are_told(home, start):
    (home / "sild.toml").write_text("[listeners]\napi-port = 'x'\n")
    process = await start("central-server", home)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() > 0
    assert tells_of(home, "api-port")


async def test_a_fork_has_the_environment_of_now(home, monkeypatch):
    await stop_server(await fork_server("central-server", home))  # what forks it runs by now
    monkeypatch.setenv("SILD_LISTENERS_API_PORT", "none")
    process = await fork_server("central-server", home)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() > 0
    assert tells_of(home, "SILD_LISTENERS_API_PORT")


async def test_a_fork_ends_with_who_started_it(home):
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHANED, str(home), str(PATIENCE)), stdout=asyncio.subprocess.PIPE
    )
    pid = int(await parent.stdout.readline())
    await until((home / "run" / "signer.sock").exists)
    parent.kill()
    await parent.wait()
    await until(lambda: not Path(f"/proc/{pid}").exists())
