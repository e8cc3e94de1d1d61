from datetime import timedelta

import pytest

from sild.components.accounts.ports import Person
from sild.components.accounts.sessions import SessionLimits, Sessions
from sild.runtime.clock import TurnedClock

JOE = Person("joe", frozenset())


@pytest.fixture
def clock():
    return TurnedClock()


@pytest.fixture
def sessions(clock):
    return Sessions(SessionLimits(count=3, idle=1800, absolute=43_200), clock)


def test_a_session_is_found_by_its_name_alone(sessions):
    name, session = sessions.open(JOE)
    assert sessions.find(name, uses=True).person == JOE
    assert sessions.find(name[:-1], uses=True) is None
    assert sessions.find("", uses=True) is None
    assert sessions.find(session.xsrf, uses=True) is None


def test_names_and_tokens_are_never_the_same(sessions):
    (one, first), (two, second) = sessions.open(JOE), sessions.open(JOE)
    assert len({one, two, first.xsrf, second.xsrf}) == 4


def test_an_idle_session_ends(sessions, clock):
    name, _ = sessions.open(JOE)
    clock.turn(timedelta(minutes=29))
    assert sessions.find(name, uses=True)
    clock.turn(timedelta(minutes=29))
    assert sessions.find(name, uses=True)
    clock.turn(timedelta(minutes=31))
    assert sessions.find(name, uses=True) is None


def test_a_question_that_does_not_use_a_session_does_not_make_it_last(sessions, clock):
    name, _ = sessions.open(JOE)
    for _ in range(5):
        clock.turn(timedelta(minutes=5))
        assert sessions.find(name, uses=False)
    clock.turn(timedelta(minutes=6))
    assert sessions.find(name, uses=False) is None


def test_a_session_ends_at_last_however_it_is_used(sessions, clock):
    name, _ = sessions.open(JOE)
    for _ in range(29):
        clock.turn(timedelta(minutes=25))
        sessions.find(name, uses=True)
    assert sessions.find(name, uses=True) is None


def test_a_closed_session_is_gone(sessions):
    name, _ = sessions.open(JOE)
    sessions.close(name)
    sessions.close(name)
    assert sessions.find(name, uses=True) is None


def test_the_session_idle_for_longest_makes_place(sessions, clock):
    names = []
    for _ in range(3):
        names.append(sessions.open(JOE)[0])
        clock.turn(timedelta(seconds=1))
    sessions.find(names[0], uses=True)
    fourth, _ = sessions.open(JOE)
    assert sessions.find(names[1], uses=True) is None
    assert all(sessions.find(name, uses=True) for name in (names[0], names[2], fourth))


def test_only_its_own_token_proves_a_change(sessions):
    _, session = sessions.open(JOE)
    _, other = sessions.open(JOE)
    assert session.has_xsrf(session.xsrf, session.xsrf)
    assert not session.has_xsrf(session.xsrf, None)
    assert not session.has_xsrf(None, session.xsrf)
    assert not session.has_xsrf(other.xsrf, session.xsrf)
    assert not session.has_xsrf(session.xsrf, "õ")
