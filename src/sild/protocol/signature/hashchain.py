"""Hash trees over message parts, and the hash chain documents that lead from a part to the top.

A step is the DER of the digests that it joins, each beside its algorithm; its digest is a node
of the tree. A tree joins its leaves in pairs from the left; a last node without a neighbour moves
up as it is. A leaf of several parts is itself a step over them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import (
    HashChainUnusedInputs,
    InvalidHashChain,
    InvalidHashChainRef,
    InvalidReference,
    MalformedHashChain,
)
from sild.protocol.signature.chaindocuments import (
    DataRef,
    HashChain,
    HashValue,
    PartDigest,
    StepRef,
    read_chain,
    read_result,
    write_chain,
    write_result,
)
from sild.protocol.signature.names import SIG_HASH_CHAIN

__all__ = [
    "DataRef",
    "HashTree",
    "Leaf",
    "PartDigest",
    "build_step",
    "digest_step",
    "resolve_chain",
    "verify_chain",
]

# A tree of a million leaves is 20 steps high.
_DEEPEST = 40
_DER_LENGTH_BYTES = 0x80


def build_step(digests: Sequence[tuple[DigestAlgorithm, bytes]]) -> bytes:
    """The DER of a step: a sequence of digests, each with its algorithm and no transforms."""
    return _der(
        0x30, b"".join([_single_digest(algorithm, digest) for algorithm, digest in digests])
    )


def digest_step(algorithm: DigestAlgorithm, digests: Sequence[bytes]) -> bytes:
    """The digest of a step whose digests are all of one algorithm, as trees are built."""
    return algorithm.digest(build_step([(algorithm, digest) for digest in digests]))


def _single_digest(algorithm: DigestAlgorithm, digest: bytes) -> bytes:
    before, size, after = _frame(algorithm)
    if len(digest) == size:
        return before + digest + after
    return _der(0x30, _der(0x04, digest) + after)


@lru_cache(maxsize=len(DigestAlgorithm))
def _frame(algorithm: DigestAlgorithm) -> tuple[bytes, int, bytes]:
    """What stands before a digest of the algorithm's own size, that size, and what is behind."""
    size, after = algorithm.size, _algorithm_and_transforms(algorithm)
    whole = _der(0x30, _der(0x04, bytes(size)) + after)
    return whole[: -len(after) - size], size, after


def _algorithm_and_transforms(algorithm: DigestAlgorithm) -> bytes:
    return _der(0x0C, algorithm.uri.encode("ascii")) + _der(0x30, b"")


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _DER_LENGTH_BYTES:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _DER_LENGTH_BYTES | len(length))) + length + content


@dataclass(frozen=True, slots=True)
class Leaf:
    """The named parts of one message with their digests: the message first, then attachments."""

    parts: tuple[tuple[str, bytes], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise MalformedHashChain("a leaf of a hash tree needs at least one part")

    def digest(self, algorithm: DigestAlgorithm) -> bytes:
        """What stands in the tree: the digest of the only part, or of the step over all parts."""
        if len(self.parts) == 1:
            return self.parts[0][1]
        return digest_step(algorithm, [digest for _, digest in self.parts])


class HashTree:
    """A tree over leaves, and the documents that a signature or a time-stamp needs of it."""

    def __init__(
        self,
        leaves: Sequence[Leaf],
        chain_uri: str = SIG_HASH_CHAIN,
        algorithm: DigestAlgorithm = DigestAlgorithm.SHA512,
    ) -> None:
        if not leaves:
            raise MalformedHashChain("a hash tree needs at least one leaf")
        self._leaves = leaves
        self._algorithm = algorithm
        self._chain_uri = chain_uri
        self._levels = [[leaf.digest(algorithm) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            self._levels.append(self._joined(self._levels[-1]))

    def _joined(self, nodes: list[bytes]) -> list[bytes]:
        pairs = [
            digest_step(self._algorithm, nodes[start : start + 2])
            for start in range(0, len(nodes) - 1, 2)
        ]
        return pairs if len(nodes) % 2 == 0 else [*pairs, nodes[-1]]

    @property
    def top(self) -> bytes:
        """The digest that stands for all leaves."""
        return self._levels[-1][0]

    def result_document(self) -> bytes:
        """The HashChainResult, whose exact bytes are what is signed or time-stamped."""
        return write_result(f"{self._chain_uri}#STEP0", PartDigest(self._algorithm, self.top))

    def chain_document(self, index: int) -> bytes:
        """The HashChain that leads from the top to the parts of one leaf."""
        leaf = self._leaves[index]
        siblings = self._siblings(index)
        if len(leaf.parts) == 1 and not siblings:
            raise MalformedHashChain("a lone part is signed directly, no chain leads to it")
        return write_chain(self._algorithm, siblings, leaf.parts)

    def _siblings(self, index: int) -> list[tuple[bool, bytes]]:
        """The neighbours on the way from the top to the leaf, and whether each stands left."""
        found = []
        for nodes in self._levels[:-1]:
            neighbour = index ^ 1
            if neighbour < len(nodes):
                found.append((neighbour < index, nodes[neighbour]))
            index //= 2
        found.reverse()
        return found


def verify_chain(
    result: bytes,
    chain: bytes,
    inputs: Mapping[str, PartDigest],
    *,
    chain_uri: str = SIG_HASH_CHAIN,
) -> None:
    """Return if the chain leads from the result to every input, and to nothing besides.

    Raises InvalidHashChain, InvalidHashChainRef, MalformedHashChain, InvalidReference,
    HashChainUnusedInputs.
    """
    walk = _resolved(result, {chain_uri: chain}, inputs)
    if walk.absent:
        raise InvalidReference(f"the hash chain covers {walk.absent[0].uri}, which is not there")
    # Nothing signs the bytes of the chain itself.
    if not walk.chains[chain_uri].is_settled:
        raise MalformedHashChain(
            "the hash chain is not written plainly: its bytes could be others unnoticed"
        )


def resolve_chain(
    result: bytes, documents: Mapping[str, bytes], inputs: Mapping[str, PartDigest | None]
) -> tuple[DataRef, ...]:
    """Return if the chain leads from the result to every input, and say what is not there.

    The documents are by the URI that refers to them: chains, and parts to be digested here, such
    as an input that is given without a digest. A part that is neither an input nor among the
    documents is taken at the digest that the chain states, and returned.

    Raises InvalidHashChain, InvalidHashChainRef, MalformedHashChain, InvalidReference,
    HashChainUnusedInputs.
    """
    return tuple(_resolved(result, documents, inputs).absent)


def _resolved(
    result: bytes, documents: Mapping[str, bytes], inputs: Mapping[str, PartDigest | None]
) -> "_Walk":
    stated = read_result(result)
    walk = _Walk(documents, inputs)
    step = walk.step(stated.uri, None, 0)
    if stated.digest.algorithm.digest(step) != stated.digest.value:
        raise InvalidHashChain(f"the hash chain does not lead to its result at {stated.uri}")
    if walk.misstated:
        # Stricter than the reference, which looks at the given digest alone: what it then logs is
        # no evidence, as a container is refused that disagrees with its chain.
        raise InvalidHashChainRef(f"{walk.misstated[0]} is not what the hash chain says it is")
    unused = sorted(inputs.keys() - walk.seen)
    if unused:
        raise HashChainUnusedInputs(f"the hash chain does not cover {', '.join(unused)}")
    return walk


@dataclass(slots=True)
class _Walk:
    """One walk from the result down to the parts."""

    documents: Mapping[str, bytes]
    inputs: Mapping[str, PartDigest | None]
    chains: dict[str, HashChain] = field(default_factory=dict)
    visited: set[tuple[str, str]] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    absent: list[DataRef] = field(default_factory=list)
    misstated: list[str] = field(default_factory=list)

    def step(self, uri: str, current: str | None, depth: int) -> bytes:
        """The DER of the step that a URI names; without a path it is in the current chain."""
        path, hash_sign, name = uri.partition("#")
        path = path or current or ""
        if not hash_sign or not name or not path:
            raise MalformedHashChain(f"{uri!r} names no hash step")
        # A tree has one way to each node: a second one is a cycle, or meant to cost time.
        if (path, name) in self.visited or depth > _DEEPEST:
            raise MalformedHashChain(f"the hash chain comes to {uri!r} again, or too deep")
        self.visited.add((path, name))
        chain = self._chain(path)
        values = chain.steps.get(name)
        if values is None:
            raise MalformedHashChain(f"{path} has no hash step {name!r}")
        digests = []
        for value in values:
            if isinstance(value, HashValue):
                digests.append((value.digest.algorithm, value.digest.value))
            elif isinstance(value, StepRef):
                below = self.step(value.uri, path, depth + 1)
                digests.append((value.algorithm, value.algorithm.digest(below)))
            else:
                digests.append(self._part(value))
        return build_step(digests)

    def _chain(self, path: str) -> HashChain:
        chain = self.chains.get(path)
        if chain is None:
            data = self.documents.get(path)
            if data is None:
                raise InvalidReference(f"the hash chain document {path} is not there")
            chain = self.chains[path] = read_chain(data)
        return chain

    def _part(self, reference: DataRef) -> tuple[DigestAlgorithm, bytes]:
        uri, stated = reference.uri, reference.digest
        if uri in self.seen:
            raise MalformedHashChain(f"the hash chain refers to {uri} more than once")
        self.seen.add(uri)
        given = self.inputs.get(uri)
        if given is not None and given.algorithm is stated.algorithm:
            if given.value != stated.value:
                self.misstated.append(uri)
            return given.algorithm, given.value
        data = self.documents.get(uri)
        if data is not None:
            if stated.algorithm.digest(data) != stated.value:
                raise InvalidHashChainRef(f"{uri} is not what the hash chain says it is")
        elif uri in self.inputs:
            raise InvalidReference(
                f"the {stated.algorithm.text} digest of {uri}, which the hash chain wants, "
                "is not at hand"
            )
        else:
            self.absent.append(reference)
        return stated.algorithm, stated.value
