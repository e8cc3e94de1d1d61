"""Both ends of HTTP for tests: certificates, servers under way, and peers that speak raw bytes."""

import asyncio
import datetime as dt
import gc
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Response, serve
from sild.runtime.tls import TlsIdentity
from sild.runtime.transport import FAST, PLAIN, Engine

LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class LoopAndEngine:
    use_uvloop: bool
    engine: Engine

    @property
    def backend(self):
        return "asyncio", {"use_uvloop": self.use_uvloop}

    def __str__(self):
        return f"{'uvloop' if self.use_uvloop else 'asyncio'}-{self.engine.name}"


# What production uses first, its fallback last.
LOOPS_AND_ENGINES = [
    LoopAndEngine(use_uvloop=True, engine=FAST),
    LoopAndEngine(use_uvloop=False, engine=FAST),
    LoopAndEngine(use_uvloop=False, engine=PLAIN),
]
HOST = b"Host: a\r\n"


@dataclass(frozen=True)
class Made:
    certificate: x509.Certificate
    key: object
    above: tuple = ()

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain(self):
        return (self.der, *(each.der for each in self.above))

    @property
    def identity(self):
        return TlsIdentity(self.key, self.chain)


def made(name, issuer=None, *, ca=False, key=None, above=()):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Made(certificate, key, above)


@dataclass(frozen=True)
class Pki:
    root: Made
    middle: Made
    server: Made
    client: Made
    rsa_server: Made
    stranger: Made


@cache
def pki():
    root = made("root", ca=True)
    middle = made("middle", root, ca=True)
    return Pki(
        root=root,
        middle=middle,
        server=made("localhost", middle, above=(middle,)),
        client=made("client", middle, above=(middle,)),
        rsa_server=made("localhost", middle, key=rsa.generate_private_key(65537, 2048)),
        stranger=made("stranger"),
    )


@asynccontextmanager
async def serving(handler, *, engine, tls=None, **limits):
    endpoint = Endpoint(LOCAL, 0, tls, engine=engine)
    server = await serve(handler, endpoint, Limits(**limits), SystemClock())
    try:
        yield server
    finally:
        await server.close(0)


@asynccontextmanager
async def raw_server(conversation, tls=None):
    """Run `conversation(reader, writer)` with whoever connects; gives the port."""

    talking = set()

    async def talk(reader, writer):
        talking.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, EOFError, asyncio.CancelledError):
                await conversation(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(talk, LOCAL, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in talking:
            each.cancel()
        await asyncio.gather(*talking)


async def raw_exchange(port, *pieces, pause=0.01, seconds=60):
    """Send pieces of bytes, then read to the end of the connection."""
    reader, writer = await asyncio.open_connection(LOCAL, port)
    try:
        for number, piece in enumerate(pieces):
            await asyncio.sleep(pause if number else 0)
            if writer.is_closing():
                break
            writer.write(piece)
        return await asyncio.wait_for(reader.read(), seconds)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def read_request(reader):
    """Read a head and, of a chunked or measured body, all of it; gives the head."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"chunked" in head:
        await reader.readuntil(b"0\r\n\r\n")
    return head


async def echo(request):
    return Response(
        200, b"OK", [(b"X-Target", request.target)], await request.body.read_all(1 << 20)
    )


def post(body, *more, target=b"/"):
    lines = [b"POST %b HTTP/1.1" % target, b"Host: a", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join([*lines, b"", body])


async def until(question, seconds=60):
    """Come back when it is so."""
    async with asyncio.timeout(seconds):
        while not question():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def settle():
    """Let whoever can go on do so: a number of turns of the loop, however long they take."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def nothing_for_the_collector(kind):
    """What the block makes of this class, and lets go of, is gone without a garbage collection."""

    def living():
        return sum(isinstance(each, kind) for each in gc.get_objects())

    gc.collect()
    before = living()
    gc.disable()
    try:
        yield
        for _ in range(1500):
            if living() == before:
                break
            await asyncio.sleep(0.02)
        assert living() == before
    finally:
        gc.enable()
