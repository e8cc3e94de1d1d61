"""What has been verified already, so that it is verified once.

A verdict never outlives what it rests on: it carries the moment at which the earliest of its
certificates and OCSP responses ends, and all verdicts go when the configuration changes, because
they belong to one view of it.
"""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Verdicts(Generic[K, V]):
    """Positive verdicts by what was judged, bounded in number and in time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._verdicts: OrderedDict[K, tuple[datetime, V]] = OrderedDict()

    def find(self, key: K, now: datetime) -> V | None:
        """The verdict, unless it is unknown or its time is over."""
        found = self._verdicts.get(key)
        if found is None:
            return None
        valid_until, verdict = found
        if now >= valid_until:
            del self._verdicts[key]
            return None
        return verdict

    def keep(self, key: K, verdict: V, valid_until: datetime) -> None:
        """Remember a verdict until the given moment."""
        self._verdicts[key] = (valid_until, verdict)
        if len(self._verdicts) > self._limit:
            self._verdicts.popitem(last=False)

    def __len__(self) -> int:
        return len(self._verdicts)
