import asyncio
from contextlib import asynccontextmanager

import pytest

from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.errors import HttpError, NetworkError
from sild.runtime.fetch import Fetcher
from sild.servers.tsa_http import HttpTimestamps

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def authority(answer):
    """An HTTP server that sends the answer to whatever comes; gives its address and the asked."""
    asked = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split()[0])
        asked.append((head, await reader.readexactly(size)))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Fetcher() as fetcher:
        port = server.sockets[0].getsockname()[1]
        yield HttpTimestamps(fetcher, MessageLogSettings()), f"http://127.0.0.1:{port}/tsa", asked


def response(status, body):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


async def test_a_request_is_posted_and_its_answer_given():
    async with authority(response(200, b"\x00answer")) as (timestamps, url, asked):
        assert await timestamps.fetch_timestamp(url, b"\x30request") == b"\x00answer"
        [(head, body)] = asked
        assert head.startswith(b"POST /tsa HTTP/1.1\r\n")
        assert b"content-type: application/timestamp-query\r\n" in head.lower()
        assert body == b"\x30request"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(500, b"answer"), HttpError),
        (response(302, b""), HttpError),
        (response(200, b"x" * 300_000), NetworkError),
        (b"no HTTP", NetworkError),
        (b"", NetworkError),
    ],
)
async def test_what_is_no_answer_is_refused(answer, error):
    async with authority(answer) as (timestamps, url, _):
        with pytest.raises(error):
            await timestamps.fetch_timestamp(url, b"request")


async def test_an_authority_that_is_not_there_is_given_up():
    async with authority(b"") as (_, url, _):
        pass
    async with Fetcher() as fetcher:
        with pytest.raises(NetworkError):
            await HttpTimestamps(fetcher, MessageLogSettings()).fetch_timestamp(url, b"request")
