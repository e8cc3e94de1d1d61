"""Asks time-stamping authorities over HTTP, with limits."""

from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.errors import HttpError, IoError, NetworkError
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest, FetchTimeout

_LARGEST = 256 * 1024
_LONGEST = 3600.0
_OK = 200


class HttpTimestamps:
    """The message log's `TimestampFetcher`, by way of ordinary HTTP."""

    def __init__(self, fetcher: Fetcher, settings: MessageLogSettings) -> None:
        self._fetcher = fetcher
        connect = settings.timestamper_client_connect_timeout / 1000 or _LONGEST
        read = settings.timestamper_client_read_timeout / 1000 or _LONGEST
        self._limits = FetchLimits(total=connect + read, connect=connect, body=_LARGEST)

    async def fetch_timestamp(self, url: str, request: bytes) -> bytes:
        """The body of the answer; raises NetworkError, IoError or HttpError."""
        headers = (("content-type", "application/timestamp-query"),)
        try:
            asked = FetchRequest(url, "POST", headers, request)
            answer = await self._fetcher.fetch(asked, self._limits)
        except FetchTimeout as error:
            raise IoError(str(error)) from error
        except FetchError as error:
            raise NetworkError(str(error)) from error
        if answer.status != _OK:
            message = f"{url} answered with HTTP status {answer.status}"
            raise HttpError(message)
        return answer.body
