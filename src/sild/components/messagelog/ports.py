"""What the message log in the control process needs from others."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.shared_parameters import TimestampingService


class TimestampFetcher(Protocol):
    """Asks time-stamping authorities over HTTP."""

    async def fetch_timestamp(self, url: str, request: bytes) -> bytes:
        """The body that an authority answers to `application/timestamp-query`.

        Raises a ProtocolError (NetworkError, HttpError, IoError) where there is none.
        """
        ...


Note = Callable[[str, ProtocolError | None], None]
"""Is told of each answer of an authority at an address: nothing wrong with it, or what was."""


def unnoted(_url: str, _error: ProtocolError | None) -> None:
    """A `Note` that nobody reads."""


Authorities = Callable[[], Sequence[TimestampingService]]
"""Gives the services that the valid global configuration approves, in its order.

Raises GlobalConfOutdated where there is no configuration that may be used.
"""
