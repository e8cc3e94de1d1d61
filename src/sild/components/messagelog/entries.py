"""What a journal holds: signatures once, bodies in pieces, and the records that need them.

A record stands behind everything that it refers to, in the same segment or an earlier one of the
same journal. Until the record itself is there, what stands before it means nothing.

A record's key begins with the session of its writer. A journal has one writer at a time: where a
key of another session follows, no record will come any more for pieces of the session before.
"""

from dataclasses import dataclass

from sild.model.messages import MessageRecord
from sild.runtime.packing import Packer

LONGEST_ID = 255
"""Characters of a message's identifiers, in this log as in the reference's."""

_BETWEEN = "/"


@dataclass(frozen=True, slots=True)
class SignatureEntry:
    """A signature document that one or more of the next records share, by its SHA-256."""

    digest: bytes
    document: bytes


@dataclass(frozen=True, slots=True)
class BodyEntry:
    """The next piece of the body of the record with this key."""

    record_key: str
    piece: bytes


@dataclass(frozen=True, slots=True)
class AbandonedEntry:
    """No record comes for the pieces with this key: its saving was broken off."""

    record_key: str


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A message record; its signature is the entry of that digest, its body the pieces before.

    `body_size` is None where the message has no body or none is logged; a small body stands in the
    record itself, and then there are no pieces. A body that fills its limit may have been longer:
    only its signed digest can tell.
    """

    record_key: str
    signature_digest: bytes
    record: MessageRecord
    body_size: int | None = None
    body_may_be_cut: bool = False


Entry = SignatureEntry | BodyEntry | AbandonedEntry | RecordEntry

_PACKER: Packer[Entry] = Packer(Entry)


def write_entry(entry: Entry) -> bytes:
    """An entry as the payload of a journal record; raises PackingError."""
    return _PACKER.encode(entry)


def read_entry(payload: bytes) -> Entry:
    """The entry that a journal record holds; raises PackingError."""
    return _PACKER.decode(payload)


def record_key(session: str, number: int) -> str:
    """The key of a session's record."""
    return f"{session}{_BETWEEN}{number}"


def session_of(key: str) -> str:
    """The session that wrote a record or a piece."""
    return key.partition(_BETWEEN)[0]
