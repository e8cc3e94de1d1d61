import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_builder import REQUEST, Evidence, entries_in, rezipped, stamped_together
from signing_builder import ATTACHMENT, MESSAGE
from sild.protocol.asic.judge import judge_container, judge_strictly
from sild.protocol.errors import ProtocolError

EVIDENCE = Evidence.create()
TWO = {MESSAGE: REQUEST, ATTACHMENT: b"the body"}
WRITTEN = [EVIDENCE.container(TWO), EVIDENCE.container(TWO, stamp=stamped_together)]
JUDGES = [judge_container, judge_strictly]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("data", WRITTEN)
def test_a_valid_container_has_a_report_and_steps_that_all_held(judge, data):
    judgement = judge(data, EVIDENCE.trusts)
    assert judgement.is_valid
    assert judgement.report.signer == judgement.report.parties.sender
    assert [step.number for step in judgement.steps] == [*range(1, len(judgement.steps) + 1)]
    assert all(step.held for step in judgement.steps)


@pytest.mark.parametrize("judge", JUDGES)
def test_an_invalid_container_has_an_error_and_the_step_at_which_it_failed(judge):
    entries = entries_in(WRITTEN[0]) | {"message.xml": b"GET\r\n"}
    judgement = judge(rezipped(entries), EVIDENCE.trusts)
    assert not judgement.is_valid
    assert judgement.report is None
    assert [step.held for step in judgement.steps] == [True, False]
    assert judgement.steps[-1].answer == judgement.error.message


@given(st.data())
def test_any_change_of_bytes_is_judged(data):
    document = bytearray(data.draw(st.sampled_from(WRITTEN)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(document) - 1))
        document[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    for judge in JUDGES:
        judgement = judge(bytes(document), EVIDENCE.trusts)
        assert judgement.error is None or isinstance(judgement.error, ProtocolError)


@given(st.data())
def test_any_change_of_an_entry_is_judged(data):
    entries = entries_in(data.draw(st.sampled_from(WRITTEN)))
    name = data.draw(st.sampled_from(sorted(entries)))
    content = bytearray(entries[name])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    changed = rezipped(entries | {name: bytes(content)})
    if content != entries[name]:
        assert not judge_strictly(changed, EVIDENCE.trusts).is_valid


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(data):
    assert not judge_container(data, EVIDENCE.trusts).is_valid
