"""What is remembered of connections to other security servers, and for how long."""

import gc
import weakref
from datetime import timedelta

import pytest

from pki_builder import NOON, TestCa
from sild.components.proxy.peers import Peers
from sild.components.proxy.routing import Routing
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.view import View
from sild.protocol.errors import IncorrectValidationInfo
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock
from sild.runtime.http_client import Target

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
        self.target = Target("127.0.0.1", 1)
        self.discarded = False

    async def connect(self, target):
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
