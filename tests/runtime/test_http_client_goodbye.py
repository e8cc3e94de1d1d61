"""An answer that ends with its TLS connection, read by somebody slower than it comes."""

import asyncio
import socket
import ssl
import threading

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtime.http_ends import LOCAL, LOOPS_AND_ENGINES, pki
from sild.runtime.http_client import ClientLimits, HttpClientPool, PeerGone, RequestHead, Target
from sild.runtime.tls import TlsPolicy, unverified_client_context

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
BODY = b"x" * 5000


@pytest.fixture(scope="module", params=LOOPS_AND_ENGINES, ids=str)
def loop_and_engine(request):
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(loop_and_engine):
    return loop_and_engine.backend


@pytest.fixture
def server_context(tmp_path):
    made = pki().server
    key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = tmp_path / "server.pem"
    pem.write_bytes(key + made.certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class Server:
    """Answers one request: the head, then in one piece the body and what ends the connection."""

    def __init__(self, context, *, says_goodbye):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._says_goodbye = says_goodbye
        self._listener = socket.create_server((LOCAL, 0))
        self.port = self._listener.getsockname()[1]
        self.may_end = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.may_end.set()
        self._listener.close()
        self._thread.join(60)

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(60)
            self._when_ready(connection, self._tls.do_handshake)
            self._when_ready(connection, lambda: self._tls.read(4096))
            self._tls.write(HEAD)
            connection.sendall(self._outgoing.read())
            self.may_end.wait(60)
            self._tls.write(BODY)
            if self._says_goodbye:
                with pytest.raises(ssl.SSLWantReadError):
                    self._tls.unwrap()
            connection.sendall(self._outgoing.read())

    def _when_ready(self, connection, step):
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                connection.sendall(self._outgoing.read())
                self._incoming.write(connection.recv(65536))
            else:
                connection.sendall(self._outgoing.read())
                return


async def read(server, engine):
    context = unverified_client_context(TlsPolicy(), None)
    pool = HttpClientPool(ClientLimits(buffered_bytes=1000), engine)
    try:
        target = Target(LOCAL, server.port, context)
        async with pool.exchange(target, RequestHead(b"GET", b"/")) as response:
            server.may_end.set()
            await asyncio.sleep(0.05)
            return b"".join([piece async for piece in response.body])
    finally:
        pool.close()


async def test_a_goodbye_behind_the_last_bytes_ends_the_answer(loop_and_engine, server_context):
    with Server(server_context, says_goodbye=True) as server:
        assert await read(server, loop_and_engine.engine) == BODY


async def test_an_answer_that_ends_without_goodbye_is_incomplete(loop_and_engine, server_context):
    with Server(server_context, says_goodbye=False) as server, pytest.raises(PeerGone):
        await read(server, loop_and_engine.engine)
