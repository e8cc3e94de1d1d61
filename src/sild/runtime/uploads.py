"""Targets of files beyond this machine: an HTTP endpoint, an S3-compatible bucket.

An endpoint has confirmed a file when it answers with 2xx; a bucket too, as it was told the digest
of the bytes and compared it with what arrived. Files stream: none is ever held in memory.
"""

import random
import re
import ssl
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from sild.runtime.clock import SystemClock
from sild.runtime.s3 import S3Credentials, S3Request, sign_request
from sild.runtime.transfer import TransferFailed, WaitingFile, pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

_MOST_OF_AN_ANSWER = 4096
_LARGEST_OBJECT = 5 * 1024**3
_LONGEST_PAUSE = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,100})</Code>")


class _MayPass(TransferFailed):
    """It may go better in a while."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long the other side may be silent, how often is tried, and the first pause, in seconds.

    Each pause is twice as long as the one before.
    """

    timeout: float = 60.0
    attempts: int = 4
    pause: float = 1.0


class _Uploads:
    """Requests with files, tried again while that may help."""

    def __init__(self, tls: ssl.SSLContext | None, persistence: Persistence) -> None:
        import httpx  # noqa: PLC0415 - slow to import, and a folder does not need it

        self.client = httpx.Client(
            verify=tls or ssl.create_default_context(),
            trust_env=False,
            timeout=persistence.timeout,
        )
        self._persistence = persistence

    def close(self) -> None:
        """Close connections."""
        self.client.close()

    def upload(
        self, shown: str, file: WaitingFile, request: "Callable[[IO[bytes]], httpx.Request]"
    ) -> None:
        """Send the request that is made of the open file until it is answered with 2xx."""
        attempt = 1
        while True:
            try:
                with file.path.open("rb") as content:
                    self._send(shown, file, request(content))
                    return
            except _MayPass as error:
                if attempt >= self._persistence.attempts:
                    raise TransferFailed(f"{error} (tried {attempt} times)") from error
            pause = min(self._persistence.pause * 2 ** (attempt - 1), _LONGEST_PAUSE)
            time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            attempt += 1

    def _send(self, shown: str, file: WaitingFile, request: "httpx.Request") -> None:
        import httpx  # noqa: PLC0415 - as above

        try:
            answer = self.client.send(request, stream=True)
            try:
                code = answer.status_code
                told = b"" if answer.is_success else _beginning(answer)
            finally:
                answer.close()
        except httpx.TimeoutException as error:
            message = f"{shown} was silent for {self._persistence.timeout:g} s"
            raise _MayPass(message) from error
        except httpx.HTTPError as error:
            raise _MayPass(f"{shown} could not be reached: {error}") from error
        if answer.is_success:
            return
        named = _ERROR_CODE.search(told)
        reason = f" ({named[1].decode()})" if named else ""
        message = f"{shown} answered {code}{reason} to {file.path.name}"
        raise _MayPass(message) if code in _BUSY else TransferFailed(message)


def _beginning(answer: "httpx.Response") -> bytes:
    told = b""
    for piece in answer.iter_raw(_MOST_OF_AN_ANSWER):
        told += piece
        if len(told) >= _MOST_OF_AN_ANSWER:
            break
    return told


class FormEndpoint:
    """An endpoint that takes each file by POST, as the field `file` of a form."""

    def __init__(self, url: str, tls: ssl.SSLContext | None, persistence: Persistence) -> None:
        self._shown = _without_password(_checked(url))
        self._url = url
        self._uploads = _Uploads(tls, persistence)

    def send(self, file: WaitingFile) -> None:
        """Post a file."""
        import httpx  # noqa: PLC0415 - as above

        def request(content: IO[bytes]) -> httpx.Request:
            part = (file.path.name, content, "application/octet-stream")
            return self._uploads.client.build_request("POST", self._url, files={"file": part})

        self._uploads.upload(self._shown, file, request)

    def close(self) -> None:
        """Close connections."""
        self._uploads.close()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, the beginning of the names of files in it, its region, and who puts them there.

    The endpoint is that of a store; without it, it is Amazon's.
    """

    name: str
    prefix: str
    region: str
    credentials: S3Credentials
    endpoint: str = field(default="")


class S3Bucket:
    """A bucket that takes each file by PUT, addressed by path."""

    def __init__(
        self, bucket: Bucket, tls: ssl.SSLContext | None, persistence: Persistence
    ) -> None:
        parts = _checked(bucket.endpoint or f"https://s3.{bucket.region}.amazonaws.com")
        if "@" in parts.netloc:
            raise TransferFailed("credentials do not belong into the address of a store")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        folders = [parts.path, bucket.name, bucket.prefix]
        self._folder = "".join(f"/{each.strip('/')}" for each in folders if each.strip("/"))
        self._bucket = bucket
        self._uploads = _Uploads(tls, persistence)

    def send(self, file: WaitingFile) -> None:
        """Put a file under its name, in place of what a try before may have left."""
        if file.size > _LARGEST_OBJECT:
            message = f"{file.path.name} has {file.size} bytes, more than a store takes at once"
            raise TransferFailed(message)
        self._uploads.upload(
            f"{self._origin}{self._folder}", file, lambda content: self._request(file, content)
        )

    def _request(self, file: WaitingFile, content: IO[bytes]) -> "httpx.Request":
        bucket = self._bucket
        client = self._uploads.client
        host = urlsplit(self._origin).netloc
        asked = S3Request("PUT", host, f"{self._folder}/{file.path.name}", file.digest)
        headers = sign_request(asked, bucket.credentials, bucket.region, SystemClock().now())
        headers["content-length"] = str(file.size)
        url = f"{self._origin}{asked.encoded_path}"
        return client.build_request("PUT", url, headers=headers, content=pieces(content))

    def close(self) -> None:
        """Close connections."""
        self._uploads.close()


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise TransferFailed("the address is no URL of http or https")


def _without_password(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
