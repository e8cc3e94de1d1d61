"""An append-only hash tree, and the proofs of what is in it and that it only grew (RFC 9162, 2.1).

Whoever stores a tree keeps the digests of leaves, and those of the perfect subtrees over each 256,
65,536 and so on of them, as `grow` gives them: what a proof needs is then a few hundred rows.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sild.protocol.evidence.errors import ProofRefused

DIGEST_SIZE = 32
STORED_HEIGHTS = 8
"""The subtrees that are stored are so many levels apart."""

_FANOUT = 1 << STORED_HEIGHTS


def hash_leaf(entry: bytes) -> bytes:
    """The digest of an entry; it can be none of a node."""
    return hashlib.sha256(b"\0" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The digest that joins two."""
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """All of a tree that matters to what is appended: the tops of its perfect subtrees.

    The largest, which is the leftmost, comes first; there is one for each bit of the size.
    """

    size: int = 0
    tops: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.tops) != self.size.bit_count():
            raise ProofRefused(f"a tree of {self.size} leaves has no {len(self.tops)} tops")

    @property
    def root(self) -> bytes:
        """The root of the whole tree; that of an empty one is the digest of nothing."""
        return _fold(self.tops)


@dataclass(frozen=True, slots=True)
class Node:
    """The top of the perfect subtree over the leaves from number * 2^height on."""

    height: int
    number: int
    digest: bytes


def grow(edge: Edge, leaves: Iterable[bytes]) -> tuple[Edge, tuple[Node, ...]]:
    """The tree with more leaves, given as their digests, and the nodes to be stored for them."""
    size, tops, nodes = edge.size, list(edge.tops), []
    for leaf in leaves:
        number, height, digest = size, 0, leaf
        while number & 1:
            digest = hash_node(tops.pop(), digest)
            number, height = number >> 1, height + 1
            if height % STORED_HEIGHTS == 0:
                nodes.append(Node(height, number, digest))
        tops.append(digest)
        size += 1
    return Edge(size, tuple(tops)), tuple(nodes)


def _fold(tops: Sequence[bytes]) -> bytes:
    if not tops:
        return hashlib.sha256().digest()
    *rest, root = tops
    for top in reversed(rest):
        root = hash_node(top, root)
    return root


def _split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_spans(number: int, size: int) -> tuple[range, ...]:
    """The leaves below each digest of the proof that a leaf is in a tree of this size."""
    if not 0 <= number < size:
        raise ProofRefused(f"a tree of {size} leaves has none with the number {number}")
    start, stop, found = 0, size, []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if number < middle:
            found.append(range(middle, stop))
            stop = middle
        else:
            found.append(range(start, middle))
            start = middle
    return tuple(reversed(found))


def consistency_spans(first: int, second: int) -> tuple[range, ...]:
    """The leaves below each digest of the proof that a tree grew from one size to another."""
    if not 0 <= first <= second:
        raise ProofRefused(f"a tree of {second} leaves cannot have grown from {first}")
    if first in (0, second):
        return ()
    start, stop, found = 0, second, []
    while stop != first:
        middle = start + _split(stop - start)
        if first <= middle:
            found.append(range(middle, stop))
            stop = middle
        else:
            found.append(range(start, middle))
            start = middle
    if start:
        found.append(range(start, stop))
    return tuple(reversed(found))


def stored_below(span: range) -> tuple[tuple[int, range], ...]:
    """The heights and numbers of the stored nodes, leaves at height 0, that make up a span."""
    return tuple(_stored_below(0, span.start, span.stop))


def _stored_below(height: int, start: int, stop: int) -> list[tuple[int, range]]:
    first, last = -(-start // _FANOUT), stop // _FANOUT
    if first >= last:
        return [(height, range(start, stop))] if start < stop else []
    above = _stored_below(height + STORED_HEIGHTS, first, last)
    left = (height, range(start, first * _FANOUT))
    right = (height, range(last * _FANOUT, stop))
    return [part for part in (left, *above, right) if part[1]]


def root_of(parts: Iterable[tuple[int, bytes]]) -> bytes:
    """The root over stored nodes, each with its height, that make up a span of a proof."""
    tops: list[tuple[int, bytes]] = []
    for height, digest in parts:
        top = (height, digest)
        while tops and tops[-1][0] == top[0]:
            top = (top[0] + 1, hash_node(tops.pop()[1], top[1]))
        tops.append(top)
    return _fold([digest for _, digest in tops])


@dataclass(frozen=True, slots=True)
class Head:
    """What a tree was at a moment: how many leaves, and the root over them."""

    size: int
    root: bytes

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.root) != DIGEST_SIZE:
            raise ProofRefused("the head of a log needs a size and a root of 32 bytes")


def check_inclusion(leaf: bytes, number: int, path: Sequence[bytes], head: Head) -> None:
    """Raise ProofRefused unless the path leads from the leaf, by its digest, to the head."""
    if not 0 <= number < head.size:
        raise ProofRefused(f"a tree of {head.size} leaves has none with the number {number}")
    place, last, root = number, head.size - 1, leaf
    for digest in path:
        if last == 0:
            raise ProofRefused("the proof of inclusion is too long")
        if place & 1 or place == last:
            root = hash_node(digest, root)
            place, last = _climb(place, last)
        else:
            root = hash_node(root, digest)
        place, last = place >> 1, last >> 1
    if last or root != head.root:
        message = f"the proof does not lead from record {number} to the head of {head.size} records"
        raise ProofRefused(message)


def check_consistency(first: Head, second: Head, path: Sequence[bytes]) -> None:
    """Raise ProofRefused unless the path shows that the second tree grew from the first."""
    if first.size > second.size:
        raise ProofRefused(f"a log of {second.size} records is shorter than {first.size} before")
    if first.size in (0, second.size):
        _check_trivial(first, second, path)
        return
    digests = list(path)
    if not first.size & (first.size - 1):
        digests.insert(0, first.root)
    if not digests:
        raise ProofRefused("the proof of consistency is empty")
    place, last = _climb_odd(first.size - 1, second.size - 1)
    before = after = digests[0]
    for digest in digests[1:]:
        if last == 0:
            raise ProofRefused("the proof of consistency is too long")
        if place & 1 or place == last:
            before, after = hash_node(digest, before), hash_node(digest, after)
            place, last = _climb(place, last)
        else:
            after = hash_node(after, digest)
        place, last = place >> 1, last >> 1
    if last or (before, after) != (first.root, second.root):
        message = f"the log of {second.size} records did not grow from that of {first.size}"
        raise ProofRefused(message)


def _check_trivial(first: Head, second: Head, path: Sequence[bytes]) -> None:
    same = first.root == (second.root if first.size else Edge().root)
    if path or not same:
        message = f"the log of {second.size} records did not grow from that of {first.size}"
        raise ProofRefused(message)


def _climb(place: int, last: int) -> tuple[int, int]:
    """Pass the levels at which a node has no right neighbour and moves up as it is."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _climb_odd(place: int, last: int) -> tuple[int, int]:
    """Pass the levels below the largest subtree that both trees have whole."""
    while place & 1:
        place, last = place >> 1, last >> 1
    return place, last
