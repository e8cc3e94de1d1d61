"""How often one address may ask: a bucket for each second and one for each minute."""

from collections import OrderedDict
from dataclasses import dataclass

from sild.runtime.addresses import network_of
from sild.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Rates:
    """How many requests there may be, and how many addresses are remembered for how long."""

    per_second: int
    """Below 1: no limit."""
    per_minute: int
    addresses: int = 10_000
    remembered: float = 300.0


@dataclass(slots=True)
class _Bucket:
    left: list[float]
    filled: float


class RateLimit:
    """The buckets of all addresses; they fill evenly."""

    def __init__(self, rates: Rates, clock: Clock) -> None:
        limits = ((rates.per_second, 1.0), (rates.per_minute, 60.0))
        self._limits = [(float(most), most / period) for most, period in limits if most > 0]
        self._rates = rates
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Count a request and say whether it is one of those that may be."""
        now = self._clock.monotonic()
        bucket = self._bucket(network_of(address), now)
        passed, bucket.filled = now - bucket.filled, now
        for index, (most, speed) in enumerate(self._limits):
            bucket.left[index] = min(most, bucket.left[index] + passed * speed)
        if any(left < 1 for left in bucket.left):
            return False
        bucket.left[:] = [left - 1 for left in bucket.left]
        return True

    def _bucket(self, key: str, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = _Bucket([most for most, _ in self._limits], now)
            self._buckets[key] = bucket
            self._forget(now)
        self._buckets.move_to_end(key)
        return bucket

    def _forget(self, now: float) -> None:
        while len(self._buckets) > 1:
            oldest = next(iter(self._buckets.values()))
            if (
                len(self._buckets) <= self._rates.addresses
                and now - oldest.filled < self._rates.remembered
            ):
                return
            self._buckets.popitem(last=False)
