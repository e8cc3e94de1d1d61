import asyncio
import gc
import socket
import struct
import threading
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.http_ends import (
    LOCAL,
    LOOPS_AND_ENGINES,
    echo,
    nothing_for_the_collector,
    pki,
    raw_server,
    read_request,
    serving,
    until,
)
from sild.runtime.http_client import (
    BodyTooLarge,
    ClientLimits,
    ConnectFailed,
    Connection,
    ConnectProblem,
    ConnectTimedOut,
    Framing,
    HttpClientError,
    HttpClientPool,
    LeastPace,
    PeerGone,
    ProtocolViolation,
    RequestHead,
    StaleConnection,
    Target,
    TimedOut,
)
from sild.runtime.http_server import PeerGone as ClientGone
from sild.runtime.http_server import Response
from sild.runtime.http_wire import UnsafeHead
from sild.runtime.tls import TlsPolicy, server_context, unverified_client_context
from sild.runtime.transport import FAST

GET = RequestHead(b"GET", b"/")
POST = RequestHead(b"POST", b"/")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD_START = 0.25
NO_LINGER = socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
"""A socket option: to close is to reset."""


@pytest.fixture(scope="module", params=LOOPS_AND_ENGINES[::2], ids=str)
def loop_and_engine(request):
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(loop_and_engine):
    return loop_and_engine.backend


@pytest.fixture
def engine(loop_and_engine):
    return loop_and_engine.engine


def pool_of(engine, **limits):
    return HttpClientPool(ClientLimits(**limits), engine)


def to(port):
    return Target(LOCAL, port)


def answering(*answers, seen=None, then_close=False):
    """Answer one request after the other with these bytes, on each connection anew."""

    async def conversation(reader, writer):
        for answer in answers:
            head = await read_request(reader)
            if seen is not None:
                seen.append(head)
            writer.write(answer)
        if not then_close:
            await reader.read()

    return conversation


async def fetch(engine, answer, head=GET, body=None, **limits):
    async with (
        raw_server(answering(answer, then_close=True)) as port,
        pool_of(engine, **limits) as pool,
        pool.exchange(to(port), head, body) as response,
    ):
        return response.status, await response.body.read_all(1 << 20)


async def pieces_of(*pieces):
    for each in pieces:
        yield each


@pytest.mark.parametrize(
    ("head", "body", "sent"),
    [
        (GET, None, b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n"),
        (POST, b"", b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            POST,
            b"0123456789",
            b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
        ),
        (
            RequestHead(b"PUT", b"/x?y", [(b"hOst", b"h"), (b"X", b"")], Framing.LENGTH),
            b"body",
            b"PUT /x?y HTTP/1.1\r\nhOst: h\r\nX: \r\nContent-Length: 4\r\n\r\nbody",
        ),
        (
            RequestHead(b"PUT", b"/", [], Framing.LENGTH),
            b"",
            b"PUT / HTTP/1.1\r\nHost: %b\r\nContent-Length: 0\r\n\r\n",
        ),
    ],
)
async def test_a_request_is_one_write_framed_as_asked(head, body, sent, engine):
    writes = []

    async def conversation(reader, writer):
        writes.append(await reader.read(65536))
        writer.write(OK)

    async with raw_server(conversation) as port, pool_of(engine) as pool:
        async with pool.exchange(to(port), head, body) as response:
            assert response.body.complete == b"ok"
        assert writes == [sent.replace(b"%b", f"{LOCAL}:{port}".encode())]


async def test_an_iterated_body_is_framed_as_asked_too(engine):
    async def handler(request):
        how = request.header(b"content-length") or request.header(b"transfer-encoding")
        return Response(200, how, [], await request.body.read_all(99))

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        body = pieces_of(b"ab", b"", b"cde")
        async with pool.exchange(to(server.port), POST, body) as response:
            assert (response.reason, response.body.complete) == (b"chunked", b"abcde")
        head = RequestHead(b"POST", b"/", framing=Framing.LENGTH, length=5)
        async with pool.exchange(to(server.port), head, pieces_of(b"ab", b"cde")) as response:
            assert (response.reason, response.body.complete) == (b"5", b"abcde")


async def test_an_answer_comes_as_it_was_sent(engine):
    answer = (
        b"HTTP/1.1 299 Odd Reason\r\nx-Odd: 1 \r\nX-odd:2\r\nEmpty:\r\nContent-Length: 3\r\n\r\nabc"
    )
    async with (
        raw_server(answering(answer)) as port,
        pool_of(engine) as pool,
        pool.exchange(to(port), GET) as response,
    ):
        assert (response.status, response.reason) == (299, b"Odd Reason")
        assert response.headers == [
            (b"x-Odd", b"1"),
            (b"X-odd", b"2"),
            (b"Empty", b""),
            (b"Content-Length", b"3"),
        ]
        assert response.header(b"x-odd") == b"2"
        assert response.header(b"other") is None
        assert [each async for each in response.body] == [b"abc"]


@pytest.mark.parametrize(
    ("head", "answer", "expected"),
    [
        (GET, b"HTTP/1.1 200 OK\r\n\r\nto the end", (200, b"to the end")),
        (GET, b"HTTP/1.0 200 OK\r\n\r\nto the end", (200, b"to the end")),
        (GET, b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", (200, b"x")),
        (GET, b"HTTP/1.1 204 No\r\n\r\n", (204, b"")),
        (GET, b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", (304, b"")),
        (GET, b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hint\r\nA: b\r\n\r\n" + OK, (200, b"ok")),
        (RequestHead(b"HEAD", b"/"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, b"")),
        (RequestHead(b"HEAD", b"/"), b"HTTP/1.1 200 OK\r\n\r\n", (200, b"")),
        (
            GET,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n",
            (200, b"abc"),
        ),
    ],
)
async def test_every_way_to_end_a_body_is_understood(head, answer, expected, engine):
    assert await fetch(engine, answer, head) == expected


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        CHUNKS + b"0x3\r\nabc\r\n0\r\n\r\n",
        CHUNKS + b"3\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30 + b"Content-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_the_rules_is_refused(answer, engine):
    with pytest.raises(ProtocolViolation):
        await fetch(engine, answer, header_bytes=2000, header_count=20)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        CHUNKS + b"3\r\nabc\r\n",
        CHUNKS + b"3\r\nabc\r\n0\r\n",
    ],
)
async def test_an_answer_that_is_cut_never_looks_complete(answer, engine):
    with pytest.raises(PeerGone):
        await fetch(engine, answer)


async def test_a_connection_is_used_again_and_remembers_what_its_caller_noted(engine):
    async with serving(echo, engine=engine) as server, pool_of(engine) as pool:
        target = to(server.port)
        async with await pool.connect(target) as first:
            assert not first.reused
            first.extra = "authenticated"
            async with first.exchange(POST, b"1") as response:
                assert await response.body.read_all(9) == b"1"
            async with first.exchange(POST, pieces_of(b"2")) as response:
                assert await response.body.read_all(9) == b"2"
        async with await pool.connect(target) as again:
            assert again is first
            assert (again.reused, again.extra) == (True, "authenticated")
            async with await pool.connect(target) as other:
                assert other is not first


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"HTTP/1.1 20",
        OK + b"junk",
    ],
)
async def test_a_connection_that_cannot_be_trusted_again_is_not_kept(answer, engine):
    async with raw_server(answering(answer)) as port, pool_of(engine) as pool:
        for _ in range(2):
            async with pool.exchange(to(port), GET) as response:
                assert response.body.complete == b"ok"
        async with await pool.connect(to(port)) as connection:
            assert not connection.reused


async def test_leaving_before_the_end_of_an_answer_discards_the_connection(engine):
    async def handler(request):
        return Response(200, body=pieces_of(*[b"x" * 100_000] * 50))

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        async with pool.exchange(to(server.port), GET) as response:
            assert await anext(response.body)
        async with await pool.connect(to(server.port)) as connection:
            assert not connection.reused


async def test_a_head_request_leaves_the_connection_good(engine):
    async def handler(request):
        return Response(200, headers=[(b"Content-Length", b"7")])

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        for _ in range(3):
            async with pool.exchange(to(server.port), RequestHead(b"HEAD", b"/")) as response:
                assert response.header(b"content-length") == b"7"
        assert (await pool.connect(to(server.port))).reused


async def test_an_early_error_stops_the_request_and_is_read(engine):
    stopped = asyncio.Event()

    async def endless():
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            stopped.set()

    async def handler(request):
        await anext(request.body)
        return Response(413, body=b"too much", close=True)

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        async with pool.exchange(to(server.port), POST, endless()) as response:
            assert response.status == 413
            assert await response.body.read_all(99) == b"too much"
        assert stopped.is_set()
        async with await pool.connect(to(server.port)) as connection:
            assert not connection.reused


async def test_an_early_answer_lets_the_request_go_on(engine):
    first_came = asyncio.Event()

    async def body():
        yield b"first"
        await first_came.wait()
        yield b"second"

    async def handler(request):
        return Response(200, body=request.body)

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        async with pool.exchange(to(server.port), POST, body()) as response:
            assert await anext(response.body) == b"first"
            first_came.set()
            assert await response.body.read_all(99) == b"second"
        async with await pool.connect(to(server.port)) as connection:
            assert connection.reused


async def test_a_body_that_fails_at_its_source_is_the_callers_error_and_cut_at_the_server(engine):
    began, told = asyncio.Event(), asyncio.Event()

    async def failing():
        yield b"piece"
        await began.wait()
        raise LookupError("no more")

    async def handler(request):
        began.set()
        with pytest.raises(ClientGone):
            await request.body.read_all(99)
        told.set()
        return Response(200)

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        with pytest.raises(LookupError):
            async with pool.exchange(to(server.port), POST, failing()):
                pass
        await asyncio.wait_for(told.wait(), 60)
        short = RequestHead(b"POST", b"/", framing=Framing.LENGTH, length=9)
        with pytest.raises(UnsafeHead):
            async with pool.exchange(to(server.port), short, pieces_of(b"piece")):
                pass
        with pytest.raises(UnsafeHead):
            async with pool.exchange(to(server.port), short, pieces_of(b"piece", b"piece")):
                pass


async def test_a_cancelled_caller_leaves_nothing_open(engine):
    came, gone = asyncio.Event(), asyncio.Event()

    async def handler(request):
        came.set()
        try:
            await asyncio.sleep(600)
        finally:
            gone.set()

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:

        async def call():
            async with pool.exchange(to(server.port), GET):
                pass

        calling = asyncio.create_task(call())
        await asyncio.wait_for(came.wait(), 60)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.wait_for(gone.wait(), 60)


@pytest.mark.parametrize(
    "head",
    [
        RequestHead(b"GET", b"/", [(b"X", b"a\r\nY: b")]),
        RequestHead(b"GET", b"/", [(b"X\n", b"a")]),
        RequestHead(b"GET", b"/", [(b"Transfer-Encoding", b"chunked")]),
        RequestHead(b"GET", b"/", [(b"content-length", b"3")]),
        RequestHead(b"GET", b"/", [(b"Expect", b"100-continue")]),
        RequestHead(b"GET", b"/ HTTP/1.1\r\nX: y\r\n\r\n"),
        RequestHead(b"GET", b"/a b"),
        RequestHead(b"GET", b""),
        RequestHead(b"GET /x", b"/"),
    ],
)
async def test_a_request_that_would_break_its_framing_is_not_sent(head, engine):
    async with serving(echo, engine=engine) as server, pool_of(engine) as pool:
        with pytest.raises(UnsafeHead):
            async with pool.exchange(to(server.port), head):
                pass
        async with pool.exchange(to(server.port), POST, b"fine") as response:
            assert response.body.complete == b"fine"


async def test_a_stale_connection_is_told_and_retried_only_when_asked(engine):
    async def conversation(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)  # and no answer

    async with raw_server(conversation) as port, pool_of(engine) as pool:

        async def call(body, **options):
            async with pool.exchange(to(port), POST, body, **options) as response:
                return response.body.complete

        assert await call(b"1") == b"ok"
        with pytest.raises(StaleConnection) as stale:
            await call(b"2")
        assert stale.value.sent
        assert await call(b"3") == b"ok"
        assert await call(b"4", retry_stale=True) == b"ok"
        with pytest.raises(StaleConnection):
            await call(pieces_of(b"5"), retry_stale=True)
        async with await pool.connect(to(port)) as connection:
            async with connection.exchange(GET):
                pass
            connection.reused = True
            connection.abort()
            with pytest.raises(StaleConnection) as stale:
                await connection.begin(GET, None)
            assert not stale.value.sent


async def test_a_connection_that_the_server_closed_is_not_taken_from_the_pool(engine):
    async with raw_server(answering(OK, then_close=True)) as port, pool_of(engine) as pool:
        for _ in range(5):
            async with pool.exchange(to(port), GET) as response:
                assert response.body.complete == b"ok"
            await asyncio.sleep(0.02)


async def test_a_close_that_the_loop_has_not_seen_yet_is_seen_before_use(engine):
    closed = threading.Event()
    with socket.create_server((LOCAL, 0)) as listening:

        def answer_once():
            with listening.accept()[0] as sock:
                sock.recv(999)
                sock.sendall(OK)
            closed.set()

        once = asyncio.get_running_loop().run_in_executor(None, answer_once)
        async with pool_of(engine) as pool:
            target = to(listening.getsockname()[1])
            async with pool.exchange(target, GET) as response:
                assert response.body.complete == b"ok"
            assert closed.wait(60)  # the loop is busy while the server closes
            time.sleep(0.4)  # noqa: ASYNC251 - only one that has rested is looked at
            async with await pool.connect(target) as connection:
                assert not connection.reused
        await once


async def test_a_connection_rests_only_so_long(engine):
    async with serving(echo, engine=engine) as server:
        async with pool_of(engine, idle_keep_seconds=0.05) as pool:
            async with pool.exchange(to(server.port), POST, b"x"):
                pass
            await asyncio.sleep(0.15)
            assert not (await pool.connect(to(server.port))).reused
        async with pool_of(engine) as pool:
            async with pool.exchange(to(server.port), POST, b"x"):
                pass
            pool.drop_resting()
            assert not (await pool.connect(to(server.port))).reused


async def test_bytes_that_nobody_asked_for_end_a_resting_connection(engine):
    answered, unasked = asyncio.Event(), asyncio.Event()

    async def conversation(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await answered.wait()
        writer.write(OK)
        await writer.drain()
        unasked.set()
        await reader.read()

    async with raw_server(conversation) as port, pool_of(engine) as pool:
        async with pool.exchange(to(port), GET):
            pass
        answered.set()
        await unasked.wait()
        await asyncio.sleep(0.05)
        assert not (await pool.connect(to(port))).reused


async def test_silence_of_the_server_has_its_limits(engine):
    async def silent(reader, writer):
        await reader.read(1)
        await asyncio.sleep(600)

    async def stuck(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        await asyncio.sleep(600)

    limits = {"header_seconds": 0.2, "idle_seconds": 0.2, "write_seconds": 0.2}
    async with pool_of(engine, **limits) as pool:
        async with raw_server(silent) as port:
            with pytest.raises(TimedOut, match="of its answer's head"):
                async with pool.exchange(to(port), GET):
                    pass
            with pytest.raises(TimedOut, match="took nothing"):
                async with pool.exchange(to(port), POST, b"x" * (32 << 20)):
                    pass
        async with raw_server(stuck) as port, pool.exchange(to(port), GET) as response:
            assert await anext(response.body) == b"ab"
            with pytest.raises(TimedOut, match="of its answer's body"):
                await anext(response.body)


async def test_a_server_that_never_shakes_hands_has_its_limit(engine):
    async def silent(reader, writer):
        await asyncio.sleep(600)

    async with raw_server(silent) as port, pool_of(engine, tls_seconds=0.1) as pool:
        context = unverified_client_context(TlsPolicy(), None)
        with pytest.raises(TimedOut, match="TLS"):
            await pool.connect(Target(LOCAL, port, context))


async def test_a_failure_to_connect_says_why(engine, unused_port):
    async with pool_of(engine) as pool:
        with pytest.raises(ConnectFailed) as refused:
            await pool.connect(Target(LOCAL, unused_port))
        assert refused.value.problem is ConnectProblem.REFUSED
        with pytest.raises(ConnectFailed) as unknown:
            await pool.connect(Target("nowhere.invalid", 80))
        assert unknown.value.problem is ConnectProblem.UNKNOWN_HOST
        with pytest.raises(ConnectFailed):
            await pool.connect(Target("x" * 70 + ".invalid", 80))
        with pytest.raises(ConnectFailed) as unreachable:
            await pool.connect(Target("255.255.255.255", 80))
        assert unreachable.value.problem is ConnectProblem.UNREACHABLE


@pytest.fixture
async def unused_port():
    server = await asyncio.start_server(lambda *_: None, LOCAL, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    return port


async def test_a_body_over_the_readers_limit_is_refused(engine):
    with pytest.raises(BodyTooLarge):
        async with (
            raw_server(answering(OK)) as port,
            pool_of(engine) as pool,
            pool.exchange(to(port), GET) as response,
        ):
            await response.body.read_all(1)


async def test_a_full_pool_makes_callers_wait_in_their_order(engine):
    async with (
        serving(echo, engine=engine) as server,
        pool_of(engine, connections_per_target=1, connect_seconds=60) as pool,
        pool_of(engine, connections_per_target=1, connect_seconds=1) as impatient,
    ):
        target = to(server.port)
        got = []

        async def take(number):
            async with await pool.connect(target):
                got.append(number)
                await asyncio.sleep(0.01)

        await asyncio.gather(*[take(number) for number in range(5)])
        assert got == [0, 1, 2, 3, 4]
        async with await impatient.connect(target) as held:
            with pytest.raises(TimedOut, match="became free"):
                await impatient.connect(target)
            held.discard()
        async with await impatient.connect(target) as connection:
            assert not connection.reused


async def test_a_resting_connection_makes_room_for_another_target(engine):
    async with (
        serving(echo, engine=engine) as one,
        serving(echo, engine=engine) as other,
        pool_of(engine, connections=1, connect_seconds=60) as pool,
    ):
        for server in (one, other, one):
            async with pool.exchange(to(server.port), POST, b"x") as response:
                assert response.status == 200
        async with await pool.connect(to(one.port)):
            waiting = asyncio.create_task(pool.connect(to(other.port)))
            await asyncio.sleep(0.02)
            assert not waiting.done()
        (await waiting).release()


async def test_the_target_that_accepts_first_wins(engine, unused_port):
    patient = pool_of(engine, connect_seconds=600)
    async with serving(echo, engine=engine) as server, patient as pool:
        targets = [Target("192.0.2.1", 9), Target(LOCAL, unused_port), to(server.port)]
        async with asyncio.timeout(60):
            connection = await pool.connect_fastest(targets)
        async with connection:
            assert connection.target == to(server.port)
        async with await pool.connect_fastest(targets) as connection:
            assert connection.reused
        with pytest.raises(ConnectFailed):
            await pool.connect_fastest([Target(LOCAL, unused_port)] * 2)


async def test_when_the_fastest_cannot_shake_hands_the_next_one_may(engine):
    async def rude(reader, writer):
        await reader.read(1)

    context = unverified_client_context(TlsPolicy(), None)
    async with (
        raw_server(rude) as port,
        serving(echo, engine=engine) as server,
        pool_of(engine) as pool,
    ):
        targets = [Target(LOCAL, port, context), to(server.port)]
        async with await pool.connect_fastest(targets) as connection:
            assert connection.target == to(server.port)


async def test_what_never_left_is_sent_again_whatever_its_body(engine):
    """Nobody can have acted on it: the close was there before the first byte."""
    seen, closed = [], threading.Event()

    def answer_twice(listening):
        for _ in range(2):
            with listening.accept()[0] as sock:
                while b"\r\n\r\n" not in (got := sock.recv(999)):
                    pass
                seen.append(got)
                sock.sendall(OK)
            closed.set()

    for body in (b"x", pieces_of(b"x")):
        seen.clear()
        closed.clear()
        with socket.create_server((LOCAL, 0)) as listening:
            answering = asyncio.get_running_loop().run_in_executor(None, answer_twice, listening)
            async with pool_of(engine) as pool:
                target = to(listening.getsockname()[1])
                async with pool.exchange(target, GET):
                    pass
                assert closed.wait(60)  # the loop must not see the close
                async with pool.exchange(target, POST, body) as response:
                    assert response.body.complete == b"ok"
            await answering
        assert [each.split()[0] for each in seen] == [b"GET", b"POST"]


async def test_a_reset_is_told_from_a_close(engine):
    def conversation(*, reset):
        async def talk(reader, writer):
            await read_request(reader)
            if reset:
                writer.transport.get_extra_info("socket").setsockopt(*NO_LINGER)
            writer.transport.abort()

        return talk

    for reset in (False, True):
        async with raw_server(conversation(reset=reset)) as port, pool_of(engine) as pool:
            with pytest.raises(PeerGone) as gone:
                async with pool.exchange(to(port), GET):
                    pass
        assert gone.value.was_reset is reset


class Resetting:
    """A server that sends the beginning of an answer and resets, while the client does not look."""

    def __init__(self, tls):
        self.is_asked, self.is_told = threading.Event(), threading.Event()
        self._unwatched = threading.Event()
        self._tls = tls
        self._listening = socket.create_server((LOCAL, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._talk, daemon=True).start()

    def _talk(self):
        sock, _ = self._listening.accept()
        self._listening.close()
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True)
        sock.recv(4096)
        self.is_asked.set()
        assert self._unwatched.wait(60)
        sock.sendall(OK[:20])
        sock.setsockopt(*NO_LINGER)
        sock.close()
        self.is_told.set()

    async def told(self):
        """Let it answer, and come back when it has; the loop stands still meanwhile."""
        await until(self.is_asked.is_set)
        self._unwatched.set()
        assert self.is_told.wait(60)


@pytest.mark.parametrize("by_tls", [False, True])
async def test_a_reset_right_behind_the_last_bytes_is_noticed(engine, by_tls):
    context = unverified_client_context(TlsPolicy(), None) if by_tls else None
    tls = server_context(TlsPolicy(), pki().server.identity, None) if by_tls else None
    server = Resetting(tls)
    async with pool_of(engine) as pool, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.told())
        with pytest.raises(PeerGone) as gone:
            async with pool.exchange(Target(LOCAL, server.port, context), GET):
                pass
    assert gone.value.was_reset


def dripping(size, pause):
    """A conversation that answers with a body in pieces of this size."""

    async def conversation(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(0, 100_000, size):
            await asyncio.sleep(pause)
            if writer.is_closing():
                return
            writer.write(b"x" * size)

    return conversation


async def test_a_server_that_drips_is_given_up_and_one_that_is_slow_is_not(engine):
    limits = {"idle_seconds": 60, "least_pace": LeastPace(1000, 0.3)}

    async def read(size, pause):
        async with (
            raw_server(dripping(size, pause)) as port,
            pool_of(engine, **limits) as pool,
            pool.exchange(to(port), GET) as response,
        ):
            return await response.body.read_all(1 << 20)

    with pytest.raises(TimedOut, match="too slowly"):
        await read(10, 0.03)
    assert len(await read(10_000, 0.1)) == 100_000


async def test_the_time_in_which_we_do_not_read_is_not_the_servers(engine):
    limits = {"least_pace": LeastPace(500_000, 0.2), "buffered_bytes": 65536}
    size = 8 << 20
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size)
    async with (
        raw_server(answering(answer)) as port,
        pool_of(engine, **limits) as pool,
        pool.exchange(to(port), GET) as response,
    ):
        await asyncio.sleep(0.6)
        assert len(await response.body.read_all(size)) == size


async def test_a_server_that_takes_a_request_slowly_is_waited_for(engine):
    """Its kernel takes what it reads; ours has room for more only when much of it is gone."""
    taken = 0

    async def conversation(reader, writer):
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        while taken < 3 << 20:
            taken += len(await reader.read(100_000))
            await asyncio.sleep(0.03)
        writer.write(OK)

    async with (
        raw_server(conversation) as port,
        pool_of(engine, write_seconds=0.2, least_pace=LeastPace(1000, 1)) as pool,
        pool.exchange(to(port), POST, b"x" * (16 << 20)) as response,
    ):
        assert response.status == 200
    assert taken >= 3 << 20


async def test_without_rest_each_connection_serves_one_request(engine):
    async with serving(echo, engine=engine) as server, pool_of(engine, idle_keep_seconds=0) as pool:
        for _ in range(2):
            async with await pool.connect(to(server.port)) as connection:
                assert not connection.reused
                async with connection.exchange(POST, b"x") as response:
                    assert response.body.complete == b"x"


async def nothing(reader, writer):
    await asyncio.sleep(600)


async def test_one_that_does_not_shake_hands_is_soon_tried_beside_the_others(engine):
    context = unverified_client_context(TlsPolicy(), None)
    async with (
        raw_server(nothing) as silent,
        serving(echo, engine=engine) as server,
        pool_of(engine, tls_seconds=600) as pool,
        asyncio.timeout(60),
    ):
        targets = [Target(LOCAL, silent, context), to(server.port)]
        async with await pool.connect_fastest(targets) as connection:
            assert connection.target == to(server.port)


class Refusal(Exception):
    pass


async def test_who_does_not_pass_the_check_is_passed_over(engine, unused_port):
    async with (
        serving(echo, engine=engine) as bad,
        serving(echo, engine=engine) as good,
        pool_of(engine) as pool,
    ):
        checked = []

        async def check(connection):
            checked.append(connection.target.port)
            if connection.target.port == bad.port:
                raise Refusal

        targets = [to(bad.port), Target(LOCAL, unused_port), to(good.port)]
        async with await pool.connect_fastest(targets, check) as connection:
            assert connection.target == to(good.port)
        assert checked == [bad.port, good.port]
        with pytest.raises(Refusal):
            await pool.connect_fastest(targets[:2], check)
        with pytest.raises(Refusal):
            await pool.connect_fastest(targets[1::-1], check)
        with pytest.raises(ConnectFailed):
            await pool.connect_fastest(targets[1:2], check)


async def test_a_kept_connection_that_passes_no_more_gives_way_to_a_new_one(engine):
    async with serving(echo, engine=engine) as server, pool_of(engine) as pool:
        targets = [to(server.port)]
        for _ in range(2):
            async with await pool.connect(targets[0]), await pool.connect(targets[0]):
                pass

        async def check(connection):
            if connection.reused:
                raise Refusal

        async with await pool.connect_fastest(targets, check) as connection:
            assert not connection.reused


async def test_a_choice_made_afresh_takes_no_kept_connection_and_gives_no_head_start(engine):
    async with serving(echo, engine=engine) as server, pool_of(engine) as pool:
        async with await pool.connect(to(server.port)):
            pass
        targets = [Target("192.0.2.1", 9), to(server.port)]
        loop, took = asyncio.get_running_loop(), []
        while len(took) < 20 and min(took, default=1) >= HEAD_START:
            began = loop.time()
            async with await pool.connect_fastest(targets, afresh=True) as connection:
                assert not connection.reused
            took.append(loop.time() - began)
    assert min(took) < HEAD_START


async def test_a_silent_address_is_a_connection_that_failed(engine):
    with socket.create_server((LOCAL, 0), backlog=0) as full:
        with socket.create_connection(full.getsockname()), suppress(OSError):
            async with pool_of(engine, connect_seconds=0.1) as pool:
                target = to(full.getsockname()[1])
                attempts = [pool.connect(target) for _ in range(3)]
                ends = await asyncio.gather(*attempts, return_exceptions=True)
        silent = ends[-1]
        assert isinstance(silent, ConnectTimedOut)
        assert silent.problem is ConnectProblem.SILENT


async def test_a_closed_pool_opens_nothing(engine):
    async with serving(echo, engine=engine) as server:
        async with pool_of(engine) as pool:
            connection = await pool.connect(to(server.port))
        assert not connection.is_open
        connection.release()
        with pytest.raises(HttpClientError):
            await pool.connect(to(server.port))


async def test_memory_stays_flat_while_a_large_answer_passes_a_slow_reader(engine):
    piece = b"x" * 262144

    async def handler(request):
        return Response(200, body=pieces_of(*[piece] * 128))

    async with serving(handler, engine=engine) as server, pool_of(engine) as pool:
        gc.collect()
        tracemalloc.start()
        try:
            size = 0
            async with pool.exchange(to(server.port), GET) as response:
                async for each in response.body:
                    size += len(each)
                    await asyncio.sleep(0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert size == 128 * len(piece)
    assert peak < 8 << 20


_FRAGMENTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Go\r\n\r\n",
        b"HTTP/1.0 404 No\r\n",
        b"\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
        b"X: y\n",
    ]
)


@settings(max_examples=40)
@given(st.lists(_FRAGMENTS | st.binary(max_size=40), max_size=10))
def test_any_bytes_are_an_answer_or_a_client_error(pieces):
    async def main():
        with suppress(HttpClientError):
            await fetch(FAST, b"".join(pieces), header_seconds=0.1, idle_seconds=0.1)

    asyncio.run(main())


async def test_a_connection_that_ends_holds_its_buffers_no_longer(engine):
    async with raw_server(answering(OK)) as port, nothing_for_the_collector(Connection):
        pool = pool_of(engine)
        async with pool.exchange(to(port), GET) as response:
            await response.body.read_all(100)
            assert (pool.connection_count, pool.busy_count) == (1, 1)
        assert (pool.connection_count, pool.busy_count) == (1, 0)
        pool.close()
        del pool, response
