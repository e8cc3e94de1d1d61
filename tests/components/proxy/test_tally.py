"""Messages are counted by what became of them, whatever others call it."""

import logging
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.components.proxy.edges import Refusal, refuse_by_rest
from sild.components.proxy.steps import ExchangeLog
from sild.components.proxy.tally import BOUNDS, Counted, Tally
from sild.protocol.errors import PeerFault, UnknownMember
from sild.runtime.http_server import Request
from sild.runtime.logs import LogFormat, LogSettings, configure_logs


def test_messages_are_counted_by_side_protocol_and_outcome():
    tally = Tally()
    tally.note("consumer", "rest", "ok", 0.001)
    tally.note("consumer", "rest", "ok", 70.0)
    tally.note("provider", "soap", "service_failed.access_denied", 0.02)
    assert set(tally.counted()) == {
        Counted("consumer", "rest", "ok", 2),
        Counted("provider", "soap", "service_failed.access_denied", 1),
    }
    rest, soap = tally.durations()
    assert (rest.buckets[0], rest.buckets[-1], sum(rest.buckets)) == (1, 1, 2)
    assert rest.seconds == pytest.approx(70.001)
    assert soap.buckets[BOUNDS.index(0.025)] == 1


def test_a_duration_on_a_bound_belongs_below_it():
    tally = Tally()
    tally.note("consumer", "rest", "ok", BOUNDS[3])
    assert tally.durations()[0].buckets[3] == 1


@given(st.lists(st.text(max_size=300), max_size=300))
def test_what_others_call_their_errors_neither_fills_the_memory_nor_gets_out(texts):
    tally = Tally()
    for number, text in enumerate(texts):
        tally.note("consumer", "rest", text, 0)
        tally.note("consumer", "rest", f"made.up_{number}", 0)
    counted = tally.counted()
    assert len(counted) <= 201
    assert sum(each.number for each in counted) == 2 * len(texts)
    assert all(each.outcome.isascii() and len(each.outcome) <= 151 for each in counted)


def test_codes_that_others_make_up_do_not_fill_the_memory():
    tally = Tally()
    for number in range(1000):
        tally.note("provider", "soap", f"made.up_{number}", 0)
    counted = {each.outcome: each.number for each in tally.counted()}
    assert len(counted) == 201
    assert counted["other"] == 800
    assert counted["made.up_0"] == 1


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        ("request broken off", "request_broken_off"),
        ("fault of the service: Client.What ever", "fault_of_the_service"),
        ("Ein Fehler", "other"),
        ("", "other"),
    ],
)
def test_outcomes_have_names_without_the_words_of_others(outcome, name):
    tally = Tally()
    for _ in range(2):
        tally.note("provider", "soap", outcome, 0)
    assert tally.counted() == (Counted("provider", "soap", name, 2),)


def test_an_exchange_counts_once_by_its_first_outcome():
    log = ExchangeLog(None)
    steps = log.steps("consumer", "rest")
    steps.close("ok")
    steps.close("answer broken off")
    assert log.tally.counted() == (Counted("consumer", "rest", "ok", 1),)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UnknownMember("nobody"), "server.clientproxy.unknown_member"),
        (PeerFault("Server.ServerProxy.AccessDenied", "no"), "server.serverproxy.access_denied"),
        (ValueError("a bug"), "server.clientproxy.internal_error"),
    ],
)
def test_a_refusal_is_counted_and_logged_under_the_id_of_its_request(error, outcome):
    root = logging.getLogger()
    before, level, stream = root.handlers[:], root.level, StringIO()
    configure_logs(LogSettings(LogFormat.JSON), "worker-0", stream)
    try:
        log = ExchangeLog(None)
        request = Request(b"GET", b"/r1/", [], None, None)
        refuse_by_rest(Refusal(error, request, log.steps("consumer", "rest"), "an-id"))
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert log.tally.counted() == (Counted("consumer", "rest", outcome, 1),)
    assert '"request": "an-id"' in stream.getvalue()
