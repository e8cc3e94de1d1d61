import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from apiclient.served import serving
from sild.apiclient.client import ApiClient
from sild.apiclient.errors import (
    ApiClientError,
    ApiError,
    ApiNotTrusted,
    ApiTimeout,
    ApiUnreachable,
    UnexpectedAnswer,
)
from sild.apiclient.values import (
    ApiKey,
    Authorities,
    Form,
    Login,
    NamedFile,
    Octets,
    Patience,
    Pin,
    Server,
    Unverified,
)
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio


class Slept(SystemClock):
    """A clock on which nobody has to wait."""

    def __init__(self):
        self.pauses = []

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        await asyncio.sleep(0)


class Bad:
    """A server that is as good or bad as a test wants: answers by path, and what it was asked."""

    def __init__(self):
        self.asked = []
        self.logins = 0
        self.sessions = set()
        self.busy = []
        routes = [
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/api/v1/endless", self.endless),
            Route("/api/v1/silent", self.silent),
            Route("/api/v1/busy", self.answer_busy, methods=["POST"]),
            Route("/api/v1/private", self.private, methods=["GET", "POST"]),
            Route("/{path:path}", self.echo, methods=["GET", "POST", "PATCH"]),
        ]
        self.application = Starlette(routes=routes)

    async def echo(self, request):
        self.asked.append(request)
        status = int(request.query_params.get("status", 200))
        if "raw" in request.query_params:
            return Response(request.query_params["raw"], status)
        body = await request.body()
        return JSONResponse(
            {
                "path": request.url.path,
                "query": dict(request.query_params),
                "type": request.headers.get("content-type"),
                "body": body.decode("latin-1"),
                "authorization": request.headers.get("authorization"),
            },
            status,
            headers={"x-road-ui-correlation-id": "0123456789abcdef"},
        )

    async def endless(self, _):
        async def chunks():
            while True:
                yield b"x" * 65536

        return StreamingResponse(chunks())

    async def silent(self, _):
        await asyncio.sleep(600)

    async def answer_busy(self, request):
        self.asked.append(await request.body())
        if not self.busy:
            return JSONResponse({})
        retry = self.busy.pop(0)
        return JSONResponse(
            {"status": 429}, 429, headers={} if retry is None else {"Retry-After": retry}
        )

    async def login(self, request):
        form = await request.form()
        if form["password"] != "right":
            return Response(status_code=401)
        self.logins += 1
        self.sessions.add(session := f"session-{self.logins}")
        answer = Response()
        answer.set_cookie("JSESSIONID", session, secure=True, httponly=True)
        answer.set_cookie("XSRF-TOKEN", f"for-{session}", secure=True)
        return answer

    async def logout(self, request):
        self.sessions.discard(request.cookies["JSESSIONID"])
        return Response()

    async def private(self, request):
        session = request.cookies.get("JSESSIONID")
        if session not in self.sessions:
            return JSONResponse({"status": 401}, 401)
        if request.headers.get("x-xsrf-token") != f"for-{session}":
            return JSONResponse({"status": 403}, 403)
        return JSONResponse({"session": session})


@pytest.fixture
def bad():
    return Bad()


@pytest.fixture
async def served(bad, tmp_path):
    async with serving(bad.application, tmp_path) as where:
        yield where


async def test_a_call_is_one_of_the_contract_or_any_of_the_server(served):
    async with served.client() as client:
        answer = await client.call("GET", "/members", query={"q": "a b", "desc": True, "limit": 5})
        assert answer.json["path"] == "/api/v1/members"
        assert answer.json["query"] == {"q": "a b", "desc": "true", "limit": "5"}
        assert (answer.status, answer.correlation_id) == (200, "0123456789abcdef")
        other = await client.call("GET", "/api/sild/v1/x")
        assert other.json["path"] == "/api/sild/v1/x"


async def test_bodies_are_sent_as_what_they_are(served):
    async with served.client() as client:
        sent = (await client.call("POST", "/x", json={"a": [1, None]})).json
        assert (sent["type"], sent["body"]) == ("application/json", '{"a":[1,null]}')
        sent = (await client.call("POST", "/x", upload=Octets(b"\x00\xff"))).json
        assert (sent["type"], sent["body"]) == ("application/octet-stream", "\x00\xff")
        form = Form({"url": "http://a.test"}, {"certificate": NamedFile("ca.pem", b"\x30")})
        sent = (await client.call("PATCH", "/x", upload=form)).json
        assert sent["type"].startswith("multipart/form-data; boundary=")
        assert 'name="url"\r\n\r\nhttp://a.test' in sent["body"]
        assert 'name="certificate"; filename="ca.pem"' in sent["body"]
        sent = (await client.call("PATCH", "/x", upload=Form({"cost_type": "FREE"}))).json
        assert sent["type"].startswith("multipart/form-data; boundary=")


async def test_what_is_no_json_is_not_sent(served):
    async with served.client() as client:
        with pytest.raises(ApiClientError):
            await client.call("POST", "/x", json={"a": object()})


async def test_a_key_goes_with_each_call(served):
    async with served.client(ApiKey("secret")) as client:
        answer = await client.call("GET", "/x")
    assert answer.json["authorization"] == "X-Road-ApiKey token=secret"


async def test_a_session_is_made_once_and_again_when_it_ended(served, bad):
    async with served.client(Login("user", "right")) as client:
        answers = await asyncio.gather(*(client.call("POST", "/private") for _ in range(5)))
        assert {answer.json["session"] for answer in answers} == {"session-1"}
        bad.sessions.clear()
        answers = await asyncio.gather(*(client.call("POST", "/private") for _ in range(5)))
        assert bad.logins == 2
        assert {answer.json["session"] for answer in answers} == {"session-2"}
        await client.log_out()
        assert bad.sessions == set()
        await client.log_out()


async def test_a_wrong_password_is_an_error(served):
    async with served.client(Login("user", "wrong")) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("GET", "/private")
    assert caught.value.status == 401
    assert str(caught.value).startswith("POST /login: nobody is logged in")


async def test_a_key_that_is_refused_is_not_tried_again(served, bad):
    async with served.client(ApiKey("old")) as client:
        with pytest.raises(ApiError):
            await client.call("GET", "/x", query={"status": 401})
    assert len(bad.asked) == 1


@pytest.mark.parametrize("raw", ["", "<html>", "[]", '"x"', '{"error": 5, "warnings": 5}', "null"])
async def test_an_error_that_tells_nothing_is_one_all_the_same(served, raw):
    async with served.client() as client:
        with pytest.raises(ApiError) as caught:
            await client.call("GET", "/x", query={"status": 502, "raw": raw})
    assert (caught.value.status, caught.value.code) == (502, None)


async def test_a_redirect_is_not_followed(served):
    async with served.client() as client:
        with pytest.raises(ApiError):
            await client.call("GET", "/x", query={"status": 302})


async def test_a_busy_server_gets_the_pauses_that_it_wants(served, bad):
    bad.busy = ["3", None, "0"]
    clock = Slept()
    async with served.client(clock=clock) as client:
        await client.call("POST", "/busy", json=1)
    assert clock.pauses == [3, 2, 0]
    assert bad.asked == [b"1"] * 4


async def test_a_server_that_stays_busy_is_left_alone(served, bad):
    bad.busy = [None] * 9
    clock = Slept()
    async with served.client(clock=clock, patience=Patience(attempts=3)) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("POST", "/busy")
    assert caught.value.status == 429
    assert len(bad.asked) == 3
    assert clock.pauses == [1, 2]


@pytest.mark.parametrize("wanted", ["61", "9" * 5000])
async def test_nobody_waits_for_ages(served, bad, wanted):
    bad.busy = [wanted]
    clock = Slept()
    async with served.client(clock=clock) as client:
        with pytest.raises(ApiError):
            await client.call("POST", "/busy")
    assert clock.pauses == []


async def test_an_answer_without_end_is_refused(served):
    async with served.client(largest_answer=1_000_000) as client:
        with pytest.raises(UnexpectedAnswer):
            await client.call("GET", "/endless")


async def test_a_silent_server_is_not_waited_for(served):
    async with served.client(patience=Patience(call=0.2)) as client:
        with pytest.raises(ApiTimeout):
            await client.call("GET", "/silent")


async def test_a_server_that_is_not_there_is_unreachable(served):
    async with ApiClient(Server("https://127.0.0.1:1", served.pin)) as client:
        with pytest.raises(ApiUnreachable):
            await client.call("GET", "/x")


async def test_a_pinned_server_needs_no_name(served):
    async with served.client(verification=served.pin) as client:
        assert (await client.call("GET", "/x")).status == 200


@pytest.mark.parametrize("verification", [Authorities(), Pin(b"x" * 32)])
async def test_another_server_gets_no_key(served, bad, verification):
    async with served.client(ApiKey("secret"), verification=verification) as client:
        with pytest.raises(ApiNotTrusted):
            await client.call("GET", "/x")
    assert bad.asked == []


async def test_a_server_of_another_name_gets_no_key(served, bad):
    url = served.url.replace("127.0.0.1", "localhost")
    async with ApiClient(Server(url, Authorities(served.file), ApiKey("secret"))) as client:
        with pytest.raises(ApiNotTrusted):
            await client.call("GET", "/x")
    assert bad.asked == []


async def test_any_server_is_believed_only_where_that_is_said(served):
    async with served.client(verification=Unverified()) as client:
        assert (await client.call("GET", "/x")).status == 200


@pytest.mark.parametrize("url", ["http://a.test", "https://", "a.test", "https://a.test/path"])
def test_a_server_is_an_https_address(url):
    with pytest.raises(ApiClientError):
        ApiClient(Server(url))


def test_authorities_that_cannot_be_read_are_an_error(tmp_path):
    for file in (tmp_path / "none", tmp_path / "bad"):
        (tmp_path / "bad").write_text("no certificate")
        with pytest.raises(ApiClientError):
            ApiClient(Server("https://a.test", Authorities(file)))
