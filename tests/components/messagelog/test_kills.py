"""Processes that are killed at any moment: nothing acknowledged is lost, nothing is doubled."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.messagelog.builders import SMALL_SEGMENTS, keeping, plain_record, writing
from sild.components.messagelog.index import TakeLimits

pytestmark = pytest.mark.anyio

RUN = f"""
import sys
sys.path[:0] = {sys.path!r}
from components.messagelog.test_kills import kill_and_kill
kill_and_kill(*sys.argv[1:])
"""


def body_of(query_id):
    """What the message with this id has for a body: none, a small one or a large one."""
    kind = sum(query_id.encode()) % 10
    size = 270_000 if kind == 0 else 100 * kind
    return None if kind > 6 else (query_id.encode() * (size // len(query_id) + 1))[:size]


def signature_of(query_id):
    """Neighbours share a signature, as messages of a batch do."""
    return b"signature %d" % (int(query_id.split("-")[2]) // 3)


async def write(path, name):
    """Saves messages, and notes each that was acknowledged, until killed."""
    acknowledged = os.open(path / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def save(log, number):
        for count in range(10_000):
            query_id = f"{name}-{number}-{count}"
            await log.save(plain_record(query_id, signature_of(query_id)), body_of(query_id))
            os.write(acknowledged, query_id.encode() + b"\n")
            await asyncio.sleep(0.005)

    async with writing(path, limits=SMALL_SEGMENTS) as writer:
        await asyncio.gather(*[save(writer.log, number) for number in range(6)])


async def take(path):
    """Takes the journal until killed."""
    async with keeping(path, TakeLimits(entries=20)) as kept:
        while True:
            await kept.taker.take_all()


def start(scenario, *arguments):
    """A process that is as warm as this one."""
    process = os.fork()
    if process == 0:
        try:
            asyncio.run(scenario(*arguments))
        finally:
            os._exit(1)
    return process


def kill(process):
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), "it had ended by itself"


def kill_and_kill(path, rounds, seed):
    """Kills writers, and takers beside them."""
    path, chance = Path(path), random.Random(seed)
    for name in range(int(rounds)):
        writer = start(write, path, name)
        for _ in range(chance.randint(1, 3)):
            taker = start(take, path)
            time.sleep(chance.uniform(0.02, 0.3))
            kill(taker)
        until_acknowledged(path, name)
        kill(writer)


def until_acknowledged(path, name):
    """Come back when the writer of this name has saved something."""
    acknowledged = path / "acknowledged"
    for _ in range(12_000):
        if acknowledged.exists() and f"\n{name}-" in f"\n{acknowledged.read_text()}":
            return
        time.sleep(0.01)
    raise AssertionError(f"writer {name} saves nothing")


async def check(path):
    acknowledged = set((path / "acknowledged").read_text().split())
    async with keeping(path) as kept:
        async with writing(path, limits=SMALL_SEGMENTS) as writer:
            await writer.log.save(plain_record("the worker is back"), None)
            await kept.taker.take_all()
        seen = [each.query_id for each in await kept.summaries()]
        assert seen.pop() == "the worker is back"
        assert len(seen) == len(set(seen))
        assert acknowledged
        assert acknowledged <= set(seen)
        for kept_record in (await kept.records())[:-1]:
            record = kept_record.record
            assert record.body == body_of(record.query_id)
            assert record.signature == signature_of(record.query_id)
        assert await kept.rows("SELECT * FROM messagelog_unfinished") == []
        orphans = (
            "SELECT count(*) FROM messagelog_piece WHERE body_key NOT IN "
            "(SELECT body_key FROM messagelog_record WHERE body_key IS NOT NULL)"
        )
        assert await kept.rows(orphans) == [(0,)]
        assert len(list(writer.directory.glob("*.journal"))) == 1


async def run(path, rounds, seed):
    path.mkdir(exist_ok=True)
    command = [sys.executable, "-c", RUN, str(path), str(rounds), str(seed)]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    await check(path)


async def test_kills_lose_nothing_and_double_nothing(tmp_path, engine):
    await run(tmp_path, 5, 11)


@pytest.mark.soak
async def test_many_kills_lose_nothing_and_double_nothing(tmp_path):
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        seed = random.randrange(10**9)
        await run(tmp_path / str(seed), 20, seed)
