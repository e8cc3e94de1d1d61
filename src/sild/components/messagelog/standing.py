"""How time-stamping stands, told by control to the workers, who refuse messages by it.

Control writes one small file, again and again; each worker reads it once a second at most. A file
that control has not written for as long as time-stamping may fail counts as failure: whoever
stamps is gone.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sild.components.messagelog.errors import NO_PROVIDER, NoTimestampingProvider
from sild.protocol.errors import TimestampingFailed
from sild.runtime.clock import Clock
from sild.runtime.files import FileTooLarge, read_bounded, write_private
from sild.runtime.packing import Packer, PackingError

_LOG = logging.getLogger(__name__)
_LARGEST = 10_000
_READ_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What control knows of time-stamping, and when it said so."""

    told_at: datetime
    failing_since: datetime | None = None
    """When the first attempt failed after the last that did not."""
    has_provider: bool = True
    """Whether there is a service to ask."""


_PACKER: Packer[Standing] = Packer(Standing)


def write_standing(path: Path, standing: Standing) -> None:
    """Tell the workers; raises OSError."""
    write_private(path, _PACKER.encode(standing))


def find_standing(path: Path) -> Standing | None:
    """What control told last; None where nothing that can be read was told."""
    try:
        return _PACKER.decode(read_bounded(path, _LARGEST))
    except FileNotFoundError:
        return None
    except (OSError, FileTooLarge, PackingError) as error:
        _LOG.warning("how time-stamping stands cannot be read: %s", error)
        return None


class StandingKeeper:
    """Control's side: keeps how time-stamping stands, beyond restarts, and tells it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._standing = find_standing(path) or Standing(clock.now())

    @property
    def standing(self) -> Standing:
        """How time-stamping stands."""
        return self._standing

    def succeeded(self) -> None:
        """All that waited has a time-stamp."""
        self._tell(None)

    def failed(self) -> None:
        """Something waits and could not be stamped."""
        self._tell(self._standing.failing_since or self._clock.now())

    def tell(self, *, has_provider: bool) -> None:
        """Tell again what is known."""
        self._tell(self._standing.failing_since, has_provider=has_provider)

    def _tell(self, failing_since: datetime | None, *, has_provider: bool | None = None) -> None:
        provided = self._standing.has_provider if has_provider is None else has_provider
        self._standing = Standing(self._clock.now(), failing_since, provided)
        write_standing(self._path, self._standing)


class StampingGate:
    """A worker's side: refuses messages whose records might never get a time-stamp."""

    def __init__(self, path: Path, acceptable_seconds: int, clock: Clock) -> None:
        self._path = path
        self._acceptable = timedelta(seconds=acceptable_seconds)
        self._clock = clock
        self._started = clock.now()
        self._standing = Standing(self._started)
        self._read_at: float | None = None

    def check(self) -> None:
        """Raise NoTimestampingProvider or TimestampingFailed where messages may not go on."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= _READ_EVERY:
            self._read_at = now
            self._standing = find_standing(self._path) or self._standing
        if not self._standing.has_provider:
            raise NoTimestampingProvider(NO_PROVIDER)
        self._check_period()

    def _check_period(self) -> None:
        if not self._acceptable:
            return
        # Where control is only about to start it has as long as a service has to answer.
        since = self._standing.failing_since or max(self._standing.told_at, self._started)
        if self._clock.now() - since > self._acceptable:
            message = f"time-stamping has been failing since {since:%Y-%m-%d %H:%M:%S} UTC"
            raise TimestampingFailed(message)


Gate = Callable[[], None]
"""Raises a ProtocolError where a message may not be logged now."""
