"""Bring a topology up on this machine: authorities, configuration, servers, services, callable.

Everything goes through what people have: settings files, the anchor, the local administration of
each security server, and the Central Server's management API, whose administrator approves what
the servers ask for.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from sild.components.serverconf.declaration import ServerDeclaration
from sild.components.signer.certificates import RequestOrder
from sild.devnet.authorities import Authorities
from sild.devnet.central import (
    PASSWORD,
    USER,
    CentralPlan,
    CentralPorts,
    GoverningAuthority,
    RunningCentral,
)
from sild.devnet.declared import (
    authorities_settings,
    declaration_of,
    request_fields,
    with_management,
)
from sild.devnet.ports import free_ports
from sild.devnet.providers import PROVIDERS, provider_app
from sild.devnet.running import Ports, RunningServer
from sild.devnet.serving import Served, serve_app
from sild.devnet.topology import PlannedServer, Topology
from sild.model.tokens import SOFT_TOKEN_ID, CertificateStatus, Key, KeyUsage
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.files import make_private_directory, write_private

__all__ = ["Ecosystem", "Intervals", "Plan", "Ports", "RunningServer"]

_PIN = "Devnet-PIN-0001"
_AUTH_LABEL = "auth"


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often things happen in a devnet, in seconds: real servers take their time."""

    configuration: float = 3.0
    ocsp: int = 60
    ocsp_freshness: int = 120
    configuration_expires: int = 120
    retry: float = 1.0
    refresh: float = 0.2
    """How often a server looks whether anything of its own has changed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to bring up, where, and how."""

    topology: Topology
    directory: Path
    base_port: int = 18080
    intervals: Intervals = field(default_factory=Intervals)
    proxy: tuple[tuple[str, str], ...] = ()
    """Further settings of every server's `[proxy]` section, as TOML values."""
    anti_dos: tuple[tuple[str, str], ...] = ()
    message_log: tuple[tuple[str, str], ...] = ()
    signer: tuple[tuple[str, str], ...] = ()
    exchange_logs: bool = True
    workers: int = 1


Progress = Callable[[str], None]


def _toml(text: str) -> str:
    """A text as a TOML string."""
    return json.dumps(text)


class Ecosystem:
    """A topology that runs; use it as an async context."""

    def __init__(self, plan: Plan, progress: Progress = lambda _: None) -> None:
        self.plan = plan
        self.topology = plan.topology
        self._progress = progress
        self._clock: Clock = SystemClock()
        self._opened = AsyncExitStack()
        self.servers: dict[SecurityServerId, RunningServer] = {}
        self._certificates: list[tuple[ClientId | SecurityServerId, Certificate]] = []
        self._provider_urls: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def server_of(self, client: ClientId) -> RunningServer:
        """The first server of a client."""
        return self.servers[self.topology.servers_of(client)[0].id]

    @property
    def configuration_url(self) -> str:
        """Where the global configuration is."""
        return self.central.configuration_url

    async def _open(self) -> None:
        topology, plan = self.topology, self.plan
        make_private_directory(plan.directory)
        self.ports = Ports(*free_ports(plan.base_port, topology.addresses, len(fields(Ports))))
        await self._start_centre()
        await self._start_servers()
        await self._start_authorities()
        await self._start_providers()
        self._progress("a test CA with its OCSP responder and time-stamping authority")
        async with asyncio.TaskGroup() as tasks:
            founding = tasks.create_task(self._found())
            for server in self.servers.values():
                tasks.create_task(self._make_keys(server))
        for server in self.servers.values():
            write_private(server.layout.anchor_file, founding.result())
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(self._set_up(server))
        await self._register()
        await self._break()
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(server.ready())

    async def _start_centre(self) -> None:
        """Start whoever registers servers and publishes the global configuration."""
        ports, intervals = self.ports, self.plan.intervals
        plan = CentralPlan(
            self.plan.directory / "central",
            self.topology.central_address,
            CentralPorts(ports.api, ports.registration, ports.management, ports.configuration),
            generation=max(1.0, intervals.configuration_expires / 4),
        )
        self.central = RunningCentral(plan)
        self.authority = GoverningAuthority(self.central, self.topology)
        self._opened.push_async_callback(self.central.stop)
        await self.central.start()

    async def _found(self) -> bytes:
        """Make the instance; gives the anchor that its servers start from."""
        await self.central.until_up()
        anchor = await self.authority.found(self.authorities)
        self._progress(f"a Central Server for {self.topology.instance}, with its members")
        return anchor

    async def _start_authorities(self) -> None:
        topology, plan = self.topology, self.plan
        settings = replace(
            authorities_settings(topology),
            next_update=timedelta(seconds=plan.intervals.ocsp_freshness),
        )
        self.authorities = Authorities(settings, self._clock, plan.directory / "authorities")
        address = topology.central_address
        await self._keep(await self.authorities.serve(address, self.ports.central))

    async def _keep(self, served: Served) -> None:
        self._opened.push_async_callback(served.close)

    async def _start_providers(self) -> None:
        """One address for each provider application: that of the first server that needs it."""
        for name in PROVIDERS:
            server = self._server_calling(name)
            if server is not None:
                served = await serve_app(
                    provider_app(name, self._clock), server.address, self.ports.providers
                )
                await self._keep(served)
                self._provider_urls[name] = served.url

    def _server_calling(self, provider: str) -> PlannedServer | None:
        for server in self.topology.servers:
            for client in server.clients:
                services = self.topology.get_subsystem(client).services
                if any(service.provider == provider for service in services):
                    return server
        return None

    async def _start_servers(self) -> None:
        for planned in self.topology.servers:
            home = self.plan.directory / planned.id.server_code
            make_private_directory(home)
            server = RunningServer(planned, home, self.ports)
            self._write_settings(server)
            self.servers[planned.id] = server
            self._opened.push_async_callback(server.stop)
            await server.start()

    def _write_settings(self, server: RunningServer) -> None:
        plan, ports, address = self.plan, self.ports, server.plan.address
        pin_file = server.layout.home / "token-pin"
        write_private(pin_file, _PIN.encode())
        proxy = {
            "connector-host": _toml(address),
            "client-http-port": str(ports.http),
            "client-https-port": str(ports.https),
            "listen-address": _toml(address),
            "server-port": str(ports.server),
            "ocsp-responder-port": str(ports.ocsp),
            **dict(plan.proxy),
        }
        if plan.exchange_logs:
            proxy["exchange-log"] = _toml(str(server.exchange_log))
        user_file = server.layout.home / "first-user"
        write_private(user_file, f"{USER}:{PASSWORD}".encode())
        sections = {
            "listeners": {"listen-address": _toml(address), "api-port": str(ports.api)},
            "admin-api": {"rate-limit-enabled": "false"},
            "server": {
                "first-user-file": _toml(str(user_file)),
                "workers": str(plan.workers),
                "refresh-interval": str(plan.intervals.refresh),
                "token-pin-file": _toml(str(pin_file)),
                "internal-host": _toml(address),
            },
            "proxy": proxy,
            "anti-dos": dict(plan.anti_dos),
            "message-log": dict(plan.message_log),
            "signer": dict(plan.signer),
            "ocsp": {"ocsp-retry-delay": str(plan.intervals.retry)},
            "configuration-client": {
                "update-interval": str(plan.intervals.configuration),
                "retry-interval": str(plan.intervals.retry),
            },
        }
        text = "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
            for name, values in sections.items()
        )
        write_private(server.layout.settings_file, text.encode())

    async def _make_keys(self, server: RunningServer) -> None:
        """What an administrator does on a new server before there is any configuration."""
        await server.administrable()
        signer, plan = server.signer, server.plan
        if not (await signer.token(SOFT_TOKEN_ID)).initialized:
            await signer.initialize(_PIN)
        if not (await signer.token(SOFT_TOKEN_ID)).logged_in:
            await signer.login(SOFT_TOKEN_ID, _PIN)
        await server.control.declare(self._declaration(server))
        if (await signer.token(SOFT_TOKEN_ID)).keys:
            return
        for member in plan.signers:
            label, usage = _label(member), KeyUsage.SIGNING
            await signer.generate_key(SOFT_TOKEN_ID, label, usage, plan.signing_key)
        usage = KeyUsage.AUTHENTICATION
        await signer.generate_key(SOFT_TOKEN_ID, _AUTH_LABEL, usage, plan.authentication_key)

    async def _set_up(self, server: RunningServer) -> None:
        """Everything else: the configuration, and a certificate for each key without one."""
        await server.control.refresh()
        signers = {_label(member): member for member in server.plan.signers}
        for key in (await server.signer.token(SOFT_TOKEN_ID)).keys:
            if key.certificates:
                continue
            if key.usage is KeyUsage.AUTHENTICATION:
                await self._auth_certificate(server, key)
            else:
                await self._sign_certificate(server, key, signers[key.label])
        self._progress(f"security server {server.plan.id.short} at {server.plan.address}")

    async def _sign_certificate(self, server: RunningServer, key: Key, member: ClientId) -> None:
        certificate = await self._certificate(server, key, member)
        self._made(member, certificate)
        await server.control.import_certificate(certificate.der)

    async def _auth_certificate(self, server: RunningServer, key: Key) -> None:
        certificate = await self._certificate(server, key, server.plan.id.owner)
        entry = await server.control.import_certificate(certificate.der)
        await server.control.activate(entry.sha256)
        self._made(server.plan.id, certificate)

    def _made(self, of: ClientId | SecurityServerId, certificate: Certificate) -> None:
        """Note a certificate that was made for a member or a server."""
        self._certificates.append((of, certificate))

    def _declaration(self, server: RunningServer) -> ServerDeclaration:
        """What the server is to offer, the management services among it where it carries them."""
        declared = declaration_of(self.topology, server.plan, self._provider_urls)
        management = self.topology.management
        return replace(
            declared,
            clients=tuple(
                with_management(client, self.central.management_url)
                if client.id == management
                else client
                for client in declared.clients
            ),
        )

    async def _certificate(self, server: RunningServer, key: Key, member: ClientId) -> Certificate:
        topology = self.topology
        signing = key.usage is KeyUsage.SIGNING
        usage = KeyUsage.SIGNING if signing else KeyUsage.AUTHENTICATION
        order = RequestOrder(
            key.id,
            server.plan.id,
            topology.profile.value,
            member,
            topology.get_member(member).name,
            request_fields(topology, server.plan, usage),
        )
        request = await server.signer.generate_request(order)
        use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
        return self.authorities.ca.sign_request(request.der, use)

    async def _register(self) -> None:
        """What servers ask of the Central Server, and its administrator approves."""
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(self._register_certificates(server))
        await self.authority.approve_waiting()
        carrier = self.server_of(self.topology.management)
        await self.authority.register_provider(carrier.plan.id)
        self._progress("every security server registered, and its certificate approved")
        await carrier.carries(self.topology.management)
        # Published by now, so that who downloads after this knows the way there.
        await self._all_of(RunningServer.authenticated)
        await self._all_of(RunningServer.ready)
        await self._all_of(RunningServer.refresh)
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(self._register_clients(server))
        await self.authority.approve_waiting()
        await self._all_of(RunningServer.registered)
        await self._all_of(RunningServer.refresh)
        self._progress("their clients registered through the management services")

    async def _all_of(self, what: Callable[[RunningServer], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(what(server))

    async def _register_certificates(self, server: RunningServer) -> None:
        await server.signing()
        for key in (await server.signer.token(SOFT_TOKEN_ID)).keys:
            for entry in key.certificates:
                saved = entry.status is CertificateStatus.SAVED
                if saved and key.usage is KeyUsage.AUTHENTICATION:
                    await server.registration.register_certificate(
                        entry.sha256, server.plan.address
                    )

    async def _register_clients(self, server: RunningServer) -> None:
        for client in await server.clients_to_register():
            if client != self.topology.management:
                await server.registration.register_client(client, None)

    async def _break(self) -> None:
        """Make what the topology says is broken, so: when all was well once."""
        broken, ocsp = self.topology.broken, self.authorities.ocsp
        revoked = {*broken.revoked_signing, *broken.revoked_authentication}
        faults = [(faulty.of, faulty.fault) for faulty in broken.ocsp]
        for of, certificate in self._certificates:
            if of in revoked:
                self.authorities.ca.revoke(certificate.serial)
            for faulty, fault in faults:
                if faulty == of:
                    ocsp.misbehave(certificate.serial, fault)
        for name in broken.silent_tsas:
            self.authorities.tsas[name].silent = True
        if revoked or faults:
            await self._all_of(RunningServer.ask_ocsp)


def _label(member: ClientId) -> str:
    """What the key is called that signs for a member."""
    return f"sign {member.member_class} {member.member_code}"
