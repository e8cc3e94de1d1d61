from datetime import UTC, datetime, timedelta

from sild.components.proxy.verdicts import Verdicts

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_verdict_is_found_until_its_time_is_over():
    verdicts = Verdicts(10)
    verdicts.keep("chain", "good", NOW + timedelta(seconds=60))
    assert verdicts.find("chain", NOW + timedelta(seconds=59)) == "good"
    assert verdicts.find("chain", NOW + timedelta(seconds=60)) is None


def test_a_verdict_that_ended_does_not_come_back_when_the_clock_does():
    verdicts = Verdicts(10)
    verdicts.keep("chain", "good", NOW)
    assert verdicts.find("chain", NOW) is None
    assert verdicts.find("chain", NOW - timedelta(hours=1)) is None


def test_the_oldest_verdict_makes_room():
    verdicts = Verdicts(2)
    for name in ("first", "second", "third"):
        verdicts.keep(name, name, NOW + timedelta(seconds=1))
    assert len(verdicts) == 2
    assert verdicts.find("first", NOW) is None
    assert verdicts.find("third", NOW) == "third"
