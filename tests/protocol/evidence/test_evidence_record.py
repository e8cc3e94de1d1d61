import contextlib
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON, TestCa, TestTsa
from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import MalformedSignature, ProtocolError, TspCertificateNotFound
from sild.protocol.evidence.errors import EvidenceChanged, MalformedEvidence, RenewedTooLate
from sild.protocol.evidence.ers_asn1 import EvidenceRecord as Asn1Record
from sild.protocol.evidence.evidence_record import (
    ArchiveTimestamp,
    EvidenceRecord,
    HashTree,
    digest_to_renew,
    read_evidence_record,
    top_of,
    verify_evidence_record,
    with_renewal,
    write_evidence_record,
)
from sild.protocol.evidence.renewal import RENEWAL_DIGESTS, RenewalTrust
from sild.protocol.pki import der
from sild.protocol.pki.timestamp import read_timestamp_token

SHA256, SHA512 = DigestAlgorithm.SHA256, DigestAlgorithm.SHA512
TSA = TestTsa.create()
SHORT = TestTsa.create(
    "Short TSA", not_before=NOON - timedelta(days=1), not_after=NOON + timedelta(days=30)
)
STRANGER = TestTsa.create("Stranger", ca=TestCa.create("Another CA"))
TSAS = (TSA.approved(), SHORT.approved())
TRUST = RenewalTrust(TSAS, NOON + timedelta(days=100))
NAMES = {SHA256: "sha256", DigestAlgorithm.SHA384: "sha384", SHA512: "sha512"}


def digests(data):
    return {algorithm: algorithm.digest(data) for algorithm in RENEWAL_DIGESTS}


def token_over(digest, algorithm, days=0, tsa=TSA):
    """The token over a digest."""
    at = NOON + timedelta(days=days)
    return read_timestamp_token(tsa.token(b"", imprint=digest, digest=NAMES[algorithm], at=at))


def renewed(archives, records, algorithm=SHA512, days=0, tsa=TSA):
    """The records of these archives after all were renewed by one time-stamp."""
    leaves = [
        digest_to_renew(record, digests(data), algorithm)
        for data, record in zip(archives, records, strict=True)
    ]
    tree = HashTree(leaves, algorithm)
    token = token_over(tree.top, algorithm, days, tsa)
    return [
        with_renewal(record, ArchiveTimestamp(token, tree.steps(place)), algorithm)
        for place, record in enumerate(records)
    ]


ARCHIVES = [b"archive %d" % number for number in range(7)]
FIRST = renewed(ARCHIVES, [None] * 7, SHA256, tsa=SHORT)
SECOND = renewed(ARCHIVES, FIRST, SHA256, 10)
THIRD = renewed(ARCHIVES, SECOND, SHA512, 20)
FOURTH = renewed(ARCHIVES, THIRD, SHA512, 30)


@pytest.mark.parametrize("count", range(1, 18))
def test_every_leaf_leads_to_the_top_and_no_other_data_does(count):
    leaves = [SHA256.digest(b"%d" % number) for number in range(count)]
    tree = HashTree(leaves, SHA256)
    for place, leaf in enumerate(leaves):
        assert top_of(leaf, tree.steps(place), SHA256) == tree.top
        if count > 1:
            with pytest.raises(EvidenceChanged):
                top_of(SHA256.digest(b"other"), tree.steps(place), SHA256)


def test_the_tree_is_that_of_the_standard():
    """RFC 4998, 4.2: what a node joins is sorted first."""
    a, b, c = (hashlib.sha256(text).digest() for text in (b"a", b"b", b"c"))
    pair = hashlib.sha256(min(a, b) + max(a, b)).digest()
    top = hashlib.sha256(min(pair, c) + max(pair, c)).digest()
    tree = HashTree([a, b, c], SHA256)
    assert tree.top == top
    assert tree.steps(0) == (tuple(sorted((a, b))), (c,))
    assert tree.steps(2) == (tuple(sorted((c, pair))),)
    assert top_of(a, ((a,), (b,)), SHA256) == pair


def test_a_tree_over_nothing_is_refused():
    with pytest.raises(MalformedEvidence):
        HashTree([], SHA256)


@pytest.mark.parametrize("records", [FIRST, SECOND, THIRD, FOURTH])
def test_every_archive_is_proven_by_its_own_record_alone(records):
    for place, record in enumerate(records):
        again = read_evidence_record(write_evidence_record(record))
        found = verify_evidence_record(again, digests(ARCHIVES[place]), TRUST)
        days = [0, 10, 20, 30][: len(found)]
        assert [each.stamped_at for each in found] == [NOON + timedelta(days=n) for n in days]
        with pytest.raises((EvidenceChanged, MalformedSignature)):
            verify_evidence_record(again, digests(b"another"), TRUST)


def test_chains_begin_anew_with_another_algorithm():
    assert [len(chain) for chain in FOURTH[0].chains] == [2, 2]
    assert [chain[0].algorithm for chain in FOURTH[0].chains] == [SHA256, SHA512]
    written = Asn1Record.load(write_evidence_record(FOURTH[0]), strict=True)
    named = [each["algorithm"].native for each in written["digest_algorithms"]]
    assert named == ["sha256", "sha512"]
    assert written["version"].native == 1


def test_one_archive_needs_no_tree():
    (record,) = renewed([b"one"], [None])
    assert record.chains[0][0].steps == ()
    written = Asn1Record.load(write_evidence_record(record), strict=True)
    assert written["sequence"][0][0]["reduced_hashtree"].native is None
    assert len(verify_evidence_record(record, digests(b"one"), TRUST)) == 1


def test_the_imprints_are_those_of_the_standard():
    """RFC 4998, 5.2, told with hashlib alone."""
    first, second = renewed([b"one"], [None], SHA256)[0], None
    second = renewed([b"one"], [first], SHA256, 1)[0]
    third = renewed([b"one"], [second], SHA512, 2)[0]
    stamps = [stamp.token for chain in third.chains for stamp in chain]
    assert stamps[0].imprint == hashlib.sha256(b"one").digest()
    assert stamps[1].imprint == hashlib.sha256(stamps[0].der).digest()
    older = core.SequenceOf.load(write_evidence_record(second)).contents
    # Behind version and algorithms stands the sequence of chains, which is hashed whole.
    chains = der.parts_of(write_evidence_record(second))[2]
    assert chains in older
    both = hashlib.sha512(b"one").digest() + hashlib.sha512(chains).digest()
    assert stamps[2].imprint == hashlib.sha512(both).digest()


def changed(record, place, **fields):
    """The record with one of its time-stamps changed."""
    flat = [stamp for chain in record.chains for stamp in chain]
    flat[place] = replace(flat[place], encoded=b"", **fields)
    sizes = [len(chain) for chain in record.chains]
    return EvidenceRecord(
        tuple(tuple(flat[sum(sizes[:n]) : sum(sizes[: n + 1])]) for n in range(len(sizes)))
    )


@pytest.mark.parametrize("place", range(4))
def test_every_time_stamp_of_the_chain_is_needed_as_it_is(place):
    record, data = FOURTH[3], digests(ARCHIVES[3])
    algorithm = SHA256 if place < 2 else SHA512
    other = token_over(algorithm.digest(b"x"), algorithm, place * 10)
    with pytest.raises((EvidenceChanged, MalformedSignature)):
        verify_evidence_record(changed(record, place, token=other), data, TRUST)
    steps = FOURTH[2].chains[place // 2][place % 2].steps
    if steps != record.chains[place // 2][place % 2].steps:
        with pytest.raises((EvidenceChanged, MalformedSignature)):
            verify_evidence_record(changed(record, place, steps=steps), data, TRUST)
    flat = [stamp for chain in record.chains for stamp in chain]
    if place < 3:
        kept = flat[:place] + flat[place + 1 :]
        with pytest.raises(ProtocolError):
            verify_evidence_record(EvidenceRecord((tuple(kept),)), data, TRUST)


def test_a_renewal_after_the_end_of_what_it_renews_is_too_late():
    late = renewed(ARCHIVES, FIRST, SHA256, 31)
    with pytest.raises(RenewedTooLate):
        verify_evidence_record(late[0], digests(ARCHIVES[0]), TRUST)
    early = renewed(ARCHIVES, FIRST, SHA256, -1)
    with pytest.raises(RenewedTooLate):
        verify_evidence_record(early[0], digests(ARCHIVES[0]), TRUST)


def test_a_renewal_by_nobody_known_is_refused():
    (record,) = renewed([b"one"], [None], tsa=STRANGER)
    with pytest.raises(TspCertificateNotFound):
        verify_evidence_record(record, digests(b"one"), TRUST)


def test_a_chain_has_one_algorithm():
    (first,) = renewed([b"one"], [None], SHA256)
    stamp = renewed([b"one"], [None], SHA512, 1)[0].chains[0][0]
    mixed = EvidenceRecord(((*first.chains[0], stamp),))
    with pytest.raises(MalformedEvidence, match="changes its digest"):
        verify_evidence_record(mixed, digests(b"one"), TRUST)


def test_weak_digests_protect_nothing():
    weak = ArchiveTimestamp(read_timestamp_token(TSA.token(b"one", digest="sha1")))
    with pytest.raises(UnsupportedAlgorithm):
        verify_evidence_record(EvidenceRecord(((weak,),)), digests(b"one"), TRUST)
    with pytest.raises(UnsupportedAlgorithm):
        digest_to_renew(None, digests(b"one"), DigestAlgorithm.SHA1)


def test_digests_of_another_size_are_refused():
    leaf = SHA256.digest(b"one")
    with pytest.raises(MalformedEvidence, match="another size"):
        top_of(leaf, ((leaf, b"short"),), SHA256)


@pytest.mark.parametrize("chains", [(), ((),), (FIRST[0].chains[0] * 101,)])
def test_a_record_has_some_time_stamps_and_not_too_many(chains):
    with pytest.raises(MalformedEvidence):
        EvidenceRecord(chains)


def rewritten(change):
    """The bytes of a record whose ASN.1 value was changed."""
    record = Asn1Record.load(write_evidence_record(FIRST[0]), strict=True)
    fields = {name: record[name] for name in ("version", "digest_algorithms", "sequence")}
    change(fields)
    return Asn1Record(fields).dump()


def test_records_of_other_kinds_are_refused():
    assert write_evidence_record(read_evidence_record(rewritten(lambda fields: None)))
    with pytest.raises(MalformedEvidence, match="another version"):
        read_evidence_record(rewritten(lambda fields: fields.update(version=2)))
    good = der.parts_of(write_evidence_record(FIRST[0]))
    encrypted = der.sequence(*good[:2], der.tagged(0xA1, der.octets(b"key")), good[2])
    with pytest.raises(MalformedEvidence):
        read_evidence_record(encrypted)
    with_infos = der.sequence(*good[:2], der.tagged(0xA0, der.octets(b"info")), good[2])
    assert read_evidence_record(with_infos).chains
    stamp = write_evidence_record(renewed([b"one"], [None], SHA256)[0])
    stated = der.algorithm("2.16.840.1.101.3.4.2.3", b"")
    inner = der.parts_of(der.parts_of(der.parts_of(der.parts_of(stamp)[2])[0])[0])
    wrong = der.sequence(der.tagged(0xA0, der.contents_of(stated)), *inner)
    whole = der.sequence(*der.parts_of(stamp)[:2], der.sequence(der.sequence(wrong)))
    with pytest.raises(MalformedEvidence, match="in another way"):
        read_evidence_record(whole)


@given(st.data())
def test_any_bytes_give_a_record_or_are_refused(data):
    written = bytearray(write_evidence_record(data.draw(st.sampled_from([FIRST[0], FOURTH[3]]))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(written) - 1))
        written[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        verify_evidence_record(read_evidence_record(bytes(written)), digests(ARCHIVES[0]), TRUST)


@given(st.binary(max_size=200))
def test_any_small_bytes_are_refused(data):
    with pytest.raises(MalformedEvidence):
        read_evidence_record(data)
