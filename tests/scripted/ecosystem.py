"""An ecosystem whose global configuration says whatever a test wants it to say.

No Central Server stands behind it: what is registered is one value, which tests replace.
"""

import asyncio
from dataclasses import replace

from scripted.declarations import declaration_of
from scripted.publisher import Publisher, PublisherSettings
from scripted.registry import OptionalParts
from scripted.topologies import registry_of
from sild.components.messagelog.authorities import ChosenService
from sild.components.signer.certificates import RequestOrder
from sild.devnet.declared import request_fields
from sild.devnet.ecosystem import PIN, Ecosystem
from sild.model.tokens import SOFT_TOKEN_ID, KeyUsage
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.files import write_private


class ScriptedEcosystem(Ecosystem):
    """`publish` changes what the global configuration says."""

    _registry = None

    @property
    def registry(self):
        """What the global configuration says now."""
        assert self._registry is not None, "the ecosystem is not up"
        return self._registry

    @property
    def configuration_url(self):
        return f"http://{self.publisher.address}/internalconf"

    def publish(self, registry):
        """Change what the global configuration says."""
        self._registry = registry
        self.publisher.publish(registry)

    async def _start_centre(self):
        plan = self.plan
        self.publisher = Publisher(
            self.topology.instance,
            self._clock,
            PublisherSettings(
                max(1, int(plan.intervals.configuration_expires / 4)),
                plan.intervals.configuration_expires,
            ),
            plan.directory / "publisher",
        )
        address = self.topology.central_address
        await self._keep(await self.publisher.serve(address, self.ports.configuration))

    async def _found(self):
        intervals = self.plan.intervals
        registry = replace(
            registry_of(self.topology, self.authorities),
            ocsp_freshness_seconds=intervals.ocsp_freshness,
            optional=OptionalParts(ocsp_fetch_interval_seconds=intervals.ocsp),
        )
        self.publish(registry)
        return self.publisher.anchor()

    def _declaration(self, server):
        return declaration_of(self.topology, server.plan, self._provider_urls)

    async def _bring_up(self):
        """By the servers' own administration: there is nobody who would register them."""
        async with asyncio.TaskGroup() as tasks:
            founding = tasks.create_task(self._found())
            for server in self.servers.values():
                tasks.create_task(self._make_keys(server))
        for server in self.servers.values():
            write_private(server.layout.anchor_file, founding.result())
        await self._all_of(self._set_up)
        await self._register()

    async def _make_keys(self, server):
        """What an administrator does on a new server before there is any configuration."""
        await server.administrable()
        signer, plan = server.signer, server.plan
        if not (await signer.token(SOFT_TOKEN_ID)).initialized:
            await signer.initialize(PIN)
        if not (await signer.token(SOFT_TOKEN_ID)).logged_in:
            await signer.login(SOFT_TOKEN_ID, PIN)
        await server.control.declare(self._declaration(server))
        if (await signer.token(SOFT_TOKEN_ID)).keys:
            return
        for member in plan.signers:
            label, usage = _label(member), KeyUsage.SIGNING
            await signer.generate_key(SOFT_TOKEN_ID, label, usage, plan.signing_key)
        usage = KeyUsage.AUTHENTICATION
        await signer.generate_key(SOFT_TOKEN_ID, "auth", usage, plan.authentication_key)

    async def _set_up(self, server):
        """Everything else: the configuration, and a certificate for each key without one."""
        await server.control.refresh()
        approved = self.authorities.timestamping_services()
        stamps = tuple(ChosenService(each.name, each.url) for each in approved)
        await server.control.choose_timestamping_services(stamps)
        signers = {_label(member): member for member in server.plan.signers}
        for key in (await server.signer.token(SOFT_TOKEN_ID)).keys:
            if key.certificates:
                continue
            signing = key.usage is KeyUsage.SIGNING
            member = signers[key.label] if signing else server.plan.id.owner
            certificate = await self._certificate(server, key, member)
            self._made(member if signing else server.plan.id, certificate)
            entry = await server.control.import_certificate(certificate.der)
            if not signing:
                await server.control.activate(entry.sha256)

    async def _certificate(self, server, key, member):
        topology = self.topology
        signing = key.usage is KeyUsage.SIGNING
        order = RequestOrder(
            key.id,
            server.plan.id,
            topology.profile.value,
            member,
            topology.get_member(member).name,
            request_fields(topology, server.plan, key.usage),
        )
        request = await server.signer.generate_request(order)
        use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
        return self.authorities.ca.sign_request(request.der, use)

    async def _register(self):
        registry = self.registry
        for server in self.servers.values():
            for key in (await server.signer.token(SOFT_TOKEN_ID)).keys:
                if key.usage is KeyUsage.AUTHENTICATION:
                    for entry in key.certificates:
                        certificate = read_certificate(entry.certificate)
                        registry = registry.with_auth_certificate(server.plan.id, certificate)
        self.publish(registry)
        for server in self.servers.values():
            await server.control.refresh()


def _label(member):
    """What the key is called that signs for a member."""
    return f"sign {member.member_class} {member.member_code}"
