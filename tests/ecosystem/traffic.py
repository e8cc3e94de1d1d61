"""Mixed traffic from many clients: what is sent, how clients misbehave, and what each must see.

Each kind of message is a coroutine function of `Kinds`; an answer that is not what it must be
raises AssertionError.
"""

import asyncio
import hashlib
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ecosystem.duo import PORTAL, REGISTER
from ecosystem.envelopes import TEXT_XML, Envelope, package, without_hash
from ecosystem.ledger import Ledger
from ecosystem.soak_services import answer_to
from sild.devnet.exercises import blob
from sild.protocol.ids import ClientId
from sild.protocol.soap.fault import find_fault
from sild.runtime.http_client import ClientLimits, Framing, HttpClientPool, RequestHead, Target

_LARGE = 20_000_000
_SIZES = (0, 1, 100, 1_000, 4_000, 65_536, 65_537, 300_000, 2_000_000)
_SIZE_WEIGHTS = (5, 3, 20, 30, 20, 3, 3, 3, 1)
_FILLING = random.Random(1).randbytes(4_000_000)
_PIECE = 65_536
_PATIENCE_SECONDS = 120.0

_CALLED = f"/r1/{REGISTER.short}"
_CALLER = (b"X-Road-Client", PORTAL.short.encode())
_NOBODY = ClientId(REGISTER.instance, "GOV", "79999999", "nobody")

_DENIED = "server.serverproxy.access_denied"
_UNKNOWN_SERVICE = "server.serverproxy.unknown_service"
_UNKNOWN_MEMBER = "server.clientproxy.unknown_member"
_BAD_XML = "client.invalid_soap"
_DOWN = "server.serverproxy.network_error"
_BROKEN_OFF = "server.serverproxy.io_error"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def error(self) -> str:
        """The code of the error that it tells, if it does."""
        told = self.headers.get(b"x-road-error")
        if told is not None:
            return told.decode()
        fault = find_fault(self.body) if b"Fault" in self.body else None
        return "" if fault is None else fault.fault


@dataclass
class Tally:
    """What was sent and what of it went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)


class Kinds:
    """The messages that one client sends, one after the other, over a pool that all share."""

    def __init__(self, url: str, pool: HttpClientPool, chance: random.Random, tally: Tally):
        host, _, port = url.removeprefix("http://").partition(":")
        self._target = Target(host, int(port))
        self._pool = pool
        self._chance = chance
        self._tally = tally

    async def send(self) -> None:
        """Send a message of some kind."""
        kind = self._chance.choices(_KINDS, _WEIGHTS)[0]
        name = kind.__name__.replace("_", " ")
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await kind(self)
        except Exception as error:  # noqa: BLE001 - the next is sent all the same
            self._tally.failures.append(f"{name}: {error!r:.500}")
        self._tally.counts[name] += 1

    # What is answered

    async def rest_message(self) -> None:
        sent = self._content()
        answer = await self._rest("POST", "exercises/mirror", sent)
        assert (answer.status, answer.body) == (200, sent), told(answer)

    async def rest_question(self) -> None:
        answer = await self._rest("GET", f"exercises/echo/{self._chance.random()}?a=b%20c")
        assert answer.status == 200, told(answer)

    async def rest_not_found(self) -> None:
        answer = await self._rest("GET", "exercises/nothing")
        assert (answer.status, answer.error) == (404, ""), told(answer)

    async def rest_large_request(self) -> None:
        size = self._chance.randint(_LARGE // 4, _LARGE)
        digest = hashlib.sha256()

        async def pieces() -> AsyncIterator[bytes]:
            for piece in blob(size):
                digest.update(piece)
                yield piece

        answer = await self._rest("POST", "exercises/sink", pieces(), size)
        assert digest.hexdigest().encode() in answer.body, told(answer)

    async def rest_large_response(self) -> None:
        size = self._chance.randint(_LARGE // 4, _LARGE)
        chunked = self._chance.choice(("", "?chunked"))
        answer = await self._rest("GET", f"exercises/blob/{size}{chunked}")
        whole = hashlib.sha256(answer.body).digest()
        expected = hashlib.sha256()
        for piece in blob(size):
            expected.update(piece)
        assert whole == expected.digest(), told(answer)

    async def slow_service(self) -> None:
        seconds = self._chance.uniform(0.2, 2)
        answer = await self._rest("GET", f"exercises/slow?seconds={seconds:.2f}")
        assert answer.status == 200, told(answer)

    async def soap_message(self) -> None:
        await self._soap_answered(())

    async def soap_attachments(self) -> None:
        count = self._chance.randint(1, 4)
        await self._soap_answered([self._content() for _ in range(count)])

    async def soap_large_attachment(self) -> None:
        whole = b"".join(blob(self._chance.randint(_LARGE // 4, _LARGE)))
        await self._soap_answered([whole, b"small"])

    async def _soap_answered(self, contents) -> None:
        letter = self._letter("good")
        data, content_type = letter.request(), TEXT_XML
        if contents:
            heads = [
                {"Content-Type": "application/octet-stream", "Content-ID": f"<{number}>"}
                for number in range(len(contents))
            ]
            attached = zip(heads, contents, strict=True)
            boundary = uuid.UUID(int=self._chance.getrandbits(128)).hex
            data, content_type = package(data, *attached, boundary=boundary)
        answer = await self._soap(data, content_type)
        assert (answer.status, answer.error) == (200, ""), told(answer)
        # Names of part headers are written anew, in lower case.
        assert answer_to(letter.request()) in without_hash(answer.body), told(answer)
        assert all(content in answer.body for content in contents), told(answer)
        self._tally.ledger.note(letter.message_id)

    # What is refused

    async def denied(self) -> None:
        self._refused(await self._rest("GET", "closed"), _DENIED)

    async def denied_by_soap(self) -> None:
        self._refused(await self._soap(self._letter("closed-soap").request()), _DENIED)

    async def unknown_service(self) -> None:
        self._refused(await self._rest("GET", "unheard-of"), _UNKNOWN_SERVICE)

    async def unknown_member(self) -> None:
        target = f"/r1/{_NOBODY.short}/service"
        self._refused(await self._call("GET", target, [_CALLER]), _UNKNOWN_MEMBER)

    async def service_down(self) -> None:
        answer = await self._rest("POST", "dead", self._content())
        self._refused(answer, _DOWN)

    async def soap_service_down(self) -> None:
        answer = await self._soap(self._letter("dead-soap").request())
        self._refused(answer, "server.serverproxy.service_failed.network_error")

    async def service_breaks_off(self) -> None:
        how = self._chance.choice(("none", "half"))
        self._refused(await self._rest("GET", f"breaking/{how}"), _BROKEN_OFF)

    async def service_too_slow(self) -> None:
        answer = await self._rest("GET", "hasty/slow?seconds=3")
        self._refused(answer, _BROKEN_OFF)

    async def soap_service_fault(self) -> None:
        answer = await self._soap(self._letter("fault").request())
        self._refused(answer, "Server.NoSuchPerson")

    async def soap_service_garbage(self) -> None:
        answer = await self._soap(self._letter("garbage").request())
        self._refused(answer, "server.serverproxy.service_failed.invalid_content_type")

    async def soap_service_unavailable(self) -> None:
        answer = await self._soap(self._letter("unavailable").request())
        self._refused(answer, "server.serverproxy.service_failed.http_error")

    async def soap_answer_to_another(self) -> None:
        answer = await self._soap(self._letter("others").request())
        self._refused(answer, "server.clientproxy.service_failed.inconsistent_response")

    async def bad_xml(self) -> None:
        written = self._letter("good").request().replace(b"</s:Body>", b"")
        self._refused(await self._soap(written), _BAD_XML)

    async def not_http(self) -> None:
        reader, writer = await self._open()
        writer.write(b"GET / NONSENSE\r\n\r\n")
        try:
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        finally:
            writer.transport.abort()

    # Who goes away or takes long

    async def gone_within_the_request(self) -> None:
        size = self._chance.choice((1_000, 200_000, _LARGE))
        await self._abandon("POST", "exercises/sink", size, size // 2)

    async def gone_within_a_chunked_request(self) -> None:
        await self._abandon("POST", "exercises/sink", None, self._chance.choice((10, 300_000)))

    async def gone_within_a_soap_request(self) -> None:
        letter = self._letter("good").request()
        written, content_type = package(letter, ({"Content-Type": "a/b"}, _FILLING))
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n"
        head += f"Content-Length: {len(written)}\r\n\r\n"
        _, writer = await self._open()
        writer.write(head.encode() + written[: self._chance.randrange(len(written))])
        await self._leave(writer)

    async def gone_while_waiting(self) -> None:
        await self._abandon("GET", "exercises/slow?seconds=1", None, 0)

    async def gone_within_the_response(self) -> None:
        reader, writer = await self._open()
        writer.write(_head("GET", f"exercises/blob/{_LARGE}", None))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readexactly(self._chance.choice((100, 500_000)))
        await self._leave(writer)

    async def half_closed(self) -> None:
        reader, writer = await self._open()
        writer.write(_head("GET", "exercises/echo", None))
        writer.write_eof()
        await reader.read()
        writer.transport.abort()

    async def slow_client(self) -> None:
        size = self._chance.choice((2_000, 200_000))
        reader, writer = await self._open()
        writer.write(_head("POST", "exercises/mirror", size))
        for start in range(0, size, size // 10):
            writer.write(_FILLING[start : min(start + size // 10, size)])
            await asyncio.sleep(self._chance.uniform(0.01, 0.1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b"\r\n\r\n")
        received = b""
        while len(received) < size:
            received += await reader.readexactly(size // 10)
            await asyncio.sleep(0.02)
        writer.transport.abort()
        assert received == _FILLING[:size]

    # How

    def _content(self) -> bytes:
        size = self._chance.choices(_SIZES, _SIZE_WEIGHTS)[0]
        start = self._chance.randrange(len(_FILLING) - size)
        return _FILLING[start : start + size]

    def _letter(self, code: str) -> Envelope:
        message_id = uuid.UUID(int=self._chance.getrandbits(128)).hex
        letter = Envelope(PORTAL, REGISTER, code, message_id=message_id)
        letter.message_id = message_id
        return letter

    async def _rest(self, method: str, path: str, body=None, length=None) -> Answer:
        answer = await self._call(method, f"{_CALLED}/{path}", [_CALLER], body, length)
        if not answer.error:
            self._tally.ledger.note(answer.headers[b"x-road-id"].decode())
        return answer

    async def _soap(self, letter: bytes, content_type: str = TEXT_XML) -> Answer:
        fields = [(b"Content-Type", content_type.encode())]
        return await self._call("POST", "/", fields, letter)

    async def _call(self, method, target, fields, body=None, length=None) -> Answer:
        if isinstance(body, bytes) and len(body) > _PIECE:
            body, length = _pieces(body), len(body)
        head = RequestHead(method.encode(), target.encode(), fields, Framing.LENGTH, length)
        async with self._pool.exchange(self._target, head, body) as response:
            pieces = [piece async for piece in response.body]
        headers = {name.lower(): value for name, value in response.headers}
        return Answer(response.status, headers, b"".join(pieces))

    def _refused(self, answer: Answer, code: str) -> None:
        assert answer.error == code, told(answer)

    async def _open(self):
        return await asyncio.open_connection(self._target.host, self._target.port)

    async def _abandon(self, method: str, path: str, size: int | None, sent: int) -> None:
        """Begin a request, send some of its body, and be gone."""
        _, writer = await self._open()
        writer.write(_head(method, path, size, chunked=method == "POST" and size is None))
        for start in range(0, sent, _PIECE):
            piece = _FILLING[: min(_PIECE, sent - start)]
            if size is None:
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            writer.write(piece)
            await writer.drain()
        await self._leave(writer)

    async def _leave(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._chance.choice((0, 0.01, 0.2)))
        writer.transport.abort()


def told(answer: Answer) -> str:
    """What an answer says, for whoever is to find out why."""
    return f"HTTP {answer.status} {answer.error} {len(answer.body)} bytes: {answer.body[:300]!r}"


def _head(method: str, path: str, length: int | None, *, chunked: bool = False) -> bytes:
    framing = "" if length is None else f"Content-Length: {length}\r\n"
    framing += "Transfer-Encoding: chunked\r\n" if chunked else ""
    first = f"{method} {_CALLED}/{path} HTTP/1.1\r\nHost: a\r\n"
    return f"{first}X-Road-Client: {PORTAL.short}\r\n{framing}\r\n".encode()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


_WEIGHTED = {
    Kinds.rest_message: 300,
    Kinds.rest_question: 150,
    Kinds.rest_not_found: 20,
    Kinds.rest_large_request: 4,
    Kinds.rest_large_response: 4,
    Kinds.slow_service: 20,
    Kinds.soap_message: 250,
    Kinds.soap_attachments: 100,
    Kinds.soap_large_attachment: 3,
    Kinds.denied: 20,
    Kinds.denied_by_soap: 20,
    Kinds.unknown_service: 20,
    Kinds.unknown_member: 20,
    Kinds.service_down: 10,
    Kinds.soap_service_down: 10,
    Kinds.service_breaks_off: 10,
    Kinds.service_too_slow: 4,
    Kinds.soap_service_fault: 20,
    Kinds.soap_service_garbage: 10,
    Kinds.soap_service_unavailable: 10,
    Kinds.soap_answer_to_another: 10,
    Kinds.bad_xml: 20,
    Kinds.not_http: 10,
    Kinds.gone_within_the_request: 10,
    Kinds.gone_within_a_chunked_request: 10,
    Kinds.gone_within_a_soap_request: 10,
    Kinds.gone_while_waiting: 10,
    Kinds.gone_within_the_response: 4,
    Kinds.half_closed: 10,
    Kinds.slow_client: 10,
}
_KINDS, _WEIGHTS = tuple(_WEIGHTED), tuple(_WEIGHTED.values())


async def send_for(seconds: float, url: str, clients: int, seed: int = 0) -> Tally:
    """So many clients, each with one message at a time, for so long."""
    loop = asyncio.get_running_loop()
    tally, begun = Tally(), loop.time()
    limits = ClientLimits(idle_keep_seconds=5, connections_per_target=clients)
    async with HttpClientPool(limits) as pool, asyncio.TaskGroup() as tasks:

        async def client(number: int) -> None:
            kinds = Kinds(url, pool, random.Random(seed * 1000 + number), tally)
            while loop.time() < begun + seconds:
                await kinds.send()

        for number in range(clients):
            tasks.create_task(client(number))
    tally.seconds = loop.time() - begun
    return tally
