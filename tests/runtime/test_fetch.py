import asyncio
import contextlib
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sild.runtime.fetch import (
    Fetcher,
    FetchError,
    FetchLimits,
    FetchRequest,
    FetchResponse,
    FetchTimeout,
    FetchTooLarge,
)


def answer(body=b"ok", status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def turns():
    """Lets the loop turn until connections just accepted are made, and those aborted are gone."""
    for _ in range(10):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(answers, tls=None):
    """Answers each path from the dict (a function is given the writer); keeps what was asked."""
    asked, connections, tasks = [], [], []
    gone = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)

    async def serve(reader, writer):
        tasks.append(asyncio.current_task())
        with contextlib.suppress(*gone):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                asked.append(head + await reader.readexactly(int(length or 0)))
                content = answers[head.split()[1].decode()]
                if callable(content):
                    await content(writer)
                else:
                    writer.write(content)
                    await writer.drain()
        writer.transport.abort()

    class Connection(asyncio.StreamReaderProtocol):
        def __init__(self):
            super().__init__(asyncio.StreamReader(), serve)

        def connection_made(self, transport):
            connections.append(transport)
            super().connection_made(transport)

    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await turns()
        for connection in connections:
            connection.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await turns()


def fetching(answers, ask, **limits):
    """Runs `ask(fetcher, address)` against a server of these answers; gives what was asked."""

    async def scenario():
        async with serving(answers) as (address, asked), Fetcher(FetchLimits(**limits)) as fetcher:
            await ask(fetcher, address)
        return asked

    return asyncio.run(scenario())


def test_a_request_goes_out_and_its_answer_comes_back():
    async def ask(fetcher, address):
        request = FetchRequest(f"{address}/a?b=c", "POST", (("X-One", "1"),), b"body")
        found = await fetcher.fetch(request)
        assert found == FetchResponse(
            404, (("content-length", "4"), ("x-two", "2"), ("x-two", "3")), b"gone"
        )
        assert found.find_header("X-Two") == "2"
        assert found.find_header("x-none") is None

    (asked,) = fetching({"/a?b=c": answer(b"gone", "404 Not Found", "X-Two: 2", "X-Two: 3")}, ask)
    assert asked.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert b"\r\nX-One: 1\r\n" in asked
    assert b"\r\nAccept-Encoding: identity\r\n" in asked
    assert asked.endswith(b"\r\n\r\nbody")


def test_a_connection_is_not_used_when_its_server_may_be_closing_it():
    """Usual servers close what has rested for five seconds: who asks just then gets no answer."""

    async def serve(reader, writer):
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer())
        writer.close()

    async def scenario():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, Fetcher() as fetcher:
            for _ in range(2):
                assert (await fetcher.fetch(FetchRequest(address))).body == b"ok"
                await asyncio.sleep(2.5)
            for writer in connections:
                writer.transport.abort()
        await turns()

    connections = []
    asyncio.run(scenario())
    assert len(connections) == 2


def test_a_connection_is_used_again():
    async def ask(fetcher, address):
        for _ in range(3):
            await fetcher.fetch(FetchRequest(f"{address}/"))
        (client,) = fetcher._clients.values()
        assert len(client._transport._pool.connections) == 1

    fetching({"/": answer()}, ask)


async def endless(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100_000):
        writer.write(b"400\r\n" + bytes(1024) + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("content", [answer(bytes(1001)), endless])
def test_a_body_over_the_limit_is_cut_off(content):
    async def ask(fetcher, address):
        with pytest.raises(FetchTooLarge, match="more than 1000 bytes"):
            await fetcher.fetch(FetchRequest(f"{address}/"))
        allowing = FetchLimits(body=2_000)
        if content is not endless:
            assert len((await fetcher.fetch(FetchRequest(f"{address}/"), allowing)).body) == 1001

    fetching({"/": content}, ask, body=1000)


async def silent(writer):
    await asyncio.sleep(600)


async def dripping(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(900):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("content", [silent, dripping])
def test_the_whole_has_one_time_limit(content):
    async def ask(fetcher, address):
        started = time.monotonic()
        with pytest.raises(FetchTimeout, match=r"did not answer in 0.3 seconds"):
            await fetcher.fetch(FetchRequest(f"{address}/"))
        assert time.monotonic() - started < 60

    fetching({"/": content}, ask, total=0.3)


REDIRECT = answer(b"", "302 Found", "Location: /b")


def test_redirects_are_not_followed_unless_allowed():
    async def ask(fetcher, address):
        request = FetchRequest(f"{address}/a")
        assert (await fetcher.fetch(request)).status == 302
        found = await fetcher.fetch(request, FetchLimits(redirects=1))
        assert found.body == b"there"
        loop = FetchRequest(f"{address}/loop")
        assert (await fetcher.fetch(loop, FetchLimits(redirects=3))).status == 302
        posted = FetchRequest(f"{address}/a", "POST")
        assert (await fetcher.fetch(posted, FetchLimits(redirects=1))).status == 302

    loop = answer(b"", "302 Found", "Location: /loop")
    asked = fetching({"/a": REDIRECT, "/b": answer(b"there"), "/loop": loop}, ask)
    assert len(asked) == 3 + 4 + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/"])
def test_a_redirect_out_of_http_is_refused(target):
    async def ask(fetcher, address):
        with pytest.raises(FetchError, match="not an address of http or https"):
            await fetcher.fetch(FetchRequest(f"{address}/"), FetchLimits(redirects=1))

    fetching({"/": answer(b"", "302 Found", f"Location: {target}")}, ask)


@pytest.fixture
def tls(tmp_path):
    """A server's TLS and a caller's who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    path = tmp_path / "server.pem"
    path.write_bytes(
        certificate.public_bytes(encoding)
        + key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


def test_whom_to_trust_comes_with_the_request(tls):
    async def scenario():
        async with serving({"/": answer()}, tls[0]) as (address, _), Fetcher() as fetcher:
            url = address.replace("http://127.0.0.1", "https://localhost")
            assert (await fetcher.fetch(FetchRequest(f"{url}/", tls=tls[1]))).body == b"ok"
            with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
                await fetcher.fetch(FetchRequest(f"{url}/"))

    asyncio.run(scenario())


def test_a_redirect_from_https_to_http_is_refused(tls):
    redirect = answer(b"", "302 Found", "Location: http://localhost/")

    async def scenario():
        async with serving({"/": redirect}, tls[0]) as (address, _), Fetcher() as fetcher:
            url = address.replace("http://127.0.0.1", "https://localhost")
            with pytest.raises(FetchError, match="redirects to http://localhost/, without TLS"):
                await fetcher.fetch(FetchRequest(f"{url}/", tls=tls[1]), FetchLimits(redirects=1))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/", "", "host/path", "http://", "http://[::1", "//h/"]
)
def test_only_http_and_https_are_fetched(url):
    async def scenario():
        async with Fetcher() as fetcher:
            with pytest.raises(FetchError, match=r"not an address|not a URL"):
                await fetcher.fetch(FetchRequest(url))

    asyncio.run(scenario())


def test_an_answer_in_another_encoding_is_refused():
    async def ask(fetcher, address):
        with pytest.raises(FetchError, match="encoding 'gzip'"):
            await fetcher.fetch(FetchRequest(f"{address}/"))

    fetching({"/": answer(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip")}, ask)


async def broken(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    writer.close()


async def nonsense(writer):
    writer.write(b"\x00\x01\x02\r\n\r\n")


@pytest.mark.parametrize("content", [broken, nonsense])
def test_a_broken_answer_is_an_error(content):
    async def ask(fetcher, address):
        with pytest.raises(FetchError, match="could not be fetched"):
            await fetcher.fetch(FetchRequest(f"{address}/"))

    fetching({"/": content}, ask)


def test_nobody_there_is_an_error_without_the_password():
    async def scenario():
        async with Fetcher() as fetcher:
            with pytest.raises(FetchError, match="could not be fetched") as raised:
                await fetcher.fetch(FetchRequest("http://user:secret@127.0.0.1:1/x"))
            assert "secret" not in str(raised.value)
            assert "http://127.0.0.1:1/x" in str(raised.value)

    asyncio.run(scenario())


def test_proxies_of_the_environment_count_only_when_it_is_trusted(monkeypatch):
    async def scenario():
        async with serving({"/": answer()}) as (address, _):
            monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
            async with Fetcher() as fetcher:
                assert (await fetcher.fetch(FetchRequest(f"{address}/"))).status == 200
            async with Fetcher(trusting=True) as fetcher:
                with pytest.raises(FetchError):
                    await fetcher.fetch(FetchRequest(f"{address}/"))

    asyncio.run(scenario())


def test_the_library_is_not_imported_before_it_is_used():
    script = "import sys, sild.runtime.fetch; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
