import asyncio
from dataclasses import replace

import pytest

from components.messagelog.builders import (
    STAMPED_AT,
    TRUST,
    TSA,
    Authority,
    keeping,
    plain_record,
    records_of,
    service,
    writing,
)
from pki_builder import TestCa, TestTsa
from sild.components.messagelog.authorities import ChosenService, Strategy, as_trusted
from sild.components.messagelog.containers import write_record
from sild.components.messagelog.errors import NoTimestampingProvider
from sild.components.messagelog.records import Timestamp
from sild.components.messagelog.timestamping import Asked, fetch_timestamp
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import ProtocolError, TimestampRefused
from sild.protocol.pki.timestamp import read_timestamp_token, verify_timestamp
from sild.protocol.signature.verify import read_signature

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

STRANGER = TestTsa.create("Stranger", ca=TestCa.create("Another CA"))
URL = "http://tsa.test/"
FIRST, SECOND = "http://first.test/", "http://second.test/"
TWO = (service(FIRST), service(SECOND))


def asking(approved):
    """The services, asked in their order."""
    return Asked(tuple(dict.fromkeys(each.url for each in approved)), as_trusted(approved))


async def test_a_time_stamp_is_verified_and_holds_its_authoritys_certificate():
    made = await fetch_timestamp(b"value", asking([service()]), Authority())
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
    made = await fetch_timestamp(b"value", asking(authority.approved), authority)
    assert authority.asked == [FIRST, SECOND]
    assert made.stamped_at == STAMPED_AT
    authority = Authority(TWO, {FIRST: bad, SECOND: bad})
    with pytest.raises(TimestampRefused) as refused:
        await fetch_timestamp(b"value", asking(authority.approved), authority)
    assert FIRST in refused.value.message
    assert SECOND in refused.value.message


async def test_what_became_of_each_answer_is_noted():
    authority, noted = Authority(TWO, {FIRST: STRANGER.response(b"value"), SECOND: TSA}), []

    def note(url, error):
        noted.append((url, error is None))

    await fetch_timestamp(b"value", asking(authority.approved), authority, note)
    assert noted == [(FIRST, False), (SECOND, True)]


async def test_the_first_authority_that_answers_is_the_last_that_is_asked():
    authority = Authority(TWO, {FIRST: TSA, SECOND: TSA})
    await fetch_timestamp(b"value", asking(authority.approved), authority)
    assert authority.asked == [FIRST]


async def test_an_address_of_two_certificates_is_asked_once():
    authority = Authority((service(FIRST), service(FIRST, STRANGER)), {FIRST: STRANGER})
    made = await fetch_timestamp(b"value", asking(authority.approved), authority)
    assert STRANGER.signer.certificate.der in made.token
    assert authority.asked == [FIRST]


async def test_without_an_authority_there_is_no_time_stamp():
    with pytest.raises(NoTimestampingProvider) as refused:
        await fetch_timestamp(b"value", asking([]), Authority())
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


async def saved(kept, writer, *records, bodies=None):
    """Saves the records at once, and takes them."""
    each = zip(records, bodies or [None] * len(records), strict=True)
    await asyncio.gather(*[writer.log.save(record, body) for record, body in each])
    await kept.taker.take_all()


async def test_records_that_wait_share_one_time_stamp_and_each_proves_itself(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        # Three signatures: one alone, one that two share, one with a body.
        records = [*records_of(None), *records_of(None, None), *records_of(b"body")]
        await saved(kept, writer, *records, bodies=[None, None, None, b"body"])
        assert await kept.timestamping.stamp_waiting() == 4
        assert len(kept.authority.asked) == 1
        stamped = await kept.records()
        assert len({each.timestamp.token for each in stamped}) == 1
        for each in stamped:
            container = read_container(write_record(each, each.timestamp))
            assert container.signature == each.record.signature
            verified = verify_container(container, {"DEV": TRUST})
            assert verified.timestamped_at == STAMPED_AT
        first, other = [read_container(write_record(each, each.timestamp)) for each in stamped[:2]]
        swapped = replace(first, timestamp_hash_chain=other.timestamp_hash_chain)
        with pytest.raises(ProtocolError):
            verify_container(swapped, {"DEV": TRUST})
        assert await kept.timestamping.stamp_waiting() == 0
        assert await kept.rows("SELECT count(*) FROM messagelog_timestamp") == [(1,)]
        assert await kept.rows("SELECT count(*) FROM messagelog_timestamp_chain") == [(3,)]


async def test_records_of_one_signature_share_a_chain_beside_the_head_of_the_log(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await saved(kept, writer, *records_of(None, None, None))
        assert await kept.timestamping.stamp_waiting() == 3
        assert await kept.rows("SELECT count(*) FROM messagelog_timestamp_chain") == [(1,)]
        for each in await kept.records():
            container = read_container(write_record(each, each.timestamp))
            assert verify_container(container, {"DEV": TRUST}).timestamped_at == STAMPED_AT


async def test_more_records_than_one_batch_takes_are_stamped_in_several(tmp_path):
    async with (
        keeping(tmp_path, timestamp_records_limit=3) as kept,
        writing(tmp_path) as writer,
    ):
        await saved(kept, writer, *[plain_record(str(n), b"s%d" % n) for n in range(8)])
        assert await kept.timestamping.stamp_waiting() == 8
        assert len(kept.authority.asked) == 3
        assert await kept.stamps.count_waiting() == 0


async def test_a_batch_that_nobody_stamps_waits_on(tmp_path):
    async with (
        keeping(tmp_path, timestamp_records_limit=2) as kept,
        writing(tmp_path) as writer,
    ):
        await saved(kept, writer, *[plain_record(str(n), b"s%d" % n) for n in range(6)])
        kept.authority.answers[URL] = b"no answer"
        with pytest.raises(TimestampRefused):
            await kept.timestamping.stamp_waiting()
        assert await kept.stamps.count_waiting() == 6
        assert await kept.rows("SELECT count(*) FROM messagelog_timestamp") == [(0,)]
        kept.authority.answers[URL] = TSA
        assert await kept.timestamping.stamp_waiting() == 6


async def test_a_record_that_was_stamped_meanwhile_keeps_its_time_stamp(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await saved(kept, writer, *[plain_record(str(n), b"s%d" % n) for n in range(3)])
        waiting = await kept.stamps.waiting(10)
        own = Timestamp(b"own", STAMPED_AT)
        await kept.store.add_timestamp(waiting[1].id, own)
        shared = Timestamp(b"shared", STAMPED_AT, b"result")
        chains = {each.signature: b"chain" for each in waiting}
        assert await kept.stamps.add_timestamp(waiting, shared, chains) == 2
        tokens = [each.timestamp.token for each in await kept.records()]
        assert tokens == [b"shared", b"own", b"shared"]
        assert (await kept.records())[1].timestamp == own


async def test_chosen_services_are_asked_in_their_order_and_followed_where_wanted(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await saved(kept, writer, *records_of(None))
        kept.authority.approved = (service(FIRST, name="One"), service(SECOND, name="Two"))
        kept.authority.answers = {FIRST: TSA, SECOND: TSA}
        await kept.stamps.choose([ChosenService("Two", SECOND), ChosenService("One", FIRST)])
        assert (await kept.timestamping.asked()).urls == (SECOND, FIRST)
        await kept.stamps.choose([ChosenService("Two", "http://gone.test/")])
        assert (await kept.timestamping.asked()).urls == ("http://gone.test/",)
        with pytest.raises(TimestampRefused):
            await kept.timestamping.stamp_waiting()
    async with keeping(tmp_path, auto_update_timestamp_service_url=True) as kept:
        kept.authority.approved = (service(FIRST, name="One"), service(SECOND, name="Two"))
        assert (await kept.timestamping.asked()).urls == (SECOND,)
        assert await kept.stamps.chosen() == (ChosenService("Two", SECOND),)


async def test_a_strategy_that_leaves_no_service_leaves_no_provider(tmp_path):
    only_paid = Strategy.ONLY_PAID
    async with (
        keeping(tmp_path, timestamping_prioritization_strategy=only_paid) as kept,
        writing(tmp_path) as writer,
    ):
        await saved(kept, writer, *records_of(None))
        with pytest.raises(NoTimestampingProvider):
            await kept.timestamping.stamp_waiting()
