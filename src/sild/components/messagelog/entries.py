"""What a journal holds: signatures once, bodies in pieces, and the records that need them.

A record stands behind everything that it refers to, in the same segment or an earlier one of the
same journal. Until the record itself is there, what stands before it means nothing.
"""

from dataclasses import dataclass

from sild.model.messages import MessageRecord
from sild.runtime.packing import Packer


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
class RecordEntry:
    """A message record; its signature is the entry of that digest, its body the pieces before.

    `body_size` is None where the message has no body or none is logged; a small body stands in the
    record itself, and then there are no pieces.
    """

    record_key: str
    signature_digest: bytes
    record: MessageRecord
    body_size: int | None = None


Entry = SignatureEntry | BodyEntry | RecordEntry

_PACKER: Packer[Entry] = Packer(Entry)


def write_entry(entry: Entry) -> bytes:
    """An entry as the payload of a journal record."""
    return _PACKER.encode(entry)


def read_entry(payload: bytes) -> Entry:
    """The entry that a journal record holds; raises PackingError."""
    return _PACKER.decode(payload)
