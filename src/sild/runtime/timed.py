"""Acts at the times that an expression of cron names, looked at by a job that runs often."""

from collections.abc import Awaitable, Callable

from sild.runtime.clock import Clock
from sild.runtime.cron import Cron

LOOK_SECONDS = 1.0
"""How often to look."""


class Timed:
    """An act and its times; one that was missed is not made up for."""

    def __init__(self, expression: str, act: Callable[[], Awaitable[object]], clock: Clock) -> None:
        self._times = Cron.read(expression)
        self._act = act
        self._clock = clock
        self._due = self._times.next_after(clock.now())

    async def look(self) -> object:
        """Act if it is time to; gives what the act gives."""
        now = self._clock.now()
        if self._due is None or now < self._due:
            return None
        # Set before, so that an act that fails waits for its next time.
        self._due = self._times.next_after(now)
        return await self._act()
