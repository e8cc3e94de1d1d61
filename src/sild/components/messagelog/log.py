"""Commit a record to the journal, then let the message go on.

The journal's commit is the gate of evidence: `save` returns when the record is on disk, and raises
where it is not. Records that come in one turn of the loop are appended together, and a signature
that several share is written once: with the first of them, and not again while it is remembered to
be durable.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
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
from sild.components.messagelog.settings import MessageLogSettings
from sild.model.messages import MessageRecord
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import LoggingFailed
from sild.runtime.clock import Clock
from sild.runtime.files import SpooledBytes, SpoolError
from sild.runtime.journal import Journal, JournalError
from sild.runtime.packing import PackingError

SIGNATURE_MEMORY_SECONDS = 60.0
"""How long a record may follow the last entry of its signature: the store keeps it for longer."""

_LOG = logging.getLogger(__name__)
_INLINE_BODY = 256 * 1024
_PIECE = 1024 * 1024
# A larger record is appended by itself, so that its being refused is its own affair.
_SHARED_APPEND = 1024 * 1024
_REMEMBERED_SIGNATURES = 512

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
Body = bytes | SpooledBytes


@dataclass(frozen=True, slots=True)
class _Saving:
    """A record that waits for the next append."""

    payload: bytes
    digest: bytes
    signature: bytes
    done: "asyncio.Future[None]"


class JournalLog:
    """The message log as the message path sees it: one journal of this worker's own."""

    def __init__(
        self, journal: Journal, settings: MessageLogSettings, clock: Clock, spawn: Spawn
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._spawn = spawn
        self._session = clock.uuid()
        self._number = 0
        self._saving: list[_Saving] = []
        # By digest, until when each is remembered; the oldest first.
        self._durable: OrderedDict[bytes, float] = OrderedDict()

    @property
    def body_limit(self) -> int | None:
        """The largest body that may pass; None where bodies are not logged or may be truncated."""
        if self._settings.truncated_body_allowed:
            return None
        return self.body_kept or None

    @property
    def body_kept(self) -> int:
        """How many bytes of a body are kept; 0 where bodies are not logged."""
        settings = self._settings
        return max(
            0, settings.max_loggable_message_body_size if settings.message_body_logging else 0
        )

    async def save(self, record: MessageRecord, body: Body | None) -> None:
        """Return when the record is durable; raises LoggingFailed where it is not."""
        _check_storable(record)
        self._check_size(body)
        try:
            entry = await self._entry(record, body if self.body_kept else None)
            await self._append(entry, record.signature)
        except (JournalError, SpoolError, PackingError) as error:
            message = f"the message could not be recorded, so it does not go on: {error}"
            raise LoggingFailed(message) from error

    def _check_size(self, body: Body | None) -> None:
        limit = self.body_limit
        size = body.size if isinstance(body, SpooledBytes) else len(body or b"")
        if limit is not None and size > limit:
            message = f"a body of {size} bytes is more than the {limit} that may be logged"
            raise LoggingFailed(message)

    async def _entry(self, record: MessageRecord, body: Body | None) -> RecordEntry:
        self._number += 1
        key = record_key(self._session, self._number)
        digest = DigestAlgorithm.SHA256.digest(record.signature)
        bare = replace(record, signature=b"")
        if body is None:
            return RecordEntry(key, digest, bare)
        if isinstance(body, SpooledBytes) and (held := body.held()) is not None:
            body = held
        if isinstance(body, bytes) and len(body) <= _INLINE_BODY:
            kept = body[: self.body_kept]
            bare, size = replace(bare, body=kept), len(kept)
        else:
            size = await self._append_body(key, body)
        return RecordEntry(key, digest, bare, size, self._may_be_cut(size))

    def _may_be_cut(self, size: int) -> bool:
        # Whoever spooled the body has cut it already: what fills the limit may have been longer.
        return self.body_limit is None and size >= self.body_kept

    async def _append_body(self, key: str, body: Body) -> int:
        size, limit = 0, self.body_kept
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

    async def _append(self, entry: RecordEntry, signature: bytes) -> None:
        loop = asyncio.get_running_loop()
        payload = write_entry(entry)
        saving = _Saving(payload, entry.signature_digest, signature, loop.create_future())
        if len(payload) > _SHARED_APPEND:
            self._flush([saving])
        else:
            self._saving.append(saving)
            if len(self._saving) == 1:
                loop.call_soon(self._flush_gathered)
        await saving.done

    def _flush_gathered(self) -> None:
        saving, self._saving = self._saving, []
        self._flush(saving)

    def _flush(self, saving: list[_Saving]) -> None:
        task = self._start(self._append_all(saving))
        if task is None:
            _refuse(saving, "the server is stopping")
        else:
            # Also a task that is cancelled before it begins leaves nobody waiting.
            task.add_done_callback(lambda _: _refuse(saving, "the append was broken off"))

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        try:
            return self._spawn(work)
        except RuntimeError:
            # The tasks of this worker are being ended.
            work.close()
            return None

    async def _append_all(self, saving: list[_Saving]) -> None:
        try:
            payloads, written = self._payloads(saving)
            await self._journal.append_many(payloads)
        except JournalError as error:
            _refuse(saving, str(error))
        except Exception:  # noqa: BLE001 - the task must not take its group along
            _LOG.exception("unexpected error, %d records were not saved", len(saving))
        else:
            self._remember(written)
            for each in saving:
                if not each.done.done():
                    each.done.set_result(None)

    def _payloads(self, saving: list[_Saving]) -> tuple[list[bytes], set[bytes]]:
        """What to append, and the digests of the signatures in it."""
        now = self._clock.monotonic()
        payloads: list[bytes] = []
        written: set[bytes] = set()
        for each in saving:
            digest = each.digest
            if digest not in written and self._durable.get(digest, now) <= now:
                payloads.append(write_entry(SignatureEntry(digest, each.signature)))
                written.add(digest)
            payloads.append(each.payload)
        return payloads, written

    def _remember(self, digests: set[bytes]) -> None:
        until = self._clock.monotonic() + SIGNATURE_MEMORY_SECONDS
        for digest in digests:
            self._durable[digest] = until
            self._durable.move_to_end(digest)
        while len(self._durable) > _REMEMBERED_SIGNATURES:
            self._durable.popitem(last=False)


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
