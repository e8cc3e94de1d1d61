"""Commit a record to the journal, then let the message go on.

The journal's commit is the gate of evidence: `save` returns when the record is on disk, and raises
where it is not. Records that come in one turn of the loop are appended together, and a signature
that several share is written once: with the first of them, and not again once it is known to be
durable.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from sild.components.messagelog.entries import BodyEntry, RecordEntry, SignatureEntry, write_entry
from sild.components.messagelog.settings import MessageLogSettings
from sild.model.messages import MessageRecord
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import LoggingFailed
from sild.runtime.clock import Clock
from sild.runtime.files import SpooledBytes, SpoolError
from sild.runtime.journal import Journal, JournalError

_INLINE_BODY = 256 * 1024
_PIECE = 256 * 1024
_REMEMBERED_SIGNATURES = 512

Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(frozen=True, slots=True)
class _Saving:
    """A record that waits for the next append."""

    entry: RecordEntry
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
        self._saving: list[_Saving] = []
        self._durable: OrderedDict[bytes, None] = OrderedDict()

    @property
    def body_limit(self) -> int | None:
        """The largest body that may pass; None where bodies are not logged or may be truncated."""
        settings = self._settings
        if not settings.message_body_logging or settings.truncated_body_allowed:
            return None
        return settings.max_loggable_message_body_size

    @property
    def body_kept(self) -> int:
        """How many bytes of a body are kept."""
        settings = self._settings
        return settings.max_loggable_message_body_size if settings.message_body_logging else 0

    async def save(self, record: MessageRecord, body: bytes | SpooledBytes | None) -> None:
        """Return when the record is durable; raises LoggingFailed where it is not."""
        try:
            entry = await self._entry(record, body)
            await self._append(entry, record.signature)
        except (JournalError, SpoolError) as error:
            message = f"the message could not be recorded, so it does not go on: {error}"
            raise LoggingFailed(message) from error

    async def _entry(self, record: MessageRecord, body: bytes | SpooledBytes | None) -> RecordEntry:
        key = self._clock.uuid()
        digest = DigestAlgorithm.SHA256.digest(record.signature)
        bare = replace(record, signature=b"")
        if body is None or not self.body_kept:
            return RecordEntry(key, digest, bare)
        if isinstance(body, SpooledBytes) and (held := body.held()) is not None:
            body = held
        if isinstance(body, bytes) and len(body) <= _INLINE_BODY:
            kept = body[: self.body_kept]
            return RecordEntry(key, digest, replace(bare, body=kept), len(kept))
        return RecordEntry(key, digest, bare, await self._append_body(key, body))

    async def _append_body(self, key: str, body: bytes | SpooledBytes) -> int:
        size, limit = 0, self.body_kept
        async with aclosing(_pieces(body)) as pieces:
            async for piece in pieces:
                kept = piece[: limit - size]
                await self._journal.append(write_entry(BodyEntry(key, kept)))
                size += len(kept)
                if size >= limit:
                    break
        return size

    async def _append(self, entry: RecordEntry, signature: bytes) -> None:
        loop = asyncio.get_running_loop()
        saving = _Saving(entry, signature, loop.create_future())
        self._saving.append(saving)
        if len(self._saving) == 1:
            loop.call_soon(self._flush)
        await saving.done

    def _flush(self) -> None:
        saving, self._saving = self._saving, []
        self._spawn(self._append_all(saving))

    async def _append_all(self, saving: list[_Saving]) -> None:
        payloads: list[bytes] = []
        written: dict[bytes, None] = {}
        for each in saving:
            digest = each.entry.signature_digest
            if digest not in self._durable and digest not in written:
                payloads.append(write_entry(SignatureEntry(digest, each.signature)))
                written[digest] = None
            payloads.append(write_entry(each.entry))
        try:
            await self._journal.append_many(payloads)
        except BaseException as error:
            failed = error if isinstance(error, JournalError) else JournalError(str(error))
            for each in saving:
                if not each.done.done():
                    each.done.set_exception(failed)
            if not isinstance(error, Exception):
                raise
        else:
            self._remember(written)
            for each in saving:
                if not each.done.done():
                    each.done.set_result(None)

    def _remember(self, digests: dict[bytes, None]) -> None:
        self._durable.update(digests)
        while len(self._durable) > _REMEMBERED_SIGNATURES:
            self._durable.popitem(last=False)


async def _pieces(body: bytes | SpooledBytes) -> AsyncGenerator[bytes, None]:
    if isinstance(body, SpooledBytes):
        async for piece in body.chunks(_PIECE):
            yield piece
    else:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
