"""What the message log in the control process needs from others."""

from collections.abc import Sequence
from typing import Protocol

from sild.protocol.pki.trust import ApprovedTsa


class TimestampFetcher(Protocol):
    """Asks time-stamping authorities over HTTP."""

    async def fetch_timestamp(self, url: str, request: bytes) -> bytes:
        """The body that an authority answers to `application/timestamp-query`.

        Raises a ProtocolError (NetworkError, HttpError, IoError) where there is none.
        """
        ...


class Authorities(Protocol):
    """Where the approved time-stamping authorities are found."""

    def tsas(self) -> Sequence[ApprovedTsa]:
        """Those that the valid global configuration names, in its order.

        Raises GlobalConfOutdated where there is none that may be used.
        """
        ...
