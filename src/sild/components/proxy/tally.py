"""How many messages went through this process, how each ended, and how long each took.

It lies on the path of every message: a dictionary, a few additions, and nothing else.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass

from sild.protocol.faults import understood

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the buckets of durations, in seconds; one more holds what took longer."""

_CODE = re.compile(r"[a-z][a-z0-9_.]{0,150}")
_MOST_OUTCOMES = 200
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Counted:
    """How many messages of one side and protocol had one outcome."""

    side: str
    protocol: str
    outcome: str
    """`ok`, or the code of what went wrong."""
    number: int


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the messages of one side and protocol took: how many in each bucket, and in all."""

    side: str
    protocol: str
    buckets: tuple[int, ...]
    seconds: float


class Tally:
    """Counts exchanges since the process began."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def note(self, side: str, protocol: str, outcome: str, seconds: float) -> None:
        """Count an exchange that has ended."""
        key = (side, protocol, outcome)
        number = self._numbers.get(key)
        if number is None:
            self._note_new(key)
        else:
            self._numbers[key] = number + 1
        lane = (side, protocol)
        buckets = self._buckets.get(lane)
        if buckets is None:
            buckets = self._buckets[lane] = [0] * (len(BOUNDS) + 1)
            self._seconds[lane] = 0.0
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[lane] += seconds

    def _note_new(self, key: tuple[str, str, str]) -> None:
        side, protocol, outcome = key
        name = understood(outcome.partition(":")[0].strip()).replace(" ", "_")
        known = (side, protocol, name)
        # Codes come from other servers, too: neither their text nor their number may be anything.
        is_new = known not in self._numbers
        if not _CODE.fullmatch(name) or (is_new and len(self._numbers) >= _MOST_OUTCOMES):
            known = (side, protocol, _OTHER)
        self._numbers[known] = self._numbers.get(known, 0) + 1

    def counted(self) -> tuple[Counted, ...]:
        """What was counted so far."""
        return tuple(Counted(*key, number) for key, number in self._numbers.items())

    def durations(self) -> tuple[Durations, ...]:
        """How long it took."""
        return tuple(
            Durations(side, protocol, tuple(buckets), self._seconds[side, protocol])
            for (side, protocol), buckets in self._buckets.items()
        )
