"""Processes are killed one by one under load: the server serves again, and has lost nothing."""

import asyncio
import contextlib
import os
import signal
from contextlib import asynccontextmanager

import httpx
import pytest

from ecosystem.duo import CONSUMER, PROVIDER, Duo, plan_at, worker_of
from ecosystem.processes import child_of, children_of, family_of, is_running, until
from sild.devnet.ecosystem import Intervals

pytestmark = pytest.mark.feature("ML-01")

NETWORK, ANOTHER_NETWORK = "127.0.7", "127.0.8"
A_FEW_SECONDS = 60
CALLERS = 3


@pytest.fixture(scope="module")
async def duo(tmp_path_factory, anyio_backend):
    directory = tmp_path_factory.mktemp("restarts")
    async with Duo(plan_at(NETWORK, directory)) as duo:
        yield duo


class Load:
    """What became of the calls of a few who call all the time."""

    def __init__(self):
        self.answered = 0
        self.refusals = []
        self.strange = []


@asynccontextmanager
async def load_on(duo):
    """Call the service while the block runs."""
    seen = Load()

    async def call_on():
        while True:
            try:
                answer = await duo.call("/echo", content=os.urandom(50))
            except httpx.TransportError as error:
                seen.refusals.append(repr(error))
            else:
                match answer.status_code:
                    case 200:
                        seen.answered += 1
                    case 500 if is_fit_for_strangers(answer, duo):
                        seen.refusals.append(answer.headers["x-road-error"])
                    case status:
                        seen.strange.append((status, answer.text))
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(call_on()) for _ in range(CALLERS)]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_fit_for_strangers(answer, duo):
    """An error with a code, and without where the servers keep their files."""
    return "x-road-error" in answer.headers and str(duo.plan.directory) not in answer.text


async def served(seen, more, seconds):
    """Come back when so many more calls have been answered."""
    wanted = seen.answered + more
    await until(lambda: seen.answered >= wanted, seconds, f"{more} calls; {seen.refusals[-3:]}")


@pytest.mark.parametrize("name", ["control", "signer", "worker-0"])
@pytest.mark.parametrize("which", [CONSUMER, PROVIDER], ids=["consumer", "provider"])
async def test_a_process_that_is_killed_runs_again_and_nothing_is_lost(duo, which, name):
    server = duo.servers[which]
    async with load_on(duo) as seen:
        await served(seen, 10, A_FEW_SECONDS)
        killed = child_of(server.process.pid, name)
        others = {
            each: pid for each, pid in children_of(server.process.pid).items() if each != name
        }
        os.kill(killed, signal.SIGKILL)
        await until(
            lambda: children_of(server.process.pid).get(name, killed) != killed,
            A_FEW_SECONDS,
            f"{name} is started again",
        )
        await served(seen, 20, A_FEW_SECONDS)
        assert others.items() <= children_of(server.process.pid).items()
    assert not seen.strange
    if name == "control":
        assert not seen.refusals
    await duo.check_ledger()


@pytest.mark.parametrize("which", [CONSUMER, PROVIDER], ids=["consumer", "provider"])
async def test_a_supervisor_that_is_killed_takes_its_processes_along(duo, which):
    server = duo.servers[which]
    async with load_on(duo) as seen:
        await served(seen, 10, A_FEW_SECONDS)
        family = family_of(server)
        assert len(family) == 4
        server.process.kill()
        await server.process.wait()
        await until(lambda: not any(map(is_running, family)), A_FEW_SECONDS, "all of them are gone")
        await server.start()
        await served(seen, 20, A_FEW_SECONDS)
    assert not seen.strange
    await duo.check_ledger()


async def test_no_restart_makes_an_expired_configuration_good(tmp_path):
    intervals = Intervals(configuration=1.0, configuration_expires=10)
    async with Duo(plan_at(ANOTHER_NETWORK, tmp_path, intervals=intervals)) as duo:
        await duo.until_served(A_FEW_SECONDS)
        control = child_of(duo.consumer.process.pid, "control")
        os.kill(control, signal.SIGSTOP)
        try:
            await until_outdated(duo, A_FEW_SECONDS)
            worker = worker_of(duo.consumer)
            os.kill(worker, signal.SIGKILL)
            await until_outdated(duo, A_FEW_SECONDS)
            assert worker_of(duo.consumer) != worker
        finally:
            os.kill(control, signal.SIGCONT)
        await duo.until_served(A_FEW_SECONDS)


async def until_outdated(duo, seconds):
    refused = []

    async def ask():
        while not refused:
            with contextlib.suppress(httpx.TransportError):
                answer = await duo.call("/echo")
                if answer.status_code != 200:
                    refused.append(answer.headers["x-road-error"])
            await asyncio.sleep(0.05)

    await asyncio.wait_for(ask(), seconds)
    assert refused == ["server.clientproxy.global_conf_outdated"]
