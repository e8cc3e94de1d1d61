"""Clients who call all the time, by REST and SOAP, and note in a ledger what they are answered."""

import asyncio
import os
import random
import uuid
from collections import Counter
from contextlib import asynccontextmanager

import httpx

from ecosystem.duo import PORTAL, REGISTER
from ecosystem.envelopes import TEXT_XML, Envelope, package
from ecosystem.oracle import Acknowledged, digest
from sild.model.services import ServiceType
from sild.protocol.soap.fault import find_fault
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Response, serve

SOAP_SERVICE = "register"
SMALL, LARGE = 200, 300_000
"""Handled as a whole; and streamed, with a body that stands in the journal in pieces."""
_LARGEST = 1024 * 1024
_BOUNDARY = "MIME_callers"


class SoapService:
    """Answers a SOAP message with its content as the response, and its attachments as they are."""

    async def start(self, host):
        limits = Limits(connections=500)
        self._server = await serve(self._answer, Endpoint(host), limits, SystemClock())
        self.url = f"http://{host}:{self._server.port}"
        return self

    async def close(self):
        await self._server.close(0)

    async def _answer(self, request):
        content_type = next(value for name, value in request.headers if name == b"Content-Type")
        asked = await request.body.read_all(_LARGEST)
        for tag in (f"<p:{SOAP_SERVICE}", f"</p:{SOAP_SERVICE}"):
            asked = asked.replace(tag.encode(), f"{tag}Response".encode())
        return Response(200, b"OK", [(b"Content-Type", content_type)], asked)


class Callers:
    """Some of each kind, each with one message at a time."""

    def __init__(self, duo, oracle):
        self._duo = duo
        self._oracle = oracle
        self.refused = Counter()
        self.unanswered = Counter()
        self.strange = []

    @property
    def kinds(self):
        """What they send."""
        return (self._rest, self._large_rest, self._soap, self._attached)

    @asynccontextmanager
    async def calling(self, of_each=2, pause=0.02):
        """Call while the block runs."""
        tasks = [
            asyncio.create_task(self._call_on(kind, pause if often else 10 * pause))
            for kind, often in zip(self.kinds, (True, False) * 2, strict=True)
            for _ in range(of_each if often else 1)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [each for each in outcomes if isinstance(each, Exception)]
        assert not failures, failures
        assert not self.strange, self.strange[:5]

    async def _call_on(self, kind, pause):
        while True:
            try:
                await kind()
            except httpx.TransportError as error:
                self.unanswered[type(error).__name__] += 1
            await asyncio.sleep(random.uniform(0, 2 * pause))

    async def _rest(self):
        await self._mirrored("rest", os.urandom(random.randint(1, SMALL)))

    async def _large_rest(self):
        await self._mirrored("large rest", os.urandom(LARGE))

    async def _mirrored(self, kind, content):
        query_id = str(uuid.uuid4())
        url, headers = self._duo.url("/mirror"), {"X-Road-Id": query_id}
        answer = await self._duo.client.post(url, content=content, headers=headers)
        code = answer.headers.get("x-road-error")
        if code is not None:
            self.refused[code] += 1
        elif answer.status_code != 200 or answer.content != content:
            self.strange.append((answer.status_code, answer.text[:300]))
        else:
            digests = digest(content), digest(answer.content)
            request_id = answer.headers["x-road-request-id"]
            self._oracle.note(Acknowledged(kind, query_id, request_id, *digests, in_body=True))

    async def _soap(self):
        await self._asked("soap", ())

    async def _attached(self):
        attachment = ({"Content-Type": "application/octet-stream"}, os.urandom(2 * SMALL))
        await self._asked("soap with attachments", [attachment])

    async def _asked(self, kind, attachments):
        query_id = str(uuid.uuid4())
        letter = Envelope(PORTAL, REGISTER, SOAP_SERVICE, message_id=query_id).request()
        content, content_type = letter, TEXT_XML
        if attachments:
            content, content_type = package(letter, *attachments, boundary=_BOUNDARY)
        answer = await self._duo.client.post(
            self._duo.consumer.http_url, content=content, headers={"Content-Type": content_type}
        )
        message = _message_in(answer)
        fault = find_fault(message)
        if fault is not None:
            self.refused[fault.fault] += 1
        elif answer.status_code != 200 or query_id.encode() not in message:
            self.strange.append((answer.status_code, answer.text[:300]))
        else:
            digests = digest(letter), digest(message)
            self._oracle.note(Acknowledged(kind, query_id, None, *digests, in_body=False))


def _message_in(answer):
    """The SOAP message of an answer, without the attachments around it."""
    if not answer.headers["content-type"].startswith("multipart/"):
        return answer.content
    delimiter = answer.content.partition(b"\r\n")[0]
    part = answer.content.split(delimiter)[1]
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


@asynccontextmanager
async def soap_service_of(duo):
    """Let the provider offer a SOAP service while the block runs."""
    service = await SoapService().start(duo.provider.plan.address)
    try:
        await duo.offer(SOAP_SERVICE, service.url, type=ServiceType.WSDL)
        yield
    finally:
        await service.close()
