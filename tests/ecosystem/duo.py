"""Two security servers, one asking and one answering, for tests that break what is under them."""

import asyncio
import contextlib
from dataclasses import replace

import httpx

from ecosystem.ledger import Ledger
from ecosystem.processes import child_of
from ports import base_port
from scripted.declarations import declaration_of
from scripted.ecosystem import ScriptedEcosystem
from sild.components.serverconf.declaration import DeclaredRight, DeclaredService
from sild.devnet.ecosystem import Plan
from sild.devnet.topology import (
    Grant,
    PlannedMember,
    PlannedServer,
    PlannedService,
    PlannedSubsystem,
    Topology,
)
from sild.model.tokens import KeyAlgorithm
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.rpc import RpcUnavailable

INSTANCE = "DUO"
OPERATOR = ClientId(INSTANCE, "GOV", "70000000")
POLICE = ClientId(INSTANCE, "GOV", "70000001")
HEALTH = ClientId(INSTANCE, "GOV", "70000002")
PORTAL = POLICE.subsystem("portal")
REGISTER = HEALTH.subsystem("register")
CONSUMER = SecurityServerId(POLICE, "police-1")
PROVIDER = SecurityServerId(HEALTH, "health-1")

REMOTE_FAULT = "server.serverproxy.logging_failed"
OWN_FAULT = "server.clientproxy.logging_failed"


def topology_at(network):
    """The two servers on addresses of their own: so many ecosystems can be up at once."""
    app = "health-insurance"
    services = (
        PlannedService("exercises", app, grants=(Grant(PORTAL),)),
        PlannedService("closed", app, "/closed"),
    )
    return Topology(
        INSTANCE,
        (("GOV", "Authorities"),),
        (
            PlannedMember(OPERATOR, "Operator", (PlannedSubsystem(OPERATOR.subsystem("m"), "M"),)),
            PlannedMember(POLICE, "Police", (PlannedSubsystem(PORTAL, "Portal"),)),
            PlannedMember(
                HEALTH, "Health", (PlannedSubsystem(REGISTER, "Register", services=services),)
            ),
        ),
        (
            PlannedServer(CONSUMER, f"{network}.1", (PORTAL,)),
            PlannedServer(PROVIDER, f"{network}.2", (REGISTER,), signing_key=KeyAlgorithm.RSA_2048),
        ),
        OPERATOR.subsystem("m"),
        central_address=f"{network}.10",
    )


def plan_at(network, directory, **changes):
    """What to bring up."""
    return Plan(topology_at(network), directory, base_port=base_port(), **changes)


class Duo(ScriptedEcosystem):
    """The ecosystem of the two, and what a test does with it."""

    async def __aenter__(self):
        await super().__aenter__()
        self.consumer = self.servers[CONSUMER]
        self.provider = self.servers[PROVIDER]
        self.ledger = Ledger()
        self._offered = []
        self.client = httpx.AsyncClient(
            trust_env=False, timeout=120, headers={"X-Road-Client": PORTAL.short}
        )
        self._opened.push_async_callback(self.client.aclose)
        return self

    def url(self, path, service="exercises"):
        """Where the portal calls a service."""
        return f"{self.consumer.http_url}/r1/{REGISTER.short}/{service}{path}"

    async def call(self, path, service="exercises", **request):
        """Call a service; what is answered with 200 must be found in both logs ever after."""
        method = request.pop("method", "GET" if "content" not in request else "POST")
        answer = await self.client.request(method, self.url(path, service), **request)
        if answer.status_code == 200:
            self.ledger.note(answer.headers["x-road-id"])
        return answer

    async def until_served(self, seconds, path="/echo", service="exercises"):
        """How long it takes until a call is answered."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        told = "nothing"
        while loop.time() - begun < seconds:
            with contextlib.suppress(httpx.TransportError):
                answer = await self.call(path, service)
                if answer.status_code == 200:
                    return loop.time() - begun
                told = answer.text
            await asyncio.sleep(0.02)
        message = f"nothing was served within {seconds} s; the last answer was {told}"
        raise AssertionError(message)

    async def offer(self, code, url, **more):
        """Let the provider offer one more service, to the portal unless it says otherwise."""
        planned = self.provider.plan
        declared = declaration_of(self.topology, planned, self._provider_urls)
        service = DeclaredService(code, url, (DeclaredRight(PORTAL),))
        self._offered.append(replace(service, **more))
        (register,) = declared.clients
        services = (*register.services, *self._offered)
        clients = (replace(register, services=services),)
        await self.provider.control.declare(replace(declared, clients=clients))

    def provider_url(self, name):
        """Where a provider application answers."""
        return self._provider_urls[name]

    async def stop(self, server):
        """Stop a server as its administrator does."""
        server.process.terminate()
        await asyncio.wait_for(server.process.wait(), 60)

    async def restart(self, server, **changes):
        """Stop a server and start it, with these changes to what the plan says of its settings."""
        await self.stop(server)
        kept, self.plan = self.plan, replace(self.plan, **changes)
        self._write_settings(server)
        self.plan = kept
        await server.start()
        await server.ready()
        # A worker may be ready by what was kept, before control is.
        async with asyncio.timeout(120):
            while True:
                try:
                    await server.control.status()
                    break
                except RpcUnavailable:
                    await asyncio.sleep(0.05)

    async def check_ledger(self):
        """What was answered is in the logs of both servers: request and response."""
        await self.ledger.check((self.consumer, self.provider))


def worker_of(server):
    """The process id of a server's worker."""
    return child_of(server.process.pid, "worker-0")
