"""Sessions of people who logged in, in the memory of one process, as in the reference.

On several nodes a person's requests must reach the node that they logged in to; when a node ends,
its people log in again, and nothing that a database leaks is a session.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace

from sild.components.accounts.ports import Person
from sild.runtime.clock import Clock

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How many sessions there are, and how long one lasts; seconds."""

    count: int
    idle: float
    absolute: float


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who logged in; `xsrf` proves that a change is asked for by their own page."""

    person: Person
    xsrf: str
    opened: float
    used: float
    checked: float
    """When the person was last found to be who they were."""

    def has_xsrf(self, *given: str | None) -> bool:
        """Whether each of these is the session's own token."""
        expected = self.xsrf.encode()
        return all(one is not None and hmac.compare_digest(one.encode(), expected) for one in given)


class Sessions:
    """All sessions, by the digest of their names: what is compared is no secret."""

    def __init__(self, limits: SessionLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._open: dict[bytes, Session] = {}

    def open(self, person: Person) -> tuple[str, Session]:
        """Open a session; give the name that its owner shows from now on."""
        self._close_ended()
        while len(self._open) >= self._limits.count:
            del self._open[min(self._open, key=lambda key: self._open[key].used)]
        now = self._clock.monotonic()
        name, xsrf = self._secret(), self._secret()
        session = Session(person, xsrf, now, now, now)
        self._open[_digest(name)] = session
        return name, session

    def find(self, name: str, *, uses: bool) -> Session | None:
        """Give a session that lasts; `uses` says whether this keeps it from being idle."""
        key = _digest(name)
        session = self._open.get(key)
        if session is None:
            return None
        now = self._clock.monotonic()
        if self._has_ended(session, now):
            del self._open[key]
            return None
        if uses:
            session = replace(session, used=now)
            self._open[key] = session
        return session

    def confirm(self, name: str, person: Person) -> Session | None:
        """Remember that the person of a session was just found to be this."""
        key = _digest(name)
        session = self._open.get(key)
        if session is None:
            return None
        confirmed = replace(session, person=person, checked=self._clock.monotonic())
        self._open[key] = confirmed
        return confirmed

    def close(self, name: str) -> None:
        """End a session."""
        self._open.pop(_digest(name), None)

    def _has_ended(self, session: Session, now: float) -> bool:
        return (
            now - session.used >= self._limits.idle or now - session.opened >= self._limits.absolute
        )

    def _close_ended(self) -> None:
        now = self._clock.monotonic()
        ended = [key for key, session in self._open.items() if self._has_ended(session, now)]
        for key in ended:
            del self._open[key]

    def _secret(self) -> str:
        return self._clock.random_bytes(_SECRET_BYTES).hex()


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
