"""The tree over the log, which shows what was changed or taken out of it.

Each record that is taken becomes a leaf in the same transaction and in the order of the ids. Its
leaf stays when the record is cleaned away, so that what was said of the log before stays provable.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.errors import MessageLogError, RecordNotFound
from sild.components.messagelog.intake import NewRecord
from sild.components.messagelog.records import KeptRecord
from sild.components.messagelog.tables import RECORD
from sild.components.messagelog.tree_tables import HEAD, LEAF, NODE, TREE
from sild.protocol.evidence.errors import EvidenceError
from sild.protocol.evidence.leaf import RecordLeaf
from sild.protocol.evidence.loghead import HeadStamp, StampedHead
from sild.protocol.evidence.logproof import ConsistencyProof, InclusionProof, ProvenRecord
from sild.protocol.evidence.merkle import (
    DIGEST_SIZE,
    Edge,
    Head,
    consistency_spans,
    grow,
    inclusion_spans,
    root_of,
    stored_below,
)
from sild.runtime.database import Database

DigestBody = Callable[[str], Awaitable[bytes]]
"""Gives the SHA-256 of the body whose pieces have this key, as it was taken."""
ReadRecord = Callable[[int], Awaitable[KeptRecord]]
"""Gives a whole record; raises RecordNotFound."""

_Proof = TypeVar("_Proof", InclusionProof, ConsistencyProof)
_ONLY = 1  # the id of the one row


class TreeDamaged(MessageLogError):
    """The tables of the tree do not fit together: `sild log audit` says where."""


async def add_taken(
    connection: AsyncConnection,
    journal_id: int,
    records: Sequence[NewRecord],
    digest_body: DigestBody,
) -> None:
    """Make leaves of the records that this transaction has just added from a journal."""
    if not records:
        return
    tree = (await connection.execute(select(TREE))).one()
    columns = RECORD.c.id, RECORD.c.segment, RECORD.c.place
    query = select(*columns).where(RECORD.c.id > tree.last_record)
    rows = (await connection.execute(query.where(RECORD.c.journal_id == journal_id))).all()
    ids = {(row.segment, row.place): row.id for row in rows}
    leaves = []
    for new in records:
        record_id = ids[new.position.segment, new.position.offset]
        body = None if new.body_key is None else await digest_body(new.body_key)
        leaves.append(leaf_of_taken(record_id, new, body))
    await add_leaves(connection, sorted(leaves, key=lambda leaf: leaf.record_id))


async def add_leaves(connection: AsyncConnection, leaves: Sequence[RecordLeaf]) -> None:
    """Append leaves, in the order of their ids, in a transaction that alone adds records."""
    tree = (await connection.execute(select(TREE))).one()
    edge = _edge_of(tree)
    digests = [leaf.digest for leaf in leaves]
    grown, nodes = grow(edge, digests)
    numbered = enumerate(zip(leaves, digests, strict=True), edge.size)
    rows = [
        {"number": number, "record_id": leaf.record_id, "digest": digest}
        for number, (leaf, digest) in numbered
    ]
    await connection.execute(insert(LEAF), rows)
    if nodes:
        values = [{"height": n.height, "number": n.number, "digest": n.digest} for n in nodes]
        await connection.execute(insert(NODE), values)
    state = {
        "size": grown.size,
        "tops": b"".join(grown.tops),
        "last_record": leaves[-1].record_id,
    }
    await connection.execute(update(TREE).where(TREE.c.id == _ONLY).values(state))


async def mark_cleaned(connection: AsyncConnection, record_ids: Sequence[int]) -> None:
    """Remember that the log itself deletes these records, in the transaction that does it."""
    change = update(LEAF).where(LEAF.c.record_id.in_(record_ids)).values(cleaned=True)
    await connection.execute(change)


async def add_head(connection: AsyncConnection, stamped: StampedHead, stamped_at: datetime) -> None:
    """Keep a head that has a time-stamp; one without is not kept."""
    head, stamp = stamped.head, stamped.stamp
    if stamp is not None:
        values = {
            "size": head.size,
            "root": head.root,
            "token": stamp.token,
            "hash_chain_result": stamp.result,
            "hash_chain": stamp.chain,
            "stamped_at": stamped_at,
        }
        await connection.execute(insert(HEAD).values(values))


def leaf_of_taken(record_id: int, new: NewRecord, body_in_pieces: bytes | None) -> RecordLeaf:
    """The leaf of a record as it comes; a body in pieces is given as its digest."""
    entry, record = new.entry, new.entry.record
    return RecordLeaf(
        record_id=record_id,
        query_id=record.query_id,
        request_id=record.request_id,
        owner=record.owner,
        is_response=record.is_response,
        time_ms=record.time_ms,
        message=_sha256(record.message),
        signature=entry.signature_digest,
        hash_chain_result=_optional_sha256(record.hash_chain_result),
        hash_chain=_optional_sha256(record.hash_chain),
        body=_optional_sha256(record.body) if body_in_pieces is None else body_in_pieces,
        body_size=entry.body_size,
        body_may_be_cut=entry.body_may_be_cut,
    )


def leaf_of_kept(kept: KeptRecord) -> RecordLeaf:
    """The leaf of a record as it is kept, from its contents."""
    record = kept.record
    return RecordLeaf(
        record_id=kept.id,
        query_id=record.query_id,
        request_id=record.request_id,
        owner=record.owner,
        is_response=record.is_response,
        time_ms=record.time_ms,
        message=_sha256(record.message),
        signature=_sha256(record.signature),
        hash_chain_result=_optional_sha256(record.hash_chain_result),
        hash_chain=_optional_sha256(record.hash_chain),
        body=_optional_sha256(record.body),
        body_size=None if record.body is None else len(record.body),
        body_may_be_cut=kept.body_may_be_cut,
    )


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _optional_sha256(data: bytes | None) -> bytes | None:
    return None if data is None else _sha256(data)


class LogTree:
    """Heads and proofs of the log in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> Head:
        """What the log is now."""
        async with self._database.reading() as connection:
            edge = await read_edge(connection)
        return Head(edge.size, edge.root)

    async def add_stamp(self, stamped: StampedHead, stamped_at: datetime) -> None:
        """Keep a head's time-stamp."""
        async with self._database.transaction() as connection:
            await add_head(connection, stamped, stamped_at)

    async def stamped_heads(self) -> tuple[StampedHead, ...]:
        """Every head that was time-stamped, in the order in which that was done."""
        async with self._database.reading() as connection:
            return await read_heads(connection)

    async def find_stamped_head(self) -> StampedHead | None:
        """The head that was time-stamped last."""
        query = select(HEAD).order_by(HEAD.c.id.desc()).limit(1)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _head_of(row)

    async def prove(
        self, query_id: str, read_record: ReadRecord, head: StampedHead | None = None
    ) -> InclusionProof:
        """A proof that all records with this id are in the log of a head, without one the newest.

        Raises RecordNotFound, and TreeDamaged where the log does not bear the proof out.
        """
        query = select(RECORD.c.id, LEAF.c.number).join_from(
            RECORD, LEAF, RECORD.c.id == LEAF.c.record_id
        )
        query = query.where(RECORD.c.query_id == query_id).order_by(LEAF.c.number)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            raise RecordNotFound(f"the log has no record with the id {query_id!r}")
        head = head or await self._head_with(rows[-1].number)
        proven = [row for row in rows if row.number < head.head.size]
        if not proven:
            message = f"the record came after the head of {head.head.size} records"
            raise RecordNotFound(message)
        records = []
        for row in proven:
            leaf = leaf_of_kept(await read_record(row.id))
            spans = inclusion_spans(row.number, head.head.size)
            records.append(ProvenRecord(leaf, row.number, await self._digests(spans)))
        return _borne_out(InclusionProof(head, tuple(records)))

    async def prove_growth(self, first: StampedHead, second: StampedHead) -> ConsistencyProof:
        """A proof that the log of the second head grew from that of the first.

        Raises TreeDamaged where the log does not bear that out.
        """
        size = (await self.head()).size
        if not first.head.size <= second.head.size <= size:
            message = (
                f"heads of {first.head.size} and {second.head.size} records are not in this order "
                f"in a log of {size}"
            )
            raise TreeDamaged(message)
        spans = consistency_spans(first.head.size, second.head.size)
        return _borne_out(ConsistencyProof(first, second, await self._digests(spans)))

    async def _head_with(self, number: int) -> StampedHead:
        """The newest stamped head if it has this leaf, else the head as it is now."""
        stamped = await self.find_stamped_head()
        if stamped is not None and number < stamped.head.size:
            return stamped
        return StampedHead(await self.head())

    async def _digests(self, spans: Iterable[range]) -> tuple[bytes, ...]:
        async with self._database.reading() as connection:
            return tuple([await _digest_over(connection, span) for span in spans])


def _borne_out(proof: _Proof) -> _Proof:
    try:
        proof.check()
    except EvidenceError as error:
        raise TreeDamaged(f"the log does not bear out its own proof: {error.message}") from None
    return proof


async def read_edge(connection: AsyncConnection) -> Edge:
    """Where the tree grows; raises TreeDamaged."""
    row = (await connection.execute(select(TREE))).one_or_none()
    if row is None:
        raise TreeDamaged("the log has no tree")
    return _edge_of(row)


async def read_heads(connection: AsyncConnection) -> tuple[StampedHead, ...]:
    """Every stamped head, in the order in which they were stamped; raises TreeDamaged."""
    rows = await connection.execute(select(HEAD).order_by(HEAD.c.id))
    return tuple(_head_of(row) for row in rows)


def _edge_of(row: Any) -> Edge:
    tops = bytes(row.tops)
    parts = [tops[start : start + DIGEST_SIZE] for start in range(0, len(tops), DIGEST_SIZE)]
    try:
        return Edge(row.size, tuple(parts))
    except EvidenceError as error:
        raise TreeDamaged(error.message) from None


def _head_of(row: Any) -> StampedHead:
    try:
        stamp = HeadStamp(row.token, row.hash_chain_result, row.hash_chain)
        return StampedHead(Head(row.size, row.root), stamp)
    except EvidenceError as error:
        raise TreeDamaged(error.message) from None


async def _digest_over(connection: AsyncConnection, span: range) -> bytes:
    parts: list[tuple[int, bytes]] = []
    for height, numbers in stored_below(span):
        if height:
            query = select(NODE.c.digest).where(NODE.c.height == height).order_by(NODE.c.number)
            query = query.where(NODE.c.number >= numbers.start, NODE.c.number < numbers.stop)
        else:
            query = select(LEAF.c.digest).order_by(LEAF.c.number)
            query = query.where(LEAF.c.number >= numbers.start, LEAF.c.number < numbers.stop)
        digests = list((await connection.execute(query)).scalars())
        if len(digests) != len(numbers):
            message = f"{len(numbers) - len(digests)} digests of the tree are not there any more"
            raise TreeDamaged(message)
        parts.extend((height, digest) for digest in digests)
    return root_of(parts)
