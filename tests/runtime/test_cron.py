from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.runtime.cron import Cron, CronError

START = datetime(2026, 2, 27, 11, 59, 59, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "0 0 0/6 1/1 * ? *",
            ["2026-02-27 12:00:00", "2026-02-27 18:00:00", "2026-02-28 00:00:00"],
        ),
        ("0 0 0/12 1/1 * ? *", ["2026-02-27 12:00:00", "2026-02-28 00:00:00"]),
        ("0 0 3/6 * * ?", ["2026-02-27 15:00:00", "2026-02-27 21:00:00", "2026-02-28 03:00:00"]),
        ("59 59 11 * * ?", ["2026-02-28 11:59:59"]),
        ("*/30 * * * * ?", ["2026-02-27 12:00:00", "2026-02-27 12:00:30"]),
        ("0 15,45 8-9 ? * MON-FRI", ["2026-03-02 08:15:00", "2026-03-02 08:45:00"]),
        ("0 0 0 ? * 1", ["2026-03-01 00:00:00", "2026-03-08 00:00:00"]),
        ("0 0 0 29 FEB ?", ["2028-02-29 00:00:00"]),
        ("0 0 0 1 1 ? 2027", ["2027-01-01 00:00:00"]),
    ],
)
def test_the_next_moments_of_an_expression(text, expected):
    cron, moment = Cron.read(text), START
    for each in expected:
        moment = cron.next_after(moment)
        assert f"{moment:%Y-%m-%d %H:%M:%S}" == each


def test_a_moment_that_never_comes_is_none():
    assert Cron.read("0 0 0 30 2 ?").next_after(START) is None
    assert Cron.read("0 0 0 1 1 ? 2020").next_after(START) is None


@pytest.mark.parametrize(
    "text",
    ["", "* * * * *", "0 0 24 * * ?", "0 60 0 * * ?", "a * * * * ?", "0 0 0 0 * ?", "0 0 0 * 13 ?",
     "0 0 5-3 * * ?", "*/0 * * * * ?", "0 0 0 1 * MON", "0 0 0 L * ?", "0 0 0 ? * 8", "0 0 ٣ * * ?"],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(CronError):
        Cron.read(text)


@given(st.text(alphabet="0123456789*/-,? LWMON", max_size=30))
def test_any_text_is_an_expression_or_is_refused(text):
    try:
        found = Cron.read(text).next_after(START)
    except CronError:
        return
    assert found is None or found > START


@given(st.integers(0, 10**8))
def test_the_next_moment_is_the_first(seconds):
    moment = START + timedelta(seconds=seconds)
    found = Cron.read("0 0/7 * * * ?").next_after(moment)
    assert timedelta(0) < found - moment <= timedelta(minutes=7)
    assert found.second == 0
    assert found.minute % 7 == 0
