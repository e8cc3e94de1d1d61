"""Large bodies pass through both servers without resting in memory, and nothing of them stays.

`make soak` runs the same with two gigabytes.
"""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
import time

import httpx
import pytest

from ecosystem.duo import OWN_FAULT, PORTAL, REGISTER, REMOTE_FAULT, Duo, plan_at, worker_of
from ecosystem.processes import spooled_by, until, watching
from ecosystem.recorder import Recorder
from sild.devnet.exercises import blob
from sild.devnet.raw_peer import RawPeer
from sild.protocol.transport.events import FaultPart
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import read_whole
from sild.runtime.http_server import Response

NETWORK = "127.0.6"
MIB = 1024 * 1024
SMALLER = 128 * MIB
GROWTH = 60 * MIB
"""How much more memory than at rest all processes of both servers may take together."""
LIMIT = 2 * MIB

NO_BODIES = {"message_log": (("message-body-logging", "false"),)}
WHOLE_BODIES = {"message_log": (("max-loggable-message-body-size", str(LIMIT)),)}
CUT_BODIES = {
    "message_log": (*WHOLE_BODIES["message_log"], ("truncated-body-allowed", "true")),
}
SMALL_SPOOL = {**NO_BODIES, "proxy": (("spool-limit-bytes", str(LIMIT)),)}
"""What a server does with bodies."""

of_all_sizes = pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALLER, id="128MiB"),
        pytest.param(2_000_000_000, id="2GB", marks=pytest.mark.soak),
    ],
)


@pytest.fixture(scope="module")
async def running(tmp_path_factory, anyio_backend):
    directory = tmp_path_factory.mktemp("large-bodies")
    plan = plan_at(NETWORK, directory, **NO_BODIES)
    async with Duo(plan) as duo:
        duo.policies = dict.fromkeys((duo.consumer, duo.provider), NO_BODIES)
        duo.recorder = await Recorder().start(f"{NETWORK}.2")
        await duo.offer("recorder", duo.recorder.url)
        await duo.until_served(120, "/", "recorder")
        yield duo
        await duo.recorder.close()


@pytest.fixture(params=[(NO_BODIES, NO_BODIES)], ids=[""])
async def duo(running, request):
    """The two servers under their policies for bodies, the consumer's first."""
    wanted = dict(zip((running.consumer, running.provider), request.param, strict=True))
    changed = [each for each in wanted if wanted[each] is not running.policies[each]]
    await asyncio.gather(*(running.restart(each, **wanted[each]) for each in changed))
    running.policies = wanted
    await running.until_served(120)
    return running


def run_with(consumer, provider):
    """The test wants other policies."""
    return pytest.mark.parametrize("duo", [(consumer, provider)], indirect=True, ids=[""])


async def check_nothing_spooled(duo, seconds=60):
    """No server holds anything of a body: no file, no file without a name, no count of bytes."""
    for server in (duo.consumer, duo.provider):
        await until(lambda server=server: not spooled_by(server), seconds, "the spool is empty")
        assert not [path for path in (server.layout.home / "spool").rglob("*") if path.is_file()]
        assert (await server.worker.status()).spooled_bytes == 0


async def pieces_of(size):
    """A body, a little slower than the machine: whoever takes it can fall behind."""
    for piece in blob(size):
        yield piece


class Endless:
    """A body that comes until it is stopped; `sent` tells how much has been taken."""

    def __init__(self):
        self.sent = 0
        self.stopped = asyncio.Event()

    async def pieces(self):
        while not self.stopped.is_set():
            yield bytes(64 * 1024)
            self.sent += 64 * 1024
            await asyncio.sleep(0)


def tell(what, size, seconds, watched):
    """Let the terminal show what was measured."""
    megabytes = 1_000_000
    spools = ", ".join(f"{name} {seen / MIB:.0f}" for name, seen in watched.peak_spooled.items())
    sys.__stderr__.write(
        f"\n{what} of {size / megabytes:.0f} MB in {seconds:.1f} s, "
        f"{size / megabytes / seconds:.0f} MB/s; PSS of both servers: at rest "
        f"{watched.idle_pss / MIB:.1f} MiB, peak {watched.peak_pss / MIB:.1f} MiB; "
        f"peak of spools in MiB: {spools}\n"
    )


@of_all_sizes
async def test_a_large_request_passes_in_flat_memory(duo, size):
    await check_large_request(duo, size)


@of_all_sizes
async def test_a_large_response_passes_in_flat_memory(duo, size):
    await check_large_response(duo, size)


async def check_large_request(duo, size):
    begun = time.monotonic()
    async with watching(duo.consumer, duo.provider) as watched:
        answer = await duo.call("/sink", content=pieces_of(size))
    tell("a request", size, time.monotonic() - begun, watched)
    assert answer.json() == {"size": size, "sha256": sha256_of(size)}
    assert watched.peak_pss < watched.idle_pss + GROWTH
    assert watched.peak_spooled["health-1"] > size * 0.9
    assert watched.peak_spooled["police-1"] <= LIMIT
    await check_nothing_spooled(duo)
    await duo.check_ledger()


async def check_large_response(duo, size):
    digest, received = hashlib.sha256(), 0
    begun = time.monotonic()
    async with (
        watching(duo.consumer, duo.provider) as watched,
        duo.client.stream("GET", duo.url(f"/blob/{size}")) as answer,
    ):
        # The consumer's server holds all of it before the first byte is given.
        spooled = watched.peak_spooled
        await until(lambda: spooled["police-1"] > size * 0.9, 60, "what is spooled is seen")
        async for piece in answer.aiter_raw():
            digest.update(piece)
            received += len(piece)
    tell("a response", size, time.monotonic() - begun, watched)
    assert (answer.status_code, received, digest.hexdigest()) == (200, size, sha256_of(size))
    assert watched.peak_pss < watched.idle_pss + GROWTH
    assert watched.peak_spooled["police-1"] > size * 0.9
    assert watched.peak_spooled["health-1"] <= LIMIT
    await check_nothing_spooled(duo)


def sha256_of(size):
    digest = hashlib.sha256()
    for piece in blob(size):
        digest.update(piece)
    return digest.hexdigest()


async def test_a_large_request_without_right_is_refused_at_its_head(duo):
    async with watching(duo.provider, every=0.01) as watched:
        answer, sent = await asyncio.wait_for(send_until_answered(duo, "closed"), 60)
    assert b"x-road-error: server.serverproxy.access_denied\r\n" in answer.lower()
    assert sent < 64 * MIB
    assert watched.peak_spooled["health-1"] == 0
    await check_nothing_spooled(duo)


async def send_until_answered(duo, service):
    """Send a body without end, as a client that listens meanwhile; gives the answer's head."""
    reader, writer = await called(duo, "POST", "/", service, f"Content-Length: {1 << 40}")
    answering, sent = asyncio.create_task(reader.readuntil(b"\r\n\r\n")), 0
    try:
        while not answering.done():
            writer.write(bytes(64 * 1024))
            await writer.drain()
            sent += 64 * 1024
            await asyncio.sleep(0)
        return await answering, sent
    finally:
        answering.cancel()
        writer.transport.abort()


async def test_a_large_request_with_a_wrong_signature_is_refused_and_not_kept(duo):
    body = os.urandom(16 * MIB)
    async with RawPeer(duo.consumer) as peer:
        target = f"/r1/{REGISTER.short}/recorder/"
        rest = peer.rest(PORTAL, target, "POST")
        (parts,) = await peer.sign([(rest, body[:-1])], peer.signer_of(PORTAL))
        asked = len(duo.recorder.asked)
        message = peer.write(type(parts)(rest, body, parts.signed, parts.ocsp))
        answer = await peer.send(message, duo.provider)
    assert fault_of(answer).startswith("server.serverproxy.signature_verification.")
    assert len(duo.recorder.asked) == asked
    await check_nothing_spooled(duo)


def fault_of(answer):
    """The code of the fault that a server answered."""
    message = read_whole(Direction.RESPONSE, answer.content_type, answer.body, None)
    assert isinstance(message.fault, FaultPart)
    return message.fault.fault.fault


async def test_nothing_stays_of_a_request_whose_sender_goes_away(duo):
    endless = Endless()
    asked = len(duo.recorder.asked)
    calling = asyncio.create_task(duo.call("/", "recorder", content=endless.pieces()))
    await until(lambda: sum(spooled_by(duo.provider).values()) > 4 * MIB, 60, "bodies are spooled")
    calling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await calling
    await check_nothing_spooled(duo)
    assert len(duo.recorder.asked) == asked


async def test_nothing_stays_of_a_response_whose_receiver_goes_away(duo):
    reader, writer = await called(duo, "GET", f"/blob/{128 * MIB}")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(0.3)  # until all that lies between is full
    assert sum(spooled_by(duo.consumer).values()) == 128 * MIB
    writer.transport.abort()
    await check_nothing_spooled(duo)


async def test_nothing_stays_of_a_response_whose_receiver_goes_away_before_it_begins(duo):
    _, writer = await called(duo, "GET", "/blob/2000000000")
    await until(lambda: sum(spooled_by(duo.consumer).values()) > 4 * MIB, 60, "bodies are spooled")
    writer.transport.abort()
    await check_nothing_spooled(duo)


async def called(duo, method, path, service="exercises", *headers):
    """A connection over which a call has begun."""
    url = httpx.URL(duo.url(path, service))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    fields = "".join(f"{field}\r\n" for field in ("Host: a", *headers))
    client = f"X-Road-Client: {PORTAL.short}\r\n"
    writer.write(f"{method} {url.path} HTTP/1.1\r\n{client}{fields}\r\n".encode())
    return reader, writer


async def test_nothing_stays_of_a_response_whose_service_goes_away(duo):
    async def broken():
        for _ in range(256):
            yield bytes(64 * 1024)
        raise ConnectionError

    async def answer_badly(_):
        return Response(200, b"OK", [], broken(), length=64 * MIB)

    duo.recorder.prepare("/broken", answer_badly)
    answer = await duo.call("/broken", "recorder")
    assert answer.headers["x-road-error"] == "server.serverproxy.io_error"
    await check_nothing_spooled(duo)


async def test_nothing_stays_of_a_request_whose_service_goes_away(duo):
    reached = asyncio.Event()

    async def hang_up(reader, writer):
        await reader.read(64 * 1024)
        reached.set()
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, f"{NETWORK}.2", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        await duo.offer("leaving", f"http://{host}:{port}")
        answer = await duo.call("/", "leaving", content=pieces_of(32 * MIB))
        assert reached.is_set()
    assert answer.headers["x-road-error"] == "server.serverproxy.network_error"
    await check_nothing_spooled(duo)


@pytest.mark.parametrize("killed", ["consumer", "provider"])
async def test_nothing_stays_of_a_request_when_a_server_is_killed(duo, killed):
    endless = Endless()
    calling = asyncio.create_task(duo.call("/sink", content=endless.pieces()))
    await until(lambda: sum(spooled_by(duo.provider).values()) > 4 * MIB, 60, "bodies are spooled")
    await kill_worker(duo, killed)
    endless.stopped.set()
    with contextlib.suppress(httpx.TransportError):
        answer = await asyncio.wait_for(calling, 60)
        assert answer.headers["x-road-error"].startswith("server.clientproxy.")
    await duo.until_served(120)
    await check_nothing_spooled(duo)
    await duo.check_ledger()


@pytest.mark.parametrize("killed", ["consumer", "provider"])
async def test_nothing_stays_of_a_response_when_a_server_is_killed(duo, killed):
    calling = asyncio.create_task(duo.call("/blob/2000000000"))
    await until(lambda: sum(spooled_by(duo.consumer).values()) > 4 * MIB, 60, "bodies are spooled")
    await kill_worker(duo, killed)
    with contextlib.suppress(httpx.TransportError):
        answer = await asyncio.wait_for(calling, 60)
        assert answer.headers["x-road-error"].startswith("server.clientproxy.")
    await duo.until_served(120)
    await check_nothing_spooled(duo)
    await duo.check_ledger()


async def kill_worker(duo, which):
    os.kill(worker_of(duo.consumer if which == "consumer" else duo.provider), signal.SIGKILL)


@pytest.mark.feature("ML-04")
@run_with(WHOLE_BODIES, NO_BODIES)
async def test_a_body_that_the_consumer_cannot_log_whole_is_refused(duo):
    asked = len(duo.recorder.asked)
    answer = await duo.call("/", "recorder", content=pieces_of(8 * LIMIT))
    assert answer.headers["x-road-error"] == OWN_FAULT
    assert len(duo.recorder.asked) == asked
    answer = await duo.call(f"/blob/{8 * LIMIT}")
    assert answer.headers["x-road-error"] == OWN_FAULT
    await check_what_fits_passes(duo)


@pytest.mark.feature("ML-04")
@run_with(NO_BODIES, WHOLE_BODIES)
async def test_a_body_that_the_provider_cannot_log_whole_is_refused(duo):
    asked = len(duo.recorder.asked)
    answer = await duo.call("/", "recorder", content=pieces_of(8 * LIMIT))
    assert answer.headers["x-road-error"] == REMOTE_FAULT
    assert len(duo.recorder.asked) == asked
    answer = await duo.call(f"/blob/{8 * LIMIT}")
    assert answer.headers["x-road-error"] == REMOTE_FAULT
    await check_what_fits_passes(duo)


async def check_what_fits_passes(duo):
    assert (await duo.call("/sink", content=bytes(LIMIT))).status_code == 200
    assert (await duo.call(f"/blob/{LIMIT}")).status_code == 200
    await check_nothing_spooled(duo)
    await duo.check_ledger()


@run_with(SMALL_SPOOL, SMALL_SPOOL)
async def test_a_body_that_finds_no_room_on_the_disk_is_refused(duo):
    asked = len(duo.recorder.asked)
    answer = await duo.call("/", "recorder", content=pieces_of(8 * LIMIT))
    assert answer.headers["x-road-error"] == "server.serverproxy.io_error"
    assert len(duo.recorder.asked) == asked
    answer = await duo.call(f"/blob/{8 * LIMIT}")
    assert answer.headers["x-road-error"] == "server.clientproxy.io_error"
    await check_what_fits_passes(duo)


@pytest.mark.feature("ML-04")
@run_with(CUT_BODIES, CUT_BODIES)
async def test_large_bodies_whose_logs_are_cut_pass_in_flat_memory(duo):
    await check_large_request(duo, SMALLER // 2)
    await check_large_response(duo, SMALLER // 2)
