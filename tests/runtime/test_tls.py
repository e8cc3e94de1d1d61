import asyncio
import socket
import ssl
from contextlib import suppress

import pytest

from runtime.http_ends import LOCAL, LOOPS_AND_ENGINES, echo, pki, raw_server, read_request, serving
from sild.runtime.http_client import (
    ClientLimits,
    Framing,
    HttpClientError,
    HttpClientPool,
    PeerGone,
    RequestHead,
    Target,
    TlsFailed,
)
from sild.runtime.http_server import Response
from sild.runtime.tls import (
    AnyCertificate,
    SwappableContext,
    TlsIdentity,
    TlsPolicy,
    TlsSetupError,
    TrustedCertificates,
    client_context,
    server_context,
    unverified_client_context,
)

POLICY = TlsPolicy()
ONLY_12 = TlsPolicy(maximum=ssl.TLSVersion.TLSv1_2)
POST = RequestHead(b"POST", b"/")


@pytest.fixture(scope="module", params=LOOPS_AND_ENGINES[:], ids=str)
def loop_and_engine(request):
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(loop_and_engine):
    return loop_and_engine.backend


@pytest.fixture
def engine(loop_and_engine):
    return loop_and_engine.engine


def server_with(clients, *, policy=POLICY, identity=None):
    return server_context(policy, identity or pki().server.identity, clients)


def client_with(identity, *, policy=POLICY):
    return unverified_client_context(policy, identity and identity.identity)


async def peers(engine, server_side, client_side):
    """Who each end saw: the server's peer, the client's peer."""
    seen = []

    async def handler(request):
        seen.append(request.peer)
        return Response(200)

    async with (
        serving(handler, engine=engine, tls=server_side) as server,
        HttpClientPool(ClientLimits(), engine) as pool,
        await pool.connect(Target(LOCAL, server.port, client_side)) as connection,
    ):
        async with connection.exchange(POST, b"x") as response:
            assert response.status == 200
        return seen[0], connection.peer


@pytest.mark.parametrize("policy", [POLICY, ONLY_12], ids=["1.3", "1.2"])
async def test_both_ends_see_all_certificates_that_the_other_sent(policy, engine):
    made = pki()
    clients = TrustedCertificates((made.root.der,))
    client, server = await peers(
        engine, server_with(clients, policy=policy), client_with(made.client)
    )
    assert client.certificate == made.client.der
    assert client.chain == (made.client.der, made.middle.der)
    assert client.tls_version == ("TLSv1.3" if policy is POLICY else "TLSv1.2")
    assert server.certificate == made.server.der
    assert server.chain == (made.server.der, made.middle.der)


async def test_the_servers_chain_is_seen_before_a_byte_of_http_is_sent(engine):
    async def handler(request):
        raise AssertionError("nothing was to be sent")

    async with (
        serving(handler, engine=engine, tls=server_with(None)) as server,
        HttpClientPool(ClientLimits(), engine) as pool,
        await pool.connect(Target(LOCAL, server.port, client_with(None))) as connection,
    ):
        assert connection.peer_certificate == pki().server.der
        assert connection.peer_chain == pki().server.chain
        connection.discard()


@pytest.mark.parametrize("policy", [POLICY, ONLY_12], ids=["1.3", "1.2"])
@pytest.mark.parametrize(
    ("clients", "client", "accepted"),
    [
        (None, None, True),
        (None, "client", True),
        (TrustedCertificates(()), "client", False),
        (TrustedCertificates((), required=False), None, True),
        (TrustedCertificates((), required=False), "client", False),
        (("root",), None, False),
        (("root",), "client", True),
        (("root",), "stranger", False),
        (("middle",), "client", True),
        (("client",), "client", True),
        (("stranger",), "stranger", True),
        (("stranger", "root"), "client", True),
        (AnyCertificate.WANTED, None, True),
        (AnyCertificate.WANTED, "client", True),
        (AnyCertificate.WANTED, "stranger", True),
        (AnyCertificate.REQUIRED, None, False),
        (AnyCertificate.REQUIRED, "stranger", True),
    ],
)
async def test_clients_are_accepted_by_what_the_server_asks(
    clients, client, accepted, policy, engine
):
    if isinstance(clients, tuple):
        clients = TrustedCertificates(tuple(getattr(pki(), each).der for each in clients))
    identity = client and getattr(pki(), client)
    ends = peers(engine, server_with(clients, policy=policy), client_with(identity, policy=policy))
    if not accepted:
        with pytest.raises(HttpClientError):
            await ends
        return
    seen, _ = await ends
    sent = identity is not None and clients is not None
    assert seen.certificate == (identity.der if sent else None)
    assert seen.chain == (identity.chain if sent else ())


@pytest.mark.parametrize(
    ("trusted", "name", "accepted"),
    [
        ("root", "localhost", True),
        ("middle", "localhost", True),
        ("server", "localhost", True),
        ("root", "elsewhere", False),
        ("root", None, False),
        ("stranger", "localhost", False),
    ],
)
async def test_a_verifying_client_accepts_the_right_server_alone(trusted, name, accepted, engine):
    context = client_context(POLICY, None, [getattr(pki(), trusted).der])
    async with (
        serving(echo, engine=engine, tls=server_with(None)) as server,
        HttpClientPool(ClientLimits(), engine) as pool,
    ):
        target = Target(LOCAL, server.port, context, name)
        if accepted:
            async with pool.exchange(target, POST, b"x") as response:
                assert await response.body.read_all(1) == b"x"
        else:
            with pytest.raises(TlsFailed):
                await pool.connect(target)
    assert client_context(POLICY, None, None).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("cipher", "identity"),
    [
        ("ECDHE-RSA-AES256-SHA384", "rsa_server"),
        ("DHE-RSA-AES256-SHA256", "rsa_server"),
        ("ECDHE-ECDSA-AES256-SHA384", "server"),
    ],
)
async def test_each_suite_of_the_reference_can_be_negotiated(cipher, identity, engine):
    three = "ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384"
    server_side = server_context(
        TlsPolicy(ciphers12=three), getattr(pki(), identity).identity, AnyCertificate.REQUIRED
    )
    client_side = client_with(
        pki().client, policy=TlsPolicy(maximum=ssl.TLSVersion.TLSv1_2, ciphers12=cipher)
    )
    seen, _ = await peers(engine, server_side, client_side)
    assert seen.tls_version == "TLSv1.2"


async def test_an_old_version_is_refused(engine):
    old = TlsPolicy(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    with pytest.raises(TlsFailed):
        await peers(
            engine,
            server_with(None, policy=TlsPolicy(minimum=ssl.TLSVersion.TLSv1_3)),
            client_with(None, policy=old),
        )


async def test_a_swapped_context_serves_new_connections_and_leaves_the_old(engine):
    made = pki()
    holder = SwappableContext(server_with(None))
    async with (
        serving(echo, engine=engine, tls=holder) as server,
        HttpClientPool(ClientLimits(), engine) as pool,
    ):
        target = Target(LOCAL, server.port, client_with(None))
        async with await pool.connect(target) as old:
            holder.current = server_with(None, identity=made.stranger.identity)
            async with await pool.connect(target) as new:
                assert new.peer_certificate == made.stranger.der
            async with old.exchange(POST, b"x") as response:
                assert response.status == 200
            assert old.peer_certificate == made.server.der


@pytest.mark.parametrize("policy", [POLICY, ONLY_12], ids=["1.3", "1.2"])
async def test_sessions_are_not_resumed(policy, engine):
    clients = TrustedCertificates((pki().root.der,))

    def connect(port, context, session):
        plain = socket.create_connection((LOCAL, port))
        with context.wrap_socket(plain, session=session) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert tls.recv(999).startswith(b"HTTP/1.1 200")
            known = tls.session, tls.session_reused
            tls.unwrap().close()  # OpenSSL forgets the session of a connection that was cut
            return known

    context = client_with(pki().client, policy=policy)
    async with serving(echo, engine=engine, tls=server_with(clients, policy=policy)) as server:
        session, _ = await asyncio.to_thread(connect, server.port, context, None)
        assert session is None or not session.has_ticket
        _, reused = await asyncio.to_thread(connect, server.port, context, session)
        assert not reused


@pytest.mark.parametrize(
    "make",
    [
        lambda made: server_with(None, policy=TlsPolicy(ciphers12="NONSENSE")),
        lambda made: server_with(None, identity=TlsIdentity(made.server.key, (b"\x30\x00",))),
        lambda made: server_with(None, identity=TlsIdentity(made.server.key, ())),
        lambda made: server_with(None, identity=TlsIdentity(made.server.key, made.client.chain)),
        lambda made: server_with(TrustedCertificates((b"\x30\x03abc",))),
        lambda made: client_context(POLICY, None, [b"nonsense"]),
    ],
)
def test_what_makes_no_context_is_a_setup_error(make):
    with pytest.raises(TlsSetupError):
        make(pki())


async def test_a_body_cut_without_tls_saying_so_never_looks_complete(engine):
    async def conversation(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nup to the en")
        await writer.drain()
        await asyncio.sleep(0.02)
        if polite:
            writer.close()
        else:
            writer.transport.abort()

    for polite in (True, False):
        async with (
            raw_server(conversation, server_with(None)) as port,
            HttpClientPool(ClientLimits(), engine) as pool,
            pool.exchange(Target(LOCAL, port, client_with(None)), POST) as response,
        ):
            if polite:
                assert await response.body.read_all(99) == b"up to the en"
            else:
                with pytest.raises(PeerGone):
                    await response.body.read_all(99)


async def test_plain_http_on_a_tls_port_and_silence_end_without_harm(engine):
    async with serving(echo, engine=engine, tls=server_with(None), header_seconds=0.3) as server:
        for sent in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", b"\x16\x03\x01\x00\x05hello"):
            reader, writer = await asyncio.open_connection(LOCAL, server.port)
            writer.write(sent)
            with suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 60)
            writer.close()
        async with HttpClientPool(ClientLimits(), engine) as pool:
            target = Target(LOCAL, server.port, client_with(None))
            async with pool.exchange(target, POST, b"x") as response:
                assert response.body.complete == b"x"


@pytest.mark.parametrize("policy", [POLICY, ONLY_12], ids=["1.3", "1.2"])
async def test_a_large_body_streams_through_tls_both_ways(policy, engine):
    """More than any buffer holds, so that reading pauses and resumes many times."""
    piece, count = b"x" * 100_003, 320

    async def body():
        for _ in range(count):
            yield piece

    async def handler(request):
        return Response(200, body=request.body)

    head = RequestHead(b"POST", b"/", framing=Framing.LENGTH, length=len(piece) * count)
    clients = TrustedCertificates((pki().root.der,))
    async with (
        serving(handler, engine=engine, tls=server_with(clients, policy=policy)) as server,
        HttpClientPool(ClientLimits(), engine) as pool,
    ):
        target = Target(LOCAL, server.port, client_with(pki().client, policy=policy))
        async with asyncio.timeout(300), pool.exchange(target, head, body()) as response:
            size = 0
            async for each in response.body:
                size += len(each)
                if size % 7 == 0:
                    await asyncio.sleep(0)
    assert size == len(piece) * count
