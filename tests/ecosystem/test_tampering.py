"""No byte of a transport message can be changed unnoticed.

Each byte of recorded messages is changed in turn, in both directions. The message is then refused
with a documented code, or what is delivered and logged is identical to the untouched exchange.

The recorded messages are real: sent by one running server, or answered by another. They are fed
to real sides of the proxy in this process, one after the other, whose log and whose information
system say what became of each. `make test` changes every byte of the requests once, and each seventh
byte of the responses, to something else in each run; `make soak` changes every byte to every other.
"""

import logging
import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from ecosystem.held import SERVICE, copy_of
from ecosystem.plan import HAND, PORTAL, REGISTER
from ecosystem.recorder import DATE
from ecosystem.relay import Relay
from sild.protocol.mime import split_parts
from sild.protocol.soap.fault import find_fault
from sild.runtime.http_server import Request, Response
from sild.runtime.http_wire import BodyReader
from sild.runtime.transport import Peer

pytestmark = pytest.mark.filterwarnings(
    # Changed certificates are read, and refused.
    "ignore:Parsed a serial number which wasn't positive"
)


@pytest.fixture(autouse=True)
def _quiet():
    """Thousands of refusals are logged, each in its own words."""
    log = logging.getLogger("sild.proxy")
    before = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(before)


# The codes of the error model (wire facts, section 8) that a changed message may meet, without
# the side in front. Anything else, and `internal_error` from what nobody foresaw, is a bug.
DOCUMENTED = frozenset(
    [
        "http_error",
        "invalid_content_type",
        "invalid_message",
        "invalid_xml",
        "mime_parsing_failed",
        "internal_error",
        "missing_rest",
        "missing_soap",
        "missing_signature",
        "unknown_member",
        "unknown_service",
        "access_denied",
        "service_type",
        "invalid_client_identifier",
        "invalid_http_method",
        "client_proxy_version_not_supported",
        "inconsistent_response",
        "ssl_authentication_failed",
        "incorrect_certificate",
        "cert_validation",
        "incorrect_validation_info",
        "cannot_create_cert_path",
        "invalid_cert_path",
        "malformed_signature",
        "invalid_signature_value",
        "invalid_reference",
        "invalid_hash_chain",
        "malformed_hash_chain",
        "invalid_hash_chain_ref",
        "hashchain_unused_inputs",
    ]
)
STAGES = frozenset(
    [
        "service_failed",
        "signature_verification",
        "ssl_authentication_failed",
        "malformed_signature",
        "invalid_cert_path",
        "cannot_create_cert_path",
    ]
)


def check_documented(code, side):
    """A fault code is the side, stages, and a code of the table."""
    assert code.startswith(f"{side}."), code
    *stages, last = code.removeprefix(f"{side}.").split(".")
    assert STAGES.issuperset(stages), code
    assert last in DOCUMENTED, code


def one_other(value):
    """Something else for a byte: one bit less or more, white space, a line end."""
    others = (value ^ 0x01, value ^ 0x20, value ^ 0x80, 0x20, 0x0A, 0x0D)
    return [random.choice([other for other in others if other != value])]


def all_others(value):
    return [other for other in range(256) if other != value]


@dataclass(frozen=True)
class Thoroughness:
    """Which others each byte is changed to, and each how many-th byte of a response."""

    others: object
    step: int


@pytest.fixture(
    params=[
        pytest.param(Thoroughness(one_other, 7), id="once"),
        pytest.param(Thoroughness(all_others, 1), id="thoroughly", marks=pytest.mark.soak),
    ]
)
def thoroughness(request):
    return request.param


def changed(data, positions, others):
    """The data with one byte changed, for each position and other value."""
    for position in positions:
        for value in others(data[position]):
            yield position, data[:position] + bytes((value,)) + data[position + 1 :]


def changed_fields(headers):
    """The headers with one character changed: of each name, and of each value."""
    for number, field in enumerate(headers):
        for which in (0, 1):
            text = field[which]
            for _, value in changed(text, range(len(text)), lambda byte: (byte ^ 0x01, 0x41)):
                other = (value, field[1]) if which == 0 else (field[0], value)
                if other[0].replace(b"-", b"").isalnum():
                    yield field[0], [*headers[:number], other, *headers[number + 1 :]]


def parts_at(content_type, data):
    """Which part of the message each byte belongs to; what is between parts belongs to none."""
    boundary = content_type.decode().partition("boundary=")[2]
    names = [""] * len(data)
    for headers, start, end in split_parts(data, boundary):
        names[start:end] = [headers.media_type] * (end - start)
    return names


@dataclass(frozen=True)
class Outcome:
    """What became of a message: a refusal, or what was delivered and what was logged."""

    code: str = ""
    message: str = ""
    delivered: tuple = ()
    logged: tuple = ()


@dataclass
class Tally:
    """How many changes of each part were refused, and how many made no difference."""

    side: str
    untouched: Outcome

    def __post_init__(self):
        self.refused = Counter()
        self.harmless = Counter()

    def take(self, part, outcome, change):
        if outcome.code:
            assert not outcome.delivered, f"{change}: refused, and delivered all the same"
            check_documented(outcome.code, self.side)
            assert "unexpected error" not in outcome.message, f"{change}: {outcome.message}"
            self.refused[part] += 1
        else:
            assert outcome == self.untouched, f"{change} was not noticed"
            self.harmless[part] += 1

    def check_protected(self, *parts):
        """Every change of these parts was refused."""
        for part in parts:
            assert self.refused[part] >= 50
            assert self.harmless[part] == 0


SIGNED = ("signature/bdoc-1.0/ts",)
CHAINED = (*SIGNED, "application/hash-chain-result", "application/hash-chain")


# From the consumer to the provider


@dataclass(frozen=True)
class Provider:
    """A provider's side, to be fed a message that a running server has sent."""

    devnet: object
    request: Request
    data: bytes

    @classmethod
    def recorded(cls, devnet, http, verb, body):
        """The message that the police server sends for a request."""
        url = f"{devnet.police.http_url}/r1/{HAND.short}/{SERVICE.service_code}/people/7?of=all"
        headers = {"X-Road-Client": PORTAL.short, "X-Road-UserId": "EE1", "X-Of-Caller": "yes"}
        answer = http.request(verb, url, headers=headers, content=body)
        assert answer.status_code == 200, answer.text
        return cls(devnet, *devnet.held.ear.heard[-1])

    async def outcome(self, data, headers=None):
        held, recorder = self.devnet.held, self.devnet.recorder
        held.log.saved.clear()
        asked = len(recorder.asked)
        request = copy_of(self.request, data)
        if headers is not None:
            reader = request.body
            request = Request(request.method, request.target, headers, request.peer, reader)
        response = await held.server_side.handle(request)
        assert response.status == 200
        delivered = tuple(recorder.since(asked))
        if response.headers[0][1].startswith(b"text/xml"):
            fault = find_fault(response.body)
            assert not held.log.saved
            return Outcome(fault.fault, fault.message, delivered)
        asking, answering = held.log.saved
        logged = (asking, answering.record.message, answering.body)
        return Outcome("", "", delivered, logged)


@pytest.fixture(params=[("GET", None), ("POST", b'{"people": [7]}')], ids=["plain", "with-body"])
def provider(request, devnet, http):
    return Provider.recorded(devnet, http, *request.param)


def test_no_byte_of_a_request_can_be_changed_unnoticed(provider, thoroughness):
    tally = provider.devnet.run(sweep_request(provider, thoroughness), None)
    chained = b"hash-chain" in provider.data
    tally.check_protected(*(CHAINED if chained else SIGNED), "application/x-road-rest-request")
    if chained:
        assert tally.refused["application/x-road-rest-body"] == len(b'{"people": [7]}')
    assert tally.refused["application/ocsp-response"] > 100


async def sweep_request(provider, thoroughness):
    data = provider.data
    parts = parts_at(provider.request.header(b"content-type"), data)
    tally = Tally("server.serverproxy", await provider.outcome(data))
    for position, variant in changed(data, range(len(data)), thoroughness.others):
        change = f"byte {position}, {data[position]} to {variant[position]}, in {parts[position]!r}"
        tally.take(parts[position], await provider.outcome(variant), change)
    return tally


def test_no_header_of_a_request_can_be_changed_unnoticed(provider):
    tally = provider.devnet.run(sweep_request_headers(provider))
    for name in (b"x-hash-algorithm", b"x-road-message-type", b"content-type"):
        assert tally.refused[name]


async def sweep_request_headers(provider):
    headers = provider.request.headers
    tally = Tally("server.serverproxy", await provider.outcome(provider.data))
    for name, others in changed_fields(headers):
        change = f"the header {name} in {others}"
        tally.take(name, await provider.outcome(provider.data, others), change)
    return tally


# From the provider to the consumer


class Consumer:
    """A consumer's side, to be fed an answer that a running server has given to the same request.

    The request is the same to its last byte, because the clock repeats the identifiers in it.
    """

    def __init__(self, devnet, service_path):
        self.held = devnet.held
        self._path = f"/r1/{REGISTER.short}/open/{service_path}"
        self._devnet = devnet

    async def record(self):
        """Let the health server answer once, for real."""
        self._relay = await Relay(self._devnet.health, self.held.auth).start()
        self._side = self.held.client_side_with(self.held.settings(server_port=self._relay.port))
        self.held.clock.given.clear()
        untouched = await self.outcome()
        assert not untouched.code, untouched
        self._identifiers = list(self.held.clock.given)
        self.answer = self._relay.heard[-1][2]
        return untouched

    async def close(self):
        await self._relay.close()

    async def outcome(self, answer=None):
        self._relay.answer = answer
        self.held.log.saved.clear()
        if answer is not None:
            self.held.clock.repeat(self._identifiers)
        headers = [(b"X-Road-Client", HAND.short.encode()), (b"Accept", b"*/*")]
        reader = BodyReader(None, ValueError)
        reader.end()
        reader.settle()
        peer = Peer(("127.0.0.1", 1))
        request = Request(b"GET", self._path.encode(), headers, peer, reader)
        response = await self._side.handle(request)
        fields = {name.lower(): value for name, value in response.headers}
        code = fields.get(b"x-road-error", b"").decode()
        asking, *answers = self.held.log.saved
        if code:
            assert not answers
            return Outcome(code, response.body.decode())
        logged = (asking.record.message, asking.body, *answers)
        delivered = (response.status, response.reason, tuple(response.headers), response.body)
        return Outcome("", "", delivered, logged)


@pytest.fixture(params=["silence", "words"], ids=["plain", "with-body"])
def consumer(request, devnet):
    devnet.recorder.prepare("/open/silence", Response(204, b"No Content", [(b"Date", DATE)]))
    return Consumer(devnet, request.param)


def test_no_byte_of_a_response_can_be_changed_unnoticed(devnet, consumer, thoroughness):
    tally = devnet.run(sweep_response(consumer, thoroughness), None)
    chained = consumer.answer.body.count(b"hash-chain") > 2
    tally.check_protected(*(CHAINED if chained else SIGNED))
    assert tally.refused["application/x-road-rest-response"] > 20
    assert tally.harmless["application/x-road-rest-response"] == 0


async def sweep_response(consumer, thoroughness):
    tally = Tally("server.clientproxy", await consumer.record())
    try:
        answer, data = consumer.answer, consumer.answer.body
        parts = parts_at(dict(answer.headers)[b"content-type"], data)
        step = thoroughness.step
        positions = range(random.randrange(step), len(data), step)
        for position, variant in changed(data, positions, thoroughness.others):
            part = parts[position]
            change = f"byte {position}, {data[position]} to {variant[position]}, in {part!r}"
            tally.take(part, await consumer.outcome(replace(answer, body=variant)), change)
    finally:
        await consumer.close()
    return tally


def test_no_header_of_a_response_can_be_changed_unnoticed(devnet, consumer):
    tally = devnet.run(sweep_response_headers(consumer))
    for name in (b"x-hash-algorithm", b"content-type"):
        assert tally.refused[name]


async def sweep_response_headers(consumer):
    tally = Tally("server.clientproxy", await consumer.record())
    try:
        for name, others in changed_fields(consumer.answer.headers):
            answer = replace(consumer.answer, headers=others)
            tally.take(name, await consumer.outcome(answer), f"the header {name} in {others}")
    finally:
        await consumer.close()
    return tally
