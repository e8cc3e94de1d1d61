"""The ecosystem of the cases: two security servers, a service, and somebody who is not who he says.

What a case changes stays until another case wants it otherwise.
"""

import ssl
from contextlib import asynccontextmanager, contextmanager

import httpx

from ecosystem.held import tls_of
from ecosystem.ledger import recorded_by
from ecosystem.papers import Papers
from ecosystem.running import INTERVALS, Devnet
from ecosystem.soap_cases.credentials import self_signed
from ecosystem.soap_cases.plan import (
    CONSUMER_SERVER,
    FALSE_ADDRESS,
    PRODUCER_SERVER,
    STRANGER_SERVER,
    TOPOLOGY,
    Circumstances,
    consumer_declaration,
    producer_declaration,
    registry_by,
)
from ecosystem.soap_cases.stubs import Stub, reply
from ports import base_port
from scripted.ecosystem import ScriptedEcosystem
from sild.devnet.ecosystem import PIN, Plan
from sild.devnet.raw_peer import RawPeer
from sild.model.tokens import KeyUsage
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.transport.ocsp_exchange import read_ocsp_target, write_ocsp_answer
from sild.runtime.tls import AnyCertificate, TlsPolicy, server_context

SETTINGS = (("enforce-client-is-cert-validity-period-check", "true"),)


class Town(Devnet):
    """Everything that the cases share, on an event loop of its own thread."""

    async def _open(self, tasks, opened):
        plan = Plan(TOPOLOGY, self.directory, base_port(), INTERVALS, proxy=SETTINGS)
        self.ecosystem = await opened.enter_async_context(ScriptedEcosystem(plan))
        self.consumer = self.ecosystem.servers[CONSUMER_SERVER]
        self.producer = self.ecosystem.servers[PRODUCER_SERVER]
        self.papers = Papers.of(self.ecosystem.authorities)
        self.stands_in = await opened.enter_async_context(RawPeer(self.consumer))
        self._make_credentials()
        await self._start_service(opened)
        ocsp = Stub()
        ocsp.expect(self._false_ocsp)
        await ocsp.listen(FALSE_ADDRESS, self.ecosystem.ports.ocsp)
        opened.push_async_callback(ocsp.close)
        self._register_false_servers()
        self._now = None
        await self.arrange(Circumstances())

    def _make_credentials(self):
        consumer, producer = self.consumer.plan.address, self.producer.plan.address
        self.credentials = {
            "client": self_signed("client", consumer),
            "ended": self_signed("ended client", consumer, ended=True),
            "another": self_signed("another", producer),
            "service": self_signed("service", producer),
        }
        self._certificates = {
            name: credential.certificate.der for name, credential in self.credentials.items()
        }
        self.false_servers = {
            "producer": self.papers.authentication(PRODUCER_SERVER),
            "stranger": self.papers.authentication(STRANGER_SERVER),
            "nobody": self.papers.authentication(STRANGER_SERVER),
        }

    async def _start_service(self, opened):
        self.service = Stub()
        address = self.producer.plan.address
        identity = tls_of(self.credentials["service"])
        context = server_context(TlsPolicy(), identity, AnyCertificate.REQUIRED)
        self._places = {
            "http": f"http://{address}:{await self.service.listen(address)}",
            "https": f"https://{address}:{await self.service.listen(address, 0, context)}",
            "nowhere": "http://non.existing.invalid",
        }
        opened.push_async_callback(self.service.close)

    def _register_false_servers(self):
        """All certificates but nobody's are registered, in whatever circumstances."""
        registry = self.ecosystem.registry
        registry = registry.with_server(SecurityServer(STRANGER_SERVER, "stranger.invalid."))
        for name, server in (("producer", PRODUCER_SERVER), ("stranger", STRANGER_SERVER)):
            certificate = self.false_servers[name].certificate
            registry = registry.with_auth_certificate(server, certificate)
        self._registry = registry

    async def _false_ocsp(self, heard):
        wanted = {each.digest for each in read_ocsp_target(heard.target.encode())}
        responses = [
            self.papers.ocsp(each)
            for each in self.false_servers.values()
            if each.certificate.sha1 in wanted
        ]
        content_type, body = write_ocsp_answer(responses, "ocsp")
        return reply(body, content_type)

    async def arrange(self, wanted):
        """Let the circumstances be these; what is so already stays as it is."""
        now = self._now
        if now is None or now.way is not wanted.way:
            self.ecosystem.publish(registry_by(wanted.way, self._registry))
            for server in (self.consumer, self.producer):
                await server.control.refresh()
                await server.worker.reload()
        if now is None or now.caller != wanted.caller:
            declared = consumer_declaration(wanted.caller, self._certificates)
            await self.consumer.control.declare(declared)
            await self.consumer.worker.reload()
        if now is None or now.offer != wanted.offer:
            declared = producer_declaration(wanted.offer, self._places, self._certificates)
            await self.producer.control.declare(declared)
            await self.producer.worker.reload()
        self._now = wanted

    @contextmanager
    def during(self, context):
        """An asynchronous context on the town's loop, around what a test does."""
        self.run(context.__aenter__())
        try:
            yield
        finally:
            self.run(context.__aexit__(None, None, None))

    @asynccontextmanager
    async def false_server_as(self, name, answer, *, resets=False):
        """Somebody answers at the false address, with the papers of whom the name says."""
        identity = tls_of(self.false_servers[name])
        context = server_context(TlsPolicy(), identity, AnyCertificate.REQUIRED)
        stub = Stub()
        stub.expect(answer, resets=resets)
        await stub.listen(FALSE_ADDRESS, self.ecosystem.ports.server, context)
        try:
            yield stub
        finally:
            await stub.close()

    async def activate_signing(self, server, *, active):
        """Let a server's signing certificates be used, or not."""
        for key in (await server.signer.token("0")).keys:
            if key.usage is KeyUsage.SIGNING:
                for entry in key.certificates:
                    await server.signer.set_active(entry.sha256, active)
        await self._renew(server)

    async def log_in(self, server):
        """Open a server's keys again."""
        await server.signer.login("0", PIN)
        await self._renew(server)

    async def _renew(self, server):
        await server.control.refresh()
        await server.worker.reload()

    async def recorded(self):
        """What the logs of the two servers hold: ids, and whether each is a response."""
        return [await recorded_by(each.layout) for each in (self.consumer, self.producer)]

    def information_system(self, shows=None):
        """An HTTP client; with the name of what it shows, one that speaks TLS."""
        context = False
        if shows is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(*self.files_of(self.credentials[shows], self.directory))
        return httpx.Client(verify=context, trust_env=False, timeout=60)
