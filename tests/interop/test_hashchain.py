"""Hash chains of the reference, each with what its own tests expect of it."""

import zipfile

import pytest

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    HashChainUnusedInputs,
    InvalidHashChain,
    InvalidHashChainRef,
    InvalidReference,
    MalformedHashChain,
)
from sild.protocol.signature import chaindocuments
from sild.protocol.signature.chaindocuments import read_chain, read_result
from sild.protocol.signature.hashchain import (
    HashTree,
    Leaf,
    PartDigest,
    resolve_chain,
    verify_chain,
)

MESSAGE = "/message.xml"
SHA256 = DigestAlgorithm.SHA256


@pytest.fixture
def chain(vectors):
    return lambda name: (vectors / "hashchain" / f"hc-verifier{name}.xml").read_bytes()


def by_sha256(data):
    return PartDigest(SHA256, SHA256.digest(data))


def test_a_part_at_hand_is_verified(chain):
    documents = {"/hashchain.xml": chain("1-hashchain"), MESSAGE: chain("1-message")}
    assert resolve_chain(chain("1-hashchainresult"), documents, {MESSAGE: None}) == ()


def test_a_part_given_by_digest_is_verified(chain):
    given = {MESSAGE: by_sha256(chain("1-message"))}
    verify_chain(
        chain("1-hashchainresult"), chain("1-hashchain"), given, chain_uri="/hashchain.xml"
    )


def test_inputs_that_are_not_used_are_refused(chain):
    given = {MESSAGE: by_sha256(chain("1-message")), "/unused1": None, "/unused2": None}
    documents = {"/hashchain.xml": chain("1-hashchain")}
    with pytest.raises(HashChainUnusedInputs, match="/unused1, /unused2"):
        resolve_chain(chain("1-hashchainresult"), documents, given)


def test_a_part_of_another_digest_is_refused(chain):
    given = {MESSAGE: by_sha256(chain("1-hashchain"))}
    with pytest.raises(InvalidHashChain):
        verify_chain(
            chain("1-hashchainresult"), chain("1-hashchain"), given, chain_uri="/hashchain.xml"
        )


def test_a_part_at_hand_that_is_another_is_refused(chain):
    documents = {"/hashchain.xml": chain("1-hashchain"), MESSAGE: chain("3-message")}
    with pytest.raises(InvalidHashChainRef):
        resolve_chain(chain("1-hashchainresult"), documents, {MESSAGE: None})


def test_a_chain_in_two_documents_is_verified(chain):
    documents = {
        "/hashchain.xml": chain("4-hashchain1"),
        "/hashchain2.xml": chain("4-hashchain2"),
        MESSAGE: chain("4-message"),
    }
    assert resolve_chain(chain("4-hashchainresult"), documents, {MESSAGE: None}) == ()
    del documents["/hashchain2.xml"]
    with pytest.raises(InvalidReference):
        resolve_chain(chain("4-hashchainresult"), documents, {MESSAGE: None})


def test_a_chain_against_its_schema_is_refused(chain):
    documents = {"/hashchain.xml": chain("5-hashchain-invalid-schema"), MESSAGE: chain("3-message")}
    with pytest.raises(MalformedHashChain):
        resolve_chain(chain("3-hashchainresult"), documents, {MESSAGE: None})


def test_transforms_are_refused_although_the_reference_runs_them(chain):
    """No peer writes them: a chain with them would say itself what of a part is signed."""
    transforms = (
        b'<Transforms><Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'
        b"</Transforms>"
    )
    transformed = chain("1-hashchain").replace(
        b'<ns2:DataRef URI="/message.xml">', b'<ns2:DataRef URI="/message.xml">' + transforms
    )
    documents = {"/hashchain.xml": transformed, MESSAGE: chain("3-message")}
    with pytest.raises(MalformedHashChain):
        resolve_chain(chain("3-hashchainresult"), documents, {MESSAGE: None})


CONTAINERS = [
    ("valid-signed-hashchain", "sig"),
    ("invalid-signed-hashchain", "sig"),
    ("valid-batch-ts", "ts"),
    ("valid-non-batch-rest", "ts"),
]


@pytest.mark.parametrize(("name", "kind"), CONTAINERS)
def test_the_pattern_reads_the_chains_of_peers_as_the_parser_does(vectors, name, kind):
    with zipfile.ZipFile(vectors / f"asic/{name}.asice") as container:
        result = container.read(f"{kind}-hashchainresult.xml")
        chain = container.read(f"{kind}-hashchain.xml")
    assert read_result(result) == chaindocuments._parse_result(result)
    assert read_chain(chain) == chaindocuments._parse_chain(chain)
    # The last is of another generation, and not worth a pattern.
    is_usual = name != "valid-non-batch-rest"
    assert (chaindocuments._match_result(result) is not None) is is_usual
    assert (chaindocuments._match_chain(chain) is not None) is is_usual


def test_our_documents_are_those_of_the_reference_byte_by_byte(vectors):
    with zipfile.ZipFile(vectors / "asic/valid-signed-hashchain.asice") as container:
        result = container.read("sig-hashchainresult.xml")
        chain = container.read("sig-hashchain.xml")
    (step,) = read_chain(chain).steps.values()
    tree = HashTree([Leaf(tuple((value.uri, value.digest.value) for value in step))])
    assert tree.result_document() == result
    assert tree.chain_document(0) == chain


def test_a_time_stamp_chain_of_ours_is_that_of_the_reference_byte_by_byte(vectors):
    with zipfile.ZipFile(vectors / "asic/valid-batch-ts.asice") as container:
        result = container.read("ts-hashchainresult.xml")
        chain = container.read("ts-hashchain.xml")
    ((own, other),) = read_chain(chain).steps.values()
    tree = HashTree(
        [Leaf(((own.uri, own.digest.value),)), Leaf((("/other", other.digest.value),))],
        "/ts-hashchain.xml",
    )
    assert tree.result_document() == result
    assert tree.chain_document(0) == chain
