"""Now, sleep and random bytes: the one source of each."""

import asyncio
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Time and chance, as an argument."""

    def now(self) -> datetime:
        """Give the moment, aware and in UTC."""

    def monotonic(self) -> float:
        """Give seconds from an arbitrary start, never going back."""

    async def sleep(self, seconds: float) -> None:
        """Come back when that many seconds have passed on this clock."""

    def random_bytes(self, count: int) -> bytes:
        """Give that many bytes which nobody can predict."""

    def uuid(self) -> str:
        """Give a fresh random identifier in its text form."""


# Version 4 of RFC 9562 fixes two bits of this digit.
_VARIANTS = {f"{digit:x}": f"{8 | digit & 3:x}" for digit in range(16)}


class SystemClock:
    """The machine's own time and chance."""

    def now(self) -> datetime:
        """Give the moment, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds from an arbitrary start, never going back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Come back when that many seconds have passed."""
        await asyncio.sleep(seconds)

    def random_bytes(self, count: int) -> bytes:
        """Give that many bytes which nobody can predict."""
        return os.urandom(count)

    def uuid(self) -> str:
        """Give a fresh random identifier in its text form."""
        # What str(uuid.uuid4()) gives, for a third of its time: every message needs some.
        text = os.urandom(16).hex()
        variant = _VARIANTS[text[16]]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


class TurnedClock(SystemClock):
    """A clock that runs like the machine's but can be turned, for tests and the devnet.

    Turning it forward wakes the sleepers whose time has come. Turning it back changes the
    date alone: `monotonic` never goes back, and nobody sleeps longer. It may be turned from
    any thread and serve sleepers on several event loops.
    """

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self._offset = offset
        self._ahead = 0.0
        self._lock = threading.Lock()
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def now(self) -> datetime:
        """Give the turned moment, aware and in UTC."""
        return super().now() + self._offset

    def monotonic(self) -> float:
        """Give seconds from an arbitrary start, counting the turns forward."""
        return super().monotonic() + self._ahead

    def turn(self, by: timedelta) -> None:
        """Move the hands by so much."""
        with self._lock:
            self._offset += by
            self._ahead += max(0.0, by.total_seconds())
            sleepers = list(self._sleepers)
        for loop, turned in sleepers:
            loop.call_soon_threadsafe(turned.set)

    def turn_to(self, moment: datetime) -> None:
        """Move the hands to a moment."""
        self.turn(moment - self.now())

    async def sleep(self, seconds: float) -> None:
        """Come back when that many seconds have passed on this clock, turns counted."""
        turned = asyncio.Event()
        sleeper = (asyncio.get_running_loop(), turned)
        with self._lock:
            deadline = self.monotonic() + seconds
            self._sleepers.add(sleeper)
        try:
            await asyncio.sleep(0)
            while (left := deadline - self.monotonic()) > 0:
                turned.clear()
                try:
                    await asyncio.wait_for(turned.wait(), left)
                except TimeoutError:
                    continue
        finally:
            with self._lock:
                self._sleepers.discard(sleeper)
