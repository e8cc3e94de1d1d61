"""Every fault of the network, between two security servers and between one and its service.

Each gives the caller the documented error, in time; and what the logs hold is what has happened.
"""

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, replace

import httpx
import pytest

from ecosystem.duo import PORTAL, PROVIDER, REGISTER, Duo, plan_at, worker_of
from ecosystem.envelopes import TEXT_XML, Envelope, package
from ecosystem.faults import (
    Fault,
    FaultyLink,
    FaultyNetwork,
    FaultyService,
    full,
    resetting,
    silent,
)
from ecosystem.ledger import recorded_by
from ecosystem.processes import child_of, children_of, until
from sild.model.services import ServiceType
from sild.protocol.soap.fault import find_fault

NETWORK = "127.0.17"
LINK = f"{NETWORK}.3"
CONNECT_SECONDS, ANSWER_SECONDS = 4.0, 10.0
PROXY = (
    ("connect-seconds", str(CONNECT_SECONDS)),
    ("answer-seconds", str(ANSWER_SECONDS)),
    ("silence-seconds", "3.0"),
    ("slow-seconds", "3.0"),
    ("slow-bytes", "600"),
    ("server-connector-initial-idle-seconds", "6.0"),
)
PLACES = 250
ANTI_DOS = (
    ("max-parallel-connections", str(PLACES)),
    ("largest-share", "0.8"),
    ("waiting-seconds", "1.0"),
)
IN_TIME = 25
"""The limits above allow a part of it; a busy machine takes the rest. The defaults allow more."""
AT_A_TIME = 40
SERVICE_SECONDS = 3
OWN, THEIRS = "server.clientproxy", "server.serverproxy"
HOW = ("reset", "closed", "silent", "half-closed", "slow")
REQUEST, RESPONSE = (False, "request"), (True, "response")


@dataclass(frozen=True)
class Case:
    """A call that suffers a fault, what its caller is told, and what is in the logs after it."""

    protocol: str
    link: Fault | None
    service: Fault | None
    code: str
    consumer: tuple = (REQUEST,)
    provider: tuple = ()
    offered: str = ""

    @property
    def id(self):
        fault = self.link or self.service
        where = "link" if self.link else "service"
        text = f"case-{self.protocol}-{where}-{fault.side}-{fault.place}-{fault.how}"
        return text.lower().replace(" ", "-").replace("'", "")


def broken(how):
    """What a connection is that ends so: a reset is of the network, all else of the exchange."""
    return "network_error" if how == "reset" else "io_error"


PARTS = {
    "rest": {
        "request": ("OCSP response", "REST message", "REST body", "signature"),
        "response": ("REST message", "REST body", "signature", "end"),
    },
    "soap": {
        "request": ("OCSP response", "SOAP message", "attachment", "signature"),
        "response": ("SOAP message", "attachment", "signature", "end"),
    },
}


def link_cases():
    for protocol, parts in PARTS.items():
        for how in HOW:
            for place in ("before", "first line", "head", "no body", *parts["request"], "end"):
                if (place, how) in {("before", "slow"), ("end", "slow")}:
                    continue  # slow are the many bytes; five are soon there
                code = f"{OWN}.{broken(how)}"
                yield Case(protocol, Fault("request", place, how), None, code)
            for place in ("before", "first line", "head", "no body", *parts["response"]):
                if (place, how) in {("before", "slow"), ("end", "slow")}:
                    continue
                stage = ".service_failed" if place in ("no body", *parts["response"]) else ""
                code = f"{OWN}{stage}.{broken(how)}"
                fault = Fault("response", place, how)
                yield Case(protocol, fault, None, code, provider=(REQUEST, RESPONSE))


def service_cases():
    for protocol in PARTS:
        stage = ".service_failed" if protocol == "soap" else ""
        for how in HOW:
            for place in ("before", "first line", "head", "no body", "service's body"):
                if (place, how) == ("before", "slow"):
                    continue
                code = f"{THEIRS}{stage}.{broken(how)}"
                fault = Fault("response", place, how)
                yield Case(protocol, None, fault, code, provider=(REQUEST,), offered="faulty")
        for place, offered, code in (
            ("refused", "dead", "network_error"),
            ("unknown", "nowhere", "unknown_host"),
        ):
            fault = Fault("request", place, place)
            whole = f"{THEIRS}{stage}.{code}"
            yield Case(protocol, None, fault, whole, provider=(REQUEST,), offered=offered)


NEVER_REACHED = ("dead", "nowhere")
CASES = [*link_cases(), *service_cases()]
assert len({case.id for case in CASES}) == len(CASES)
REST_ANSWER = b'{"a half": "and more", "padding": "' + b"x" * 1000 + b'"}'
SOAP_ANSWERS = Envelope(PORTAL, REGISTER, "faulty")


def envelope(case_id, code):
    return Envelope(PORTAL, REGISTER, code, message_id=case_id)


ATTACHMENT = ({"Content-Type": "text/plain", "Content-ID": "<one@x>"}, b"this is an attachment")


def answer_to(request):
    """What the service answers, whole."""
    if b"<x:id>" in request:
        case_id = request.partition(b"<x:id>")[2].partition(b"<")[0].decode()
        code = request.partition(b"<i:serviceCode>")[2].partition(b"<")[0].decode()
        padding = f"<p:name>a half and more {'x' * 1000}</p:name>"
        body, kind = package(envelope(case_id, code).response(padding), ATTACHMENT)
    else:
        body, kind = REST_ANSWER, "application/json"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Caller:
    """An information system that calls with the name of a case, and times the answer."""

    def __init__(self, duo):
        self._duo = duo

    async def __call__(self, case_id, protocol="rest", offered="faulty"):
        """The code of the error that is answered, or nothing; and after how many seconds."""
        begun = time.monotonic()
        code = await (self._rest if protocol == "rest" else self._soap)(case_id, offered)
        return code, time.monotonic() - begun

    async def _rest(self, case_id, offered):
        headers = {"X-Road-Id": case_id}
        url = self._duo.url(f"/{case_id}", offered)
        answer = await self._duo.client.post(url, content=b"a body", headers=headers)
        if answer.status_code == 200:
            assert answer.content == REST_ANSWER
            return ""
        assert answer.status_code == 500
        return answer.headers["x-road-error"]

    async def _soap(self, case_id, offered):
        asked = envelope(case_id, f"{offered}Soap")
        content, kind = package(asked.request(), ATTACHMENT)
        headers = {"Content-Type": kind}
        url = self._duo.consumer.http_url
        answer = await self._duo.client.post(url, content=content, headers=headers)
        assert answer.status_code == 200
        fault = None
        if answer.headers["content-type"].startswith(TEXT_XML[:8]):
            fault = find_fault(answer.content)
        if fault is None:
            assert b"a half and more" in answer.content
            return ""
        return fault.fault


class Stage:
    """The two servers with a bad network between them, a bad service, and what came of it all."""

    def __init__(self, duo, link, service):
        self.duo = duo
        self.link = link
        self.service = service
        self.call = Caller(duo)

    async def lead_to(self, address):
        """Let the consumer find the provider at this address."""
        known = self.duo.registry.get_server(PROVIDER)
        self.duo.publish(self.duo.registry.with_server(replace(known, address=address)))
        await self.duo.consumer.control.refresh()
        await self.duo.consumer.worker.reload()

    async def recorded(self):
        servers = (self.duo.consumer, self.duo.provider)
        return [await recorded_by(server.layout) for server in servers]

    async def run_all(self):
        """Let many cases happen at the same time: most of each is waiting."""
        turns = asyncio.Semaphore(AT_A_TIME)

        async def happen(case):
            async with turns:
                return await self.call(case.id, case.protocol, case.offered or "faulty")

        calls = [happen(case) for case in CASES]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        self.outcomes = dict(zip([case.id for case in CASES], outcomes, strict=True))
        self.records = await self.recorded()


@pytest.fixture(scope="module")
async def stage(tmp_path_factory, anyio_backend):
    directory = tmp_path_factory.mktemp("network-faults")
    async with contextlib.AsyncExitStack() as opened:
        duo = await opened.enter_async_context(
            Duo(plan_at(NETWORK, directory, proxy=PROXY, anti_dos=ANTI_DOS))
        )
        duo.client = httpx.AsyncClient(
            trust_env=False,
            timeout=120,
            headers={"X-Road-Client": PORTAL.short},
            # A server that is short of places closes connections that rest.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        opened.push_async_callback(duo.client.aclose)
        faults = {case.id: case.service for case in CASES if case.service}
        service = await opened.enter_async_context(FaultyService(answer_to, faults))
        url = await service.start(f"{NETWORK}.2")
        for name, base in (
            ("faulty", url),
            ("dead", f"http://{NETWORK}.9:9"),
            ("nowhere", "http://nowhere.invalid"),
        ):
            await duo.offer(name, base, timeout_seconds=SERVICE_SECONDS)
            kind = ServiceType.WSDL
            await duo.offer(f"{name}Soap", base, timeout_seconds=SERVICE_SECONDS, type=kind)
        faults = {case.id: case.link for case in CASES if case.link}
        link = FaultyLink(duo.consumer, duo.provider, LINK, faults)
        await opened.enter_async_context(link)
        stage = Stage(duo, link, service)
        await stage.lead_to(LINK)
        for number in range(1200):
            codes = [(await stage.call(f"fine-{number}-{each}", each))[0] for each in PARTS]
            if not any(codes):
                break
            await asyncio.sleep(0.05)
        assert not any(codes), codes
        await stage.run_all()
        yield stage


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_a_message_that_breaks_off_is_told_in_time_and_logged_as_far_as_it_came(stage, case):
    outcome = stage.outcomes[case.id]
    assert isinstance(outcome, tuple), repr(outcome)
    code, seconds = outcome
    assert code == case.code
    assert seconds < IN_TIME
    assert case.offered in NEVER_REACHED or case.id in stage.link.hit | stage.service.hit
    found = []
    for records, wanted in zip(stage.records, (case.consumer, case.provider), strict=True):
        found.append({is_response for query, is_response in records if query == case.id})
        assert found[-1] == {is_response for is_response, _ in wanted}, found


async def test_the_servers_go_on_after_all_of_it(stage):
    for number, protocol in enumerate(PARTS):
        assert (await stage.call(f"after-{number}", protocol))[0] == ""


UNREACHABLE = {
    "refused": (f"{NETWORK}.9", f"{OWN}.network_error"),
    "unknown-host": ("nowhere.invalid", f"{OWN}.network_error"),
    "no-answer": (f"{NETWORK}.6", f"{OWN}.network_error"),
    "tls-silent": (f"{NETWORK}.4", f"{OWN}.ssl_authentication_failed"),
    "tls-reset": (f"{NETWORK}.5", f"{OWN}.ssl_authentication_failed"),
}


@pytest.mark.feature("PX-11")
@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("protocol", PARTS)
@pytest.mark.parametrize("name", UNREACHABLE)
async def test_without_a_connection_nothing_is_signed_nor_logged(stage, name, protocol):
    address, code = UNREACHABLE[name]
    port = stage.duo.provider.ports.server
    case_id = f"unreachable-{name}-{protocol}"
    with full(f"{NETWORK}.6", port):
        async with FaultyNetwork({}) as network:
            await network.listen(f"{NETWORK}.4", port, silent)
            await network.listen(f"{NETWORK}.5", port, resetting)
            await stage.lead_to(address)
            try:
                told, seconds = await stage.call(case_id, protocol)
            finally:
                await stage.lead_to(LINK)
    assert told == code
    assert seconds < IN_TIME
    for records in await stage.recorded():
        assert not {query for query, _ in records} & {case_id}


HANDSHAKE = bytes.fromhex("160301020001")
"""How a TLS client begins."""


@contextlib.asynccontextmanager
async def crowd(address, port, sources, begun=b"POST / HT"):
    """Connections from these addresses, each with something that has begun and does not go on."""
    opened = []
    try:
        for number in range(PLACES):
            source = (sources[number % len(sources)], 0)
            opened.append(await asyncio.open_connection(address, port, local_addr=source))
            opened[-1][1].write(begun)
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def told(guest):
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(guest[0].readline(), 60)
    return b""


@pytest.mark.feature("PX-25")
async def test_one_information_system_leaves_places_for_the_others(stage):
    plan, ports = stage.duo.consumer.plan, stage.duo.consumer.ports
    async with crowd(plan.address, ports.http, (f"{NETWORK}.50",)) as opened:
        assert (await stage.call("beside-many-systems"))[0] == ""
        assert (await told(opened[-1])).startswith(b"HTTP/1.1 503 ")
        assert (await stage.call("beside-many-systems-still"))[0] == ""


@pytest.mark.feature("PX-25")
@pytest.mark.parametrize("count", [1, 50])
async def test_strangers_leave_places_for_known_security_servers(stage, count):
    """Whether they come from one address or from many."""
    plan, ports = stage.duo.provider.plan, stage.duo.provider.ports
    sources = [f"{NETWORK}.{50 + number}" for number in range(count)]
    await stage.lead_to(plan.address)
    try:
        assert (await stage.call(f"before-{count}-strangers"))[0] == ""
        async with crowd(plan.address, ports.server, sources, HANDSHAKE) as opened:
            # More at a time than there are kept connections.
            for when in ("then", "later"):
                calls = (stage.call(f"beside-{count}-strangers-{when}-{each}") for each in range(5))
                assert [code for code, _ in await asyncio.gather(*calls)] == [""] * 5
                assert when == "later" or await told(opened[-1]) == b""
    finally:
        await stage.lead_to(LINK)


def has_another_worker(server, worker):
    return children_of(server.process.pid).get("worker-0", worker) != worker


@pytest.mark.feature("PX-26")
async def test_a_message_whose_kept_connection_ends_before_it_is_sent_takes_another(stage):
    """Here the provider's server ends and is started anew while the message waits for its signature."""
    duo = stage.duo
    await stage.lead_to(f"{NETWORK}.2")
    signer = child_of(duo.consumer.process.pid, "signer")
    try:
        assert (await duo.call("/echo", content=b"before")).status_code == 200
        os.kill(signer, signal.SIGSTOP)
        try:
            calling = asyncio.create_task(duo.call("/echo", content=b"meanwhile"))
            await asyncio.sleep(2)
            worker = worker_of(duo.provider)
            os.kill(worker, signal.SIGKILL)
            await until(lambda: has_another_worker(duo.provider, worker), 120, "a new worker")
            await duo.provider.ready()
            assert not calling.done()
        finally:
            os.kill(signer, signal.SIGCONT)
        answer = await calling
        assert answer.status_code == 200, answer.text
        query = answer.headers["x-road-id"]
        for records in await stage.recorded():
            assert {(query, False), (query, True)} <= records
    finally:
        await stage.lead_to(LINK)
