"""The shared ecosystem, up for a whole test session on an event loop of its own thread."""

import asyncio
import socket
import threading
from contextlib import AsyncExitStack

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ecosystem.held import HeldServer
from ecosystem.papers import Papers
from ecosystem.plan import (
    HAND,
    HEALTH_SERVER,
    HELD_ADDRESS,
    HELD_SERVER,
    POLICE,
    POLICE_SERVER,
    TOPOLOGY,
    health_declaration,
    police_declaration,
)
from ecosystem.recorder import Recorder
from ports import base_port
from scripted.ecosystem import ScriptedEcosystem
from sild.devnet.ecosystem import Intervals, Plan
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.servers.snapshots import read_snapshot

_SECONDS = 300
# Nothing goes stale by itself while tests run; what is stale is made so.
INTERVALS = Intervals(ocsp=600, ocsp_freshness=3600, configuration_expires=900)

PROXY = (("log-client-cert", "true"),)


class Devnet:
    """The ecosystem; tests are synchronous, and `run` what must happen on its loop."""

    def __init__(self, directory):
        self.directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="devnet", daemon=True)
        self._leave = None

    def run(self, coroutine, seconds=_SECONDS):
        """What a coroutine gives that runs on the ecosystem's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def start(self):
        self._thread.start()
        up = asyncio.run_coroutine_threadsafe(self._until_left(), self._loop)
        ready = self._ready = threading.Event()
        while not ready.wait(0.02):
            if up.done():
                up.result()
        self._up = up

    def stop(self):
        if self._leave is not None:
            self._loop.call_soon_threadsafe(self._leave.set)
            self._up.result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _until_left(self):
        self._leave = asyncio.Event()
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as opened:
            await self._open(tasks, opened)
            self._ready.set()
            await self._leave.wait()

    async def _open(self, tasks, opened):
        plan = Plan(TOPOLOGY, self.directory, base_port(), INTERVALS, proxy=PROXY)
        self.ecosystem = await opened.enter_async_context(ScriptedEcosystem(plan))
        self.police = self.ecosystem.servers[POLICE_SERVER]
        self.health = self.ecosystem.servers[HEALTH_SERVER]
        self.papers = Papers.of(self.ecosystem.authorities)
        self.kiosk = self.papers.signing(POLICE)
        self.recorder = await Recorder().start(self.health.plan.address)
        opened.push_async_callback(self.recorder.close)
        self.held = HeldServer(self.papers, self.ecosystem.ports, self.directory / "held")
        await self._declare()
        await self._register_held()
        conf = self.police.layout.globalconf
        await self.held.start(self.recorder.url, conf, tasks)
        opened.push_async_callback(self.held.close)

    async def _declare(self):
        with socket.socket() as closed:
            closed.bind((self.health.plan.address, 0))
            dead_url = f"http://{self.health.plan.address}:{closed.getsockname()[1]}"
        url = self.recorder.url
        kiosk = self.kiosk.certificate.der
        await self.police.control.declare(police_declaration(url, kiosk))
        await self.health.control.declare(health_declaration(url, dead_url))

    async def _register_held(self):
        held = SecurityServer(HELD_SERVER, HELD_ADDRESS, (), (HAND,))
        registry = self.ecosystem.registry.with_server(held)
        self.first_registry = registry.with_auth_certificate(
            HELD_SERVER, self.held.auth.certificate
        )
        await self.publish(self.first_registry)

    async def publish(self, registry):
        """Let the global configuration say something else, and all servers know it."""
        self.ecosystem.publish(registry)
        await self.refresh()

    async def refresh(self):
        """Let all servers fetch the global configuration now."""
        for server in (self.police, self.health):
            await server.control.refresh()
            await server.worker.reload()

    def files_of(self, credential, directory):
        """A certificate and its key as files, as clients load them."""
        certificate, key = directory / "client.crt", directory / "client.key"
        certificate.write_bytes(credential.certificate.x509.public_bytes(Encoding.PEM))
        key.write_bytes(
            credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return str(certificate), str(key)

    def police_ocsp(self):
        """The OCSP responses that the police server shows of its authentication certificate."""
        return list(read_snapshot(self.police.layout.snapshot_file).authentication.ocsp)
