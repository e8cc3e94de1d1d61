"""What a consumer's security server refuses: one case a rule, answered to a running server.

The held server answers as it likes. Where a provider's server is to be another than it seems, a
consumer's side in this process meets one with the place of the health server.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from ecosystem.held import SERVICE, copy_of, tls_of
from ecosystem.letters import (
    BODY,
    REST_RESPONSE,
    SIGNATURE,
    Pen,
    as_response,
    leaf_of,
    path_to,
)
from ecosystem.papers import Papers
from ecosystem.plan import HAND, HEALTH, HEALTH_SERVER, HELD_SERVER, HOLDER, PORTAL, REGISTER
from ecosystem.relay import identity_of
from sild.devnet.faults import OcspFault
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import build_ocsp_request
from sild.protocol.rest.message import read_rest_request, request_hash
from sild.protocol.soap.fault import write_fault
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.ocsp_exchange import write_ocsp_answer
from sild.protocol.transport.reader import read_whole
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Request, Response, serve
from sild.runtime.http_wire import BodyReader
from sild.runtime.tls import AnyCertificate, TlsPolicy, server_context
from sild.runtime.transport import Peer

SIDE = "server.clientproxy"
PARSING = f"{SIDE}.service_failed"
SIGNED = f"{SIDE}.signature_verification"
MALFORMED = f"{SIGNED}.malformed_signature"
PEER = f"{SIDE}.ssl_authentication_failed"
STATUS = "invalid_cert_path.cert_validation"
RESPONSE = "invalid_cert_path.incorrect_validation_info"
INCONSISTENT = f"{SIDE}.inconsistent_response"
HEADERS = {"X-Road-Client": PORTAL.short}
ANSWER = b'{"name": "Mari"}'


@pytest.fixture(scope="module")
def pen(devnet):
    return Pen(devnet.held)


@pytest.fixture
def ask(devnet, http):
    """Call the held service through the police server, answered by what a function makes of it."""

    def send(answer):
        async def answering(request, body):
            content_type = request.header(b"content-type").decode()
            message = read_whole(Direction.REQUEST, content_type, body, DigestAlgorithm.SHA512)
            return answer(read_rest_request(message.header.part))

        devnet.held.ear.answer = answering
        url = devnet.police.http_url + path_to(SERVICE.service_code, "/x", HAND)
        try:
            return http.get(url, headers=HEADERS)
        finally:
            devnet.held.ear.answer = None

    return send


@pytest.fixture
def refused(ask):
    """An answer that is refused; gives the message."""

    def send(answer, code):
        said = ask(answer)
        assert (said.headers.get("X-Road-Error"), said.status_code) == (code, 500)
        assert said.json()["type"] == code
        assert ANSWER not in said.content
        return said.json()["message"]

    return send


def test_a_sound_answer_is_delivered(pen, ask):
    said = ask(lambda request: as_response(pen.answer(request, ANSWER)))
    assert (said.status_code, said.content) == (200, ANSWER)


@pytest.mark.feature("PX-20")
def test_an_error_of_the_other_server_keeps_its_code_its_words_and_its_id(ask):
    told = ("server.serverproxy.access_denied", "Not for you.", "the id in the log of the other")
    headers = [(b"content-type", b"text/xml; charset=UTF-8")]
    said = ask(lambda _: Response(200, b"OK", headers, write_fault(*told)))
    assert (said.status_code, said.headers["X-Road-Error"]) == (500, told[0])
    assert said.json() == dict(zip(("type", "message", "detail"), told, strict=True))


# Whether it answers this request


def _without(part, name):
    lines = part.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(name))


class Answers:
    """Answers, properly signed, that belong to another request or to none."""

    def __init__(self, pen, request):
        self.pen = pen
        self.request = request
        self.part = pen.response(request).part

    def letter(self, part):
        return self.pen.answer(self.request, ANSWER, said=part)

    def changed(self, request):
        """What belongs to a request that says one thing else."""
        right = request_hash(DigestAlgorithm.SHA512.digest(self.request.part), None)
        return self.letter(self.pen.response(request, hashed=right).part)

    def hash_of_another_request(self):
        other = self.pen.request(path_to("other", provider=HAND))
        hashed = request_hash(DigestAlgorithm.SHA512.digest(other.part), None)
        return self.letter(self.pen.response(self.request, hashed=hashed).part)

    def hash_with_a_body(self):
        digest = DigestAlgorithm.SHA512.digest
        hashed = request_hash(digest(self.request.part), digest(b""))
        return self.letter(self.pen.response(self.request, hashed=hashed).part)

    def client(self):
        return self.changed(replace(self.request, client=REGISTER))

    def service(self):
        service = replace(self.request.service, service_code="other")
        return self.changed(replace(self.request, service=service))

    def message_id(self):
        return self.changed(replace(self.request, message_id="another"))

    def request_id(self):
        return self.changed(replace(self.request, request_id="another"))

    def without_hash(self):
        return self.letter(_without(self.part, b"x-road-request-hash:"))

    def without_message_id(self):
        return self.letter(_without(self.part, b"x-road-id:"))

    def without_request_id(self):
        return self.letter(_without(self.part, b"x-road-request-id:"))

    def without_client(self):
        return self.letter(_without(self.part, b"x-road-client:"))

    def without_service(self):
        return self.letter(_without(self.part, b"x-road-service:"))

    def twice(self):
        """Of two the last counts."""
        return self.letter(self.part + b"x-road-id:another\r\n")


BOUND = {
    Answers.hash_of_another_request: INCONSISTENT,
    Answers.hash_with_a_body: INCONSISTENT,
    Answers.client: INCONSISTENT,
    Answers.service: INCONSISTENT,
    Answers.message_id: INCONSISTENT,
    Answers.request_id: INCONSISTENT,
    Answers.without_hash: f"{PARSING}.internal_error",
    Answers.without_message_id: f"{PARSING}.internal_error",
    Answers.without_request_id: INCONSISTENT,
    Answers.without_client: INCONSISTENT,
    Answers.without_service: INCONSISTENT,
    Answers.twice: INCONSISTENT,
}


@pytest.mark.feature("PX-14")
@pytest.mark.parametrize("case", BOUND.items(), ids=lambda case: case[0].__name__)
def test_an_answer_to_another_request_is_refused(pen, refused, case):
    make, code = case
    refused(lambda request: as_response(make(Answers(pen, request))), code)


@pytest.mark.feature("PX-14")
def test_an_answer_that_was_given_before_is_refused(pen, ask, refused):
    given = []

    def remember(request):
        given.append(as_response(pen.answer(request, ANSWER)))
        return given[0]

    assert ask(remember).status_code == 200
    refused(lambda _: given[0], INCONSISTENT)


# Who signed it


SIGNERS = {
    "another member": (
        lambda papers, _: (papers.signing(HEALTH), papers, None),
        f"{SIGNED}.incorrect_certificate",
    ),
    "the caller": (
        lambda papers, _: (papers.signing(PORTAL.member), papers, None),
        f"{SIGNED}.incorrect_certificate",
    ),
    "an unapproved CA": (
        lambda _, strangers: (strangers.signing(HOLDER), strangers, None),
        f"{SIGNED}.cannot_create_cert_path",
    ),
    "an authentication certificate": (
        lambda papers, _: (papers.authentication(HELD_SERVER), papers, None),
        MALFORMED,
    ),
    "an expired certificate": (
        lambda papers, _: (papers.signing(HOLDER, timedelta(hours=-1)), papers, None),
        f"{SIGNED}.invalid_cert_path",
    ),
    "a revoked certificate": (
        lambda papers, _: (_revoked(papers), papers, None),
        f"{SIGNED}.{STATUS}",
    ),
    "a stale response": (
        lambda papers, _: (papers.signing(HOLDER), papers, OcspFault.STALE),
        f"{SIGNED}.{RESPONSE}",
    ),
    "a response by nobody": (
        lambda papers, _: (papers.signing(HOLDER), papers, OcspFault.WRONG_SIGNER),
        f"{SIGNED}.{RESPONSE}",
    ),
    "a response of another certificate": (
        lambda papers, _: (papers.signing(HOLDER), papers, OcspFault.WRONG_CERTIFICATE),
        f"{SIGNED}.{STATUS}",
    ),
}


def _revoked(papers):
    credential = papers.signing(HOLDER)
    papers.revoke(credential)
    return credential


@pytest.fixture(scope="module")
def strangers():
    return Papers.of_a_stranger(SystemClock())


@pytest.mark.feature("PX-08")
@pytest.mark.parametrize("case", SIGNERS.values(), ids=SIGNERS)
def test_an_answer_signed_by_a_wrong_certificate_is_refused(pen, strangers, refused, case):
    make, code = case
    signer, papers, fault = make(pen.papers, strangers)
    ocsp = papers.ocsp(signer, fault)
    refused(
        lambda request: as_response(pen.answer(request, ANSWER, signer=signer, ocsp=ocsp)), code
    )


# What is signed, and in what order


def _body_unsigned(pen, request):
    part = pen.response(request).part
    (signed,) = pen.sign(leaf_of(part, None))
    return pen.answer(request, ANSWER, said=part, signed=signed)


def _of_another_batch(pen, request):
    part = pen.response(request).part
    leaf, other = leaf_of(part, ANSWER), leaf_of(b"other", None)
    signed = replace(pen.sign(leaf, other)[0], signature=pen.sign(other, leaf)[0].signature)
    return pen.answer(request, ANSWER, said=part, signed=signed)


COVERED = {
    "a body that is not signed": (_body_unsigned, f"{MALFORMED}.invalid_reference"),
    "a signature of another batch": (_of_another_batch, f"{SIGNED}.invalid_signature_value"),
    "another body": (
        lambda pen, request: pen.answer(request, b"{}").saying(BODY, ANSWER),
        f"{MALFORMED}.invalid_hash_chain",
    ),
    "another status": (
        lambda pen, request: pen.answer(request, ANSWER).saying(
            REST_RESPONSE, pen.response(request, status=201).part
        ),
        f"{MALFORMED}.invalid_hash_chain",
    ),
    "no body": (
        lambda pen, request: pen.answer(request, ANSWER).without(BODY),
        f"{MALFORMED}.invalid_reference",
    ),
    "no signature": (
        lambda pen, request: pen.answer(request, ANSWER).without(SIGNATURE),
        f"{SIDE}.missing_signature",
    ),
    "no REST part": (
        lambda pen, request: pen.answer(request, ANSWER).without(REST_RESPONSE),
        f"{PARSING}.invalid_content_type",
    ),
}


@pytest.mark.feature("PX-07")
@pytest.mark.parametrize("case", COVERED.values(), ids=COVERED)
def test_an_answer_that_its_signature_does_not_cover_is_refused(pen, refused, case):
    make, code = case
    refused(lambda request: as_response(make(pen, request)), code)


@pytest.mark.parametrize("body", [None, ANSWER], ids=["plain", "chained"])
def test_missing_doubled_and_reordered_parts_are_refused(pen, ask, body):
    size = 2 if body is None else 5
    for number in range(size):
        for spoil in (_drop, _double, _last):

            def answer(request, number=number, spoil=spoil):
                letter = pen.answer(request, body)
                assert len(letter.parts) == size
                return as_response(replace(letter, parts=spoil(letter.parts, number)))

            if spoil is _last and number == size - 1:
                continue
            said = ask(answer)
            what = f"{spoil.__name__} {number}"
            assert said.headers.get("X-Road-Error", "").startswith(f"{SIDE}."), what
            assert "unexpected" not in said.json()["message"], what


def _drop(parts, number):
    return (*parts[:number], *parts[number + 1 :])


def _double(parts, number):
    return (*parts[: number + 1], *parts[number:])


def _last(parts, number):
    return (*_drop(parts, number), parts[number])


# HTTP


RESPONSES = {
    "not found": (
        lambda letter: replace(letter, headers=(), parts=()),
        404,
        f"{SIDE}.http_error",
    ),
    "a redirect": (
        lambda letter: letter.with_header(b"Location", b"http://127.0.0.1/"),
        302,
        f"{SIDE}.http_error",
    ),
    "HTML": (
        lambda letter: letter.with_header(b"content-type", b"text/html"),
        200,
        f"{PARSING}.invalid_content_type",
    ),
    "no content type": (
        lambda letter: letter.with_header(b"content-type"),
        200,
        f"{SIDE}.invalid_content_type",
    ),
    "no hash algorithm": (
        lambda letter: letter.with_header(b"x-hash-algorithm"),
        200,
        "server.clientproxy.internal_error",
    ),
    "a broken hash algorithm": (
        lambda letter: letter.with_header(b"x-hash-algorithm", b"MD5"),
        200,
        f"{SIDE}.internal_error",
    ),
    "nothing": (lambda letter: replace(letter, parts=()), 200, f"{SIDE}.missing_rest"),
}


@pytest.mark.parametrize("case", RESPONSES.values(), ids=RESPONSES)
def test_what_is_no_transport_message_is_refused(pen, refused, case):
    spoil, status, code = case
    refused(lambda request: as_response(spoil(pen.answer(request, ANSWER)), status), code)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9, 0.999])
def test_an_answer_that_is_cut_short_is_refused(pen, refused, where):
    def cut(request):
        response = as_response(pen.answer(request, ANSWER))
        return replace(response, body=response.body[: int(len(response.body) * where)])

    refused(cut, f"{PARSING}.mime_parsing_failed")


# The provider's authentication certificate


class Impostor:
    """A server in the place of the health server, with any certificate and OCSP responses."""

    def __init__(self, devnet):
        self.devnet = devnet
        self.asked = 0

    async def start(self, identity, ocsp):
        address = self.devnet.health.plan.address
        context = server_context(TlsPolicy(), identity, AnyCertificate.REQUIRED)
        self._ocsp = ocsp
        clock, limits = SystemClock(), Limits()
        self._server = await serve(self._answer, Endpoint(address, 0, context), limits, clock)
        self._responder = await serve(self._status, Endpoint(address, 0), limits, clock)
        self.settings = self.devnet.held.settings(
            server_port=self._server.port, ocsp_responder_port=self._responder.port
        )

    async def _answer(self, request):
        self.asked += 1
        return Response(500)

    async def _status(self, request):
        if self._ocsp is None:
            return Response(500)
        kind, body = write_ocsp_answer(self._ocsp, "boundary")
        return Response(200, b"OK", [(b"Content-Type", kind.encode())], body)

    async def meet(self, identity, ocsp):
        """The fault code with which a consumer turns away, and what the impostor was asked."""
        await self.start(identity, ocsp)
        try:
            side = self.devnet.held.client_side_with(self.settings)
            headers = [(b"X-Road-Client", HAND.short.encode())]
            reader = BodyReader(None, ValueError)
            peer = Peer(("127.0.0.1", 1))
            request = Request(b"GET", path_to("open").encode(), headers, peer, reader)
            response = await side.handle(copy_of(request, b""))
            return dict(response.headers)[b"X-Road-Error"].decode(), self.asked
        finally:
            await self._server.close(0)
            await self._responder.close(0)


def _status_of(devnet, identity, fault=None):
    certificate = read_certificate(identity.chain[0])
    papers = devnet.papers
    if fault:
        papers.responder.misbehave(certificate.serial, fault)
    request = build_ocsp_request(certificate, papers.ca.issuer.credential.certificate)
    answer = papers.responder.answer(request)
    papers.responder.behave(certificate.serial)
    return answer


def _true(devnet):
    return devnet.run(identity_of(devnet.health))


def _revoked_server(devnet):
    credential = devnet.papers.authentication(HEALTH_SERVER)
    devnet.papers.revoke(credential)
    return tls_of(credential)


IDENTITIES = {
    "of another member": (lambda devnet: tls_of(devnet.held.auth), PEER),
    "not registered": (
        lambda devnet: tls_of(devnet.papers.authentication(HEALTH_SERVER)),
        PEER,
    ),
    "for signing": (lambda devnet: tls_of(devnet.papers.signing(HEALTH)), PEER),
    "expired": (
        lambda devnet: tls_of(devnet.papers.authentication(HEALTH_SERVER, timedelta(hours=-1))),
        f"{PEER}.invalid_cert_path",
    ),
    "revoked": (_revoked_server, f"{PEER}.{STATUS}"),
}


@pytest.mark.feature("PX-05")
@pytest.mark.parametrize("case", IDENTITIES.values(), ids=IDENTITIES)
def test_a_provider_with_a_wrong_certificate_is_sent_nothing(devnet, case):
    make, code = case
    identity = make(devnet)
    ocsp = [_status_of(devnet, identity)]
    assert devnet.run(Impostor(devnet).meet(identity, ocsp)) == (code, 0)


def test_a_provider_of_an_unapproved_ca_is_sent_nothing(devnet, strangers):
    credential = strangers.authentication(HEALTH_SERVER)
    met = devnet.run(Impostor(devnet).meet(tls_of(credential), [strangers.ocsp(credential)]))
    assert met == (f"{PEER}.cannot_create_cert_path", 0)


STATUSES = {
    "stale": (lambda d, i: [_status_of(d, i, OcspFault.STALE)], f"{PEER}.{RESPONSE}"),
    "by nobody": (lambda d, i: [_status_of(d, i, OcspFault.WRONG_SIGNER)], f"{PEER}.{RESPONSE}"),
    "unknown": (lambda d, i: [_status_of(d, i, OcspFault.UNKNOWN)], f"{PEER}.{STATUS}"),
    "of another certificate": (
        lambda d, i: [_status_of(d, tls_of(d.held.auth))],
        f"{PEER}.{STATUS}",
    ),
    "of no certificate": (
        lambda d, i: [_status_of(d, i, OcspFault.WRONG_CERTIFICATE)],
        f"{PEER}.{STATUS}",
    ),
    "refused": (lambda d, i: None, PEER),
    "none": (lambda d, i: [], f"{SIDE}.ssl_authentication_failed.invalid_message"),
    "two": (
        lambda d, i: [_status_of(d, i)] * 2,
        f"{SIDE}.ssl_authentication_failed.invalid_message",
    ),
    "no response": (
        lambda d, i: [b"none"],
        f"{SIDE}.ssl_authentication_failed.incorrect_validation_info",
    ),
}


@pytest.mark.feature("PX-06")
@pytest.mark.parametrize("case", STATUSES.values(), ids=STATUSES)
def test_a_provider_without_a_good_ocsp_response_is_sent_nothing(devnet, case):
    make, code = case
    identity = _true(devnet)
    assert devnet.run(Impostor(devnet).meet(identity, make(devnet, identity))) == (code, 0)


@pytest.mark.feature("PX-06")
def test_a_provider_that_proves_who_it_is_is_sent_the_message(devnet):
    identity = _true(devnet)
    met = devnet.run(Impostor(devnet).meet(identity, [_status_of(devnet, identity)]))
    assert met == (f"{SIDE}.invalid_content_type", 1)
