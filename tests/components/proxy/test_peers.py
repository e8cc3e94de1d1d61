"""What is remembered of connections to other security servers, and for how long."""

import gc
import weakref
from datetime import timedelta

import pytest

from pki_builder import NOON, TestCa
from sild.components.proxy.peers import PeerOcsp, Peers
from sild.components.proxy.routing import Routing
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.view import View
from sild.protocol.errors import IncorrectValidationInfo, ProtocolError
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.transport.ocsp_exchange import write_ocsp_answer
from sild.runtime.clock import TurnedClock
from sild.runtime.http_client import (
    ClientLimits,
    ConnectFailed,
    ConnectProblem,
    HttpClientError,
    HttpClientPool,
    PeerGone,
    RequestHead,
    StaleConnection,
    TlsFailed,
)
from sild.runtime.http_server import Endpoint, Limits, Response, serve

pytestmark = pytest.mark.anyio

CA = TestCa.create()
AUTH = CA.issue_auth().certificate
OWNER = ClientId("DEV", "GOV", "M1")
REGISTER, ARCHIVE = OWNER.subsystem("register"), OWNER.subsystem("archive")
SERVER = ServerEntry(SecurityServerId(OWNER, "SS1"), "127.0.0.1", frozenset(), None)


class Conf:
    """One server, which has everybody as clients."""

    instance = "DEV"

    def trust(self, instance):
        return CA.trust()

    def servers_of(self, client):
        return (SERVER,)

    def is_auth_certificate_of(self, certificate, client):
        return True

    def find_server_by_auth_certificate(self, certificate):
        return SERVER


class Kept:
    """A connection that is used again and again."""

    def __init__(self):
        self.extra = None
        self.peer_chain = (AUTH.der,)
        self.target = None
        self.discarded = False

    async def connect_fastest(self, targets, check, *, afresh):
        (self.target,) = targets
        try:
            await check(self)
        except ProtocolError:
            self.discarded = True
            raise
        return self

    def discard(self):
        self.discarded = True


class Responses:
    """The OCSP response of the server, and how often it was asked for."""

    def __init__(self):
        self.asked = 0
        self.given = (CA.ocsp(AUTH),)

    async def responses(self, host, chain, view, now):
        self.asked += 1
        return self.given

    def forget(self, chain):
        self.given = ()


def view():
    return View(None, Conf(), NOON + timedelta(days=1))


class Consumer:
    """Peers with a kept connection, and what they ask."""

    def __init__(self):
        self.clock = TurnedClock()
        self.clock.turn_to(NOON)
        self.connection, self.ocsp = Kept(), Responses()
        self.routing = Routing(self.clock, 60)
        settings = ProxySettings()
        self.peers = Peers(
            self.connection, self.ocsp, lambda: None, self.routing, settings, self.clock
        )

    async def connect(self, view, provider=REGISTER):
        return await self.peers.connect(self.routing.route(view.conf, provider, None), view)


async def test_a_kept_connection_is_authenticated_once_for_each_provider_and_view():
    consumer, first = Consumer(), view()
    for provider in (REGISTER, REGISTER, ARCHIVE, REGISTER, ARCHIVE):
        await consumer.connect(first, provider)
    assert consumer.ocsp.asked == 2
    await consumer.connect(view())
    assert consumer.ocsp.asked == 3


async def test_a_proof_ends_with_what_it_rests_on():
    consumer, first = Consumer(), view()
    await consumer.connect(first)
    consumer.clock.turn(timedelta(days=2))
    with pytest.raises(IncorrectValidationInfo):
        await consumer.connect(first)
    assert consumer.connection.discarded


async def test_a_kept_connection_keeps_no_view_of_before():
    consumer, first = Consumer(), view()
    await consumer.connect(first)
    await consumer.connect(first, ARCHIVE)
    gone = weakref.ref(first)
    del first
    await consumer.connect(view())
    gc.collect()
    assert gone() is None
    assert list(consumer.connection.extra) == [REGISTER]


class Responder:
    """The OCSP port of a server, which counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    async def handle(self, request):
        self.asked += 1
        kind, body = write_ocsp_answer([CA.ocsp(AUTH)], "boundary")
        return Response(200, b"OK", [(b"Content-Type", kind.encode())], body)


class Several(Conf):
    """More servers, of which each would do."""

    def servers_of(self, client):
        codes = enumerate("abcdefgh", 1)
        return tuple(
            ServerEntry(SecurityServerId(OWNER, code), f"127.0.0.{number}", frozenset(), None)
            for number, code in codes
        )


class Fastest(Kept):
    """A connection to the server that comes first, which fails when it is told to."""

    def __init__(self):
        super().__init__()
        self.afresh = []
        self.failure = None
        self.breaks = None

    async def connect_fastest(self, targets, check, *, afresh):
        self.afresh.append(afresh)
        if self.failure is not None:
            raise self.failure
        self.target = targets[0]
        return self

    async def begin(self, head, body):
        raise self.breaks

    async def end(self):
        pass

    def release(self):
        pass


def choosing():
    """A consumer that knows which server was fastest; and a way to say which come first now."""
    consumer = Consumer()
    consumer.connection = Fastest()
    consumer.peers = Peers(
        consumer.connection,
        consumer.ocsp,
        lambda: None,
        consumer.routing,
        ProxySettings(),
        consumer.clock,
    )
    return consumer, View(None, Several(), NOON + timedelta(days=1))


def firsts(consumer, view):
    routes = [consumer.routing.route(view.conf, REGISTER, None) for _ in range(60)]
    return {route.servers[0].address for route in routes}


async def test_once_its_memory_ends_the_fastest_server_is_found_anew_whatever_is_connected():
    consumer, view = choosing()
    for seconds in (0, 59, 2, 1):
        consumer.clock.turn(timedelta(seconds=seconds))
        await consumer.connect(view)
    assert consumer.connection.afresh == [False, False, True, False]


@pytest.mark.parametrize(
    "failure",
    [
        ConnectFailed("no", ConnectProblem.REFUSED),
        TlsFailed("no"),
        PeerGone("no"),
        IncorrectValidationInfo("no"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_server_that_cannot_be_connected_to_is_the_first_choice_no_longer(failure):
    consumer, view = choosing()
    await consumer.connect(view)
    assert len(firsts(consumer, view)) == 1
    consumer.connection.failure = failure
    with pytest.raises((ProtocolError, HttpClientError)):
        await consumer.connect(view)
    assert len(firsts(consumer, view)) > 1


async def test_a_server_that_fails_in_an_exchange_is_the_first_choice_no_longer():
    consumer, view = choosing()
    connection = await consumer.connect(view)
    consumer.connection.breaks = PeerGone("within its answer")
    assert len(firsts(consumer, view)) == 1
    with pytest.raises(PeerGone):
        async with connection.exchange(RequestHead(b"POST", b"/")):
            pass
    assert len(firsts(consumer, view)) > 1


async def test_a_message_of_which_something_may_have_arrived_is_not_sent_again():
    consumer, view = choosing()
    connection = await consumer.connect(view)
    consumer.connection.breaks = StaleConnection("closed", sent=True)
    with pytest.raises(StaleConnection):
        async with connection.exchange(RequestHead(b"POST", b"/")):
            pass
    assert len(consumer.connection.afresh) == 1


async def test_ocsp_responses_of_others_are_kept_for_a_while_and_then_fetched_again():
    """A revocation is heard of before the response that says otherwise is stale."""
    responder, conf = Responder(), view()
    server = await serve(responder.handle, Endpoint("127.0.0.1"), Limits(), TurnedClock())
    try:
        async with HttpClientPool(ClientLimits()) as pool:
            kept = PeerOcsp(pool, server.port)
            for minutes in (0, 1, 19):
                now = NOON + timedelta(minutes=minutes)
                await kept.responses("127.0.0.1", (AUTH.der,), conf, now)
            assert responder.asked == 1
            now = NOON + timedelta(minutes=20)
            await kept.responses("127.0.0.1", (AUTH.der,), conf, now)
            assert responder.asked == 2
    finally:
        await server.close(0)


async def no_multipart(request):
    return Response(200, b"OK", [(b"Content-Type", b"text/html")], b"<html/>")


async def sorry(request):
    return Response(500, b"Internal Server Error", [], b"no such certificate")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "ssl_authentication_failed"),
        (sorry, "ssl_authentication_failed"),
        (no_multipart, "ssl_authentication_failed.invalid_content_type"),
    ],
)
async def test_a_server_whose_ocsp_responses_cannot_be_had_is_not_authenticated(answer, code):
    consumer, present = Consumer(), view()
    server = await serve(answer or sorry, Endpoint("127.0.0.1"), Limits(), TurnedClock())
    if answer is None:
        await server.close(0)
    try:
        async with HttpClientPool(ClientLimits()) as pool:
            consumer.peers._ocsp = PeerOcsp(pool, server.port)
            with pytest.raises(ProtocolError) as refused:
                await consumer.connect(present)
    finally:
        await server.close(0)
    assert refused.value.staged_code == code
    assert consumer.connection.discarded
