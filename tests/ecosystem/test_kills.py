"""Processes of two servers are killed at random moments under load, and an oracle reads the logs.

Both servers archive all the while. No message that was acknowledged is lost, none is there twice,
in the log or in its archives, and what is there proves itself. A few kills run with all tests;
`make soak` kills SILD_KILLS times, or 500.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import pytest

from ecosystem.archived import archiving, begun_again, check_archives
from ecosystem.callers import Callers, soap_service_of
from ecosystem.duo import PORTAL, REGISTER, Duo, plan_at
from ecosystem.oracle import Oracle
from ecosystem.processes import children_of, family_of, is_running, until
from sild.components.confclient.cache import read_verification_conf
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import verify_container
from sild.runtime.files import GenerationDirectory

pytestmark = pytest.mark.feature("ML-01")

NETWORK = "127.0.30"
KILLS = int(os.environ.get("SILD_KILLS", "500"))
# Journals are taken and archives made all the time, and both end often, so that a kill meets what
# seldom happens.
BUSY_LOG = (
    ("take-interval", "0.05"),
    ("segment-bytes", "262144"),
    ("archive-interval", '"* * * * * ?"'),
)
FEW_AN_ARCHIVE = ("archive-transaction-batch", "20")
BETWEEN_ARCHIVINGS = 0.1
KILLED_BEFORE_RENEWAL = 3
"""After so many kills a supervisor waits for long before it starts a process again."""
SECONDS = 120


@dataclass
class Killing:
    """Kills, waits until all is well again, compares; `kills` are by server and process."""

    duo: Duo
    oracle: Oracle
    callers: Callers
    comparisons: list
    kills: Counter = field(default_factory=Counter)
    renewals: int = 0
    recoveries: list = field(default_factory=list)
    waits: Counter = field(default_factory=Counter)
    archives: list = field(default_factory=list)
    """Of each server, how many there are and how many containers are in them."""

    @property
    def servers(self):
        """Both, the one that asks first."""
        return self.duo.consumer, self.duo.provider

    @property
    def answered(self):
        """How many have been answered by REST and by SOAP."""
        return self.oracle.kinds["rest"], self.oracle.kinds["soap"]

    def victims(self):
        """Every process that a supervisor keeps running, whichever there are."""
        return [
            (server, name) for server in self.servers for name in children_of(server.process.pid)
        ]

    async def kill(self, *victims):
        """One round, with these victims at once."""
        for server, name in victims:
            if self.waits[server, name] >= KILLED_BEFORE_RENEWAL:
                await self._renew(server)
        await asyncio.sleep(random.uniform(0, 0.3))
        begun = time.monotonic()
        killed = {}
        for server, name in victims:
            killed[server, name] = pid = children_of(server.process.pid)[name]
            os.kill(pid, signal.SIGKILL)
            self.kills[server.plan.id.server_code, name] += 1
            self.waits[server, name] += 1
        for (server, name), pid in killed.items():
            await self._until_started(server, name, pid)
        await self.until_served()
        self.recoveries.append(time.monotonic() - begun)
        await self.compare()

    async def _until_started(self, server, name, pid):
        family = server.process.pid
        await until(
            lambda: children_of(family).get(name, pid) != pid, SECONDS, f"{name} is started again"
        )
        await server.administrable()
        await server.ready()

    async def until_served(self):
        """Come back when messages of both kinds have been answered."""
        rest, soap = (count + 2 for count in self.answered)
        await until(
            lambda: self.answered[0] >= rest and self.answered[1] >= soap,
            SECONDS,
            f"messages are answered again; refused {self.callers.refused}",
        )

    async def _renew(self, server):
        """Kill the supervisor, and with it everything; another one is in no hurry to wait."""
        family = family_of(server)
        server.process.kill()
        await server.process.wait()
        await until(lambda: not any(map(is_running, family)), SECONDS, "all of them are gone")
        await server.start()
        await server.ready()
        await self.until_served()
        self.renewals += 1
        for key in [key for key in self.waits if key[0] is server]:
            del self.waits[key]

    async def compare(self):
        """Compare both logs; give how many messages are in a journal only."""
        return sum([await comparison.make() for comparison in self.comparisons])

    async def check_evidence(self, count):
        """All is in the stores and time-stamped, and so many records of each verify."""
        owners = (PORTAL, REGISTER)
        for server, owner, comparison in zip(self.servers, owners, self.comparisons, strict=True):
            await settled(server.control)
            await server.control.stamp_waiting()
            assert await comparison.make() == 0
            assert not comparison.log.journalled
            assert (await server.control.status()).message_log.waiting == 0
            assert await server.control.record_count() == len(comparison.log.stored)
            known = sorted(comparison.log.stored)
            for query_id, is_response in random.sample(known, min(count, len(known))):
                path = server.layout.home / "exported.asice"
                path.unlink(missing_ok=True)
                await server.control.export_container(query_id, owner, is_response, str(path))
                await asyncio.to_thread(self._verify, server, path.read_bytes())

    async def check_archives(self):
        """Each record is in one archive, and the archives of each server are one chain."""
        for server, comparison in zip(self.servers, self.comparisons, strict=True):
            self.archives.append(await check_archives(server, comparison.log.stored))

    def _verify(self, server, container):
        directory = GenerationDirectory(server.layout.globalconf).current()
        verify_container(read_container(container), read_verification_conf(directory))

    def tell(self, seconds):
        """What happened, for people."""
        kills = ", ".join(f"{code} {name} {count}" for (code, name), count in self.kills.items())
        again = sum(map(begun_again, self.servers))
        return (
            f"\nkills: {self.kills.total()} in {seconds:.0f} s ({kills}), "
            f"and {self.renewals} of supervisors\n"
            f"messages: {len(self.oracle.acknowledged)} acknowledged {dict(self.oracle.kinds)}, "
            f"{self.callers.refused.total()} refused {dict(self.callers.refused)}, "
            f"{self.callers.unanswered.total()} unanswered {dict(self.callers.unanswered)}\n"
            f"archives and containers in them: {self.archives}, {again} archives begun again\n"
            f"recovery: median {median(self.recoveries):.2f} s, most {max(self.recoveries):.2f} s; "
            "none lost, none doubled\n"
        )


@asynccontextmanager
async def killing_at(network, directory, *settings):
    """Two servers with busy logs, and whom they are to answer."""
    log = (*BUSY_LOG, *settings)
    plan = plan_at(network, directory, message_log=log, exchange_logs=False)
    async with Duo(plan) as duo, soap_service_of(duo):
        oracle = Oracle()
        compared = [oracle.compared_with(each.layout) for each in (duo.consumer, duo.provider)]
        yield Killing(duo, oracle, Callers(duo, oracle), compared)


async def settled(control):
    """Come back when no more records come: what was under way is kept after it was given up."""
    count = -1
    while (now := await control.record_count()) != count:
        count = now
        await asyncio.sleep(0.5)


@pytest.fixture
async def killing(tmp_path, anyio_backend):
    async with killing_at(NETWORK, tmp_path, FEW_AN_ARCHIVE) as killing:
        yield killing


async def test_nothing_is_lost_or_doubled_when_each_process_is_killed_once(killing, capsys):
    await kill_all(killing, len(killing.victims()), capsys)


@pytest.mark.soak
async def test_nothing_is_lost_or_doubled_by_hundreds_of_kills(killing, capsys):
    await kill_all(killing, KILLS, capsys)


async def kill_all(killing, count, capsys):
    """Kill so many processes, each that there is at least once, and now and then two together."""
    begun = time.monotonic()
    making = archiving(*killing.servers, pause=BETWEEN_ARCHIVINGS)
    async with making, killing.callers.calling():
        await killing.until_served()
        victims = killing.victims()
        random.shuffle(victims)
        while (left := count - killing.kills.total()) > 0:
            if len(victims) < 2:
                victims += random.sample(killing.victims(), len(killing.victims()))
            together = 2 if left > 1 and victims[0] != victims[1] and random.random() < 0.2 else 1
            await killing.kill(*[victims.pop(0) for _ in range(together)])
    await killing.check_evidence(10 + count // 5)
    await killing.check_archives()
    with capsys.disabled():
        sys.stdout.write(killing.tell(time.monotonic() - begun))
