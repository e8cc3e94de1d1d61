"""The head of a log with its time-stamp.

A batch of records is time-stamped through a hash tree. The head is one more leaf of that tree, so
one token stamps the records and the head; the chains of the records show nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import SignatureError
from sild.protocol.evidence.errors import MalformedEvidence, ProofRefused
from sild.protocol.evidence.jsonform import (
    as_object,
    check_members,
    read_object,
    take,
    take_bytes,
    take_optional,
    write_canonical,
)
from sild.protocol.evidence.merkle import Head
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.timestamp import VerifiedTimestamp, read_timestamp_token, verify_timestamp
from sild.protocol.pki.trust import ApprovedTsa
from sild.protocol.signature.base64text import NotBase64, decode_base64, encode_base64
from sild.protocol.signature.hashchain import Leaf, resolve_chain
from sild.protocol.signature.names import TS_HASH_CHAIN

LOG_HEAD = "/log-head.json"
"""The name of a head in the hash chain of its time-stamp."""

_HEAD_MEMBERS = frozenset({"size", "root"})
_STAMPED_MEMBERS = frozenset({"head", "stamp"})
_STAMP_MEMBERS = frozenset({"token", "result", "chain"})


@dataclass(frozen=True, slots=True)
class HeadStamp:
    """A token over a head or, where records were stamped with it, over a hash chain result."""

    token: bytes
    result: bytes | None = None
    chain: bytes | None = None

    def __post_init__(self) -> None:
        if (self.result is None) != (self.chain is None):
            raise MalformedEvidence("a time-stamped head has a hash chain or its result, not both")


@dataclass(frozen=True, slots=True)
class StampedHead:
    """A head, and what says since when it exists, if anything does."""

    head: Head
    stamp: HeadStamp | None = None


def write_head(head: Head) -> bytes:
    """The bytes that are time-stamped."""
    return write_canonical(_head_members(head))


def head_leaf(head: Head) -> Leaf:
    """The leaf that a head is in the hash tree of a time-stamp."""
    return Leaf(((LOG_HEAD, DigestAlgorithm.SHA512.digest(write_head(head))),))


def write_stamped_head(stamped: StampedHead) -> bytes:
    """A head file."""
    return write_canonical(stamped_head_members(stamped)) + b"\n"


def read_stamped_head(data: bytes) -> StampedHead:
    """A head from a file; raises MalformedEvidence."""
    return stamped_head_from_members(read_object(data))


def stamped_head_members(stamped: StampedHead) -> dict[str, Any]:
    """A stamped head as members of a JSON object."""
    stamp = stamped.stamp
    return {
        "head": _head_members(stamped.head),
        "stamp": None
        if stamp is None
        else {
            "token": encode_base64(stamp.token).decode("ascii"),
            "result": _text(stamp.result),
            "chain": _text(stamp.chain),
        },
    }


def stamped_head_from_members(value: object) -> StampedHead:
    """A stamped head from members of a JSON object; raises MalformedEvidence."""
    members = as_object(value)
    check_members(members, _STAMPED_MEMBERS)
    return StampedHead(_head(members.get("head")), _stamp(members.get("stamp")))


def verify_head(
    stamped: StampedHead, tsas: Sequence[ApprovedTsa], strength: Strength = Strength.CURRENT
) -> VerifiedTimestamp:
    """Prove since when a head exists.

    Raises ProofRefused for one that is not stamped or not by its chain, and what
    `verify_timestamp` raises.
    """
    stamp = stamped.stamp
    if stamp is None:
        raise ProofRefused(f"the head of {stamped.head.size} records has no time-stamp")
    token = read_timestamp_token(stamp.token)
    content = write_head(stamped.head)
    if stamp.result is None or stamp.chain is None:
        return verify_timestamp(token, content, tsas, strength)
    documents = {TS_HASH_CHAIN: stamp.chain, LOG_HEAD: content}
    try:
        resolve_chain(stamp.result, documents, {LOG_HEAD: None})
    except SignatureError as error:
        message = f"the head is not what its time-stamp is over: {error.message}"
        raise ProofRefused(message) from None
    return verify_timestamp(token, stamp.result, tsas, strength)


def _head_members(head: Head) -> dict[str, Any]:
    return {"size": head.size, "root": head.root.hex()}


def _head(value: object) -> Head:
    members = as_object(value)
    check_members(members, _HEAD_MEMBERS)
    try:
        return Head(take(members, "size", int), take_bytes(members, "root"))
    except ProofRefused as error:
        raise MalformedEvidence(error.message) from None


def _stamp(value: object) -> HeadStamp | None:
    if value is None:
        return None
    members = as_object(value)
    check_members(members, _STAMP_MEMBERS)
    token = take(members, "token", str)
    return HeadStamp(_decoded(token), *(_document(members, name) for name in ("result", "chain")))


def _document(members: dict[str, Any], name: str) -> bytes | None:
    text = take_optional(members, name, str)
    return None if text is None else _decoded(text)


def _text(data: bytes | None) -> str | None:
    return None if data is None else encode_base64(data).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return decode_base64(text)
    except NotBase64 as error:
        raise MalformedEvidence(f"a time-stamped head cannot be read: {error.message}") from None
