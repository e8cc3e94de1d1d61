"""Find what was changed in the log by hand, and name it.

The leaves say what each record was when it came; the nodes, the edge and the time-stamped heads
say what the leaves were. A head that was kept elsewhere, and a container of another server, tell
even of what was taken from the end with all that spoke of it here.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.messagelog.encryption import RecordCipher, Seal
from sild.components.messagelog.errors import EncryptionKeyNotFound
from sild.components.messagelog.records import kept_of, select_whole
from sild.components.messagelog.sealing import Sealing
from sild.components.messagelog.tables import PIECE, RECORD
from sild.components.messagelog.transparency import TreeDamaged, leaf_of_kept, read_edge, read_heads
from sild.components.messagelog.tree_tables import LEAF, NODE, TREE
from sild.protocol.errors import ProtocolError, TspCertificateNotFound
from sild.protocol.evidence.leaf import RecordLeaf
from sild.protocol.evidence.loghead import StampedHead, verify_head
from sild.protocol.evidence.merkle import Edge, Head, grow
from sild.protocol.pki.trust import ApprovedTsa
from sild.runtime.database import Database

_PAGE = 1000
# Of whole records, whose bodies may be large.
_RECORD_PAGE = 50
# More pairs than these are not tried to tell what was moved from what was altered.
_MOST_MOVES = 200
_MOST_FINDINGS = 1000
_UNREADABLE = (ProtocolError, TypeError, ValueError, LookupError, AttributeError)


class Kind(Enum):
    """What was done to the log."""

    ALTERED = "altered"
    DELETED = "deleted"
    MOVED = "moved"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    TREE = "tree"
    """The tree itself was changed."""
    JOURNAL = "journal"
    """A journal is not as it was written."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was, in a sentence; the record where it is of one."""

    kind: Kind
    text: str
    record_id: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was kept elsewhere: heads by where they are from, digests of messages by their file."""

    heads: Mapping[str, Head] = field(default_factory=dict)
    messages: Mapping[str, bytes] = field(default_factory=dict)
    tsas: Sequence[ApprovedTsa] = ()
    """By whom time-stamped heads are verified; those of others are compared all the same."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found, and how much it looked at."""

    head: Head
    records: int
    """Records that were compared with their leaves."""
    cleaned: int
    """Leaves whose records the log itself has cleaned away."""
    older: int
    """Records from before there was a tree."""
    heads: int
    """Time-stamped and known heads that the leaves were compared with."""
    verified_heads: int
    """Heads among them whose time-stamp was verified."""
    findings: tuple[Finding, ...]


_NOTHING = Known()


async def audit_log(
    database: Database, cipher: RecordCipher | None = None, known: Known = _NOTHING
) -> AuditReport:
    """Compare all records with the tree, and the tree with its heads, in one state of the log.

    Raises EncryptionKeyNotFound, and TreeDamaged where there is no tree at all.
    """
    async with database.reading() as connection:
        audit = _Audit(connection, Sealing(cipher), known)
        await audit.check_tree()
        await audit.check_records()
        return await audit.report()


class _Audit:
    def __init__(self, connection: AsyncConnection, opening: Sealing, known: Known) -> None:
        self._connection = connection
        self._opening = opening
        self._known = known
        self._findings: list[Finding] = []
        self._edge = Edge()
        self._records = self._cleaned = self._older = self._heads = self._verified = 0
        self._missing_messages = dict(known.messages)

    def _find(self, kind: Kind, text: str, record_id: int | None = None) -> None:
        if len(self._findings) < _MOST_FINDINGS:
            self._findings.append(Finding(kind, text, record_id))

    # The tree: leaves against nodes, edge and heads.

    async def check_tree(self) -> None:
        """Grow the tree anew from its leaves, and compare."""
        heads = await self._heads_by_size()
        self._check_heads(heads.get(0, {}))
        async for leaves in self._pages(select(LEAF), LEAF.c.number, (-1, _PAGE)):
            self._check_numbers(leaves)
            for leaf in leaves:
                self._cleaned += leaf.cleaned
                self._edge, nodes = grow(self._edge, [leaf.digest])
                for node in nodes:
                    await self._check_node(node.height, node.number, node.digest)
                if self._edge.size in heads:
                    self._check_heads(heads[self._edge.size])
        await self._check_end(heads)

    async def _heads_by_size(self) -> dict[int, dict[str, Head]]:
        try:
            stamped = await read_heads(self._connection)
        except TreeDamaged as error:
            self._find(Kind.TREE, f"the time-stamped heads cannot be read: {error.message}")
            stamped = ()
        heads: dict[int, dict[str, Head]] = {}
        for number, each in enumerate(stamped, 1):
            name = f"time-stamped head {number}"
            heads.setdefault(each.head.size, {})[name] = each.head
            self._verify_head(name, each)
        for name, head in self._known.heads.items():
            heads.setdefault(head.size, {})[name] = head
        return heads

    def _verify_head(self, name: str, stamped: StampedHead) -> None:
        try:
            verify_head(stamped, self._known.tsas)
        except TspCertificateNotFound:
            return
        except ProtocolError as error:
            self._find(Kind.TREE, f"the {name} does not prove itself: {error.message}")
        else:
            self._verified += 1

    def _check_heads(self, heads: Mapping[str, Head]) -> None:
        for name, head in heads.items():
            self._heads += 1
            if head.root != self._edge.root:
                message = f"the first {head.size} leaves are not those of the {name}"
                self._find(Kind.TREE, message)

    def _check_numbers(self, leaves: Sequence[Any]) -> None:
        expected = self._edge.size
        for leaf in leaves:
            if leaf.number != expected:
                message = f"leaves {expected} to {leaf.number - 1} of the tree are not there"
                self._find(Kind.TREE, message)
            expected = leaf.number + 1

    async def _check_node(self, height: int, number: int, digest: bytes) -> None:
        query = select(NODE.c.digest).where(NODE.c.height == height, NODE.c.number == number)
        if await self._connection.scalar(query) != digest:
            width = 1 << height
            span = f"leaves {number * width} to {number * width + width - 1}"
            self._find(Kind.TREE, f"{span} are not what the node over them says")

    async def _check_end(self, heads: Mapping[int, Mapping[str, Head]]) -> None:
        size = self._edge.size
        for longer in sorted(length for length in heads if length > size):
            for name in heads[longer]:
                message = f"the {name} is of {longer} records, and the log has {size}"
                self._find(Kind.TRUNCATED, message)
        try:
            edge = await read_edge(self._connection)
        except TreeDamaged as error:
            self._find(Kind.TREE, f"the edge of the tree cannot be read: {error.message}")
            return
        if edge.size > size:
            message = f"the tree was of {edge.size} records, and {size} of its leaves are there"
            self._find(Kind.TRUNCATED, message)
        elif edge != self._edge:
            self._find(Kind.TREE, "the leaves are not what the edge of the tree says")

    # The records: contents against leaves.

    async def check_records(self) -> None:
        """Compare each record with its leaf."""
        first = await self._connection.scalar(select(TREE.c.first_record)) or 0
        suspects: list[tuple[int, RecordLeaf | None]] = []
        unmatched: dict[int, bytes] = {}
        last = 0
        whole = select_whole().add_columns(RECORD.c.signature.label("signature_key"))
        async for rows in self._pages(whole, RECORD.c.id, (0, _RECORD_PAGE)):
            leaves = await self._leaves((last, rows[-1].id), [row.id for row in rows])
            for row in rows:
                leaf = await self._read(row)
                stands = leaves.pop(row.id, None)
                self._check_message(leaf)
                if stands is None:
                    self._note_without_leaf(row.id, first)
                    continue
                self._records += 1
                if leaf is None or leaf.digest != stands:
                    suspects.append((row.id, leaf))
                    unmatched[row.id] = stands
            unmatched.update(leaves)
            last = rows[-1].id
        unmatched.update(await self._leaves((last, None), []))
        self._name(suspects, unmatched)

    async def _leaves(self, span: tuple[int, int | None], held: list[int]) -> dict[int, bytes]:
        """The digests of the leaves of records held here, and of those not cleaned away."""
        after, up_to = span
        known = or_(LEAF.c.cleaned.is_(False), LEAF.c.record_id.in_(held))
        query = select(LEAF.c.record_id, LEAF.c.digest).where(LEAF.c.record_id > after, known)
        if up_to is not None:
            query = query.where(LEAF.c.record_id <= up_to)
        rows = await self._connection.execute(query.order_by(LEAF.c.record_id))
        return {row.record_id: row.digest for row in rows}

    async def _read(self, row: Any) -> RecordLeaf | None:
        """What the record's leaf should be; None where it cannot even be read."""
        try:
            seal = None if row.key_id is None else Seal(row.key_id, row.cipher_number)
            body = row.body
            if row.body_key is not None:
                query = select(PIECE.c.content).where(PIECE.c.body_key == row.body_key)
                pieces = await self._connection.execute(query.order_by(PIECE.c.number))
                body = b"".join(pieces.scalars())
            opened = None if body is None else self._opening.body(seal, body)
            leaf = leaf_of_kept(kept_of(row, self._opening.message(seal, row.message), opened))
        except EncryptionKeyNotFound:
            raise
        except _UNREADABLE:
            return None
        # What other rows say of it is not in its contents.
        named, size = bytes(row.signature_key), row.body_size
        return leaf if named == leaf.signature and size == leaf.body_size else None

    def _check_message(self, leaf: RecordLeaf | None) -> None:
        if leaf is not None and self._missing_messages:
            self._missing_messages = {
                name: digest
                for name, digest in self._missing_messages.items()
                if digest != leaf.message
            }

    def _note_without_leaf(self, record_id: int, first: int) -> None:
        if record_id <= first:
            self._older += 1
        else:
            message = f"record {record_id} has no leaf: it was put in by hand"
            self._find(Kind.INSERTED, message, record_id)

    def _name(
        self, suspects: list[tuple[int, RecordLeaf | None]], unmatched: dict[int, bytes]
    ) -> None:
        there = {record_id for record_id, _ in suspects}
        for record_id, leaf in suspects:
            if leaf is None:
                message = f"record {record_id} cannot be read: it was altered"
                self._find(Kind.ALTERED, message, record_id)
            elif (before := _find_origin(leaf, unmatched)) is not None:
                message = f"record {record_id} stood as record {before}"
                self._find(Kind.MOVED, message, record_id)
            else:
                message = f"record {record_id}, or its leaf, is not what it was"
                self._find(Kind.ALTERED, message, record_id)
        for record_id in sorted(unmatched.keys() - there):
            self._find(Kind.DELETED, f"record {record_id} was deleted by hand", record_id)

    async def report(self) -> AuditReport:
        """What was found."""
        for name in self._missing_messages:
            perhaps = f", unless it is among the {self._cleaned} that were cleaned away"
            message = f"no record has the message of {name}{perhaps if self._cleaned else ''}"
            self._find(Kind.TRUNCATED, message)
        return AuditReport(
            Head(self._edge.size, self._edge.root),
            self._records,
            self._cleaned,
            self._older,
            self._heads,
            self._verified,
            tuple(self._findings),
        )

    async def _pages(
        self, query: Select[Any], order: Any, bounds: tuple[int, int]
    ) -> AsyncIterator[Sequence[Any]]:
        """All rows that come after the first bound, so many at a time, in order."""
        last, size = bounds
        while True:
            page = query.where(order > last).order_by(order).limit(size)
            rows = (await self._connection.execute(page)).all()
            if not rows:
                return
            yield rows
            last = getattr(rows[-1], order.name)


def _find_origin(leaf: RecordLeaf, unmatched: Mapping[int, bytes]) -> int | None:
    """Where a record stood before, if it only was given another place."""
    if len(unmatched) > _MOST_MOVES:
        return None
    for record_id, stands in unmatched.items():
        if replace(leaf, record_id=record_id).digest == stands:
            return record_id
    return None


def message_digest(message: bytes) -> bytes:
    """What a message is known by in `Known`."""
    return hashlib.sha256(message).digest()
