"""What breaks a feature unnoticed elsewhere: rules that only show when more than one thing happens."""

from dataclasses import replace

import pytest

from ecosystem.held import SERVICE, copy_of
from ecosystem.letters import Pen, leaf_of, path_to
from ecosystem.plan import HAND, HELD_SERVER, HOLDER, LICENCES, POLICE, PORTAL
from ecosystem.relay import identity_of
from sild.devnet.faults import OcspFault
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.ids import SecurityServerId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import build_ocsp_request
from sild.protocol.transport.ocsp_exchange import write_ocsp_answer
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Request, Response, serve
from sild.runtime.http_wire import BodyReader
from sild.runtime.tls import AnyCertificate, TlsPolicy, server_context
from sild.runtime.transport import Peer

ERROR = "X-Road-Error"
PEER = "server.clientproxy.ssl_authentication_failed"


@pytest.fixture
def call(devnet, http):
    """Call the held server's service through the police server; gives the answer."""

    def send(verb="GET", headers=(), **more):
        url = devnet.police.http_url + path_to(SERVICE.service_code, "/rows", HAND)
        fields = [("X-Road-Client", PORTAL.short), *headers]
        return http.request(verb, url, headers=fields, **more)

    return send


@pytest.fixture
def heard(devnet):
    """What the held server was sent since the test began."""
    count = len(devnet.held.ear.heard)
    return lambda: devnet.held.ear.heard[count:]


@pytest.mark.feature("PX-05")
def test_a_kept_connection_ends_with_the_registration_of_its_certificate(devnet, call, heard):
    """The connection was authenticated, but by a configuration that holds no more."""
    registry = devnet.ecosystem.registry
    assert call().status_code == 200
    try:
        gone = registry.without_auth_certificate(HELD_SERVER, devnet.held.auth.certificate)
        devnet.run(devnet.publish(gone))
        assert call().headers[ERROR] == PEER
        assert len(heard()) == 1
    finally:
        devnet.run(devnet.publish(registry))
    assert call().status_code == 200


@pytest.mark.feature("PX-08")
def test_a_signer_that_is_known_signs_for_no_other_member(devnet):
    """The certificate was found good with the message before, but for another sender."""
    pen = Pen(devnet.held)
    ocsp = pen.papers.ocsp(devnet.held.sign)

    def letter(client, auth_ocsp):
        request = pen.request(path_to("open"), client=client)
        (signed,) = pen.sign(leaf_of(request.part, None), ocsp=ocsp)
        return pen.letter(request, signed=signed, ocsp=auth_ocsp)

    assert devnet.run(pen.post(letter(HAND, None), devnet.health)).code == ""
    count = len(devnet.recorder.asked)
    borrowed = devnet.run(identity_of(devnet.police))
    forged = letter(PORTAL, devnet.police_ocsp())
    said = devnet.run(pen.post(forged, devnet.health, identity=borrowed))
    assert said.code == "server.serverproxy.signature_verification.incorrect_certificate"
    assert devnet.recorder.since(count) == []


class Doubted:
    """A provider's server at the place of the health server whose responder changes its mind."""

    def __init__(self, devnet):
        self._devnet = devnet
        self._messages = 0

    async def start(self, identity):
        address = self._devnet.health.plan.address
        context = server_context(TlsPolicy(), identity, AnyCertificate.REQUIRED)
        limits, clock = Limits(), SystemClock()
        self._server = await serve(self._answer, Endpoint(address, 0, context), limits, clock)
        self._responder = await serve(self._status, Endpoint(address, 0), limits, clock)
        held = self._devnet.held
        self._side = held.client_side_with(
            held.settings(server_port=self._server.port, ocsp_responder_port=self._responder.port)
        )

    async def close(self):
        await self._server.close(0)
        await self._responder.close(0)

    async def meet(self, ocsp):
        """Send a message while the server has this OCSP response: the fault, what arrived."""
        self._ocsp = ocsp
        headers = [(b"X-Road-Client", HAND.short.encode())]
        reader = BodyReader(None, ValueError)
        peer = Peer(("127.0.0.1", 1))
        request = Request(b"GET", path_to("open").encode(), headers, peer, reader)
        response = await self._side.handle(copy_of(request, b""))
        return dict(response.headers)[b"X-Road-Error"].decode(), self._messages

    async def _answer(self, _):
        self._messages += 1
        return Response(404)

    async def _status(self, _):
        kind, body = write_ocsp_answer([self._ocsp], "boundary")
        return Response(200, b"OK", [(b"Content-Type", kind.encode())], body)


@pytest.mark.feature("PX-13")
def test_what_one_subsystem_or_its_member_may_another_may_not(devnet, http):
    """Rights are of the subsystem that calls, not of whom it belongs to."""

    def said_to(client, service):
        url = devnet.police.http_url + path_to(service)
        return http.get(url, headers={"X-Road-Client": client.short})

    registry = devnet.ecosystem.registry
    group = replace(registry.groups[0], members=(PORTAL, POLICE))
    try:
        devnet.run(devnet.publish(replace(registry, groups=(group,))))
        for service in ("open", "own"):
            assert said_to(PORTAL, service).status_code == 200
            denied = said_to(LICENCES, service).headers[ERROR]
            assert denied == "server.serverproxy.access_denied"
    finally:
        devnet.run(devnet.publish(registry))


@pytest.mark.feature("PX-06")
def test_an_ocsp_response_that_proved_nothing_is_not_kept(devnet):
    """It is fresh, and would else keep two servers apart for as long as it is."""
    identity = devnet.run(identity_of(devnet.health))
    certificate, papers = read_certificate(identity.chain[0]), devnet.papers
    question = build_ocsp_request(certificate, papers.ca.issuer.credential.certificate)
    papers.responder.misbehave(certificate.serial, OcspFault.UNKNOWN)
    unknown = papers.responder.answer(question)
    papers.responder.behave(certificate.serial)
    good = papers.responder.answer(question)

    async def meetings():
        server = Doubted(devnet)
        await server.start(identity)
        try:
            return [await server.meet(each) for each in (unknown, good)]
        finally:
            await server.close()

    first, second = devnet.run(meetings())
    assert first == (f"{PEER}.invalid_cert_path.cert_validation", 0)
    assert second == ("server.clientproxy.http_error", 1)


@pytest.mark.feature("PX-04")
@pytest.mark.parametrize("kind", ["application/xml;charset=utf-8", None])
def test_the_callers_content_type_travels_beside_that_of_the_message(call, heard, kind):
    headers = [] if kind is None else [("Content-Type", kind)]
    assert call("POST", headers, content=b"<a/>").status_code == 200
    ((request, _),) = heard()
    assert request.header(b"x-original-content-type") == (kind or "").encode()
    assert request.header(b"content-type").startswith(b"multipart/mixed;")


@pytest.mark.feature("PX-15")
@pytest.mark.feature("PX-16")
@pytest.mark.parametrize("name", ["X-Road-Id", "X-Road-Request-Hash", "X-Road-Request-Id"])
def test_a_service_says_nothing_of_the_exchange_that_its_servers_say(devnet, call, name):
    """Beside the true value a caller would find another, and might read that one."""
    forged = Response(200, b"OK", [(name.encode(), b"Zm9yZ2Vk")], b"{}")
    devnet.recorder.prepare("/held/rows", forged)
    try:
        answer = call(headers=[("X-Road-Id", "mine")])
    finally:
        devnet.recorder.prepare("/held/rows", Response(200, b"OK", [], b"{}"))
    assert answer.status_code == 200
    (value,) = answer.headers.get_list(name)
    assert value != "Zm9yZ2Vk"
    assert answer.headers["X-Road-Id"] == "mine"


@pytest.mark.feature("PX-20")
def test_an_error_is_told_with_the_id_of_its_exchange(devnet, call, heard):
    """By it an operator finds what the log of each server has."""

    async def no_message(request, body):
        return Response(404)

    devnet.held.ear.answer = no_message
    try:
        said = call()
    finally:
        devnet.held.ear.answer = None
    assert said.headers[ERROR] == "server.clientproxy.http_error"
    ((request, _),) = heard()
    assert said.json()["detail"].encode() == request.header(b"x-road-request-id")


DEAD = 12


def test_a_server_that_cannot_be_reached_is_passed_over(devnet, call):
    """Of thirteen servers of the provider one is up: whichever comes first, it is found."""
    registry = devnet.ecosystem.registry
    more = registry
    for number in range(DEAD):
        server = SecurityServerId(HOLDER, f"dead-{number}")
        more = more.with_server(SecurityServer(server, f"127.0.0.{100 + number}", (), (HAND,)))
    try:
        devnet.run(devnet.publish(more))
        assert call().status_code == 200
    finally:
        devnet.run(devnet.publish(registry))
    assert call().status_code == 200
