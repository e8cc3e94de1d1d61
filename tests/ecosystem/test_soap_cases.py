"""The reference's own SOAP cases, each through two running security servers.

The table is test data of the reference and says what must come of each case; `soap_cases/setups.py`
says how it is set up here. Between the servers there is TLS always: a case that has none in the
reference brings the papers that TLS asks for, and is wrong in its own way only.
"""

import hashlib
from base64 import b64encode

import pytest

from ecosystem.soap_cases.asking import Case
from ecosystem.soap_cases.parts import parts_of, without_request_hash
from ecosystem.soap_cases.rows import Cases
from ecosystem.soap_cases.setups import SETUPS
from ecosystem.soap_cases.town import Town
from sild.protocol.soap.fault import find_fault

LEFT_OUT = {}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The two servers, with what each case finds around them."""
    running = Town(tmp_path_factory.mktemp("town"))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def cases(vectors):
    return Cases(vectors / "soap")


def test_every_case_is_set_up_or_left_out_with_a_reason(cases):
    assert cases.rows.keys() == SETUPS.keys() | LEFT_OUT.keys()
    assert SETUPS.keys().isdisjoint(LEFT_OUT)
    assert len(LEFT_OUT) <= 4


def _by_circumstances(name):
    """Cases that find the same circumstances follow each other: changing them takes time."""
    return str(SETUPS[name].circumstances)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.feature(each) for each in SETUPS[name].features])
        for name in sorted(SETUPS, key=_by_circumstances)
    ],
)
def test_case(town, cases, name):
    case = Case(town, cases, cases.rows[name], SETUPS[name])
    answered = case.play()
    if case.row.is_normal:
        _check_service(case)
        _check_answer(case, answered)
        _check_logs(case)
    else:
        _check_fault(case, answered)


def _check_service(case):
    """The service got what was asked, byte for byte."""
    (heard,) = case.town.service.heard
    assert heard.method == "POST"
    content_type = heard.header("content-type")
    sent = parts_of(case.request_type, case.request)
    arrived = parts_of(content_type, heard.body)
    if case.request_type.startswith("multipart/"):
        assert content_type == case.request_type
        assert arrived == sent
    else:
        assert content_type.lower().replace(" ", "") == "text/xml;charset=utf-8"
        assert heard.body == case.request
    if case.setup.headers:
        (action,) = (value for name, value in case.setup.headers if name == "SOAPAction")
        assert heard.header("soapaction") == action


def _check_answer(case, answered):
    """The information system got what the service answered, and the hash of its request."""
    row = case.row
    assert answered.status == 200
    said = parts_of(row.answer_type, case.setup.bom + case.read(row.answer))
    (headers, soap), *attachments = parts_of(answered.content_type, answered.body)
    soap, hashed = without_request_hash(soap)
    assert soap == said[0][1]
    assert attachments == said[1:]
    if row.answer_type.startswith("multipart/"):
        assert answered.content_type == row.answer_type
        assert headers == said[0][0]
    else:
        assert answered.content_type.lower().replace(" ", "") == "text/xml;charset=utf-8"
    asked = parts_of(case.request_type, case.request)[0][1]
    assert hashed == b64encode(hashlib.sha512(asked).digest()).decode()


def _check_logs(case):
    """Both servers keep both messages."""
    both = {(case.message_id, False), (case.message_id, True)}
    for log in case.town.run(case.town.recorded()):
        assert both <= log


def _check_fault(case, answered):
    """A fault of SOAP with the code, and nobody heard of the request who should not."""
    setup = case.setup
    assert answered.status == 200
    assert answered.content_type.startswith("text/xml")
    fault = find_fault(answered.body)
    assert fault is not None, answered.body
    assert fault.fault == case.row.code, fault.message
    if case.row.is_of_service:
        assert answered.body == case.read(case.row.answer or case.row.besides)
    assert len(case.town.service.heard) == setup.reaches_service
    if setup.false_server is not None:
        hears = setup.false_server == "producer" and not setup.resets
        assert len(case.false_server.heard) == hears
