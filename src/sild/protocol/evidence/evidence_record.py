"""Renew an archive from beside it: evidence records (RFC 4998, ERS).

The first time-stamp is over the digest of the archive, or over the top of a tree with the digests
of several. As long as the digest algorithm is strong, the next is over the last; for a stronger
algorithm a new chain begins, whose first time-stamp is over the archive and all chains before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import core

from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import TimestampRefused
from sild.protocol.evidence.errors import EvidenceChanged, MalformedEvidence
from sild.protocol.evidence.ers_asn1 import EvidenceRecord as Asn1Record
from sild.protocol.evidence.renewal import (
    RENEWAL_DIGESTS,
    Link,
    Renewal,
    RenewalTrust,
    hash_of,
    verify_links,
)
from sild.protocol.pki import der
from sild.protocol.pki.timestamp import TimestampToken, read_timestamp_token

DataDigests = Mapping[DigestAlgorithm, bytes]
"""The digests of an archive, by each algorithm that renewals digest with."""

_SIZE_LIMIT = 16_000_000
_MOST_STAMPS = 100
_HIGHEST_TREE = 64
_VERSION = 1
_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
_OIDS = {
    DigestAlgorithm.SHA256: "2.16.840.1.101.3.4.2.1",
    DigestAlgorithm.SHA384: "2.16.840.1.101.3.4.2.2",
    DigestAlgorithm.SHA512: "2.16.840.1.101.3.4.2.3",
}
_REDUCED_TREE = 0xA2

Steps = tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class ArchiveTimestamp:
    """A token, and the steps of a tree that lead to what it stamps; without a tree, none.

    `encoded` is its DER where it was read, whose digest newer time-stamps may be over.
    """

    token: TimestampToken
    steps: Steps = ()
    encoded: bytes = b""

    @property
    def algorithm(self) -> DigestAlgorithm:
        """What its tree is digested with; raises UnsupportedAlgorithm."""
        return hash_of(self.token)


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """Chains of time-stamps over one archive, the oldest first."""

    chains: tuple[tuple[ArchiveTimestamp, ...], ...]

    def __post_init__(self) -> None:
        if not self.chains or not all(self.chains):
            raise MalformedEvidence("an evidence record needs a time-stamp in each of its chains")
        if sum(map(len, self.chains)) > _MOST_STAMPS:
            raise MalformedEvidence(f"an evidence record has more than {_MOST_STAMPS} time-stamps")

    @property
    def algorithm(self) -> DigestAlgorithm:
        """What the newest chain digests with."""
        return self.chains[-1][0].algorithm


class HashTree:
    """A binary tree over digests; one that is left over moves up as it is."""

    def __init__(self, leaves: Sequence[bytes], algorithm: DigestAlgorithm) -> None:
        if not leaves:
            raise MalformedEvidence("there is nothing to be time-stamped")
        self._algorithm = algorithm
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            nodes = self._levels[-1]
            pairs = [nodes[start : start + 2] for start in range(0, len(nodes), 2)]
            joined = [_join(pair, algorithm) if len(pair) > 1 else pair[0] for pair in pairs]
            self._levels.append(joined)

    @property
    def top(self) -> bytes:
        """What is to be time-stamped."""
        return self._levels[-1][0]

    def steps(self, index: int) -> Steps:
        """The reduced tree of one leaf: at each step what the digest so far is joined with."""
        leaf = self._levels[0][index]
        found: list[tuple[bytes, ...]] = []
        for nodes in self._levels[:-1]:
            neighbour = index ^ 1
            if neighbour < len(nodes):
                found.append((nodes[neighbour],))
            index //= 2
        if found:
            # The first step holds the leaf itself, too.
            found[0] = tuple(sorted((leaf, *found[0])))
        return tuple(found)


def _join(digests: Sequence[bytes], algorithm: DigestAlgorithm) -> bytes:
    return algorithm.digest(b"".join(sorted(digests)))


def top_of(leaf: bytes, steps: Steps, algorithm: DigestAlgorithm) -> bytes:
    """Where a reduced tree leads (RFC 4998, 4.3); raises EvidenceChanged for another leaf."""
    if not steps:
        return leaf
    if leaf not in steps[0]:
        raise EvidenceChanged("the evidence record is of other data")
    if any(len(digest) != algorithm.size for step in steps for digest in step):
        raise MalformedEvidence("an evidence record has a tree of digests of another size")
    top: bytes | None = None
    for step in steps:
        digests = step if top is None else (top, *step)
        top = digests[0] if len(digests) == 1 else _join(digests, algorithm)
    return top or leaf


def digest_to_renew(
    record: EvidenceRecord | None, data: DataDigests, algorithm: DigestAlgorithm
) -> bytes:
    """The digest that the next time-stamp of an archive is to be over, alone or through a tree."""
    if algorithm not in RENEWAL_DIGESTS:
        raise UnsupportedAlgorithm(f"nothing is renewed with {algorithm.text}")
    if record is None:
        return data[algorithm]
    if algorithm is record.algorithm:
        return algorithm.digest(record.chains[-1][-1].token.der)
    return _over_chains(record.chains, data, algorithm)


def _over_chains(
    chains: Sequence[tuple[ArchiveTimestamp, ...]], data: DataDigests, algorithm: DigestAlgorithm
) -> bytes:
    """The digest over data and older chains (RFC 4998, 5.2, hash-tree renewal)."""
    return algorithm.digest(data[algorithm] + algorithm.digest(_write_chains(chains)))


def with_renewal(
    record: EvidenceRecord | None, timestamp: ArchiveTimestamp, algorithm: DigestAlgorithm
) -> EvidenceRecord:
    """The record with its next time-stamp."""
    if record is None:
        return EvidenceRecord(((timestamp,),))
    if algorithm is record.algorithm:
        return EvidenceRecord((*record.chains[:-1], (*record.chains[-1], timestamp)))
    return EvidenceRecord((*record.chains, (timestamp,)))


def verify_evidence_record(
    record: EvidenceRecord, data: DataDigests, trust: RenewalTrust
) -> tuple[Renewal, ...]:
    """Prove since when an archive of these digests is there unchanged, the oldest time first.

    Raises EvidenceChanged, RenewedTooLate, UnsupportedAlgorithm, and what `verify_timestamp`
    raises.
    """
    links: list[Link] = []
    for place, chain in enumerate(record.chains):
        algorithm = chain[0].algorithm
        if algorithm not in data:
            raise UnsupportedAlgorithm(f"{algorithm.text} protects nothing")
        leaf = data[algorithm]
        if place:
            leaf = _over_chains(record.chains[:place], data, algorithm)
        for timestamp in chain:
            if timestamp.algorithm is not algorithm:
                raise MalformedEvidence("a chain of time-stamps changes its digest algorithm")
            name = f"time-stamp {len(links) + 1}"
            links.append(Link(name, timestamp.token, top_of(leaf, timestamp.steps, algorithm)))
            leaf = algorithm.digest(timestamp.token.der)
    return verify_links(links, trust)


def write_evidence_record(record: EvidenceRecord) -> bytes:
    """A record in DER."""
    algorithms = dict.fromkeys(chain[0].algorithm for chain in record.chains)
    listed = [der.algorithm(_OIDS[algorithm], b"") for algorithm in algorithms]
    return der.sequence(der.integer(_VERSION), der.sequence(*listed), _write_chains(record.chains))


def _write_chains(chains: Sequence[tuple[ArchiveTimestamp, ...]]) -> bytes:
    """The DER of an ArchiveTimeStampSequence."""
    return der.sequence(*[der.sequence(*map(_write_timestamp, chain)) for chain in chains])


def _write_timestamp(timestamp: ArchiveTimestamp) -> bytes:
    if timestamp.encoded:
        return timestamp.encoded
    steps = [der.sequence(*map(der.octets, step)) for step in timestamp.steps]
    tree = der.tagged(_REDUCED_TREE, *steps) if steps else b""
    return der.sequence(tree, timestamp.token.der)


def read_evidence_record(data: bytes) -> EvidenceRecord:
    """A record from DER; raises MalformedEvidence."""
    if len(data) > _SIZE_LIMIT:
        raise MalformedEvidence(f"an evidence record of {len(data)} bytes is too long")
    try:
        record = Asn1Record.load(data, strict=True)
        if record["version"].native != _VERSION:
            raise MalformedEvidence("an evidence record of another version is not understood")
        if not isinstance(record["encryption_info"], core.Void):
            raise MalformedEvidence("an evidence record over encrypted data is not understood")
        return EvidenceRecord(tuple(map(_read_chain, record["sequence"])))
    except (*_READ_ERRORS, TimestampRefused, UnsupportedAlgorithm) as error:
        raise MalformedEvidence(f"an evidence record cannot be read: {error}") from None


def _read_chain(chain: Any) -> tuple[ArchiveTimestamp, ...]:
    return tuple(map(_read_timestamp, chain))


def _read_timestamp(value: Any) -> ArchiveTimestamp:
    token = read_timestamp_token(value["time_stamp"].dump())
    steps: Steps = ()
    if not isinstance(value["reduced_hashtree"], core.Void):
        found = value["reduced_hashtree"]
        steps = tuple(tuple(digest.native for digest in step) for step in found)
        if not steps or not all(steps) or len(steps) > _HIGHEST_TREE:
            raise MalformedEvidence("an evidence record has a tree without digests, or too high")
    timestamp = ArchiveTimestamp(token, steps, value.dump())
    stated = value["digest_algorithm"]
    if not isinstance(stated, core.Void) and stated["algorithm"].native != token.imprint_hash:
        raise MalformedEvidence("an evidence record digests in another way than its time-stamp")
    return timestamp
