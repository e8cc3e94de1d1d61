"""Asks time-stamping authorities over HTTP, with limits."""

from sild.protocol.errors import HttpError, IoError, NetworkError
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest, FetchTimeout

_LIMITS = FetchLimits(total=30.0, connect=10.0, body=256 * 1024)
_OK = 200


class HttpTimestamps:
    """The message log's `TimestampFetcher`, by way of ordinary HTTP."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def fetch_timestamp(self, url: str, request: bytes) -> bytes:
        """The body of the answer; raises NetworkError, IoError or HttpError."""
        headers = (("content-type", "application/timestamp-query"),)
        try:
            answer = await self._fetcher.fetch(FetchRequest(url, "POST", headers, request), _LIMITS)
        except FetchTimeout as error:
            raise IoError(str(error)) from error
        except FetchError as error:
            raise NetworkError(str(error)) from error
        if answer.status != _OK:
            message = f"{url} answered with HTTP status {answer.status}"
            raise HttpError(message)
        return answer.body
