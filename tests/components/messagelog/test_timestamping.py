import pytest

from components.messagelog.builders import (
    STAMPED_AT,
    TSA,
    Authority,
    keeping,
    records_of,
    writing,
)
from pki_builder import TestCa, TestTsa
from sild.components.messagelog.errors import NoTimestampingProvider
from sild.components.messagelog.timestamping import fetch_timestamp
from sild.protocol.errors import TimestampRefused
from sild.protocol.pki.timestamp import read_timestamp_token, verify_timestamp
from sild.protocol.signature.verify import read_signature

pytestmark = pytest.mark.anyio

STRANGER = TestTsa.create("Stranger", ca=TestCa.create("Another CA"))
FIRST, SECOND = "http://first.test/", "http://second.test/"
TWO = (TSA.approved(FIRST), TSA.approved(SECOND))


async def test_a_time_stamp_is_verified_and_holds_its_authoritys_certificate():
    made = await fetch_timestamp(b"value", [TSA.approved()], Authority())
    assert made.stamped_at == STAMPED_AT
    assert verify_timestamp(read_timestamp_token(made.token), b"value", [TSA.approved()])
    assert TSA.signer.certificate.der in made.token


@pytest.mark.parametrize(
    "bad",
    [
        None,
        b"no answer",
        TSA.response(b"value", status="rejection"),
        TSA.response(b"another value"),
        TSA.response(b"value", spoil_signature=True),
        STRANGER.response(b"value"),
    ],
    ids=["silent", "garbage", "refused", "over something else", "not signed", "not approved"],
)
async def test_an_authority_that_gives_no_good_time_stamp_is_followed_by_the_next(bad):
    authority = Authority(TWO, {FIRST: bad, SECOND: TSA})
    made = await fetch_timestamp(b"value", authority.approved, authority)
    assert authority.asked == [FIRST, SECOND]
    assert made.stamped_at == STAMPED_AT
    authority = Authority(TWO, {FIRST: bad, SECOND: bad})
    with pytest.raises(TimestampRefused) as refused:
        await fetch_timestamp(b"value", authority.approved, authority)
    assert FIRST in refused.value.message
    assert SECOND in refused.value.message


async def test_the_first_authority_that_answers_is_the_last_that_is_asked():
    authority = Authority(TWO, {FIRST: TSA, SECOND: TSA})
    await fetch_timestamp(b"value", authority.approved, authority)
    assert authority.asked == [FIRST]


async def test_an_address_of_two_certificates_is_asked_once():
    authority = Authority((TSA.approved(FIRST), STRANGER.approved(FIRST)), {FIRST: STRANGER})
    made = await fetch_timestamp(b"value", authority.approved, authority)
    assert STRANGER.signer.certificate.der in made.token
    assert authority.asked == [FIRST]


async def test_without_an_authority_there_is_no_time_stamp():
    with pytest.raises(NoTimestampingProvider) as refused:
        await fetch_timestamp(b"value", [], Authority())
    assert refused.value.code == "mlog.no_timestamping_provider_found"


async def test_a_record_is_stamped_once_over_its_signature_value(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        (record,) = records_of(None)
        await writer.log.save(record, None)
        await kept.taker.take_all()
        (bare,) = await kept.records()
        made = await kept.timestamping.stamp(bare)
        (stamped,) = await kept.records()
        assert stamped.timestamp == await kept.timestamping.stamp(stamped) == made
        assert len(kept.authority.asked) == 1
        value = read_signature(record.signature).value
        verify_timestamp(read_timestamp_token(made.token), value, [TSA.approved()])


async def test_a_record_stays_without_a_time_stamp_when_none_is_given(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await writer.log.save(records_of(None)[0], None)
        await kept.taker.take_all()
        kept.authority.answers.clear()
        (bare,) = await kept.records()
        with pytest.raises(TimestampRefused, match="is silent"):
            await kept.timestamping.stamp(bare)
        assert (await kept.records())[0].timestamp is None
