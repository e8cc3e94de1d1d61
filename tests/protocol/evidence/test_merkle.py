import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.evidence.errors import ProofRefused
from sild.protocol.evidence.merkle import (
    Edge,
    Head,
    check_consistency,
    check_inclusion,
    consistency_spans,
    grow,
    hash_leaf,
    hash_node,
    inclusion_spans,
    root_of,
    stored_below,
)

# The entries and roots that implementations of RFC 6962 and RFC 9162 test one another with.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [hash_leaf(number.to_bytes(4, "big")) for number in range(1400)]


def root_by_definition(leaves):
    """MTH of RFC 9162, 2.1.1, over digests of leaves."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hash_node(root_by_definition(leaves[:middle]), root_by_definition(leaves[middle:]))


def head_of(leaves):
    return Head(len(leaves), root_by_definition(leaves))


def path_of(spans, leaves):
    return [root_by_definition(leaves[span.start : span.stop]) for span in spans]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_the_roots_are_those_of_the_known_trees(size):
    leaves = [hash_leaf(entry) for entry in ENTRIES[:size]]
    assert root_by_definition(leaves).hex() == ROOTS[size]
    assert grow(Edge(), leaves)[0].root.hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("number", "size", "path"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            3,
            ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        ),
    ],
)
def test_known_proofs_of_inclusion(number, size, path):
    leaves = [hash_leaf(entry) for entry in ENTRIES[:size]]
    assert [digest.hex() for digest in path_of(inclusion_spans(number, size), leaves)] == path
    proof = [bytes.fromhex(digest) for digest in path]
    check_inclusion(leaves[number], number, proof, Head(size, bytes.fromhex(ROOTS[size])))


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ],
)
def test_known_proofs_of_consistency(first, second, path):
    leaves = [hash_leaf(entry) for entry in ENTRIES[:second]]
    assert [digest.hex() for digest in path_of(consistency_spans(first, second), leaves)] == path
    heads = [Head(size, bytes.fromhex(ROOTS[size])) for size in (first, second)]
    check_consistency(*heads, [bytes.fromhex(digest) for digest in path])


def test_every_leaf_of_every_small_tree_is_proven_and_no_other_in_its_place():
    for size in range(1, 36):
        head = head_of(LEAVES[:size])
        for number in range(size):
            path = path_of(inclusion_spans(number, size), LEAVES[:size])
            check_inclusion(LEAVES[number], number, path, head)
            for wrong_leaf, place in (
                (LEAVES[size], number),
                (LEAVES[number], (number + 1) % size),
            ):
                if (wrong_leaf, place) != (LEAVES[number], number):
                    with pytest.raises(ProofRefused):
                        check_inclusion(wrong_leaf, place, path, head)


def test_every_small_tree_is_proven_to_have_grown_from_every_smaller_one():
    for second in range(36):
        for first in range(second + 1):
            path = path_of(consistency_spans(first, second), LEAVES[:second])
            check_consistency(head_of(LEAVES[:first]), head_of(LEAVES[:second]), path)
            if first:
                changed = [hash_leaf(b"changed"), *LEAVES[1:first]]
                with pytest.raises(ProofRefused):
                    check_consistency(head_of(changed), head_of(LEAVES[:second]), path)


@given(st.integers(1, 1400), st.data())
def test_a_changed_proof_of_inclusion_is_refused(size, data):
    number = data.draw(st.integers(0, size - 1))
    path = path_of(inclusion_spans(number, size), LEAVES[:size])
    head = head_of(LEAVES[:size])
    check_inclusion(LEAVES[number], number, path, head)
    for wrong in _spoilt(path, data):
        with pytest.raises(ProofRefused):
            check_inclusion(LEAVES[number], number, wrong, head)


@given(st.integers(2, 1400), st.data())
def test_a_changed_proof_of_consistency_is_refused(second, data):
    first = data.draw(st.integers(1, second - 1))
    path = path_of(consistency_spans(first, second), LEAVES[:second])
    heads = head_of(LEAVES[:first]), head_of(LEAVES[:second])
    check_consistency(*heads, path)
    for wrong in _spoilt(path, data):
        with pytest.raises(ProofRefused):
            check_consistency(*heads, wrong)


def _spoilt(path, data):
    yield [*path, b"\0" * 32]
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        yield path[:place] + path[place + 1 :]
        yield [*path[:place], b"\0" * 32, *path[place + 1 :]]


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        (Head(3, b"\1" * 32), Head(2, b"\1" * 32), []),
        (Head(2, b"\1" * 32), Head(2, b"\2" * 32), []),
        (Head(2, b"\1" * 32), Head(2, b"\1" * 32), [b"\1" * 32]),
        (Head(0, b"\1" * 32), Head(2, b"\1" * 32), []),
        (Head(3, b"\1" * 32), Head(5, b"\2" * 32), []),
    ],
    ids=["shorter", "other root", "proof of the same", "not the empty tree", "no proof"],
)
def test_what_shows_no_growth_is_refused(first, second, path):
    with pytest.raises(ProofRefused):
        check_consistency(first, second, path)


@pytest.mark.parametrize("number", [-1, 4])
def test_a_number_beyond_the_tree_is_refused(number):
    with pytest.raises(ProofRefused):
        inclusion_spans(number, 4)
    with pytest.raises(ProofRefused):
        check_inclusion(LEAVES[0], number, [], head_of(LEAVES[:4]))


def test_a_tree_cannot_have_grown_from_a_larger_one():
    with pytest.raises(ProofRefused):
        consistency_spans(5, 4)


@given(st.lists(st.integers(0, 400), max_size=6))
def test_a_tree_grows_in_any_steps_to_the_same(steps):
    edge, nodes, total = Edge(), [], sum(steps)
    leaves = (LEAVES * 2)[:total]
    done = 0
    for step in steps:
        edge, new = grow(edge, leaves[done : done + step])
        nodes.extend(new)
        done += step
    assert edge.root == root_by_definition(leaves)
    assert [(n.height, n.number) for n in nodes] == [(8, n) for n in range(total // 256)]
    for node in nodes:
        below = leaves[node.number * 256 : node.number * 256 + 256]
        assert node.digest == root_by_definition(below)


@given(st.integers(1, 1400), st.data())
def test_the_stored_nodes_give_what_a_proof_needs(size, data):
    _, nodes = grow(Edge(), LEAVES[:size])
    stored = {(node.height, node.number): node.digest for node in nodes}
    stored |= {(0, number): leaf for number, leaf in enumerate(LEAVES[:size])}
    spans = (
        *inclusion_spans(data.draw(st.integers(0, size - 1)), size),
        *consistency_spans(data.draw(st.integers(0, size)), size),
    )
    for span in spans:
        parts = [(height, n) for height, numbers in stored_below(span) for n in numbers]
        assert len(parts) < 2 * 256
        root = root_of((height, stored[height, number]) for height, number in parts)
        assert root == root_by_definition(LEAVES[span.start : span.stop])


def test_the_stored_nodes_of_a_great_tree_are_few():
    for span in (*inclusion_spans(3_000_000, 70_000_001), *consistency_spans(9, 70_000_001)):
        assert sum(len(numbers) for _, numbers in stored_below(span)) < 4 * 256


@pytest.mark.parametrize(("size", "tops"), [(3, 1), (-1, 0), (0, 1)])
def test_an_edge_has_a_top_for_each_bit_of_its_size(size, tops):
    with pytest.raises(ProofRefused):
        Edge(size, (b"\0" * 32,) * tops)


@pytest.mark.parametrize(("size", "root"), [(-1, b"\0" * 32), (1, b"\0" * 31)])
def test_a_head_has_a_size_and_a_whole_root(size, root):
    with pytest.raises(ProofRefused):
        Head(size, root)
