from datetime import timedelta

import pytest

from pki_builder import NOON
from sild.components.messagelog.errors import NoTimestampingProvider
from sild.components.messagelog.standing import StampingGate, StandingKeeper, find_standing
from sild.protocol.errors import TimestampingFailed
from sild.runtime.clock import TurnedClock


@pytest.fixture
def clock():
    turned = TurnedClock()
    turned.turn_to(NOON)
    return turned


def pair(tmp_path, clock, acceptable=100):
    path = tmp_path / "standing"
    return StandingKeeper(path, clock), StampingGate(path, acceptable, clock)


def test_messages_are_refused_once_time_stamping_has_failed_for_too_long(tmp_path, clock):
    keeper, gate = pair(tmp_path, clock)
    gate.check()
    keeper.failed()
    clock.turn(timedelta(seconds=60))
    keeper.failed()
    gate.check()
    clock.turn(timedelta(seconds=60))
    keeper.failed()
    with pytest.raises(TimestampingFailed) as refused:
        gate.check()
    assert refused.value.code == "timestamping_failed"
    keeper.succeeded()
    clock.turn(timedelta(seconds=2))
    gate.check()


def test_the_first_failure_after_a_success_begins_another_period(tmp_path, clock):
    keeper, gate = pair(tmp_path, clock)
    keeper.failed()
    clock.turn(timedelta(seconds=99))
    keeper.succeeded()
    keeper.failed()
    clock.turn(timedelta(seconds=99))
    gate.check()
    clock.turn(timedelta(seconds=2))
    with pytest.raises(TimestampingFailed):
        gate.check()


def test_a_failure_outlasts_the_restart_of_control_and_worker(tmp_path, clock):
    keeper, _ = pair(tmp_path, clock)
    keeper.failed()
    clock.turn(timedelta(seconds=101))
    keeper, gate = pair(tmp_path, clock)
    keeper.tell(has_provider=True)
    with pytest.raises(TimestampingFailed):
        gate.check()


def test_control_that_says_nothing_for_so_long_is_as_good_as_failing(tmp_path, clock):
    keeper, gate = pair(tmp_path, clock)
    keeper.tell(has_provider=True)
    clock.turn(timedelta(seconds=99))
    gate.check()
    clock.turn(timedelta(seconds=2))
    with pytest.raises(TimestampingFailed):
        gate.check()
    # A worker that has just begun gives control the same time again.
    _, fresh = pair(tmp_path, clock)
    fresh.check()


def test_a_period_of_zero_is_without_end(tmp_path, clock):
    keeper, gate = pair(tmp_path, clock, acceptable=0)
    keeper.failed()
    clock.turn(timedelta(days=30))
    gate.check()


def test_without_a_service_to_ask_nothing_is_logged_even_where_failures_are_accepted(
    tmp_path, clock
):
    keeper, gate = pair(tmp_path, clock, acceptable=0)
    keeper.tell(has_provider=False)
    with pytest.raises(NoTimestampingProvider) as refused:
        gate.check()
    assert refused.value.code == "mlog.no_timestamping_provider_found"
    keeper.tell(has_provider=True)
    clock.turn(timedelta(seconds=2))
    gate.check()


def test_what_cannot_be_read_leaves_what_was_known(tmp_path, clock):
    keeper, gate = pair(tmp_path, clock)
    keeper.tell(has_provider=False)
    with pytest.raises(NoTimestampingProvider):
        gate.check()
    (tmp_path / "standing").write_bytes(b"garbage")
    assert find_standing(tmp_path / "standing") is None
    clock.turn(timedelta(seconds=2))
    with pytest.raises(NoTimestampingProvider):
        gate.check()
