"""What became of the last contact with each of the services that this server asks."""

from dataclasses import dataclass
from datetime import datetime

from sild.protocol.errors import ProtocolError
from sild.runtime.clock import Clock

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Contact:
    """When an address was asked, and what was wrong with its answer."""

    at: datetime
    error: ProtocolError | None = None


class Contacts:
    """The last contact with each address; a restart forgets them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, Contact] = {}

    def note(self, url: str, error: ProtocolError | None) -> None:
        """Note that an address was asked just now, and what was wrong, if anything."""
        self._last.pop(url, None)
        self._last[url] = Contact(self._clock.now(), error)
        if len(self._last) > _MOST:
            del self._last[next(iter(self._last))]

    def find(self, url: str) -> Contact | None:
        """The last contact with an address."""
        return self._last.get(url)
