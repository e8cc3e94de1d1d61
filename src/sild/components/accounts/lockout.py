"""After too many failed log-ins a user, or an address, waits.

Failures are remembered by the process: on several nodes each counts its own, and a restart
forgets them.
"""

from collections import OrderedDict
from dataclasses import dataclass

from sild.components.accounts.errors import LockedOut

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    until: float


class Failures:
    """Counts failures by what they are of, for as long as a lock-out lasts."""

    def __init__(self, allowed: int, seconds: float) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._counted: OrderedDict[str, _Failures] = OrderedDict()

    def begin(self, name: str, now: float) -> None:
        """Count an attempt as failed until it is known to be none; raises LockedOut.

        So those who try many at once are counted before they are answered.
        """
        before = self._counted.pop(name, None)
        count = 0 if before is None or before.until <= now else before.count
        if before is not None and count >= self._allowed:
            self._counted[name] = before
            raise LockedOut(f"{name} is locked out after {count} failures")
        self._counted[name] = _Failures(count + 1, now + self._seconds)
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)

    def forget(self, name: str) -> None:
        """Forget the failures of one who succeeded."""
        self._counted.pop(name, None)

    def take_back(self, name: str) -> None:
        """Count one failure less, for an attempt that was none."""
        before = self._counted.get(name)
        if before is not None:
            self._counted[name] = _Failures(before.count - 1, before.until)
