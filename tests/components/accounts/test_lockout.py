import pytest

from sild.components.accounts.errors import LockedOut
from sild.components.accounts.lockout import Failures


def test_attempts_count_before_they_are_answered():
    failures = Failures(3, 60)
    for _ in range(3):
        failures.begin("joe", 0)
    with pytest.raises(LockedOut):
        failures.begin("joe", 0)


def test_knocking_does_not_make_a_lock_out_longer():
    failures = Failures(1, 60)
    failures.begin("joe", 0)
    with pytest.raises(LockedOut):
        failures.begin("joe", 59)
    failures.begin("joe", 60)


def test_failures_that_are_long_ago_do_not_count():
    failures = Failures(2, 60)
    for moment in range(0, 600, 60):
        failures.begin("joe", moment)


def test_no_more_names_are_remembered_than_memory_allows():
    failures = Failures(1, 60)
    for number in range(12_000):
        failures.begin(f"user {number}", 0)
    assert len(failures._counted) == 10_000
    failures.begin("user 1", 0)
