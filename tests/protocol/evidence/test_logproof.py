import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON, TestCa, TestTsa
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import MalformedSignature, ProtocolError, TspCertificateNotFound
from sild.protocol.evidence.errors import MalformedEvidence, ProofRefused
from sild.protocol.evidence.jsonform import write_canonical
from sild.protocol.evidence.leaf import RecordLeaf, leaf_from_members, leaf_members, write_leaf
from sild.protocol.evidence.loghead import (
    HeadStamp,
    StampedHead,
    head_leaf,
    read_stamped_head,
    verify_head,
    write_head,
    write_stamped_head,
)
from sild.protocol.evidence.logproof import (
    ConsistencyProof,
    InclusionProof,
    ProvenRecord,
    read_proof,
    verify_proof,
    write_proof,
)
from sild.protocol.evidence.merkle import Edge, Head, grow, hash_leaf, hash_node
from sild.protocol.ids import ClientId
from sild.protocol.signature.hashchain import HashTree, Leaf
from sild.protocol.signature.names import SIGNATURES, TS_HASH_CHAIN

TSA = TestTsa.create()
TSAS = (TSA.approved(),)
STRANGER = TestTsa.create("Stranger", ca=TestCa.create("Another CA"))
LEAF = RecordLeaf(
    record_id=7,
    query_id="id-õ",
    request_id=None,
    owner=ClientId("DEV", "GOV", "M1", "S1"),
    is_response=False,
    time_ms=1_700_000_000_000,
    message=b"\1" * 32,
    signature=b"\2" * 32,
    hash_chain_result=None,
    hash_chain=None,
    body=b"\3" * 32,
    body_size=9,
    body_may_be_cut=False,
)
OTHER = hash_leaf(b"another")
HEAD = Head(2, hash_node(LEAF.digest, OTHER))


def stamped(head=HEAD, tsa=TSA):
    """A head that is stamped by itself."""
    return StampedHead(head, HeadStamp(tsa.token(write_head(head))))


def stamped_together(head=HEAD, tsa=TSA):
    """A head that is stamped with records."""
    tree = HashTree([Leaf(((SIGNATURES, b"\1" * 64),)), head_leaf(head)], TS_HASH_CHAIN)
    result = tree.result_document()
    return StampedHead(head, HeadStamp(tsa.token(result), result, tree.chain_document(1)))


STAMPS = [stamped, stamped_together]
PROOF = InclusionProof(stamped_together(), (ProvenRecord(LEAF, 0, (OTHER,)),))
FIRST = Head(1, LEAF.digest)
GROWTH = ConsistencyProof(StampedHead(FIRST), stamped(), (OTHER,))


def test_the_form_of_a_leaf_does_not_change():
    assert write_leaf(LEAF).decode() == (
        '{"body":"' + "03" * 32 + '","body_may_be_cut":false,"body_size":9,"hash_chain":null,'
        '"hash_chain_result":null,"is_response":false,"message":"' + "01" * 32 + '",'
        '"owner":["DEV","GOV","M1","S1"],"query_id":"id-õ","record_id":7,"request_id":null,'
        '"signature":"' + "02" * 32 + '","time_ms":1700000000000,"version":1}'
    )
    assert LEAF.digest == hash_leaf(write_leaf(LEAF))


_DIGESTS = st.binary(min_size=32, max_size=32)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_PARTS = st.text("abcXYZ:/ õ", min_size=1, max_size=5).filter(lambda part: not part.isspace())
_LEAVES = st.builds(
    RecordLeaf,
    record_id=st.integers(1, 2**63),
    query_id=_TEXTS,
    request_id=st.none() | _TEXTS,
    owner=st.builds(ClientId, _PARTS, _PARTS, _PARTS, st.none() | _PARTS),
    is_response=st.booleans(),
    time_ms=st.integers(0, 2**62),
    message=_DIGESTS,
    signature=_DIGESTS,
    hash_chain_result=st.none() | _DIGESTS,
    hash_chain=st.none() | _DIGESTS,
    body=st.none() | _DIGESTS,
    body_size=st.none() | st.integers(0, 2**40),
    body_may_be_cut=st.booleans(),
)


@given(_LEAVES)
def test_a_leaf_comes_back_from_its_form(leaf):
    assert leaf_from_members(json.loads(write_leaf(leaf))) == leaf


@given(_LEAVES, _LEAVES)
def test_two_records_have_one_leaf_only_if_they_are_one(one, other):
    assert (write_leaf(one) == write_leaf(other)) == (one == other)


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_stamped_head_proves_since_when_it_exists(stamp):
    made = stamp()
    head = read_stamped_head(write_stamped_head(made))
    assert head == made
    assert verify_head(head, TSAS).gen_time == NOON


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_stamp_of_another_head_or_authority_is_refused(stamp):
    for other in (Head(3, HEAD.root), Head(2, b"\0" * 32)):
        with pytest.raises((MalformedSignature, ProofRefused)):
            verify_head(StampedHead(other, stamp().stamp), TSAS)
    with pytest.raises(TspCertificateNotFound):
        verify_head(stamp(tsa=STRANGER), TSAS)


def test_a_chain_that_leads_to_something_else_stamps_no_head():
    tree = HashTree([Leaf(((SIGNATURES, b"\1" * 64),)), head_leaf(HEAD)], TS_HASH_CHAIN)
    result = tree.result_document()
    other = HeadStamp(TSA.token(result), result, tree.chain_document(0))
    with pytest.raises(ProofRefused, match="does not cover"):
        verify_head(StampedHead(HEAD, other), TSAS)


def test_a_head_without_a_stamp_does_not_say_since_when():
    with pytest.raises(ProofRefused, match="no time-stamp"):
        verify_head(StampedHead(HEAD), TSAS)


def test_a_chain_needs_its_result():
    with pytest.raises(MalformedEvidence):
        HeadStamp(b"token", b"result")


@pytest.mark.parametrize("proof", [PROOF, GROWTH])
def test_a_proof_comes_back_and_holds(proof):
    again = read_proof(write_proof(proof))
    assert again == proof
    assert verify_proof(again).stamps == {}
    assert verify_proof(again, known=StampedHead(HEAD)).proof == proof


def test_a_proof_tells_since_when_its_heads_exist():
    assert verify_proof(PROOF, TSAS).stamps[2].gen_time == NOON
    with pytest.raises(ProofRefused, match="of 1 records has no time-stamp"):
        verify_proof(GROWTH, TSAS)
    both = replace(GROWTH, first=stamped(FIRST))
    assert set(verify_proof(both, TSAS).stamps) == {1, 2}


@pytest.mark.parametrize(
    "proof",
    [
        replace(PROOF, records=()),
        replace(PROOF, records=(ProvenRecord(replace(LEAF, time_ms=1), 0, (OTHER,)),)),
        replace(PROOF, records=(ProvenRecord(LEAF, 1, (OTHER,)),)),
        replace(PROOF, records=(*PROOF.records, ProvenRecord(LEAF, 0, ()))),
        replace(PROOF, head=StampedHead(Head(2, b"\0" * 32))),
        replace(GROWTH, path=()),
        replace(GROWTH, first=StampedHead(Head(1, OTHER))),
    ],
    ids=["nothing", "record", "number", "second record", "head", "no growth", "other log"],
)
def test_a_proof_of_something_else_is_refused(proof):
    with pytest.raises(ProofRefused):
        verify_proof(read_proof(write_proof(proof)))


@pytest.mark.parametrize("proof", [PROOF, GROWTH])
def test_a_proof_that_does_not_lead_to_the_head_kept_elsewhere_is_refused(proof):
    edge, _ = grow(Edge(), [LEAF.digest, OTHER, OTHER])
    with pytest.raises(ProofRefused, match="known head"):
        verify_proof(proof, known=StampedHead(Head(3, edge.root)))
    verify_proof(GROWTH, known=StampedHead(FIRST))


def changed(proof, change):
    members = json.loads(write_proof(proof))
    change(members)
    return write_canonical(members)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(proof="log-something"),
        lambda m: m.update(version=2),
        lambda m: m.update(note="checked"),
        lambda m: m.pop("head"),
        lambda m: m["head"].update(note="checked"),
        lambda m: m["head"]["head"].update(size=True),
        lambda m: m["head"]["head"].update(size=-1),
        lambda m: m["head"]["head"].update(root="00"),
        lambda m: m["head"]["head"].update(root=5),
        lambda m: m["head"]["stamp"].update(token="?"),
        lambda m: m["head"]["stamp"].update(chain=None),
        lambda m: m.update(records={}),
        lambda m: m["records"].append([]),
        lambda m: m["records"][0].update(path="00"),
        lambda m: m["records"][0].update(path=["GG"]),
        lambda m: m["records"][0].update(path=["AA" * 32]),
        lambda m: m["records"][0].update(note="checked"),
        lambda m: m["records"][0]["leaf"].update(note="checked"),
        lambda m: m["records"][0]["leaf"].update(version=2),
        lambda m: m["records"][0]["leaf"].update(owner=["DEV", "GOV", ""]),
        lambda m: m["records"][0]["leaf"].update(owner=["DEV", "GOV", 5, None]),
        lambda m: m["records"][0]["leaf"].update(is_response=1),
        lambda m: m["records"][0]["leaf"].pop("body"),
        lambda m: m["records"][0]["leaf"]["owner"].append("XX"),
    ],
)
def test_a_proof_in_another_form_is_refused(change):
    with pytest.raises(MalformedEvidence):
        read_proof(changed(PROOF, change))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000, b"5"])
def test_what_is_no_object_is_refused(data):
    for read in (read_proof, read_stamped_head):
        with pytest.raises(MalformedEvidence):
            read(data)


def test_a_text_that_has_no_bytes_is_refused():
    written = write_proof(PROOF).replace("õ".encode(), b"\\ud800")
    with pytest.raises(MalformedEvidence):
        read_proof(written)


@given(st.data())
def test_any_bytes_give_a_proof_or_are_refused(data):
    written = bytearray(write_proof(data.draw(st.sampled_from([PROOF, GROWTH]))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(written) - 1))
        written[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        verify_proof(read_proof(bytes(written)), TSAS)


def test_members_of_a_leaf_are_what_is_written():
    assert write_canonical(leaf_members(LEAF)) == write_leaf(LEAF)
    assert head_leaf(HEAD).digest(DigestAlgorithm.SHA512) == DigestAlgorithm.SHA512.digest(
        write_head(HEAD)
    )
