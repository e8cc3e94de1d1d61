"""Commit a record to the journal, then let the message go on.

The journal's commit is the gate of evidence: `save` returns when the record is on disk, and raises
where it is not. Records that come in one turn of the loop are appended together, and a signature
that several share is written once: with the first of them, and not again while it is remembered to
be durable.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any

from sild.components.messagelog.entries import (
    LONGEST_ID,
    AbandonedEntry,
    BodyEntry,
    RecordEntry,
    SignatureEntry,
    record_key,
    write_entry,
)
from sild.components.messagelog.policy import BodyPolicy
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.standing import Gate
from sild.model.messages import MessageRecord
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import LoggingFailed
from sild.runtime.clock import Clock
from sild.runtime.files import SpooledBytes, SpoolError
from sild.runtime.journal import Journal, JournalError, JournalUnavailable, Position
from sild.runtime.packing import PackingError

SIGNATURE_MEMORY_SECONDS = 60.0
"""How long a record may follow the last entry of its signature: the store keeps it for longer."""

_LOG = logging.getLogger(__name__)
_INLINE_BODY = 256 * 1024
_PIECE = 1024 * 1024
# A larger record is appended by itself, so that its being refused is its own affair.
_SHARED_APPEND = 1024 * 1024
_REMEMBERED_SIGNATURES = 512

Spawn = Callable[[Coroutine[Any, Any, None]], object]
Settle = Callable[[Position], Awaitable[None]]
Body = bytes | SpooledBytes


@dataclass(slots=True, eq=False)
class _Saving:
    """A record that waits for the next append."""

    payload: bytes
    signature: "_Signature"
    done: "asyncio.Future[Position]"


@dataclass(slots=True, eq=False)
class _Signature:
    """A signature document; it is durable, and remembered to be, until this moment."""

    document: bytes
    digest: bytes
    durable_until: float = -inf


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold before a message is logged, and what after it is in the journal."""

    gate: Gate | None = None
    settle: Settle | None = None


_NO_CONDITIONS = Conditions()


class JournalLog:
    """The message log as the message path sees it: one journal of this worker's own."""

    def __init__(
        self,
        journal: Journal,
        settings: MessageLogSettings,
        clock: Clock,
        spawn: Spawn,
        conditions: Conditions = _NO_CONDITIONS,
    ) -> None:
        self._journal = journal
        self._conditions = conditions
        self._clock = clock
        self._spawn = spawn
        self._session = clock.uuid()
        self._number = 0
        self._saving: list[_Saving] = []
        # The oldest first. By their bytes: those of a batch come many times, and Python hashes
        # bytes faster than SHA-256 does, and those of one object once.
        self._signatures: OrderedDict[bytes, _Signature] = OrderedDict()
        self._policy = BodyPolicy(settings)
        self._body_limit = self._policy.limit
        self._body_spooled = self._policy.spooled

    @property
    def body_limit(self) -> int | None:
        """The largest body that may pass; None where it depends on the message or any may."""
        return self._body_limit

    @property
    def body_kept(self) -> int:
        """How many bytes of a body `save` wants at most; 0 where bodies are not logged."""
        return self._body_spooled

    async def save(self, record: MessageRecord, body: Body | None) -> None:
        """Return when the record is durable.

        Raises LoggingFailed where it is not; NoTimestampingProvider and TimestampingFailed where
        it cannot be time-stamped in time.
        """
        if self._conditions.gate is not None:
            self._conditions.gate()
        _check_storable(record)
        if not self._policy.keeps_all:
            kept = self._policy.apply(record)
            record = kept.record
            if not kept.with_body:
                body = None
        if self._policy.size == 0:
            body = None
        self._check_size(body)
        try:
            signature = self._signature(record.signature)
            entry = await self._entry(record, signature, body)
            position = await self._append(entry, signature)
        except (JournalError, SpoolError, PackingError) as error:
            message = f"the message could not be recorded, so it does not go on: {error}"
            raise LoggingFailed(message) from error
        if self._conditions.settle is not None:
            await self._conditions.settle(position)

    def _check_size(self, body: Body | None) -> None:
        limit = self._policy.size
        size = body.size if isinstance(body, SpooledBytes) else len(body or b"")
        if size > limit and not self._policy.truncates:
            message = f"a body of {size} bytes is more than the {limit} that may be logged"
            raise LoggingFailed(message)

    def _signature(self, document: bytes) -> _Signature:
        found = self._signatures.get(document)
        if found is None:
            found = _Signature(document, DigestAlgorithm.SHA256.digest(document))
            self._signatures[document] = found
            if len(self._signatures) > _REMEMBERED_SIGNATURES:
                self._signatures.popitem(last=False)
        return found

    async def _entry(
        self, record: MessageRecord, signature: _Signature, body: Body | None
    ) -> RecordEntry:
        self._number += 1
        key, digest = record_key(self._session, self._number), signature.digest
        if isinstance(body, SpooledBytes) and (held := body.held()) is not None:
            body = held
        if body is None:
            return RecordEntry(key, digest, replace(record, signature=b""))
        if isinstance(body, bytes) and len(body) <= _INLINE_BODY:
            kept = body[: self._policy.size]
            bare, size = replace(record, signature=b"", body=kept), len(kept)
        else:
            bare, size = replace(record, signature=b""), await self._append_body(key, body)
        return RecordEntry(key, digest, bare, size, self._may_be_cut(size))

    def _may_be_cut(self, size: int) -> bool:
        # Whoever spooled the body has cut it already: what fills the limit may have been longer.
        return self._policy.truncates and size >= self._policy.size

    async def _append_body(self, key: str, body: Body) -> int:
        size, limit = 0, self._policy.size
        try:
            async with aclosing(_pieces(body)) as pieces:
                async for piece in pieces:
                    kept = piece[: limit - size]
                    await self._journal.append(write_entry(BodyEntry(key, kept)))
                    size += len(kept)
                    if size >= limit:
                        break
        except BaseException:
            self._start(self._abandon(key))
            raise
        return size

    async def _abandon(self, key: str) -> None:
        # Where even this cannot be written, the pieces go when the next session begins.
        with suppress(JournalError):
            await self._journal.append(write_entry(AbandonedEntry(key)))

    async def _append(self, entry: RecordEntry, signature: _Signature) -> Position:
        loop = asyncio.get_running_loop()
        payload = write_entry(entry)
        saving = _Saving(payload, signature, loop.create_future())
        if len(payload) > _SHARED_APPEND:
            self._flush([saving])
        else:
            self._saving.append(saving)
            if len(self._saving) == 1:
                loop.call_soon(self._flush_gathered)
        return await saving.done

    def _flush_gathered(self) -> None:
        saving, self._saving = self._saving, []
        self._flush(saving)

    def _flush(self, saving: list[_Saving]) -> None:
        # No task: under load each turn of the loop that it would take is milliseconds long.
        try:
            payloads, places, written = self._payloads(saving)
            self._journal.submit(payloads, partial(self._told, saving, places, written))
        except JournalError as error:
            _refuse(saving, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            _LOG.exception("unexpected error, %d records were not saved", len(saving))
            _refuse(saving, f"the append ended with {type(error).__name__}")

    def _told(
        self,
        saving: list[_Saving],
        places: list[int],
        written: "set[_Signature]",
        outcome: list[Position] | JournalUnavailable,
    ) -> None:
        if isinstance(outcome, JournalUnavailable):
            _refuse(saving, str(outcome))
            return
        self._remember(written)
        for each, place in zip(saving, places, strict=True):
            if not each.done.done():
                each.done.set_result(outcome[place])

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self._spawn(work)
        except RuntimeError:
            # The tasks of this worker are being ended.
            work.close()

    def _payloads(self, saving: list[_Saving]) -> tuple[list[bytes], list[int], set[_Signature]]:
        """What to append, where in it each record is, and the signatures in it."""
        now = self._clock.monotonic()
        payloads: list[bytes] = []
        places: list[int] = []
        written: set[_Signature] = set()
        for each in saving:
            signature = each.signature
            if signature.durable_until <= now and signature not in written:
                payloads.append(write_entry(SignatureEntry(signature.digest, signature.document)))
                written.add(signature)
            places.append(len(payloads))
            payloads.append(each.payload)
        return payloads, places, written

    def _remember(self, written: set[_Signature]) -> None:
        until = self._clock.monotonic() + SIGNATURE_MEMORY_SECONDS
        for signature in written:
            signature.durable_until = until


def _refuse(saving: list[_Saving], reason: str) -> None:
    for each in saving:
        if not each.done.done():
            each.done.set_exception(JournalError(reason))


def _check_storable(record: MessageRecord) -> None:
    """Raise LoggingFailed for what the journal would take and the store would not."""
    for name in (record.query_id, record.request_id or ""):
        if len(name) > LONGEST_ID or "\0" in name:
            message = (
                f"the identifier {name[:40]!r} of a message has {len(name)} characters; the log "
                f"takes up to {LONGEST_ID}, and none that is null"
            )
            raise LoggingFailed(message)


async def _pieces(body: Body) -> AsyncGenerator[bytes, None]:
    if isinstance(body, SpooledBytes):
        async for piece in body.chunks(_PIECE):
            yield piece
    else:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
