import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from components.messagelog.builders import (
    OWNER,
    PART,
    SMALL_SEGMENTS,
    STAMPED_AT,
    TSA,
    keeping,
    plain_record,
    records_of,
    writing,
)
from pki_builder import NOON
from protocol.pki.test_secretkeys import PASSWORD, TODAY
from sild.components.messagelog.audit import Kind, Known, audit_log, message_digest
from sild.components.messagelog.cleaning import Cleaning
from sild.components.messagelog.errors import RecordNotFound
from sild.components.messagelog.schema import MIGRATIONS
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.tables import METADATA
from sild.components.messagelog.transparency import LogTree, TreeDamaged, leaf_of_kept
from sild.protocol.evidence.loghead import HeadStamp, StampedHead, verify_head, write_head
from sild.protocol.evidence.logproof import read_proof, verify_proof, write_proof
from sild.protocol.evidence.merkle import Edge, Head, grow
from sild.runtime.migrations import find_differences

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

TSAS = (TSA.approved(),)
LARGE = bytes(range(256)) * 2500


async def save(kept, writer, *given):
    """Saves records with their bodies, one after another, and takes them."""
    for record, body in given:
        await writer.log.save(record, body)
    await kept.taker.take_all()


async def fill(kept, writer, count=8, start=0):
    await save(
        kept,
        writer,
        *[(plain_record(f"id-{n}", b"s%d" % n), None) for n in range(start, start + count)],
    )


async def change(kept, *statements):
    """What somebody with the database's password can do."""
    async with kept.database.transaction() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def findings(kept, **known):
    report = await audit_log(kept.database, known=Known(**known))
    return {(finding.kind, finding.record_id) for finding in report.findings}


async def leaves(kept):
    return [leaf_of_kept(record).digest for record in await kept.records()]


async def test_the_tables_are_what_the_migrations_make(tmp_path):
    async with keeping(tmp_path) as kept:
        assert await find_differences(kept.database, METADATA) == []
        assert MIGRATIONS.component == "messagelog"


async def test_every_record_is_a_leaf_in_the_order_of_the_log_however_it_was_taken(tmp_path):
    async with (
        keeping(tmp_path) as kept,
        writing(tmp_path, limits=SMALL_SEGMENTS) as writer,
        writing(tmp_path, "worker-1") as other,
    ):
        (signed, with_body) = records_of(None, b"the body")
        await save(kept, writer, (signed, None), (with_body, b"the body"))
        await asyncio.gather(
            *[writer.log.save(plain_record(f"a{n}", b"a%d" % n), None) for n in range(5)],
            *[other.log.save(plain_record(f"b{n}", b"b%d" % n), None) for n in range(5)],
        )
        await kept.taker.take_all()
        await save(kept, writer, (plain_record("large"), LARGE), (plain_record("empty"), b""))
        edge, _ = grow(Edge(), await leaves(kept))
        assert await LogTree(kept.database).head() == Head(14, edge.root)
        report = await audit_log(kept.database)
        assert (report.records, report.findings, report.head) == (14, (), Head(14, edge.root))


async def test_a_body_that_comes_in_several_transactions_is_in_its_leaf(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        with await writer.spooled(LARGE * 4) as body:
            saving = asyncio.create_task(writer.log.save(plain_record("large"), body))
            while not saving.done():
                await kept.taker.take_all()
                await asyncio.sleep(0)
        await kept.taker.take_all()
        assert await findings(kept) == set()
        await change(kept, "UPDATE messagelog_piece SET content = content WHERE number = 0")
        assert await findings(kept) == set()
        await change(kept, "DELETE FROM messagelog_piece WHERE number = 1")
        assert await findings(kept) == {(Kind.ALTERED, 1)}


async def test_the_head_is_stamped_with_each_batch(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        tree = LogTree(kept.database)
        assert await tree.find_stamped_head() is None
        for number in range(1, 4):
            await save(kept, writer, *[(record, None) for record in records_of(None)])
            await kept.timestamping.stamp_waiting()
            stamped = await tree.find_stamped_head()
            assert stamped.head == await tree.head()
            assert stamped.head.size == number
            assert verify_head(stamped, TSAS).gen_time == STAMPED_AT
        assert len(kept.authority.asked) == 3
        assert len(await tree.stamped_heads()) == 3
        assert await findings(kept) == set()


async def test_all_records_of_a_query_are_proven_offline(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        request, response = plain_record("q", b"1"), plain_record("q", b"2", is_response=True)
        await save(kept, writer, (request, b"question"), (response, LARGE))
        await fill(kept, writer, start=8)
        await kept.timestamping.stamp_waiting()
        tree = LogTree(kept.database)
        proof = await tree.prove("q", kept.store.get_record)
        verified = verify_proof(read_proof(write_proof(proof)), TSAS)
        assert verified.stamps[18].gen_time == STAMPED_AT
        first, second = proof.records
        assert (first.number, first.leaf.is_response) == (8, False)
        assert (second.number, second.leaf.is_response) == (9, True)
        assert first.leaf.message == message_digest(PART)
        assert first.leaf.owner == OWNER
        with pytest.raises(RecordNotFound):
            await tree.prove("another", kept.store.get_record)


async def test_a_record_that_came_after_the_last_stamp_is_proven_to_the_head_of_now(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer, 3)
        await kept.timestamping.stamp_waiting()
        await fill(kept, writer, 2, start=3)
        tree = LogTree(kept.database)
        stamped = await tree.find_stamped_head()
        assert (await tree.prove("id-1", kept.store.get_record)).head == stamped
        proof = await tree.prove("id-4", kept.store.get_record)
        assert proof.head == StampedHead(await tree.head())
        with pytest.raises(RecordNotFound, match="came after the head of 3"):
            await tree.prove("id-4", kept.store.get_record, stamped)


async def test_growth_is_proven_between_any_two_heads(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        tree, heads = LogTree(kept.database), []
        for start in range(0, 600, 150):
            heads.append(StampedHead(await tree.head()))
            await fill(kept, writer, 150, start=start)
        heads.append(StampedHead(await tree.head()))
        for place, first in enumerate(heads):
            for second in heads[place:]:
                verify_proof(read_proof(write_proof(await tree.prove_growth(first, second))))
        with pytest.raises(TreeDamaged, match="not in this order"):
            await tree.prove_growth(heads[2], heads[1])
        with pytest.raises(TreeDamaged, match="not in this order"):
            await tree.prove_growth(heads[1], StampedHead(Head(601, b"\0" * 32)))


async def test_no_proof_is_given_that_does_not_hold(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        tree = LogTree(kept.database)
        before = StampedHead(await tree.head())
        await fill(kept, writer, start=8)
        await change(kept, "UPDATE messagelog_record SET time_ms = 5 WHERE id = 3")
        with pytest.raises(TreeDamaged):
            await tree.prove("id-2", kept.store.get_record)
        await tree.prove("id-3", kept.store.get_record)
        await change(kept, "DELETE FROM messagelog_leaf WHERE number = 1")
        with pytest.raises(TreeDamaged, match="not there any more"):
            await tree.prove("id-0", kept.store.get_record)
        forged = StampedHead(Head(8, b"\0" * 32))
        with pytest.raises(TreeDamaged):
            await tree.prove_growth(forged, StampedHead(await tree.head()))
        await tree.prove_growth(before, StampedHead(await tree.head()))


ALTERATIONS = {
    "query_id": "'another'",
    "request_id": "'another'",
    "instance": "'XX'",
    "subsystem_code": "''",
    "is_response": "NOT is_response",
    "time_ms": "time_ms + 1",
    "body_size": "body_size + 1",
    "body_may_be_cut": "NOT body_may_be_cut",
    "signature": "(SELECT signature FROM messagelog_record WHERE id = 4)",
    "hash_chain_result": "message",
    "hash_chain": "NULL",
    "message": "body",
    "body": "message",
    "member_code": "''",
}


@pytest.mark.parametrize("column", ALTERATIONS)
async def test_every_column_that_is_evidence_is_held_by_the_leaf(tmp_path, column):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        records = records_of(b"one", b"two", b"three")
        for record, body in zip(records, (b"one", b"two", b"three"), strict=True):
            await save(kept, writer, (record, body))
        await fill(kept, writer, 2)
        value = ALTERATIONS[column]
        await change(kept, f"UPDATE messagelog_record SET {column} = {value} WHERE id = 2")
        assert await findings(kept) == {(Kind.ALTERED, 2)}


async def test_an_altered_signature_document_is_found(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        statement = (
            "UPDATE messagelog_signature SET document = digest WHERE digest = "
            "(SELECT signature FROM messagelog_record WHERE id = 3)"
        )
        await change(kept, statement)
        assert await findings(kept) == {(Kind.ALTERED, 3)}


async def test_deleted_and_inserted_records_are_named(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        await change(kept, "DELETE FROM messagelog_record WHERE id IN (2, 8)")
        assert await findings(kept) == {(Kind.DELETED, 2), (Kind.DELETED, 8)}
        await change(
            kept,
            "INSERT INTO messagelog_record (id, journal_id, segment, place, query_id, instance, "
            "member_class, member_code, subsystem_code, is_response, time_ms, body_may_be_cut, "
            "signature, message) SELECT 90, journal_id, 99, 99, query_id, instance, member_class, "
            "member_code, subsystem_code, is_response, time_ms, body_may_be_cut, signature, message"
            " FROM messagelog_record WHERE id = 1",
        )
        assert (Kind.INSERTED, 90) in await findings(kept)


async def test_reordered_records_are_named_with_where_they_stood(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        await change(
            kept,
            "UPDATE messagelog_record SET id = 1000 WHERE id = 2",
            "UPDATE messagelog_record SET id = 2 WHERE id = 5",
            "UPDATE messagelog_record SET id = 5 WHERE id = 1000",
        )
        report = await audit_log(kept.database)
        assert [(f.kind, f.text) for f in report.findings] == [
            (Kind.MOVED, "record 2 stood as record 5"),
            (Kind.MOVED, "record 5 stood as record 2"),
        ]


async def test_who_changes_record_and_leaf_is_found_by_the_tree(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer, 300)
        await change(kept, "UPDATE messagelog_record SET time_ms = 1 WHERE id = 7")
        altered = leaf_of_kept(await kept.store.get_record(7)).digest
        await change(kept, _set_digest(kept, altered, "record_id = 7"))
        report = await audit_log(kept.database)
        assert {finding.kind for finding in report.findings} == {Kind.TREE}
        assert any("leaves 0 to 255" in finding.text for finding in report.findings)


async def test_a_changed_leaf_that_no_node_and_no_head_covers_is_found_by_the_edge(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        await change(kept, "UPDATE messagelog_record SET time_ms = 1 WHERE id = 7")
        altered = leaf_of_kept(await kept.store.get_record(7)).digest
        await change(kept, _set_digest(kept, altered, "record_id = 7"))
        (finding,) = (await audit_log(kept.database)).findings
        assert finding.text == "the leaves are not what the edge of the tree says"


def _set_digest(kept, digest, where):
    value = f"X'{digest.hex()}'"
    if "postgresql" in str(kept.database._engine.url):
        value = f"'\\x{digest.hex()}'"
    return f"UPDATE messagelog_leaf SET digest = {value} WHERE {where}"


async def rebuild(kept, count):
    """Makes the tree anew over the first records, as somebody would who knows it well."""
    digests = (await leaves(kept))[:count]
    edge, nodes = grow(Edge(), digests)
    assert not nodes
    tops = b"".join(edge.tops).hex()
    postgres = "postgresql" in str(kept.database._engine.url)
    value = f"'\\x{tops}'" if postgres else f"X'{tops}'"
    await change(
        kept,
        f"DELETE FROM messagelog_leaf WHERE number >= {count}",
        *[_set_digest(kept, digest, f"number = {n}") for n, digest in enumerate(digests)],
        f"UPDATE messagelog_tree SET size = {count}, tops = {value}",
    )


async def test_who_rebuilds_the_whole_tree_is_found_by_a_stamped_head(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer, 4)
        await kept.timestamping.stamp_waiting()
        await fill(kept, writer, 4, start=4)
        await kept.timestamping.stamp_waiting()
        await change(kept, "UPDATE messagelog_record SET time_ms = 1 WHERE id = 6")
        await rebuild(kept, 8)
        report = await audit_log(kept.database)
        assert [(f.kind, f.text) for f in report.findings] == [
            (Kind.TREE, "the first 8 leaves are not those of the time-stamped head 2")
        ]


async def test_a_head_with_the_stamp_of_another_is_found(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer, 4)
        await kept.timestamping.stamp_waiting()
        await fill(kept, writer, 4, start=4)
        report = await audit_log(kept.database, known=Known(tsas=TSAS))
        assert (report.heads, report.verified_heads, report.findings) == (1, 1, ())
        assert (await audit_log(kept.database)).verified_heads == 0
        edge, _ = grow(Edge(), (await leaves(kept))[:3])
        postgres = "postgresql" in str(kept.database._engine.url)
        root = f"'\\x{edge.root.hex()}'" if postgres else f"X'{edge.root.hex()}'"
        await change(kept, f"UPDATE messagelog_tree_head SET size = 3, root = {root}")
        (finding,) = (await audit_log(kept.database, known=Known(tsas=TSAS))).findings
        assert finding.kind is Kind.TREE
        assert "head 1 does not prove itself" in finding.text


async def test_who_cuts_the_end_off_is_found_by_a_head_kept_elsewhere_or_a_container(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer, 5)
        last = replace(plain_record("last"), message=PART.replace(b"DEV-1", b"DEV-9"))
        await save(kept, writer, (last, None))
        head = await LogTree(kept.database).head()
        known = {
            "heads": {"head.json": head},
            "messages": {"a.asice": message_digest(last.message)},
        }
        assert await findings(kept, **known) == set()
        await change(kept, "DELETE FROM messagelog_record WHERE id = 6")
        await rebuild(kept, 5)
        assert await findings(kept) == set()
        report = await audit_log(kept.database, known=Known(**known))
        assert [(f.kind, f.text) for f in report.findings] == [
            (Kind.TRUNCATED, "the head.json is of 6 records, and the log has 5"),
            (Kind.TRUNCATED, "no record has the message of a.asice"),
        ]


async def test_leaves_and_heads_that_are_gone_are_found(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        await kept.timestamping.stamp_waiting()
        await change(kept, "DELETE FROM messagelog_leaf WHERE number = 7")
        assert {kind for kind, _ in await findings(kept)} == {Kind.TRUNCATED, Kind.INSERTED}
        await change(kept, "DELETE FROM messagelog_leaf WHERE number = 2")
        report = await audit_log(kept.database)
        assert "leaves 2 to 2 of the tree are not there" in {f.text for f in report.findings}
        await change(
            kept, "UPDATE messagelog_tree SET size = 3, tops = root FROM messagelog_tree_head"
        )
        assert any("edge" in f.text for f in (await audit_log(kept.database)).findings)
        await change(kept, "DELETE FROM messagelog_tree")
        assert any("has no tree" in f.text for f in (await audit_log(kept.database)).findings)


async def test_records_that_the_log_cleans_away_stay_proven_and_are_no_finding(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer)
        tree = LogTree(kept.database)
        before = StampedHead(await tree.head())
        await kept.timestamping.stamp_waiting()
        await change(kept, "UPDATE messagelog_record SET archived = true WHERE id IN (1, 2, 5)")
        settings = MessageLogSettings(keep_records_for=0)
        assert await Cleaning(kept.database, settings).clean(NOON + timedelta(days=1)) == 3
        await fill(kept, writer, start=8)
        report = await audit_log(kept.database)
        assert (report.findings, report.cleaned, report.records) == ((), 3, 13)
        verify_proof(await tree.prove("id-2", kept.store.get_record))
        verify_proof(await tree.prove_growth(before, StampedHead(await tree.head())))


async def test_records_of_an_encrypted_log_are_audited_and_proven(tmp_path):
    keystore = tmp_path / "keys.p12"
    keystore.write_bytes(TODAY)
    settings = {
        "messagelog_encryption_enabled": True,
        "messagelog_keystore": keystore,
        "messagelog_keystore_password": PASSWORD,
        "messagelog_key_id": "key1",
    }
    async with keeping(tmp_path, **settings) as kept, writing(tmp_path) as writer:
        await save(kept, writer, (plain_record("q"), b"body"), (plain_record("r"), LARGE))
        report = await audit_log(kept.database, kept.store._cipher)
        assert (report.findings, report.records) == ((), 2)
        proof = await LogTree(kept.database).prove("r", kept.store.get_record)
        assert proof.records[0].leaf.body == message_digest(LARGE)


async def test_a_head_may_have_a_token_of_its_own(tmp_path):
    async with keeping(tmp_path) as kept, writing(tmp_path) as writer:
        await fill(kept, writer, 3)
        tree = LogTree(kept.database)
        head = await tree.head()
        stamped = StampedHead(head, HeadStamp(TSA.token(write_head(head), at=STAMPED_AT)))
        await tree.add_stamp(stamped, STAMPED_AT)
        assert await tree.find_stamped_head() == stamped
        assert verify_head(stamped, TSAS).gen_time == STAMPED_AT
