"""Mixed traffic for a long time: nothing leaks, memory stays flat, nothing acknowledged is lost.

A minute of it runs with all tests; `make soak` sends for SILD_SOAK_MINUTES, or half an hour.
"""

import asyncio
import os
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest

from ecosystem.duo import Duo, plan_at
from ecosystem.ledger import in_journal, stored_by
from ecosystem.processes import children_of, pss_of, spooled_by
from ecosystem.soak_services import (
    FAULT,
    GARBAGE,
    GOOD,
    OTHERS,
    UNAVAILABLE,
    BreakingOff,
    SoapServices,
)
from ecosystem.traffic import send_for
from sild.model.services import ServiceType
from sild.runtime.journal import JournalError

pytestmark = pytest.mark.anyio

NETWORK = "127.0.9"
CLIENTS = 16
MIB = 1024 * 1024
LIMITED_LOG = (
    ("max-loggable-message-body-size", "65536"),
    ("truncated-body-allowed", "true"),
)
SETTLING_SECONDS = 20
# Connections rest for half a minute; who looks for those that have expired does so as often.
RESTING_SECONDS = 70
OTHERS_GROWTH = 24 * MIB
SPARE_FILES = 4
"""Files that a process may have open more than before: a journal's segment, a database's."""


@dataclass(frozen=True)
class Length:
    """How long, and how much more memory workers may take in the last third than in the second."""

    minutes: float
    growth: float
    rests: bool

    @property
    def seconds(self):
        return self.minutes * 60


SHORT = Length(0.75, growth=16 * MIB, rests=False)
LONG = Length(float(os.environ.get("SILD_SOAK_MINUTES", "30")), growth=4 * MIB, rests=True)


@dataclass
class Watch:
    """The memory of each process of both servers, by server and name, as it was seen."""

    duo: Duo
    memory: dict = field(default_factory=dict)

    def processes(self):
        for server in (self.duo.consumer, self.duo.provider):
            code, pid = server.plan.id.server_code, server.process.pid
            yield (code, "supervisor"), pid
            for name, child in children_of(pid).items():
                yield (code, name), child

    async def run(self, every):
        while True:
            for name, pid in self.processes():
                self.memory.setdefault(name, []).append(await asyncio.to_thread(pss_of, pid))
            await asyncio.sleep(every)

    def files(self):
        return {
            name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in self.processes()
        }

    def thirds(self, name):
        """The medians of the second and of the last third."""
        seen = self.memory[name]
        third = len(seen) // 3
        return median(seen[third : 2 * third]), median(seen[2 * third :])

    @property
    def growth(self):
        """The most by which the last third is above the second."""
        thirds = {name: self.thirds(name) for name in self.memory}
        return {name: last - second for name, (second, last) in thirds.items()}


@dataclass(frozen=True)
class Held:
    """What a server holds beside its connections, which come and go."""

    tasks: int
    busy: int
    files: int
    others: dict

    @classmethod
    async def by(cls, server, watch):
        code = server.plan.id.server_code
        status = await server.worker.status()
        files = {name: count for (of, name), count in watch.files().items() if of == code}
        connections = status.accepted_connections + status.opened_connections
        return cls(
            status.tasks - status.accepted_connections,
            status.busy_connections,
            files.pop("worker-0") - connections,
            files,
        )

    def leaked(self, before):
        """What there is more of than before, by its name."""
        found = {}
        if self.tasks > before.tasks:
            found["tasks"] = self.tasks - before.tasks
        if self.busy:
            found["busy connections"] = self.busy
        if self.files > before.files + SPARE_FILES:
            found["files of the worker"] = self.files - before.files
        for name, count in self.others.items():
            if count > before.others[name] + SPARE_FILES:
                found[f"files of {name}"] = count - before.others[name]
        return found


@pytest.fixture
async def duo(tmp_path, anyio_backend):
    plan = plan_at(NETWORK, tmp_path, message_log=LIMITED_LOG, exchange_logs=False)
    async with Duo(plan) as running:
        host = f"{NETWORK}.2"
        soap, breaking = await SoapServices().start(host), await BreakingOff().start(host)
        by_soap = {"type": ServiceType.WSDL}
        for way in (GOOD, FAULT, GARBAGE, UNAVAILABLE, OTHERS):
            await running.offer(way, f"{soap.url}/{way}", **by_soap)
        await running.offer("closed-soap", f"{soap.url}/good", **by_soap, rights=())
        await running.offer("dead", f"http://{host}:1")
        await running.offer("dead-soap", f"http://{host}:1", **by_soap)
        await running.offer("breaking", breaking.url)
        hasty = running.provider_url("health-insurance")
        await running.offer("hasty", hasty, timeout_seconds=1)
        await running.until_served(120, "/slow?seconds=0", "hasty")
        yield running
        await soap.close()
        await breaking.close()


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(SHORT, id="a-minute", marks=pytest.mark.timeout(240)),
        pytest.param(LONG, id="long", marks=pytest.mark.soak),
    ],
)
async def test_nothing_is_lost_or_leaked_under_mixed_traffic(duo, length, capfd):
    servers = (duo.consumer, duo.provider)
    watch = Watch(duo)
    await send_for(2, duo.consumer.http_url, CLIENTS, seed=1)
    before = [await settled(server, watch, None) for server in servers]
    watching = asyncio.create_task(watch.run(max(1, length.seconds / 300)))
    tally = await send_for(length.seconds, duo.consumer.http_url, CLIENTS)
    watching.cancel()
    leaks = {}
    for server, held in zip(servers, before, strict=True):
        after = await settled(server, watch, held)
        leaks[server.plan.id.server_code] = after.leaked(held)
    resting = await at_rest(servers) if length.rests else None
    with capfd.disabled() if length.rests else nullcontext():
        tell(tally, watch, leaks, resting)
    assert not tally.failures, f"{len(tally.failures)}: {tally.failures[:10]}"
    assert not any(leaks.values()), leaks
    assert not resting, resting
    check_memory(watch, length)
    check_logs(servers)
    await check_records(servers, tally)


async def settled(server, watch, before):
    """What a server holds as soon as it is no more than before, or at last."""
    deadline = asyncio.get_running_loop().time() + SETTLING_SECONDS
    if before is None:
        await asyncio.sleep(3)
    while True:
        held = await Held.by(server, watch)
        calm = before is None or not held.leaked(before)
        spooled = (await server.worker.status()).spooled_bytes or spooled_by(server)
        if (calm and not spooled) or asyncio.get_running_loop().time() > deadline:
            assert not spooled, spooled
            return held
        await asyncio.sleep(0.2)


async def at_rest(servers):
    """The connections that are still there when all that rested must have ended."""
    deadline = asyncio.get_running_loop().time() + RESTING_SECONDS
    while True:
        left = {
            (server.plan.id.server_code, how): count
            for server in servers
            for status in [await server.worker.status()]
            for how, count in (
                ("accepted", status.accepted_connections),
                ("opened", status.opened_connections),
            )
            if count
        }
        if not left or asyncio.get_running_loop().time() > deadline:
            return left
        await asyncio.sleep(1)


def check_memory(watch, length):
    """It is flat in workers; the others work in batches, such as of time-stamps, that vary."""
    for (server, name), growth in watch.growth.items():
        limit = length.growth if name.startswith("worker") else OTHERS_GROWTH
        assert growth < limit, f"{name} of {server} has grown by {growth / MIB:.1f} MiB"


def check_logs(servers):
    """No server has told of an error that is its own."""
    for server in servers:
        log = (server.layout.home / "server.log").read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]


async def check_records(servers, tally):
    """What was acknowledged is in both stores, and no journal holds what is in no store."""
    for server in servers:
        waiting = None
        for _ in range(SETTLING_SECONDS):
            stored = await stored_by(server.layout)
            # What was taken from it may just be going.
            with suppress(JournalError, FileNotFoundError):
                waiting = in_journal(server.layout.journal(0)) - stored
            if waiting == set():
                break
            await asyncio.sleep(1)
        assert waiting == set(), f"{server.plan.id} still has {waiting} in its journal"
    await tally.ledger.check(servers)


def tell(tally, watch, leaks, resting):
    """Say what was sent and seen."""
    total = sum(tally.counts.values())
    counts = ", ".join(f"{name} {count}" for name, count in tally.counts.most_common())
    summary = (
        f"\nsoak: {total} messages in {tally.seconds:.0f} s, {total / tally.seconds:.0f}/s; "
        f"{len(tally.ledger.answered)} acknowledged, {len(tally.failures)} with another answer; "
        f"leaks {leaks}; connections that stay {resting}"
    )
    lines = [summary, counts]
    for name, seen in watch.memory.items():
        second, last = watch.thirds(name)
        series = " ".join(f"{seen[(len(seen) - 1) * n // 9] / MIB:.0f}" for n in range(10))
        lines.append(
            f"PSS MiB {' '.join(name)}: {series}; second third {second / MIB:.1f}, "
            f"last {last / MIB:.1f}"
        )
    sys.__stderr__.write("\n".join(lines) + "\n")
