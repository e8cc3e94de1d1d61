"""The health check looks at everything, and not too often."""

import asyncio
from datetime import timedelta

import pytest

from sild.components.diagnostics.health import Health
from sild.components.diagnostics.settings import HealthSettings
from sild.runtime.clock import TurnedClock

pytestmark = pytest.mark.anyio


class Looks:
    """A check that counts how often it was made."""

    def __init__(self, answer=None):
        self.answer = answer
        self.number = 0

    async def __call__(self):
        self.number += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_everything_that_is_wrong_is_told():
    checks = {"a": Looks("it burns"), "b": Looks(), "c": Looks("it leaks")}
    state = await Health(checks, HealthSettings(), TurnedClock()).state()
    assert not state.is_healthy
    assert state.reasons == {"a": "it burns", "c": "it leaks"}


async def test_those_who_ask_at_once_share_a_look():
    look = Looks()
    health = Health({"a": look}, HealthSettings(), TurnedClock())
    states = await asyncio.gather(*(health.state() for _ in range(10)))
    assert all(state.is_healthy for state in states)
    assert look.number == 1


async def test_an_answer_is_kept_as_long_as_the_settings_say():
    look, clock = Looks(), TurnedClock()
    health = Health({"a": look}, HealthSettings(healthy_seconds=5, unhealthy_seconds=60), clock)
    await health.state()
    clock.turn(timedelta(seconds=4))
    await health.state()
    assert look.number == 1
    clock.turn(timedelta(seconds=2))
    look.answer = "it burns"
    await health.state()
    clock.turn(timedelta(seconds=50))
    assert not (await health.state()).is_healthy
    assert look.number == 2


async def test_a_check_that_does_not_end_has_failed():
    async def forever():
        await asyncio.Event().wait()

    health = Health({"a": forever}, HealthSettings(check_seconds=0.1), TurnedClock())
    assert (await health.state()).reasons == {"a": "the check did not end in 0.1 seconds"}


async def test_a_check_that_breaks_has_failed_and_its_error_stays_in_the_log(caplog):
    health = Health({"a": Looks(ValueError("canary"))}, HealthSettings(), TurnedClock())
    (reason,) = (await health.state()).reasons.values()
    assert "canary" not in reason
    assert "canary" in caplog.text
