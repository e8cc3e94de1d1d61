import asyncio
import contextlib
from datetime import timedelta

import pytest

from runtime.http_ends import settle
from sild.runtime.clock import TurnedClock
from sild.runtime.logs import current_request_id
from sild.runtime.schedule import Period, Schedule


class Work:
    """Does what it is told to, and counts."""

    def __init__(self):
        self.runs = 0
        self.error = None
        self.pause = 0
        self.requests = []

    async def __call__(self):
        self.runs += 1
        self.requests.append(current_request_id())
        await asyncio.sleep(self.pause)
        if self.error:
            raise self.error
        return self.runs


@contextlib.asynccontextmanager
async def scheduled(period):
    clock, work = TurnedClock(), Work()
    schedule = Schedule(clock)
    job = schedule.every("work", period, work)
    running = asyncio.get_running_loop().create_task(schedule.run())
    await settle()
    try:
        yield schedule, job, work, clock
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def turn(clock, seconds):
    clock.turn(timedelta(seconds=seconds))
    await settle()


def test_a_job_runs_at_once_and_then_after_each_interval():
    async def scenario():
        async with scheduled(Period(60, 5)) as (_, job, work, clock):
            assert work.runs == 1
            await turn(clock, 50)
            assert work.runs == 1
            await turn(clock, 10)
            assert work.runs == 2
            left = job.state.next_run - clock.now()
            assert timedelta(seconds=30) < left <= timedelta(seconds=60)
            assert job.state.result == 2
            assert job.state.succeeded >= job.state.started

    asyncio.run(scenario())


def test_a_failed_job_is_logged_and_tried_again_sooner(caplog):
    async def scenario():
        async with scheduled(Period(60, 5)) as (schedule, job, work, clock):
            work.error = OSError("no route")
            await turn(clock, 60)
            (state,) = schedule.states()
            assert state.error == "OSError: no route"
            assert state.failed > state.succeeded
            assert state.result == 1
            work.error = None
            await turn(clock, 5)
            assert work.runs == 3
            assert job.state.error is None
            assert job.state.result == 3

    asyncio.run(scenario())
    assert "the job work failed" in caplog.text


def test_a_job_can_be_asked_to_run_now():
    async def scenario():
        async with scheduled(Period(60, 5)) as (schedule, _, work, _):
            schedule.get_job("work").run_now()
            await settle()
            assert work.runs == 2
            state = await schedule.get_job("work").run_and_wait()
            assert state.result == 3

    asyncio.run(scenario())


def test_waiting_for_a_run_means_one_that_began_after_the_call():
    async def scenario():
        async with scheduled(Period(60, 5)) as (_, job, work, _):
            work.pause = 0.1
            job.run_now()
            await settle()
            assert job.state.running
            assert (await asyncio.wait_for(job.run_and_wait(), 60)).result == 3
            work.error = OSError("gone")
            assert "gone" in (await asyncio.wait_for(job.run_and_wait(), 60)).error

    asyncio.run(scenario())


def test_each_run_has_a_request_id_of_its_own():
    async def scenario():
        async with scheduled(Period(60, 5)) as (_, job, work, _):
            await job.run_and_wait()
            assert len(set(work.requests)) == 2
            assert all(request.startswith("work-") for request in work.requests)

    asyncio.run(scenario())


def test_jitter_only_adds_to_the_wait():
    async def scenario():
        async with scheduled(Period(60, 5, jitter=30)) as (_, job, _, clock):
            waits = []
            for _ in range(20):
                await job.run_and_wait()
                await settle()
                waits.append((job.state.next_run - clock.now()).total_seconds())
            assert min(waits) > 30
            assert max(waits) <= 90
            assert max(waits) - min(waits) > 1

    asyncio.run(scenario())


def test_two_jobs_of_one_name_are_refused():
    schedule = Schedule(TurnedClock())
    schedule.every("a", Period(1, 1), Work())
    with pytest.raises(ValueError, match="already"):
        schedule.every("a", Period(1, 1), Work())
