"""Append-only, checksummed, group-committed records on disk: what is acknowledged is durable.

One thread writes. While it syncs one group of records the next gathers, so that the cost of a
sync is shared by all who wait; a lone record goes at once. After a failed write or sync nothing
is known of what the disk holds, so the group is refused, the segment is cut back and left, and
the next group begins a new one.
"""

import asyncio
import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sild.runtime.clock import Clock, SystemClock
from sild.runtime.files import make_private_directory
from sild.runtime.journal_mark import Mark, check_mark, find_mark
from sild.runtime.journal_reading import read_records, read_recoverable, release_records
from sild.runtime.journal_segments import (
    HEADER_SIZE,
    RECORD_SIZE,
    Header,
    JournalCorrupt,
    JournalError,
    JournalLocked,
    Position,
    Record,
    Segment,
    checksum,
    create_segment,
    locked,
    record_head,
    segment_numbers,
    segment_path,
)

__all__ = [
    "Journal",
    "JournalCorrupt",
    "JournalError",
    "JournalLimits",
    "JournalLocked",
    "JournalUnavailable",
    "Position",
    "Record",
    "read_records",
    "read_recoverable",
    "release_records",
]

_LOG = logging.getLogger(__name__)
# One write takes so many pieces (IOV_MAX); a record is two.
_PIECES = 1024


class JournalUnavailable(JournalError):
    """A record is not durable and must not be acted on."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """When a segment is full, in bytes and seconds, and how large records and queues may be."""

    segment_bytes: int = 64 * 1024**2
    segment_age: float = 300.0
    first_segment: int = 1
    """What a journal without any segment begins with."""
    record_bytes: int = 32 * 1024**2
    group_bytes: int = 4 * 1024**2
    waiting_bytes: int = 128 * 1024**2


Tell = Callable[["list[Position] | JournalUnavailable"], None]
"""Hears where records stand once they are durable, or why they are not; it must not raise."""


@dataclass(frozen=True, slots=True)
class _Append:
    """Payloads that wait for one acknowledgement."""

    payloads: Sequence[bytes]
    sums: Sequence[int]
    size: int
    loop: asyncio.AbstractEventLoop
    tell: Tell


@dataclass(slots=True)
class _Writing:
    """The segment that is appended to: all that is before `end` is durable."""

    header: Header
    descriptor: int
    opened_at: float
    end: int = HEADER_SIZE
    count: int = 0
    broken: bool = False

    @property
    def position(self) -> Position:
        return Position(self.header.number, self.end)


class Journal:
    """The one writer of a journal's directory."""

    def __init__(self, directory: Path, name: str, limits: JournalLimits, clock: Clock) -> None:
        self._directory = directory
        self._name = name
        self._limits = limits
        self._clock = clock
        self._queue: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._waiting = 0
        self._closed = False
        with contextlib.ExitStack() as opened:
            make_private_directory(directory)
            opened.enter_context(locked(directory))
            check_mark(directory)
            self._mark = Mark(directory)
            opened.callback(self._mark.close)
            self._segment = self._recover()
            opened.callback(self._close_segment)
            self._mark.write(self._segment.position)
            self._opened = opened.pop_all()
        self._thread = threading.Thread(target=self._run, name=f"journal-{name}", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        directory: Path,
        name: str,
        limits: JournalLimits | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Open the directory's journal to append, made if there is none, and mend its torn end.

        Raise JournalLocked, JournalCorrupt, or JournalUnavailable when the disk refuses.
        """
        try:
            return cls(directory, name, limits or JournalLimits(), clock or SystemClock())
        except OSError as error:
            raise JournalUnavailable(f"the journal {name} cannot be opened: {error}") from error

    async def append(self, payload: bytes) -> Position:
        """Add a record; return when it is durable, raise JournalUnavailable when it is not."""
        return (await self.append_many((payload,)))[0]

    async def append_many(self, payloads: Sequence[bytes]) -> list[Position]:
        """Add records behind each other; return when all are durable.

        When it raises JournalUnavailable none is to be acted on.
        """
        done: asyncio.Future[list[Position]] = asyncio.get_running_loop().create_future()

        def tell(outcome: list[Position] | JournalUnavailable) -> None:
            if done.done():
                return
            if isinstance(outcome, JournalUnavailable):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

        self.submit(payloads, tell)
        return await done

    def submit(self, payloads: Sequence[bytes], tell: Tell) -> None:
        """Add records behind each other, and tell later, on the running loop, what came of it.

        When it raises JournalUnavailable nothing was added, and nothing will be told.
        """
        if self._closed:
            raise JournalUnavailable(f"the journal {self._name} is closed")
        loop = asyncio.get_running_loop()
        if not payloads:
            loop.call_soon(tell, [])
            return
        if (largest := max(map(len, payloads))) > self._limits.record_bytes:
            raise JournalUnavailable(
                f"a record of {largest} bytes is more than {self._limits.record_bytes}"
            )
        size = sum(map(len, payloads))
        if self._waiting and self._waiting + size > self._limits.waiting_bytes:
            raise JournalUnavailable(
                f"{self._waiting} bytes already wait for the journal {self._name}"
            )
        self._waiting += size
        sums = [checksum(payload) for payload in payloads]
        self._queue.put(_Append(payloads, sums, size, loop, tell))

    async def close(self) -> None:
        """Make durable what waits, and let go of the directory."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._opened.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def _recover(self) -> _Writing:
        for leftover in self._directory.glob("*.tmp"):
            leftover.unlink()
        numbers = segment_numbers(self._directory)
        mark = find_mark(self._directory)
        if mark is not None and mark.segment > max(numbers, default=0):
            raise JournalCorrupt(f"{segment_path(self._directory, mark.segment)} is missing")
        for number in numbers[:-1]:
            with (
                Segment(self._directory, number) as segment,
                Segment(self._directory, number + 1) as successor,
            ):
                if segment.size < successor.header.previous_end:
                    raise JournalCorrupt(f"{segment.path}, offset {segment.size}: ends too early")
        if not numbers:
            return self._begin(self._limits.first_segment, 0)
        with Segment(self._directory, numbers[-1]) as newest:
            marked_end = mark.offset if mark and mark.segment == numbers[-1] else 0
            end, count = newest.find_durable_end(marked_end)
            self._cut(newest, end)
            # Only the mark tells that it was empty before, so that no position is given again.
            if count == 0 and mark == Position(numbers[-1], HEADER_SIZE):
                return self._begin(numbers[-1], newest.header.previous_end)
        return self._begin(numbers[-1] + 1, end)

    def _cut(self, segment: Segment, end: int) -> None:
        descriptor = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if segment.size > end:
                torn = segment.size - end
                _LOG.warning("%s: cutting off %d bytes that a crash tore", segment.path, torn)
                os.ftruncate(descriptor, end)
            # Records that nobody was told of may be good: durable before readers see them.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _begin(self, number: int, previous_end: int) -> _Writing:
        salt = int.from_bytes(self._clock.random_bytes(4), "big")
        header = Header(salt, number, previous_end)
        descriptor = create_segment(self._directory, header)
        return _Writing(header, descriptor, self._clock.monotonic())

    def _run(self) -> None:
        """Write in the thread, which has the segment to itself once the journal is open."""
        while True:
            try:
                first = self._queue.get(timeout=self._limits.segment_age)
            except queue.Empty:
                self._rotate_idle()
                continue
            if first is None:
                return
            group, going_on = self._gather(first)
            self._commit(group)
            if not going_on:
                return

    def _gather(self, first: _Append) -> tuple[list[_Append], bool]:
        group, size, pieces = [first], first.size, 2 * len(first.payloads)
        while size < self._limits.group_bytes and pieces < _PIECES:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, False
            group.append(following)
            size += following.size
            pieces += 2 * len(following.payloads)
        return group, True

    def _rotate_idle(self) -> None:
        """Begin a new segment, so that what is in the old one can be taken and released."""
        if self._segment.count:
            try:
                self._rotate()
            except OSError as error:
                _LOG.warning("the journal %s cannot begin a segment: %s", self._name, error)

    def _commit(self, group: list[_Append]) -> None:
        try:
            if self._is_finished():
                self._rotate()
            positions = self._write(group)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of any
            # What a disk refuses it says in a line, and it may refuse every message for hours.
            known = isinstance(error, OSError)
            told = "the journal %s did not take %d appends: %s"
            _LOG.error(told, self._name, len(group), error, exc_info=not known)
            self._break()
            # Without the file's name: it goes to those whose messages are refused.
            reason = error.strerror if isinstance(error, OSError) else error
            outcome = f"the journal {self._name} did not take a record: {reason}"
            self._settle(group, JournalUnavailable(outcome))
        else:
            self._mark.write(self._segment.position)
            self._settle(group, positions)

    def _is_finished(self) -> bool:
        segment = self._segment
        age = self._clock.monotonic() - segment.opened_at
        full = segment.end >= self._limits.segment_bytes
        return segment.broken or (segment.count > 0 and (full or age >= self._limits.segment_age))

    def _rotate(self) -> None:
        old = self._segment
        if old.count:
            fresh = self._begin(old.header.number + 1, old.end)
        else:
            # It broke before it held anything: a new file takes its place and number.
            fresh = self._begin(old.header.number, old.header.previous_end)
        self._close_segment()
        self._segment = fresh
        self._mark.write(fresh.position)

    def _write(self, group: list[_Append]) -> list[list[Position]]:
        segment = self._segment
        salt, durable = segment.header.salt, segment.count
        end, count = segment.end, segment.count
        pieces: list[bytes] = []
        positions: list[list[Position]] = []
        for append in group:
            given = []
            for payload, payload_sum in zip(append.payloads, append.sums, strict=True):
                pieces += (record_head(salt, count, durable, payload, payload_sum), payload)
                given.append(Position(segment.header.number, end))
                end += RECORD_SIZE + len(payload)
                count += 1
            positions.append(given)
        _write_durably(segment.descriptor, pieces, segment.end)
        segment.end, segment.count = end, count
        return positions

    def _break(self) -> None:
        """Leave the segment for good, without what may or may not have reached the disk."""
        segment = self._segment
        if segment.broken:
            return
        segment.broken = True
        with contextlib.suppress(OSError):
            os.ftruncate(segment.descriptor, segment.end)
            os.fsync(segment.descriptor)

    def _close_segment(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._segment.descriptor)

    def _settle(
        self, group: list[_Append], outcome: list[list[Position]] | JournalUnavailable
    ) -> None:
        # The loop is gone when its process is about to end without having closed the journal.
        with contextlib.suppress(RuntimeError):
            group[0].loop.call_soon_threadsafe(self._tell, group, outcome)

    def _tell(
        self, group: list[_Append], outcome: list[list[Position]] | JournalUnavailable
    ) -> None:
        for place, append in enumerate(group):
            self._waiting -= append.size
            if isinstance(outcome, JournalUnavailable):
                append.tell(JournalUnavailable(str(outcome)))
            else:
                append.tell(outcome[place])


def _write_durably(descriptor: int, pieces: list[bytes], offset: int) -> None:
    size = sum(map(len, pieces))
    written = os.pwritev(descriptor, pieces[:_PIECES], offset)
    if written < size:
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            taken = os.pwrite(descriptor, rest, offset + written)
            written, rest = written + taken, rest[taken:]
    os.fdatasync(descriptor)
