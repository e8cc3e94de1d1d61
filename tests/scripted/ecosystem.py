"""An ecosystem whose global configuration says whatever a test wants it to say.

No Central Server stands behind it: what is registered is one value, which tests replace.
"""

from dataclasses import replace

from scripted.publisher import Publisher, PublisherSettings
from scripted.registry import OptionalParts
from scripted.topologies import registry_of
from sild.devnet.declared import declaration_of
from sild.devnet.ecosystem import Ecosystem
from sild.model.tokens import SOFT_TOKEN_ID, KeyUsage
from sild.protocol.pki.certificate import read_certificate


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
