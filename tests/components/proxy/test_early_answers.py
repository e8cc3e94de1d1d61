"""An answer that comes before the request was signed and saved is no answer to it."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest

from pki_builder import MEMBER, NOON, TestCa
from signing_builder import TestSigner, digests_of
from sild.components.proxy.client_side import ClientSide
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.outgoing import Sender
from sild.components.proxy.routing import Routing
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.signing import SigningQueues
from sild.components.proxy.steps import ExchangeLog
from sild.components.proxy.view import View
from sild.model.services import Client, ClientStatus, ConnectionType
from sild.model.snapshot import AuthenticationCertificate, ServerSnapshot, SigningCertificate
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.rest.message import build_rest_response, read_rest_request, request_hash
from sild.protocol.transport.events import (
    BodyChunk,
    BodyEnd,
    HashChain,
    HashChainResult,
    RestHeader,
    SignaturePart,
)
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.headers import write_response_headers
from sild.protocol.transport.writer import make_boundary, write_content_type, write_whole
from sild.runtime.clock import TurnedClock
from sild.runtime.files import SpoolDirectory, SpoolLimits
from sild.runtime.http_client import ClientLimits, HttpClientPool, Target
from sild.runtime.http_server import Endpoint, Limits, Response, serve

pytestmark = pytest.mark.anyio

CA = TestCa.create()
CONSUMER, PROVIDER = MEMBER, ClientId("DEV", "GOV", "M2")
PORTAL, REGISTER = CONSUMER.subsystem("S1"), PROVIDER.subsystem("S2")
OURS, THEIRS = TestSigner.create(ca=CA), TestSigner.create(ca=CA, member=PROVIDER)
BODY = b"more than a connection holds " * 30_000
ANSWER = b"the answer"


class Conf:
    """What a consumer asks of the global configuration."""

    instance = "DEV"

    def trust(self, instance):
        return OURS.trust

    def servers_of(self, client):
        server = SecurityServerId(PROVIDER, "SS2")
        return (ServerEntry(server, "127.0.0.1", frozenset(), None),)


class ReluctantSigner:
    """Signs when it is let."""

    def __init__(self):
        self.may_sign = asyncio.Event()

    async def sign(self, key_id, digest, algorithm):
        await self.may_sign.wait()
        raise AssertionError


class ListedLog:
    """Remembers what was saved."""

    body_limit = None
    body_kept = 0

    def __init__(self):
        self.saved = []

    async def save(self, record, body):
        self.saved.append(record)


class Views:
    """One view for all messages."""

    def __init__(self):
        identity = OURS.identity
        signing = SigningCertificate(
            CONSUMER, "K", identity.certificate.der, (), (identity.ocsp,), batch=False
        )
        snapshot = ServerSnapshot(
            1,
            SecurityServerId(CONSUMER, "SS1"),
            clients=(Client(PORTAL, ClientStatus.REGISTERED, ConnectionType.NOSSL),),
            signing=(signing,),
            authentication=AuthenticationCertificate("A", b"certificate", (), (b"response",)),
        )
        self.current = View(snapshot, Conf(), NOON + timedelta(days=1))


class OneServer:
    """Connections to one server that has proved who it is."""

    def __init__(self, pool, port):
        self._pool = pool
        self._target = Target("127.0.0.1", port)

    async def connect(self, route, view):
        return await self._pool.connect(self._target)


async def answer_early(request):
    """A provider's server that answers as soon as it can compute what it is asked to repeat."""
    seen = b""
    async for piece in request.body:
        seen += piece
        part = seen.partition(b"application/x-road-rest-request\r\n\r\n")[2].partition(b"\r\n--")[0]
        body = seen.partition(b"application/x-road-rest-body\r\n\r\n")[2]
        if len(body) == len(BODY):
            break
    digests = digests_of({"part": part, "body": body})
    response = build_rest_response(
        read_rest_request(part), 200, b"OK", [], request_hash(digests["part"], digests["body"])
    )
    return signed(response.part)


def signed(part):
    parts = {"/message.xml": part, "/attachment1": ANSWER}
    (signature,) = THEIRS.sign(parts)
    events = [RestHeader(part, digests_of(parts)["/message.xml"]), BodyChunk(ANSWER), BodyEnd(b"")]
    if signature.hash_chain is not None:
        events += [HashChainResult(signature.hash_chain_result), HashChain(signature.hash_chain)]
    events.append(SignaturePart(signature.signature))
    boundary = make_boundary(bytes(30))
    body = write_whole(Direction.RESPONSE, boundary, events)
    return Response(200, b"OK", write_response_headers(write_content_type(boundary)), body)


@pytest.fixture
async def consumer(tmp_path):
    """The address of a consumer's side that meets such a provider, and its log."""
    clock, settings = TurnedClock(), ProxySettings()
    clock.turn_to(NOON)
    log, signer = ListedLog(), ReluctantSigner()
    async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
        spool = SpoolDirectory(tmp_path / "spool", SpoolLimits())
        opened.callback(spool.close)
        queues = SigningQueues(signer, tasks.create_task, clock.now, 16)
        sender = Sender(queues, log, spool, clock)
        exchanges = Exchanges(Views(), log, sender, spool, clock, settings, ExchangeLog(None))
        provider = await serve(answer_early, Endpoint("127.0.0.1"), Limits(), clock)
        opened.push_async_callback(provider.close, 0)
        pool = await opened.enter_async_context(HttpClientPool(ClientLimits()))
        side = ClientSide(exchanges, OneServer(pool, provider.port), Routing(clock, 60), None)
        server = await serve(side.handle, Endpoint("127.0.0.1"), Limits(), clock)
        opened.push_async_callback(server.close, 0)
        yield f"http://127.0.0.1:{server.port}", log
        signer.may_sign.set()


async def test_an_answer_to_a_request_that_is_not_saved_is_refused(consumer):
    url, log = consumer
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.post(
            f"{url}/r1/{REGISTER.short}/service",
            headers={"X-Road-Client": PORTAL.short},
            content=BODY,
        )
    code = "server.clientproxy.service_failed.invalid_message"
    assert (answer.status_code, answer.headers["x-road-error"]) == (500, code), answer.text
    assert "before the request was signed" in answer.json()["message"]
    assert log.saved == []
