"""When deadlines of connections are looked at."""

import asyncio
from contextlib import closing

import pytest

from runtime.http_ends import settle
from sild.runtime.http_wire import Sweeper

TICK = 1.0


class TurnedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still until it is turned."""

    seconds = 0.0

    def time(self):
        return self.seconds


class Watched:
    def __init__(self):
        self.checks = []

    def check(self, now):
        self.checks.append(now)


@pytest.fixture
def after():
    """What was looked at, and when, after so many seconds each."""

    def run(*turns):
        async def main():
            watched = Watched()
            Sweeper(4 * TICK).watch(watched)
            for seconds in turns:
                loop.seconds += seconds
                await settle()
            return watched.checks

        with closing(TurnedLoop()) as loop:
            return loop.run_until_complete(main())

    return run


def test_deadlines_are_looked_at_every_tick(after):
    assert after(0.5, 0.5, 0.9, 0.2, 1.9) == [1.0, 2.1, 4.0]


def test_who_stood_still_with_the_machine_has_its_turn_before_its_deadline_is_looked_at(after):
    assert after(60.0, 0.9) == []
    assert after(60.0, TICK) == [61.0]


def test_a_machine_that_is_always_late_still_looks_at_deadlines(after):
    assert after(5.0, 5.0, 5.0, 5.0) == [10.0, 20.0]
