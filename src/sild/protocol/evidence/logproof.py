"""Proof files of a log: that records are in it, and that it only grew.

What a proof rests on is its head: a proof shows no more than that whoever gave the head also
committed to the record. That the head is old, and the same for everybody, is shown by its
time-stamp and by comparing it with heads that were kept elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sild.protocol.evidence.errors import MalformedEvidence, ProofRefused
from sild.protocol.evidence.jsonform import (
    as_object,
    check_members,
    from_hex,
    read_object,
    take,
    take_all,
    write_canonical,
)
from sild.protocol.evidence.leaf import RecordLeaf, leaf_from_members, leaf_members
from sild.protocol.evidence.loghead import (
    StampedHead,
    stamped_head_from_members,
    stamped_head_members,
    verify_head,
)
from sild.protocol.evidence.merkle import check_consistency, check_inclusion
from sild.protocol.pki.timestamp import VerifiedTimestamp
from sild.protocol.pki.trust import ApprovedTsa

_INCLUSION, _CONSISTENCY = "log-inclusion", "log-consistency"
_MEMBERS = {
    _INCLUSION: frozenset({"proof", "version", "head", "records"}),
    _CONSISTENCY: frozenset({"proof", "version", "first", "second", "path"}),
}
_RECORD_MEMBERS = frozenset({"leaf", "number", "path"})
_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record, its number among the leaves of the tree, and the way from it to the head."""

    leaf: RecordLeaf
    number: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That records are in the log of this head."""

    head: StampedHead
    records: tuple[ProvenRecord, ...]

    def check(self) -> None:
        """Raise ProofRefused unless every record is in the log of the head."""
        if not self.records:
            raise ProofRefused("the proof is of no record")
        for record in self.records:
            check_inclusion(record.leaf.digest, record.number, record.path, self.head.head)

    @property
    def newest_head(self) -> StampedHead:
        """The head that the proof leads to."""
        return self.head


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log of the second head is that of the first with records behind it."""

    first: StampedHead
    second: StampedHead
    path: tuple[bytes, ...]

    def check(self) -> None:
        """Raise ProofRefused unless the second log grew from the first."""
        check_consistency(self.first.head, self.second.head, self.path)

    @property
    def newest_head(self) -> StampedHead:
        """The head that the proof leads to."""
        return self.second


LogProof = InclusionProof | ConsistencyProof


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """A proof that holds; `stamps` are those of its stamped heads, by their size.

    Nothing is in `stamps` where no authorities were given to verify by.
    """

    proof: LogProof
    stamps: dict[int, VerifiedTimestamp]


def verify_proof(
    proof: LogProof,
    tsas: Sequence[ApprovedTsa] | None = None,
    known: StampedHead | None = None,
) -> VerifiedProof:
    """Prove offline what a proof file says, and since when its heads exist.

    With authorities, each head must be stamped by one of them, else time-stamps are not looked at.
    With a head that was kept elsewhere, the proof must lead from it or to it.

    Raises ProofRefused, and what `verify_head` raises.
    """
    proof.check()
    heads = [proof.head] if isinstance(proof, InclusionProof) else [proof.first, proof.second]
    if known is not None and known.head not in [stamped.head for stamped in heads]:
        message = f"the proof leads neither from nor to the known head of {known.head.size} records"
        raise ProofRefused(message)
    stamps = {} if tsas is None else {head.head.size: verify_head(head, tsas) for head in heads}
    return VerifiedProof(proof, stamps)


def write_proof(proof: LogProof) -> bytes:
    """A proof file."""
    if isinstance(proof, InclusionProof):
        members: dict[str, Any] = {
            "proof": _INCLUSION,
            "head": stamped_head_members(proof.head),
            "records": [_record_members(record) for record in proof.records],
        }
    else:
        members = {
            "proof": _CONSISTENCY,
            "first": stamped_head_members(proof.first),
            "second": stamped_head_members(proof.second),
            "path": [digest.hex() for digest in proof.path],
        }
    return write_canonical(members | {"version": _VERSION}) + b"\n"


def read_proof(data: bytes) -> LogProof:
    """The proof in a file; raises MalformedEvidence. It says nothing before it is verified."""
    members = read_object(data)
    kind = take(members, "proof", str)
    if kind not in _MEMBERS or take(members, "version", int) != _VERSION:
        raise MalformedEvidence(f"a proof of the kind {kind[:40]!r} is not understood")
    check_members(members, _MEMBERS[kind])
    if kind == _INCLUSION:
        head = stamped_head_from_members(members.get("head"))
        return InclusionProof(head, take_all(members, "records", _record))
    return ConsistencyProof(
        stamped_head_from_members(members.get("first")),
        stamped_head_from_members(members.get("second")),
        take_all(members, "path", from_hex),
    )


def _record_members(record: ProvenRecord) -> dict[str, Any]:
    return {
        "leaf": leaf_members(record.leaf),
        "number": record.number,
        "path": [digest.hex() for digest in record.path],
    }


def _record(value: Any) -> ProvenRecord:
    members = as_object(value)
    check_members(members, _RECORD_MEMBERS)
    leaf = leaf_from_members(members.get("leaf"))
    return ProvenRecord(leaf, take(members, "number", int), take_all(members, "path", from_hex))
