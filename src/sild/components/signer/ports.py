"""What the signer's side in the control process needs from others."""

from typing import Protocol


class OcspFetcher(Protocol):
    """Asks responders over HTTP."""

    async def fetch_ocsp(self, url: str, request: bytes) -> bytes:
        """The body that a responder answers to `application/ocsp-request`.

        Raises a ProtocolError (NetworkError, HttpError, IoError) where there is none.
        """
        ...
