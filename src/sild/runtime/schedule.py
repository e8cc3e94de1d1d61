"""Periodic jobs that survive their own errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sild.runtime.clock import Clock
from sild.runtime.logs import log_id, request_id

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Period:
    """How many seconds lie between runs, between a failed run and its retry, and by chance.

    Up to `jitter` seconds are added to each wait, so that many servers do not ask at once. The
    errors that are `expected` of a run are logged as one sentence, all others with their trace.
    """

    interval: float
    retry: float
    jitter: float = 0.0
    expected: tuple[type[Exception], ...] = ()


@dataclass(frozen=True, slots=True)
class JobState:
    """What is known of a job, for diagnostics."""

    name: str
    running: bool = False
    started: datetime | None = None
    succeeded: datetime | None = None
    failed: datetime | None = None
    result: object = None
    error: str | None = None
    next_run: datetime | None = None


class Job:
    """Runs an action again and again; `state` says how it fares."""

    def __init__(
        self, name: str, period: Period, action: Callable[[], Awaitable[object]], clock: Clock
    ) -> None:
        self.period = period
        self.state = JobState(name)
        self._action = action
        self._clock = clock
        self._wanted = asyncio.Event()
        self._ended = asyncio.Condition()
        self._runs = 0

    def run_now(self) -> None:
        """Run as soon as the run under way, if any, has ended."""
        self._wanted.set()

    async def run_and_wait(self) -> JobState:
        """Run now and give the state after a run that began after this call."""
        async with self._ended:
            awaited = self._runs + (2 if self.state.running else 1)
            self.run_now()
            await self._ended.wait_for(lambda: self._runs >= awaited)
            return self.state

    async def run(self) -> None:
        """Run at once and then periodically, until cancelled."""
        while True:
            self._wanted.clear()
            await self._run_once()
            await self._wait(self.period.retry if self.state.error else self.period.interval)

    async def _run_once(self) -> None:
        self.state = replace(
            self.state, running=True, started=self._clock.now(), error=None, next_run=None
        )
        try:
            with request_id(f"{self.state.name}-{log_id()}"):
                result = await self._action()
        except Exception as error:  # noqa: BLE001 - a job outlives its errors
            trace = None if isinstance(error, self.period.expected) else error
            _LOG.error("the job %s failed: %s", self.state.name, error, exc_info=trace)
            message = f"{type(error).__name__}: {error}"
            outcome = replace(self.state, failed=self._clock.now(), error=message)
        else:
            outcome = replace(self.state, succeeded=self._clock.now(), result=result)
        self.state = replace(outcome, running=False)
        async with self._ended:
            self._runs += 1
            self._ended.notify_all()

    async def _wait(self, seconds: float) -> None:
        seconds += self.period.jitter * self._clock.random_bytes(1)[0] / 255
        self.state = replace(self.state, next_run=self._clock.now() + timedelta(seconds=seconds))
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(self._clock.sleep(seconds)),
                group.create_task(self._wanted.wait()),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()


class Schedule:
    """The jobs of a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def every(self, name: str, period: Period, action: Callable[[], Awaitable[object]]) -> Job:
        """Add a job; `run` starts it."""
        if name in self._jobs:
            raise ValueError(f"there already is a job {name}")
        self._jobs[name] = Job(name, period, action, self._clock)
        return self._jobs[name]

    def get_job(self, name: str) -> Job:
        """Give a job; raise KeyError for one that is not there."""
        return self._jobs[name]

    def states(self) -> Sequence[JobState]:
        """Give the state of every job."""
        return [job.state for job in self._jobs.values()]

    async def run(self) -> None:
        """Run all jobs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for job in self._jobs.values():
                group.create_task(job.run())
