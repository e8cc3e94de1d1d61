"""ASGI applications behind the package's own server, over sockets."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from sild.runtime.asgi import PEER, asgi_handler
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, serve


class Behaviour:
    """What a test lets the application do, and what came of it."""

    def __init__(self):
        self.seen = asyncio.Event()
        self.cancelled = asyncio.Event()


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "body": body.decode(),
            "header": request.headers.get("x-thing"),
            "peer": list(request.scope[PEER].address[:1]),
        },
        headers={"X-Answer": "yes"},
    )


async def stream(request: Request) -> Response:
    async def pieces():
        for number in range(1000):
            yield f"{number:08d}" * 100

    return StreamingResponse(pieces(), media_type="text/plain")


async def broken(request: Request) -> Response:
    message = "broken"
    raise RuntimeError(message)


async def half(request: Request) -> Response:
    async def pieces():
        yield "x" * 100_000
        message = "broken in the middle"
        raise RuntimeError(message)

    return StreamingResponse(pieces())


async def later(request: Request) -> Response:
    behaviour = request.app.state.behaviour

    async def act():
        behaviour.seen.set()

    return PlainTextResponse("answered", background=BackgroundTask(act))


async def waits(request: Request) -> Response:
    behaviour = request.app.state.behaviour
    behaviour.seen.set()
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        behaviour.cancelled.set()
        raise
    return PlainTextResponse("too late")


@pytest.fixture
async def served(anyio_backend):
    app = Starlette(
        routes=[
            Route("/echo/{rest:path}", echo, methods=["GET", "POST"]),
            *(Route(f"/{each.__name__}", each) for each in (stream, broken, half, later, waits)),
        ]
    )
    app.state.behaviour = Behaviour()
    server = await serve(asgi_handler(app, "http"), Endpoint("127.0.0.1"), Limits(), SystemClock())
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", timeout=60
        ) as client:
            yield client, app.state.behaviour
    finally:
        await server.close(0)


async def test_a_request_is_told_and_its_answer_given(served):
    client, _ = served
    answer = await client.post("/echo/a%20b?c=d", content=b"thing", headers={"X-Thing": "y"})
    assert answer.json() == {
        "method": "POST",
        "path": "/echo/a b",
        "query": "c=d",
        "body": "thing",
        "header": "y",
        "peer": ["127.0.0.1"],
    }
    assert answer.headers["x-answer"] == "yes"
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]


async def test_head_has_the_head_alone(served):
    client, _ = served
    answer = await client.head("/echo/x")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_long_answer_is_streamed(served):
    client, _ = served
    answer = await client.get("/stream")
    assert answer.text == "".join(f"{number:08d}" * 100 for number in range(1000))
    assert (await client.get("/echo/x")).status_code == 200


async def test_an_application_that_fails_is_answered_for(served, caplog):
    client, _ = served
    assert (await client.get("/broken")).status_code == 500


async def test_an_answer_that_breaks_off_is_seen_to(served):
    client, _ = served
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/half")


async def test_what_is_done_after_the_answer_is_done(served):
    client, behaviour = served
    assert (await client.get("/later")).text == "answered"
    await asyncio.wait_for(behaviour.seen.wait(), 60)


async def test_who_goes_away_ends_what_was_done_for_it(served):
    client, behaviour = served
    asking = asyncio.create_task(client.get("/waits"))
    await asyncio.wait_for(behaviour.seen.wait(), 60)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(behaviour.cancelled.wait(), 60)


@pytest.mark.parametrize("target", ["http://else.where/echo", "*", "/%ff"])
async def test_a_target_that_is_no_path_is_refused(served, target):
    client, _ = served
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    method = "OPTIONS" if target == "*" else "GET"
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readline()
    writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
