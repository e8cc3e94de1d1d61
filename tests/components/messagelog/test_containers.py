import asyncio
import os
from dataclasses import replace

import pytest

from components.messagelog.builders import (
    OWNER,
    PART,
    STAMPED_AT,
    TRUST,
    keeping,
    plain_record,
    records_of,
    writing,
)
from signing_builder import ATTACHMENT
from sild.components.messagelog.containers import container_name
from sild.components.messagelog.errors import RecordNotFound
from sild.components.messagelog.records import KeptRecord
from sild.model.messages import WantedDocuments
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import Doubt, verify_container
from sild.protocol.errors import TimestampRefused
from sild.protocol.ids import ClientId

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

MIB = 1024 * 1024


async def exported(kept, query_id):
    document = await kept.documents.export(query_id, OWNER, is_response=False)
    container = read_container(document.content)
    return container, verify_container(container, {"DEV": TRUST})


async def save(writer, records, bodies):
    saves = zip(records, bodies, strict=True)
    await asyncio.gather(*[writer.log.save(record, body) for record, body in saves])


@pytest.mark.parametrize("size", [None, 0, 100, 300_000, 11 * MIB])
@pytest.mark.parametrize("spooled", [False, True])
async def test_a_message_that_was_saved_proves_itself(tmp_path, size, spooled):
    body = None if size is None else os.urandom(size)
    settings = {"max_loggable_message_body_size": 11 * MIB}
    async with keeping(tmp_path) as kept, writing(tmp_path, **settings) as writer:
        given = await writer.spooled(body) if spooled and body is not None else body
        await save(writer, records_of(body), [given])
        if given is not body:
            given.close()
        await kept.taker.take_all()
        container, report = await exported(kept, "id-0")
        assert container.message == PART
        assert container.attachments == ({} if body is None else {ATTACHMENT: body})
        assert (report.signer, report.timestamped_at) == (OWNER, STAMPED_AT)
        assert report.unverified == ()


async def test_messages_that_were_signed_together_prove_themselves_each(tmp_path):
    bodies = [b"one", None, os.urandom(300_000), b"four"]
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await save(writer, records_of(*bodies), bodies)
        await kept.taker.take_all()
        assert await kept.rows("SELECT count(*) FROM messagelog_signature") == [(1,)]
        for number, body in enumerate(bodies):
            container, report = await exported(kept, f"id-{number}")
            assert container.attachments == ({} if body is None else {ATTACHMENT: body})
            assert report.unverified == ()


@pytest.mark.parametrize("limit", [2000, 2 * MIB])
async def test_what_was_kept_of_a_body_that_was_cut_is_there_and_not_vouched_for(tmp_path, limit):
    bodies = [os.urandom(limit + 1), os.urandom(limit), os.urandom(limit - 1)]
    settings = {"max_loggable_message_body_size": limit, "truncated_body_allowed": True}
    async with keeping(tmp_path) as kept, writing(tmp_path, **settings) as writer:
        # Who spools a body stops at the limit.
        with await writer.spooled(bodies[0][:limit]) as cut:
            await save(writer, records_of(*bodies), [cut, *bodies[1:]])
        await kept.taker.take_all()
        container, report = await exported(kept, "id-0")
        assert container.attachments == {ATTACHMENT: bodies[0][:limit]}
        assert [(part.uri, part.doubt) for part in report.unverified] == [
            (ATTACHMENT, Doubt.CHANGED)
        ]
        for number in (1, 2):
            container, report = await exported(kept, f"id-{number}")
            assert container.attachments == {ATTACHMENT: bodies[number]}
            assert report.unverified == ()


async def test_where_bodies_are_not_logged_their_digest_is(tmp_path):
    async with (
        keeping(tmp_path) as kept,
        writing(tmp_path, message_body_logging=False) as writer,
    ):
        await save(writer, records_of(b"the body"), [b"the body"])
        await kept.taker.take_all()
        container, report = await exported(kept, "id-0")
        assert container.attachments == {}
        assert [part.uri for part in report.unverified] == [ATTACHMENT]


async def test_what_was_exported_once_is_the_same_later(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await save(writer, records_of(b"the body"), [b"the body"])
        await kept.taker.take_all()
        first = await kept.documents.export("id-0", OWNER, is_response=False)
        kept.authority.answers.clear()
        assert await kept.documents.export("id-0", OWNER, is_response=False) == first
        assert first.name == "id-0-request-1.asice"


async def test_the_newest_of_two_messages_with_one_id_is_exported(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        for body in (b"older", b"newer"):
            await save(writer, records_of(body), [body])
        await kept.taker.take_all()
        container, _ = await exported(kept, "id-0")
        assert container.attachments == {ATTACHMENT: b"newer"}
        older, _ = await kept.store.find_by_query_id("id-0")
        document = await kept.documents.export_record(older.id)
        assert read_container(document.content).attachments == {ATTACHMENT: b"older"}


async def test_the_newest_of_two_messages_with_one_id_is_the_one_that_is_wanted_alone(tmp_path):
    wanted = WantedDocuments("id-0", OWNER, is_response=False, unique=True, force=True)
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        for body in (b"older", b"newer"):
            await save(writer, records_of(body), [body])
        await kept.taker.take_all()
        older, newer = await kept.store.find_by_query_id("id-0")
        assert await kept.documents.find(wanted) == (newer,)
        assert await kept.documents.find(replace(wanted, unique=False)) == (older, newer)


async def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await save(writer, records_of(None), [None])
        await kept.taker.take_all()
        for wanted in [
            ("id-1", OWNER, False),
            ("id-0", OWNER, True),
            ("id-0", ClientId("DEV", "GOV", "M1"), False),
        ]:
            query_id, owner, is_response = wanted
            with pytest.raises(RecordNotFound, match=query_id):
                await kept.documents.export(query_id, owner, is_response=is_response)


async def test_nothing_is_exported_without_a_time_stamp(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await save(writer, records_of(None), [None])
        await kept.taker.take_all()
        kept.authority.answers.clear()
        with pytest.raises(TimestampRefused):
            await kept.documents.export("id-0", OWNER, is_response=False)


@pytest.mark.parametrize(
    ("query_id", "number", "name"),
    [
        ("myquery1234", 1, "myquery1234-request-1.asice"),
        ("a/b c~d*é", 32, "a%2Fb+c%7Ed*%C3%A9-request-10.asice"),
        ("x" * 300, 2**63 - 1, "x" * 226 + "-request-7vvvvvvvvvvvv.asice"),
        ("../../x", 31, "..%2F..%2Fx-request-v.asice"),
    ],
)
def test_a_container_has_the_references_name(query_id, number, name):
    kept = KeptRecord(number, plain_record(query_id), body_may_be_cut=False, timestamp=None)
    assert container_name(kept) == name
    answered = replace(kept, record=replace(kept.record, is_response=True))
    assert container_name(answered) == name.replace("-request-", "-response-")
