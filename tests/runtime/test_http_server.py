import asyncio
import gc
import logging
import socket
import ssl
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.http_ends import (
    HOST,
    LOCAL,
    LOOPS_AND_ENGINES,
    echo,
    nothing_for_the_collector,
    pki,
    post,
    raw_exchange,
    serving,
    settle,
    until,
)
from sild.runtime.http_server import BodyTooLarge, LeastPace, PeerGone, Response
from sild.runtime.http_server_connection import ServerConnection
from sild.runtime.http_wire import as_chunk
from sild.runtime.tls import AnyCertificate, TlsPolicy, server_context, unverified_client_context
from sild.runtime.transport import FAST

CLOSE = b"Connection: close"


@pytest.fixture(scope="module", params=LOOPS_AND_ENGINES[::2], ids=str)
def loop_and_engine(request):
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(loop_and_engine):
    return loop_and_engine.backend


@pytest.fixture
def engine(loop_and_engine):
    return loop_and_engine.engine


def get(*more, target=b"/"):
    return b"\r\n".join([b"GET %b HTTP/1.1" % target, b"Host: a", *more, b"", b""])


def statuses(answers):
    return [int(each.split(b" ")[0]) for each in answers.split(b"HTTP/1.1 ")[1:]]


async def answer_of(handler, engine, *pieces, **limits):
    async with serving(handler, engine=engine, **limits) as server:
        return await raw_exchange(server.port, *pieces)


async def test_a_request_reaches_its_handler_as_it_was_sent(engine):
    seen = []

    async def handler(request):
        seen.append(request)
        return Response(201, b"Made", [(b"x-Odd-Case", b"1"), (b"Twice", b"a"), (b"Twice", b"b")])

    sent = b"PUT /a%20b?c=%2f&d HTTP/1.1\r\nhOST: a\r\nX-A: 1 \r\nx-a:2\r\nX-Empty:\r\n" + CLOSE
    answer = await answer_of(handler, engine, sent + b"\r\n\r\n")
    (request,) = seen
    assert (request.method, request.target) == (b"PUT", b"/a%20b?c=%2f&d")
    assert request.headers[:4] == [
        (b"hOST", b"a"),
        (b"X-A", b"1"),
        (b"x-a", b"2"),
        (b"X-Empty", b""),
    ]
    assert request.header(b"x-a") == b"2"
    assert request.header(b"x-b") is None
    assert request.body.complete == b""
    assert request.peer.address[0] == LOCAL
    assert (request.peer.certificate, request.peer.chain) == (None, ())
    assert answer.startswith(
        b"HTTP/1.1 201 Made\r\nx-Odd-Case: 1\r\nTwice: a\r\nTwice: b\r\nContent-Length: 0\r\nDate: "
    )


async def test_requests_on_one_connection_are_answered_in_their_order(engine):
    async def handler(request):
        await asyncio.sleep(0.03 if request.target == b"/1" else 0)
        return Response(200, b"OK", [], request.target + await request.body.read_all(9))

    pipelined = post(b"x", target=b"/1") + get(target=b"/2") + post(b"y", CLOSE, target=b"/3")
    answer = await answer_of(handler, engine, pipelined)
    assert [each.split(b"\r\n\r\n")[1] for each in answer.split(b"HTTP/1.1 ")[1:]] == [
        b"/1x",
        b"/2",
        b"/3y",
    ]
    byte_by_byte = [bytes([each]) for each in pipelined]
    async with serving(handler, engine=engine) as server:
        slowly = await raw_exchange(server.port, *byte_by_byte, pause=0)
    assert statuses(slowly) == [200, 200, 200]


async def test_a_connection_is_kept_unless_one_side_says_otherwise(engine):
    async def handler(request):
        return Response(200, close=request.target == b"/last")

    async with serving(handler, engine=engine) as server:
        assert statuses(await raw_exchange(server.port, get(), get(CLOSE), get())) == [200, 200]
        answer = await raw_exchange(server.port, get(), get(target=b"/last"), get())
        assert statuses(answer) == [200, 200]
        assert answer.count(CLOSE) == 1
        old = b"GET / HTTP/1.0\r\n\r\n"
        assert statuses(await raw_exchange(server.port, old, old)) == [200]
        kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        answer = await raw_exchange(server.port, kept, old)
        assert statuses(answer) == [200, 200]
        assert b"Connection: keep-alive" in answer


async def test_the_date_is_added_where_the_handler_gives_none(engine):
    async def handler(request):
        return Response(200, headers=[(b"date", b"today")] if request.target == b"/own" else [])

    answer = await answer_of(handler, engine, get(target=b"/own"), get(CLOSE))
    own, added = answer.split(b"HTTP/1.1 200 ")[1:]
    assert own.lower().count(b"date:") == 1
    assert added.count(b" GMT\r\n") == 1


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_small_body_is_complete_at_once_and_a_later_one_is_iterated(engine):
    seen = []

    async def handler(request):
        seen.append(request.body.complete)
        return Response(200, body=b"".join([each async for each in request.body]))

    whole = CHUNKED + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    pieces = [CHUNKED, b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n", get(CLOSE)]
    answer = await answer_of(handler, engine, whole, *pieces)
    assert seen == [b"abcde", None, b""]
    assert b"\r\n\r\nabcde" in answer
    assert b"\r\n\r\nabcdef" in answer


async def test_a_client_that_asks_first_is_told_to_go_on_when_the_body_is_wanted(engine):
    async def handler(request):
        if request.target == b"/no":
            return Response(417)
        return Response(200, body=await request.body.read_all(99))

    head, body = post(b"body", b"Expect: 100-continue", CLOSE).split(b"\r\n\r\n")
    answer = await answer_of(handler, engine, head + b"\r\n\r\n", body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert answer.endswith(b"body")
    refused = (head + b"\r\n\r\n").replace(b" / ", b" /no ").replace(CLOSE, b"A: b")
    unread = await answer_of(handler, engine, refused, body)
    assert statuses(unread) == [417]
    assert CLOSE in unread
    assert statuses(await answer_of(handler, engine, head + b"\r\n\r\n" + body)) == [200]


async def test_no_body_is_sent_where_none_belongs(engine):
    async def pieces():
        yield b"never"

    async def handler(request):
        match request.target:
            case b"/length":
                return Response(200, headers=[(b"Content-Length", b"12")], body=b"dropped")
            case b"/stream":
                return Response(200, body=pieces())
            case b"/204":
                return Response(204, body=b"dropped")
            case _:
                return Response(304)

    head = get(target=b"/length").replace(b"GET", b"HEAD")
    streamed = get(target=b"/stream").replace(b"GET", b"HEAD")
    answer = await answer_of(
        handler, engine, head, streamed, get(target=b"/204"), get(CLOSE, target=b"/304")
    )
    length, stream, nothing, unchanged = answer.split(b"HTTP/1.1 ")[1:]
    assert b"Content-Length: 12\r\n" in length
    for each in (length, stream, nothing, unchanged):
        assert each.endswith(b"\r\n\r\n")
    for each in (stream, nothing, unchanged):
        assert b"Content-Length" not in each
        assert b"Transfer-Encoding" not in each


async def test_an_iterated_body_is_sent_in_chunks_or_by_its_length(engine):
    async def pieces():
        for each in (b"abc", b"", b"de"):
            yield each

    async def handler(request):
        return Response(200, b"OK", [], pieces(), length=5 if request.target == b"/5" else None)

    answer = await answer_of(handler, engine, get(), get(CLOSE, target=b"/5"))
    chunked, measured = answer.split(b"HTTP/1.1 ")[1:]
    assert b"Transfer-Encoding: chunked\r\n" in chunked
    assert chunked.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert b"Content-Length: 5\r\n" in measured
    assert measured.endswith(b"\r\n\r\nabcde")
    old = await answer_of(handler, engine, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert old.endswith(b"\r\n\r\nabcde")
    assert b"chunked" not in old


START = b"POST / HTTP/1.1\r\nHost: a\r\n"
SMUGGLING = {
    "a length and chunks": START
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": START
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": START + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "one length twice": START + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": START + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": START + b"Content-Length: +3\r\n\r\nabc",
    "a hexadecimal length": START + b"Content-Length: 0x3\r\n\r\nabc",
    "an endless length": START + b"Content-Length: 99999999999999999999\r\n\r\n",
    "an unknown encoding": START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "another encoding before chunks": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another encoding in its own field": START
    + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": START + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunks before another encoding": START
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": START + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab in the encoding": START + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded field": START + b"X: a\r\n b\r\n\r\n",
    "a folded first field": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "one bare line feed": START + b"X: a\nContent-Length: 3\r\n\r\nabc",
    "a bare carriage return": START + b"X: a\rContent-Length: 3\r\n\r\nabc",
    "a zero byte": START + b"X: a\0b\r\n\r\n",
    "a nameless field": START + b": b\r\n\r\n",
    "a fieldless line": START + b"nonsense\r\n\r\n",
    "a chunk size of 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size and a space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk size too large": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a bare line feed after a chunk size": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a bare line feed in a chunk extension": CHUNKED + b"3;a\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a later version": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "a minor version unheard of": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "a control character in the target": b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method unheard of": b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tunnel": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS where there is none": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("sent", SMUGGLING.values(), ids=SMUGGLING)
async def test_what_readers_could_disagree_on_is_refused_and_the_connection_closed(sent, engine):
    handled = []

    async def handler(request):
        await request.body.read_all(99)
        handled.append(request)
        return Response(200)

    answer = await answer_of(handler, engine, sent + get() + get())
    assert not handled
    assert len(statuses(answer)) == 1
    assert statuses(answer)[0] in {400, 501, 505}
    assert CLOSE in answer


async def test_an_offered_upgrade_is_declined_in_silence_body_and_all(engine):
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA")
    answer = await answer_of(echo, engine, post(b"one", *offer) + post(b"two", *offer) + get(CLOSE))
    assert statuses(answer) == [200, 200, 200]
    assert b"\r\n\r\none" in answer
    assert b"\r\n\r\ntwo" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (START + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (START + b"X: " + b"y" * 70_000, 431),
        (START + b"X" * 70_000, 431),
        (b"GET /" + b"y" * 70_000, 431),
        (START + b"".join(b"X-%d: y\r\n" % each for each in range(210)) + b"\r\n", 431),
        (b"\r\n" * 40_000, 431),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000, 400),
        (CHUNKED + b"3;" + b"x" * 100_000, 400),
    ],
)
async def test_what_grows_without_end_is_refused(sent, status, engine):
    pieces = [sent[at : at + 8192] for at in range(0, len(sent), 8192)]
    async with serving(echo, engine=engine) as server:
        assert statuses(await raw_exchange(server.port, *pieces, pause=0.001)) == [status]


async def test_more_requests_ahead_than_the_limit_end_the_connection(engine):
    async def handler(request):
        await asyncio.sleep(0)
        return Response(200)

    answer = await answer_of(handler, engine, get() * 2000)
    assert 0 < len(statuses(answer)) < 100


async def test_a_slow_head_is_cut_with_408_and_silence_without_a_word(engine):
    async with serving(echo, engine=engine, header_seconds=0.1, idle_seconds=0.15) as server:
        assert statuses(await raw_exchange(server.port, START)) == [408]
        assert await raw_exchange(server.port) == b""
        answer = await raw_exchange(server.port, get())
        assert statuses(answer) == [200]
        drip = [bytes([each]) for each in START + b"X: 0123456789"]
        assert statuses(await raw_exchange(server.port, *drip)) == [408]


async def test_a_slow_body_fails_in_its_reader(engine):
    seen = []

    async def handler(request):
        try:
            return await echo(request)
        except PeerGone as error:
            seen.append(error)
            if request.target == b"/tell":
                return Response(408)
            raise

    async with serving(handler, engine=engine, body_seconds=0.25) as server:
        sent = post(b"x" * 10)[:-5]
        assert await raw_exchange(server.port, sent) == b""
        assert statuses(await raw_exchange(server.port, sent.replace(b" / ", b" /tell "))) == [408]
        drip = [bytes([each]) for each in post(b"0123456789", CLOSE)[-10:]]
        head = post(b"0123456789", CLOSE)[:-10]
        assert statuses(await raw_exchange(server.port, head, *drip, pause=0.03)) == [200]
    assert [str(each) for each in seen] == ["the client sent nothing for 0.25 s"] * 2


async def test_a_reader_that_takes_nothing_is_cut(engine):
    ended = asyncio.Event()

    async def pieces():
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    async def handler(request):
        return Response(200, body=pieces())

    async with serving(handler, engine=engine, write_seconds=0.15) as server:
        _, writer = await asyncio.open_connection(LOCAL, server.port, limit=1024)
        writer.write(get())
        await asyncio.wait_for(ended.wait(), 60)
        writer.close()


async def test_a_handler_whose_client_leaves_is_cancelled(engine):
    started, ended = asyncio.Event(), asyncio.Event()

    async def handler(request):
        started.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    async with serving(handler, engine=engine) as server:
        _, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(get())
        await asyncio.wait_for(started.wait(), 60)
        writer.close()
        await asyncio.wait_for(ended.wait(), 60)


async def test_a_reader_of_a_body_whose_client_leaves_is_told(engine):
    started, told = asyncio.Event(), asyncio.Event()

    async def handler(request):
        started.set()
        assert [await anext(request.body)] == [b"abc"]
        with pytest.raises(PeerGone):
            await request.body.read_all(99)
        told.set()
        return Response(200)

    async with serving(handler, engine=engine) as server:
        _, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(post(b"abcdef")[:-3])
        await asyncio.wait_for(started.wait(), 60)
        writer.transport.abort()
        await asyncio.wait_for(told.wait(), 60)


async def test_a_body_that_fails_midway_never_looks_complete(engine, caplog):
    closed = []

    async def pieces(good):
        try:
            for _ in range(good):
                yield b"piece"
            raise RuntimeError("a secret")
        finally:
            closed.append(good)

    async def handler(request):
        match request.target:
            case b"/short":
                return Response(200, body=pieces(2), length=20)
            case b"/long":
                return Response(200, body=pieces(9), length=7)
            case target:
                return Response(200, body=pieces(int(target[1:])))

    async with serving(handler, engine=engine) as server:
        broken = await raw_exchange(server.port, get(target=b"/2"))
        assert broken.endswith(b"5\r\npiece\r\n5\r\npiece\r\n")
        assert len(await raw_exchange(server.port, get(target=b"/short"))) > 0
        too_long = await raw_exchange(server.port, get(target=b"/long"))
        assert too_long.endswith(b"\r\n\r\npiece")
        at_once = await raw_exchange(server.port, get(target=b"/0"))
    assert statuses(at_once) == [500]
    assert b"secret" not in at_once
    assert closed == [2, 2, 9, 0]


async def test_a_body_of_its_own_making_is_closed_when_nobody_takes_it(engine):
    closed = asyncio.Event()

    class Pieces:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return bytes(65536)

        async def aclose(self):
            closed.set()

    async def handler(request):
        return Response(200, body=Pieces())

    async with serving(handler, engine=engine) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(get())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        await asyncio.sleep(0.1)  # until all that lies between is full
        writer.transport.abort()
        await asyncio.wait_for(closed.wait(), 60)


async def test_a_handlers_bug_is_logged_and_leaks_nothing(engine, caplog):
    async def handler(request):
        raise RuntimeError("a secret")

    with caplog.at_level(logging.ERROR):
        answer = await answer_of(handler, engine, get(), get())
    assert statuses(answer) == [500]
    assert CLOSE in answer
    assert b"secret" not in answer
    assert "a secret" in caplog.text


async def test_a_body_over_the_readers_limit_is_413(engine):
    async def handler(request):
        await request.body.read_all(4)
        return Response(200)

    async with serving(handler, engine=engine) as server:
        assert statuses(await raw_exchange(server.port, post(b"four", CLOSE))) == [200]
        assert statuses(await raw_exchange(server.port, post(b"fives"))) == [413]
        late = CHUNKED + b"3\r\nabc\r\n"
        assert statuses(await raw_exchange(server.port, late, b"3\r\nabc\r\n")) == [413]
    assert issubclass(BodyTooLarge, Exception)


@pytest.mark.parametrize(
    "response",
    [
        Response(200, headers=[(b"X", b"a\r\nY: b")]),
        Response(200, headers=[(b"X", b"a\nY: b")]),
        Response(200, headers=[(b"X", b"a\rb")]),
        Response(200, headers=[(b"X", b"a\0b")]),
        Response(200, headers=[(b"X\r\nY", b"a")]),
        Response(200, headers=[(b"Transfer-Encoding ", b"chunked")]),
        Response(200, headers=[(b"X: Y", b"a")]),
        Response(200, headers=[(b"", b"a")]),
        Response(200, headers=[(b"content-Length", b"0")]),
        Response(200, headers=[(b"Transfer-Encoding", b"chunked")]),
        Response(200, headers=[(b"Connection", b"keep-alive")]),
        Response(200, b"OK\r\nX: y"),
        Response(100),
        Response(99),
    ],
)
async def test_a_response_that_would_break_its_framing_is_not_sent(response, engine):
    async def handler(request):
        return response

    assert statuses(await answer_of(handler, engine, get())) == [500]


async def test_a_body_left_unread_is_dropped_or_ends_the_connection(engine):
    async def handler(request):
        return Response(200)

    little, much = b"x" * 100_000, b"x" * 1_000_000
    async with serving(handler, engine=engine) as server:
        head, body = post(little)[:-100_000], little
        assert statuses(await raw_exchange(server.port, head, body, get(CLOSE))) == [200, 200]
        head = post(much)[:-1_000_000]
        answer = await raw_exchange(server.port, head, much[:500_000])
        assert statuses(answer) == [200]


async def sent_slowly(engine, size, pause, *, handler=echo, **limits):
    """What is answered to a body that comes in thirty such pieces."""
    body = b"x" * size * 30
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    async with serving(handler, engine=engine, **limits) as server:
        sent = post(body, CLOSE)[: -len(body)]
        return statuses(await raw_exchange(server.port, sent, *pieces, pause=pause))


async def test_a_client_that_drips_is_given_up_and_one_that_is_slow_is_not(engine):
    seen = []

    async def handler(request):
        try:
            return await echo(request)
        except PeerGone as error:
            seen.append(str(error))
            raise

    limits = {"body_seconds": 60, "least_pace": LeastPace(1000, 0.3), "handler": handler}
    assert await sent_slowly(engine, 10, 0.03, **limits) == []
    assert len(seen) == 1
    assert "too slowly" in seen[0]
    assert await sent_slowly(engine, 2000, 0.05, **limits) == [200]


async def test_the_time_in_which_the_handler_does_not_read_is_not_the_clients(engine):
    async def handler(request):
        await asyncio.sleep(0.5)
        return Response(200, body=b"%d" % len(await request.body.read_all(1 << 24)))

    limits = {"least_pace": LeastPace(1_000_000, 0.2), "buffered_bytes": 65536}
    body = b"x" * (8 << 20)
    async with serving(handler, engine=engine, **limits) as server:
        assert (await raw_exchange(server.port, post(body, CLOSE))).endswith(b"\r\n%d" % len(body))


async def test_a_client_that_reads_slowly_is_waited_for(engine):
    """What it reads is seen in the kernel, long before that has room for more."""

    async def handler(request):
        return Response(200, body=b"x" * (16 << 20))

    limits = {"write_seconds": 0.2, "least_pace": LeastPace(1000, 1)}
    async with serving(handler, engine=engine, **limits) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port, limit=50_000)
        writer.write(get(CLOSE))
        taken = 0
        while taken < 3 << 20:
            taken += len(await reader.readexactly(100_000))
            await asyncio.sleep(0.03)
        writer.transport.abort()


async def test_each_answer_closes_where_connections_are_not_kept(engine):
    answer = await answer_of(echo, engine, get(), keeps_connections=False)
    assert statuses(answer) == [200]
    assert CLOSE in answer


async def refuse(request):
    return Response(403, b"Forbidden", [], b"no")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_client_that_only_sends_still_reads_an_early_answer(engine, tls):
    """It sends all it has before it reads: a close meanwhile would be a reset to it."""
    size = 12 << 20
    context = server_context(TlsPolicy(), pki().server.identity, AnyCertificate.WANTED)
    async with serving(refuse, engine=engine, tls=context if tls else None) as server:
        client = unverified_client_context(TlsPolicy(), None) if tls else None
        reader, writer = await asyncio.open_connection(LOCAL, server.port, ssl=client)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            writer.write(b"x" * (1 << 20))
            await writer.drain()
            await asyncio.sleep(0.12)
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
    assert statuses(answer) == [403]
    assert CLOSE in answer
    assert answer.endswith(b"\r\n\r\nno")


@pytest.mark.parametrize("limit", [{"drained_bytes": 1 << 20}, {"drained_seconds": 0.2}], ids=str)
async def test_what_is_dropped_of_a_refused_body_has_its_limit(engine, limit):
    async with serving(refuse, engine=engine, **limit) as server:
        _, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_on(writer), 60)


async def send_on(writer):
    while True:
        writer.write(as_chunk(b"x" * 65536))
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_closing_lets_answers_end_and_cuts_what_outlasts_the_grace(engine):
    cut, begun, go_on = [], [], asyncio.Event()

    async def handler(request):
        begun.append(request.target)
        try:
            match request.target:
                case b"/short":
                    await go_on.wait()
                case b"/long":
                    await asyncio.sleep(600)
        except asyncio.CancelledError:
            cut.append(request.target)
            raise
        return Response(200)

    async with serving(handler, engine=engine) as server:
        idle, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(get())
        assert statuses(await idle.readuntil(b"\r\n\r\n")) == [200]
        short = asyncio.create_task(raw_exchange(server.port, get(target=b"/short")))
        long = asyncio.create_task(raw_exchange(server.port, get(target=b"/long")))
        await until(lambda: len(begun) == 3)
        closing = asyncio.create_task(server.close(0.5))
        await settle()
        go_on.set()
        answer = await short
        assert statuses(answer) == [200]
        assert CLOSE in answer
        await closing
        assert await long == b""
        assert await idle.read() == b""
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection(LOCAL, server.port)
    assert cut == [b"/long"]


async def test_closing_waits_for_no_client_that_was_answered_and_says_no_goodbye(engine):
    context = server_context(TlsPolicy(), pki().server.identity, AnyCertificate.WANTED)
    async with serving(echo, engine=engine, tls=context) as server:
        client = await asyncio.to_thread(answered_and_deaf, server.port)
        try:
            before = asyncio.get_running_loop().time()
            await server.close(300)
            assert asyncio.get_running_loop().time() - before < 100
        finally:
            client.close()


def answered_and_deaf(port):
    """A client that has its answer, keeps the connection, and does not read on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = context.wrap_socket(socket.create_connection((LOCAL, port), 60))
    client.sendall(get())
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    return client


async def test_a_body_still_arrives_while_the_server_closes(engine):
    begun = asyncio.Event()

    async def handler(request):
        begun.set()
        return await echo(request)

    async with serving(handler, engine=engine) as server:
        sent = post(b"0123456789")
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(sent[:-4])
        await begun.wait()
        closing = asyncio.create_task(server.close(60))
        await asyncio.sleep(0.05)
        writer.write(sent[-4:])
        assert (await reader.read()).endswith(b"\r\n\r\n0123456789")
        await closing
        writer.close()


async def test_connections_over_the_limit_wait_until_others_end(engine):
    async with serving(echo, engine=engine, connections=2) as server:
        first = [await asyncio.open_connection(LOCAL, server.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = asyncio.create_task(raw_exchange(server.port, get(CLOSE)))
        await asyncio.sleep(0.1)
        assert not third.done()
        for _, writer in first:
            writer.close()
        assert statuses(await third) == [200]


async def test_a_slow_reader_stops_the_body_at_its_source(engine):
    made = 0

    async def pieces():
        nonlocal made
        for _ in range(1000):
            made += 1
            yield b"x" * 65536

    async def handler(request):
        return Response(200, body=pieces())

    async with serving(handler, engine=engine) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port, limit=1024)
        writer.write(get())
        before = -1
        while made > before:
            before = made
            await asyncio.sleep(0.1)
        assert before < 200  # what the buffers of the kernel hold, and little more
        await reader.readexactly(4 << 20)
        assert made > before
        writer.transport.abort()


async def test_a_slow_handler_stops_its_client(engine):
    go_on = asyncio.Event()
    sizes = []

    async def handler(request):
        await go_on.wait()
        sizes.append(request.body.buffered)
        return Response(200, body=b"%d" % sum([len(each) async for each in request.body]))

    size = 32 << 20
    async with serving(handler, engine=engine, buffered_bytes=100_000) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(post(b"x" * size, CLOSE))
        await asyncio.sleep(0.2)
        assert writer.transport.get_write_buffer_size() > size // 2
        go_on.set()
        assert (await reader.read()).endswith(b"%d" % size)
        writer.close()
    assert sizes[0] < 1_000_000


async def test_memory_stays_flat_while_a_large_body_passes_through(engine):
    async def handler(request):
        return Response(200, body=request.body)

    size, sent, received = 64 << 20, 0, 0
    async with serving(handler, engine=engine) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port, limit=1 << 18)
        writer.write(post(b"", CLOSE).replace(b"Length: 0", b"Length: %d" % size))

        async def send():
            nonlocal sent
            piece = b"x" * 262144
            while sent < size:
                writer.write(piece)
                sent += len(piece)
                await writer.drain()

        gc.collect()
        tracemalloc.start()
        try:
            sending = asyncio.create_task(send())
            while piece := await reader.read(1 << 20):
                received += len(piece)
            await sending
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        writer.close()
    assert received > size
    assert peak < 8 << 20


_FRAGMENTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /x HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        HOST,
        b"\r\n",
        b"\n",
        b"X: y\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
    ]
)


def test_any_bytes_are_answered_or_cut_and_the_server_goes_on(caplog):
    @settings(max_examples=40)
    @given(st.lists(_FRAGMENTS | st.binary(max_size=40), max_size=12))
    def send(pieces):
        async def main():
            async with serving(echo, engine=FAST, header_seconds=0.05, body_seconds=0.05) as server:
                answer = await raw_exchange(server.port, *pieces, get(CLOSE), pause=0)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
                assert all(each in {100, 200, 400, 408, 431, 501, 505} for each in statuses(answer))
                assert statuses(await raw_exchange(server.port, get(CLOSE))) in ([200], [408])

        asyncio.run(main())

    send()
    assert not [each for each in caplog.records if each.name.startswith("sild")]


async def test_a_connection_that_ends_holds_its_buffers_no_longer(engine):
    async with (
        serving(echo, engine=engine) as server,
        nothing_for_the_collector(ServerConnection),
    ):
        assert statuses(await raw_exchange(server.port, post(b"body", CLOSE))) == [200]
        assert statuses(await raw_exchange(server.port, b"NONSENSE\r\n\r\n")) == [400]
        _, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(get())
        await until(lambda: server.connection_count == 1)
        writer.transport.abort()
        del writer
    assert server.connection_count == 0
