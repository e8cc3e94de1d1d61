"""When records are time-stamped, by the global configuration and the settings."""

import pytest

from sild.servers.log_jobs import stamping_period

DAY = 86_400


@pytest.mark.parametrize(
    ("interval", "retry_delay", "expected"),
    [
        (60, 60, (60, 60)),
        (300, 60, (300, 60)),
        (300, 0, (300, 300)),
        (300, 1000, (300, 300)),
        (300, 10, (300, 60)),
        (1, 60, (60, 60)),
        (10 * DAY, 60, (DAY, 60)),
        (10 * DAY, 0, (DAY, DAY)),
    ],
)
def test_the_interval_is_the_configurations_within_bounds_and_a_retry_comes_no_later(
    interval, retry_delay, expected
):
    period = stamping_period(interval, retry_delay)
    assert (period.interval, period.retry) == expected
