import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    HashChainUnusedInputs,
    InvalidHashChain,
    InvalidHashChainRef,
    InvalidReference,
    MalformedHashChain,
)
from sild.protocol.safexml import Schema, read_xml
from sild.protocol.signature import chaindocuments
from sild.protocol.signature.base64text import encode_base64
from sild.protocol.signature.chaindocuments import read_chain, read_result
from sild.protocol.signature.hashchain import (
    HashTree,
    Leaf,
    PartDigest,
    build_step,
    digest_step,
    resolve_chain,
    verify_chain,
)

SHA256, SHA512 = DigestAlgorithm.SHA256, DigestAlgorithm.SHA512
MESSAGE, ATTACHMENT = "/message.xml", "/attachment1"


def leaf(number, attachments=0):
    names = [MESSAGE, *(f"/attachment{n + 1}" for n in range(attachments))]
    return Leaf(tuple((n, hashlib.sha512(f"{number}{n}".encode()).digest()) for n in names))


def inputs(of):
    return {name: PartDigest(SHA512, digest) for name, digest in of.parts}


def parts(number, attachments=0):
    return inputs(leaf(number, attachments))


FIVE = (leaf(1), leaf(2), leaf(3, 1), leaf(4), leaf(5))
TREE = HashTree(FIVE)
RESULT = TREE.result_document()


def test_a_step_is_the_der_of_its_digests():
    expected = (
        "c355d04ccfd699805874b35d5b400c880fe10f6f14ca635d3b3d95c0571ecba3"
        "86301e5c6c4e871cab3d6b3149c1809ce58ba82a8b616812b87d38824c2085bd"
    )
    assert digest_step(SHA512, [bytes(64)] * 2).hex() == expected
    assert len(build_step([(SHA512, bytes(64))])) == 111 + 2


def test_the_top_of_the_specification():
    words = (b"one", b"two", b"three", b"four")
    leaves = [Leaf(((MESSAGE, hashlib.sha256(word).digest()),)) for word in words]
    tree = HashTree(leaves, algorithm=SHA256)
    assert base64.b64encode(tree.top) == b"D7oIIfhfp4ToT729xyx991PvstI5XvpW+d7oeWvXw8E="


def test_a_leaf_of_digests_that_are_not_of_the_algorithm_makes_the_step_of_the_reference():
    lone = Leaf(tuple((f"/{n}", bytes([n])) for n in (11, 12, 13, 14)))
    assert base64.b64encode(lone.digest(SHA256)) == b"v3CBVgjKmzZT5hnJ6vj6waqBazZe334tdEoNiL2oM5E="


def top_by_the_rule(nodes):
    while len(nodes) > 1:
        pairs = [nodes[start : start + 2] for start in range(0, len(nodes), 2)]
        nodes = [digest_step(SHA512, pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return nodes[0]


@pytest.mark.parametrize("count", [*range(2, 20), 33, 100])
def test_every_chain_of_a_tree_leads_to_its_top(count):
    leaves = [leaf(number, number % 3) for number in range(count)]
    tree = HashTree(leaves)
    assert tree.top == top_by_the_rule([each.digest(SHA512) for each in leaves])
    for index, each in enumerate(leaves):
        verify_chain(tree.result_document(), tree.chain_document(index), inputs(each))


def test_a_chain_goes_by_the_steps_of_the_specification():
    """Five requests signed together, as the worked case of the protocol has them."""
    steps = read_chain(TREE.chain_document(2)).steps
    kinds = {name: [type(value).__name__ for value in step] for name, step in steps.items()}
    assert kinds == {
        "STEP0": ["StepRef", "HashValue"],
        "STEP1": ["HashValue", "StepRef"],
        "STEP2": ["StepRef", "HashValue"],
        "STEP3": ["DataRef", "DataRef"],
    }
    last = read_chain(TREE.chain_document(4)).steps
    assert [[type(v).__name__ for v in step] for step in last.values()] == [
        ["HashValue", "DataRef"]
    ]


def test_a_lone_message_with_attachments_has_one_step():
    tree = HashTree([leaf(1, 2)])
    assert list(read_chain(tree.chain_document(0)).steps) == ["STEP0"]
    verify_chain(tree.result_document(), tree.chain_document(0), parts(1, 2))


def test_the_documents_fit_their_schema(schemas):
    assert (schemas / "hashchain.xsd").is_file()
    schema = Schema.load("hashchain.xsd")
    for document in (RESULT, *(TREE.chain_document(index) for index in range(5))):
        schema.check(read_xml(document))


@pytest.mark.parametrize("bad", ['/message.xml" x="', "/a<b", "message.xml", "/ä", ""])
def test_a_part_whose_name_would_break_the_document_gets_no_chain(bad):
    tree = HashTree([Leaf(((bad, bytes(64)), (ATTACHMENT, bytes(64))))])
    with pytest.raises(MalformedHashChain):
        tree.chain_document(0)


def test_a_tree_needs_leaves_and_a_leaf_parts():
    with pytest.raises(MalformedHashChain):
        HashTree([])
    with pytest.raises(MalformedHashChain):
        Leaf(())
    with pytest.raises(MalformedHashChain):
        HashTree([leaf(1)]).chain_document(0)


# What is refused


def test_another_message_is_refused():
    with pytest.raises(InvalidHashChain):
        verify_chain(RESULT, TREE.chain_document(2), parts(4, 1))


def test_the_chain_of_a_batch_mate_is_refused():
    with pytest.raises(InvalidHashChain):
        verify_chain(RESULT, TREE.chain_document(0), parts(2))


def test_swapped_parts_are_refused():
    mine = parts(3, 1)
    swapped = {MESSAGE: mine[ATTACHMENT], ATTACHMENT: mine[MESSAGE]}
    with pytest.raises(InvalidHashChain):
        verify_chain(RESULT, TREE.chain_document(2), swapped)


def test_a_part_whose_digest_the_chain_states_wrongly_is_refused():
    """The chain leads to its result all the same, as the digest of the part itself is taken."""
    chain = TREE.chain_document(2)
    stated = re.search(rb"DataRef.*?<DigestValue>(.{86}==)", chain, re.DOTALL)[1]
    with pytest.raises(InvalidHashChainRef):
        verify_chain(RESULT, chain.replace(stated, encode_base64(bytes(64))), parts(3, 1))


UNPLAIN = {
    "a tab for a space": (b"    <ns2:HashStep", b"\t   <ns2:HashStep"),
    "a space for a line break": (b">\n    <ns2:HashStep", b">     <ns2:HashStep"),
    "a tab in a tag": (b'<ns2:HashStep id="', b'<ns2:HashStep\tid="'),
    "no line break at the end": (b"</ns2:HashChain>\n", b"</ns2:HashChain> "),
    "two line breaks at the end": (b"</ns2:HashChain>\n", b"</ns2:HashChain>\n\n"),
    "a line break in base64": (b"</DigestValue>", b" </DigestValue>"),
    "another declaration": (b'standalone="yes"', b"standalone='yes'"),
}


@pytest.mark.parametrize("change", UNPLAIN.values(), ids=UNPLAIN)
def test_a_chain_of_which_a_byte_could_be_another_is_refused(change):
    """Nothing signs a chain, and it is evidence."""
    chain = TREE.chain_document(2)
    assert change[0] in chain
    read_chain(chain.replace(*change))
    with pytest.raises(MalformedHashChain, match="plainly"):
        verify_chain(RESULT, chain.replace(*change), parts(3, 1))


def test_a_part_more_than_was_signed_is_refused():
    with pytest.raises(HashChainUnusedInputs):
        verify_chain(RESULT, TREE.chain_document(0), parts(1, 1))


def test_a_part_less_than_was_signed_is_refused():
    with pytest.raises(InvalidReference):
        verify_chain(RESULT, TREE.chain_document(2), parts(3))


def test_a_part_named_twice_is_refused():
    twice = Leaf(((MESSAGE, bytes(64)), (MESSAGE, bytes(64))))
    tree = HashTree([twice])
    with pytest.raises(MalformedHashChain, match="more than once"):
        verify_chain(tree.result_document(), tree.chain_document(0), inputs(twice))


def test_steps_in_another_order_are_refused():
    chain = TREE.chain_document(0)
    swap = re.compile(
        rb"( *<ns2:StepRef[^>]*/>\n)( *<ns2:HashValue>.*?</ns2:HashValue>\n)", re.DOTALL
    )
    with pytest.raises(InvalidHashChain):
        verify_chain(RESULT, swap.sub(rb"\2\1", chain), parts(1))


def test_another_result_is_refused():
    other = HashTree([leaf(7), leaf(8)])
    with pytest.raises(InvalidHashChain):
        verify_chain(other.result_document(), TREE.chain_document(4), parts(5))


@pytest.mark.parametrize("uri", [b"sig-hashchain.xml", b"#STEP0", b"/sig-hashchain.xml#"])
def test_a_result_that_names_no_step_is_refused(uri):
    result = RESULT.replace(b"/sig-hashchain.xml#STEP0", uri)
    with pytest.raises(MalformedHashChain):
        verify_chain(result, TREE.chain_document(0), parts(1))


def test_a_step_that_is_not_there_is_refused():
    result = RESULT.replace(b"#STEP0", b"#STEP9")
    with pytest.raises(MalformedHashChain):
        verify_chain(result, TREE.chain_document(0), parts(1))


def test_a_chain_document_that_is_not_there_is_refused():
    result = RESULT.replace(b"/sig-hashchain.xml", b"/other.xml")
    with pytest.raises(InvalidReference):
        verify_chain(result, TREE.chain_document(0), parts(1))


def test_a_chain_that_comes_back_to_a_step_is_refused():
    chain = TREE.chain_document(0).replace(b'URI="#STEP1"', b'URI="#STEP0"')
    with pytest.raises(MalformedHashChain, match="again"):
        verify_chain(RESULT, chain, parts(1))


def test_a_chain_that_forks_into_one_step_is_refused():
    value = b"<ns2:HashValue>"
    chain = TREE.chain_document(0)
    start = chain.index(value)
    end = chain.index(b"</ns2:HashValue>") + len(b"</ns2:HashValue>")
    chain = chain[:start] + b'<ns2:StepRef URI="#STEP1"/>' + chain[end:]
    with pytest.raises(MalformedHashChain, match="again"):
        verify_chain(RESULT, chain, parts(1))


def test_a_chain_of_many_levels_is_refused():
    steps = b"".join(
        b'<ns2:HashStep id="STEP%d"><ns2:StepRef URI="#STEP%d"/></ns2:HashStep>' % (n, n + 1)
        for n in range(500)
    )
    head, _, _ = TREE.chain_document(0).partition(b"    <ns2:HashStep")
    with pytest.raises(MalformedHashChain, match="deep"):
        verify_chain(RESULT, head + steps + b"</ns2:HashChain>", parts(1))


@pytest.mark.parametrize("weak", ["sha1", "sha224", "md5", None])
def test_a_weak_digest_is_refused(weak):
    uri = {
        "sha1": DigestAlgorithm.SHA1.uri,
        "sha224": DigestAlgorithm.SHA224.uri,
        "md5": "http://www.w3.org/2001/04/xmldsig-more#md5",
    }.get(weak, "")
    weakened = TREE.chain_document(0).replace(SHA512.uri.encode(), uri.encode())
    with pytest.raises(MalformedHashChain):
        verify_chain(RESULT, weakened, parts(1))
    with pytest.raises(MalformedHashChain):
        read_result(RESULT.replace(SHA512.uri.encode(), uri.encode()))


def test_a_tree_of_weak_digests_is_refused():
    lone = Leaf(((MESSAGE, bytes(20)), (ATTACHMENT, bytes(20))))
    tree = HashTree([lone], algorithm=DigestAlgorithm.SHA1)
    with pytest.raises(MalformedHashChain, match="too weak"):
        read_result(tree.result_document())
    with pytest.raises(MalformedHashChain, match="too weak"):
        read_chain(tree.chain_document(0))


def test_a_chain_against_its_schema_is_refused():
    chain = TREE.chain_document(0)
    for broken in (
        chain.replace(b"</ns2:HashValue>", b"<FooBar/></ns2:HashValue>"),
        chain.replace(b"</ns2:HashChain>", b"<ns2:Other/></ns2:HashChain>"),
        chain.replace(b"<ns2:HashStep ", b'<ns2:HashStep other="1" '),
    ):
        with pytest.raises(MalformedHashChain, match="hashchain"):
            read_chain(broken)


def test_a_digest_of_another_length_is_refused():
    chain = re.sub(rb"(<DigestValue>)[^<]*", rb"\1AAAA", TREE.chain_document(0))
    with pytest.raises(MalformedHashChain, match="3 bytes"):
        read_chain(chain)


def test_a_chain_by_another_strong_digest_needs_that_digest_of_the_parts():
    lone = Leaf(tuple((name, bytes(32)) for name in (MESSAGE, ATTACHMENT)))
    tree = HashTree([lone], algorithm=SHA256)
    by_256 = {name: PartDigest(SHA256, digest) for name, digest in lone.parts}
    verify_chain(tree.result_document(), tree.chain_document(0), by_256)
    with pytest.raises(InvalidReference, match="SHA-256"):
        verify_chain(tree.result_document(), tree.chain_document(0), parts(1, 1))


def test_transforms_are_refused():
    transforms = (
        b'<Transforms><Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'
        b"</Transforms>"
    )
    chain = TREE.chain_document(4)
    before, reference, after = chain.partition(b'<ns2:DataRef URI="/message.xml">')
    with pytest.raises(MalformedHashChain, match="transforms"):
        read_chain(before + reference + transforms + after)


def test_a_value_without_a_digest_method_is_refused():
    chain = re.sub(rb" *<ns2:DefaultDigestMethod[^>]*/>\n", b"", TREE.chain_document(0))
    with pytest.raises(MalformedHashChain, match="no digest method"):
        read_chain(chain)


def test_a_digest_method_of_its_own_stands_above_the_default():
    method = b'<DigestMethod Algorithm="%b"/>' % SHA512.uri.encode()
    chain = TREE.chain_document(0)
    chain = chain.replace(SHA512.uri.encode(), SHA256.uri.encode())
    chain = chain.replace(b"<DigestValue>", method + b"<DigestValue>")
    chain = re.sub(rb"(<ns2:StepRef [^>]*)/>", rb"\1>" + method + b"</ns2:StepRef>", chain)
    verify_chain(RESULT, chain, parts(1))


def test_a_document_type_is_refused():
    for document, read in ((RESULT, read_result), (TREE.chain_document(0), read_chain)):
        declaration, _, rest = document.partition(b"\n")
        with pytest.raises(MalformedHashChain):
            read(declaration + b'<!DOCTYPE a [<!ENTITY b "c">]>' + rest)


def test_a_huge_document_is_refused():
    with pytest.raises(MalformedHashChain):
        read_chain(TREE.chain_document(0) + b"\n" * 1_000_000)
    many = Leaf(tuple((f"/attachment{n}", bytes(64)) for n in range(1, 6000)))
    with pytest.raises(MalformedHashChain, match="limit"):
        read_chain(HashTree([many]).chain_document(0))


def test_a_result_is_no_chain_and_a_chain_no_result():
    with pytest.raises(MalformedHashChain):
        read_chain(RESULT)
    with pytest.raises(MalformedHashChain):
        read_result(TREE.chain_document(0))


def test_two_steps_of_one_name_are_refused():
    chain = TREE.chain_document(0).replace(b'id="STEP1"', b'id="STEP0"')
    with pytest.raises(MalformedHashChain):
        read_chain(chain)


# Parts that are at hand, as in a container


def test_a_part_at_hand_is_digested():
    data = {MESSAGE: b"message", ATTACHMENT: b"attachment"}
    lone = Leaf(tuple((name, hashlib.sha512(part).digest()) for name, part in data.items()))
    tree = HashTree([lone])
    documents = {"/sig-hashchain.xml": tree.chain_document(0), **data}
    assert resolve_chain(tree.result_document(), documents, {MESSAGE: None}) == ()
    documents[ATTACHMENT] = b"another"
    with pytest.raises(InvalidHashChainRef):
        resolve_chain(tree.result_document(), documents, {MESSAGE: None})
    del documents[ATTACHMENT]
    (absent,) = resolve_chain(tree.result_document(), documents, {MESSAGE: None})
    assert absent.uri == ATTACHMENT


def test_an_input_that_is_nowhere_is_refused():
    with pytest.raises(InvalidReference):
        resolve_chain(RESULT, {"/sig-hashchain.xml": TREE.chain_document(0)}, {MESSAGE: None})


# The pattern and the parser


DOCUMENTS = [RESULT, *(TREE.chain_document(index) for index in range(5))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_we_write_is_read_by_pattern(document):
    found = chaindocuments._match_chain(document) or chaindocuments._match_result(document)
    assert found is not None


def verdict(read, document):
    try:
        return read(document)
    except MalformedHashChain:
        return MalformedHashChain


@given(st.data())
def test_the_pattern_is_never_more_lenient_than_the_parser(data):
    document = bytearray(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(document)))
        end = start + data.draw(st.integers(0, 3))
        document[start:end] = data.draw(
            st.one_of(
                st.sampled_from(BITS), st.binary(max_size=2), st.just(document[end : end + 40])
            )
        )
    for match, parse in (
        (chaindocuments._match_chain, chaindocuments._parse_chain),
        (chaindocuments._match_result, chaindocuments._parse_result),
    ):
        found = match(bytes(document))
        assert found is None or found == verdict(parse, bytes(document))


BITS = [
    b"#",
    b"/",
    b" ",
    b"\n",
    b"\r",
    b"=",
    b"AA",
    b"1",
    b"&#13;",
    b"<!-- -->",
    b'"',
    b"STEP",
    b"%",
    b"\xc3",
]


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_a_value_or_malformed(document):
    verdict(read_chain, document)
    verdict(read_result, document)
