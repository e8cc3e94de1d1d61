"""What of a message record is a leaf in the tree over the log: all of it that never changes.

Digests stand for what is long. They are of what was saved when the message passed, so that
encrypting a record, moving or removing it later leaves its leaf as it was.
"""

from dataclasses import dataclass, fields
from typing import Any

from sild.protocol.errors import ProtocolError
from sild.protocol.evidence.errors import MalformedEvidence
from sild.protocol.evidence.jsonform import (
    as_object,
    check_members,
    take,
    take_bytes,
    take_optional,
    take_optional_bytes,
    to_hex,
    write_canonical,
)
from sild.protocol.evidence.merkle import hash_leaf
from sild.protocol.ids import ClientId

_VERSION = 1


@dataclass(frozen=True, slots=True)
class RecordLeaf:
    """One record; digests are SHA-256, `record_id` is the record's place in the order of the log.

    `body` is absent where there was none or none is logged; `body_may_be_cut` is said of one that
    fills the limit of what is logged.
    """

    record_id: int
    query_id: str
    request_id: str | None
    owner: ClientId
    is_response: bool
    time_ms: int
    message: bytes
    signature: bytes
    hash_chain_result: bytes | None
    hash_chain: bytes | None
    body: bytes | None
    body_size: int | None
    body_may_be_cut: bool

    @property
    def digest(self) -> bytes:
        """What stands in the tree."""
        return hash_leaf(write_leaf(self))


_MEMBERS = frozenset({field.name for field in fields(RecordLeaf)} | {"version"})


def write_leaf(leaf: RecordLeaf) -> bytes:
    """The bytes whose digest is the leaf."""
    return write_canonical(leaf_members(leaf))


def leaf_members(leaf: RecordLeaf) -> dict[str, Any]:
    """The leaf as members of a JSON object."""
    owner = leaf.owner
    parts = [owner.instance, owner.member_class, owner.member_code, owner.subsystem_code]
    return {
        "version": _VERSION,
        "record_id": leaf.record_id,
        "query_id": leaf.query_id,
        "request_id": leaf.request_id,
        "owner": parts,
        "is_response": leaf.is_response,
        "time_ms": leaf.time_ms,
        "message": leaf.message.hex(),
        "signature": leaf.signature.hex(),
        "hash_chain_result": to_hex(leaf.hash_chain_result),
        "hash_chain": to_hex(leaf.hash_chain),
        "body": to_hex(leaf.body),
        "body_size": leaf.body_size,
        "body_may_be_cut": leaf.body_may_be_cut,
    }


def leaf_from_members(value: object) -> RecordLeaf:
    """A leaf from members of a JSON object; raises MalformedEvidence."""
    members = as_object(value)
    check_members(members, _MEMBERS)
    if take(members, "version", int) != _VERSION:
        raise MalformedEvidence(f"a proof of version {members['version']} is not understood")
    return RecordLeaf(
        record_id=take(members, "record_id", int),
        query_id=take(members, "query_id", str),
        request_id=take_optional(members, "request_id", str),
        owner=_owner(take(members, "owner", list)),
        is_response=take(members, "is_response", bool),
        time_ms=take(members, "time_ms", int),
        message=take_bytes(members, "message"),
        signature=take_bytes(members, "signature"),
        hash_chain_result=take_optional_bytes(members, "hash_chain_result"),
        hash_chain=take_optional_bytes(members, "hash_chain"),
        body=take_optional_bytes(members, "body"),
        body_size=take_optional(members, "body_size", int),
        body_may_be_cut=take(members, "body_may_be_cut", bool),
    )


def _owner(parts: list[Any]) -> ClientId:
    try:
        instance, member_class, member_code, subsystem_code = parts
        "".join(part or "" for part in parts).encode("utf-8")
        return ClientId(instance, member_class, member_code, subsystem_code)
    except (ValueError, TypeError, AttributeError, ProtocolError):
        raise MalformedEvidence("a proof does not say whose record it is of") from None
