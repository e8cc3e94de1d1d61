"""Clocks of tests that no machine is too slow for."""

from sild.runtime.clock import TurnedClock


class StoppedClock(TurnedClock):
    """Its seconds pass only when it is turned; its date goes on."""

    def monotonic(self):
        return self._ahead


class FrozenClock(StoppedClock):
    """Its date goes on only when it is turned, too."""

    def __init__(self):
        super().__init__()
        self._begun = super().now()

    def now(self):
        return self._begun + self._offset
