"""Message records as the log gives them back, and as rows of the tables."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, select

from sild.components.messagelog.intake import NewRecord
from sild.components.messagelog.sealing import Sealing
from sild.components.messagelog.tables import RECORD, SIGNATURE, TIMESTAMP, TIMESTAMP_CHAIN
from sild.model.messages import MessageRecord
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What is told of a record without its contents; `id` is its place in the order of the log."""

    id: int
    query_id: str
    request_id: str | None
    owner: ClientId
    is_response: bool
    time_ms: int
    body_size: int | None
    timestamped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A verified token in DER, with the authority's certificate in it, and the time it states.

    A token over several signatures is over the result of a hash tree, and the chain leads from
    there to the record's signature; one without them is over the signature's value.
    """

    token: bytes
    stamped_at: datetime
    hash_chain_result: bytes | None = None
    hash_chain: bytes | None = None


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record with all that proves it."""

    id: int
    record: MessageRecord
    body_may_be_cut: bool
    timestamp: Timestamp | None


_CONTENTS = {"message", "body", "hash_chain", "hash_chain_result", "signature"}


def select_summaries() -> Select[Any]:
    """The rows of summaries, in the order of the log."""
    columns = [column for column in RECORD.c if column.name not in _CONTENTS]
    return (
        select(*columns, TIMESTAMP.c.stamped_at)
        .join_from(RECORD, TIMESTAMP, isouter=True)
        .order_by(RECORD.c.id)
    )


def select_whole() -> Select[Any]:
    """The rows of records with signature and time-stamp."""
    return (
        select(
            RECORD,
            SIGNATURE.c.document,
            TIMESTAMP.c.token,
            TIMESTAMP.c.stamped_at,
            TIMESTAMP.c.hash_chain_result.label("stamp_chain_result"),
            TIMESTAMP_CHAIN.c.document.label("stamp_chain"),
        )
        .join_from(RECORD, SIGNATURE)
        .join(TIMESTAMP, RECORD.c.timestamp_id == TIMESTAMP.c.id, isouter=True)
        .join(
            TIMESTAMP_CHAIN,
            and_(
                TIMESTAMP_CHAIN.c.timestamp_id == RECORD.c.timestamp_id,
                TIMESTAMP_CHAIN.c.signature == RECORD.c.signature,
            ),
            isouter=True,
        )
    )


def summary_of(row: Any) -> RecordSummary:
    """A summary from its row."""
    return RecordSummary(
        row.id,
        row.query_id,
        row.request_id,
        _owner_of(row),
        row.is_response,
        row.time_ms,
        row.body_size,
        row.stamped_at,
    )


def kept_of(row: Any, message: bytes, body: bytes | None) -> KeptRecord:
    """A whole record from its row, its message and its body."""
    record = MessageRecord(
        query_id=row.query_id,
        owner=_owner_of(row),
        is_response=row.is_response,
        time_ms=row.time_ms,
        message=message,
        signature=row.document,
        hash_chain_result=row.hash_chain_result,
        hash_chain=row.hash_chain,
        body=body,
        request_id=row.request_id,
    )
    return KeptRecord(row.id, record, row.body_may_be_cut, timestamp_of(row))


def timestamp_of(row: Any) -> Timestamp | None:
    """A record's time-stamp from its whole row."""
    if row.token is None:
        return None
    return Timestamp(row.token, row.stamped_at, row.stamp_chain_result, row.stamp_chain)


def owner_values(owner: ClientId) -> dict[str, str]:
    """The columns that name a record's owner."""
    return {
        "instance": owner.instance,
        "member_class": owner.member_class,
        "member_code": owner.member_code,
        "subsystem_code": owner.subsystem_code or "",
    }


def record_values(new: NewRecord, journal_id: int, sealing: Sealing) -> dict[str, Any]:
    """The columns of a record that has come from a journal."""
    seal = sealing.seal_of(new.entry.record_key)
    entry, record = new.entry, new.entry.record
    return {
        "journal_id": journal_id,
        "segment": new.position.segment,
        "place": new.position.offset,
        "query_id": record.query_id,
        "request_id": record.request_id,
        **owner_values(record.owner),
        "is_response": record.is_response,
        "time_ms": record.time_ms,
        "body_size": entry.body_size,
        "body_may_be_cut": entry.body_may_be_cut,
        "body_key": new.body_key,
        "signature": entry.signature_digest,
        "hash_chain_result": record.hash_chain_result,
        "hash_chain": record.hash_chain,
        "key_id": seal and seal.key_id,
        "cipher_number": seal and seal.number,
        "message": sealing.message(seal, record.message),
        "body": None if record.body is None else sealing.body(seal, record.body),
    }


def _owner_of(row: Any) -> ClientId:
    return ClientId(row.instance, row.member_class, row.member_code, row.subsystem_code or None)
