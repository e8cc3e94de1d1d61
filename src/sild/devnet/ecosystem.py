"""Bring a topology up on this machine: authorities, configuration, servers, services, callable.

Everything goes through what an administrator has: settings files, the anchor, and the local
administration of each server. What the Central Server will do, the publisher's registry does.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

from sild.components.signer.certificates import RequestOrder
from sild.components.signer.rpc import SignerForControl
from sild.components.signer.rpc import connect_control as connect_signer
from sild.devnet.authorities import Authorities
from sild.devnet.declared import (
    authorities_settings,
    declaration_of,
    registry_of,
    request_fields,
)
from sild.devnet.errors import DevnetError
from sild.devnet.ports import free_ports
from sild.devnet.providers import PROVIDERS, provider_app
from sild.devnet.publisher import Publisher, PublisherSettings
from sild.devnet.registry import OptionalParts, Registry
from sild.devnet.serving import Served, serve_app
from sild.devnet.topology import PlannedServer, Topology
from sild.model.tokens import Key, KeyUsage
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.files import make_private_directory, write_private
from sild.runtime.rpc import RpcError, close_rpc, connect_rpc
from sild.runtime.supervise import end_with_parent
from sild.servers.control_calls import CONTROL_OPTIONS, ControlCalls
from sild.servers.layout import Layout
from sild.servers.worker_calls import WorkerCalls

_PIN = "Devnet-PIN-0001"
_PATIENCE_SECONDS = 60.0


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
class Ports:
    """The ports of every server, each on its own address, and of what is shared."""

    http: int
    https: int
    server: int
    ocsp: int
    central: int
    configuration: int
    providers: int


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
    exchange_logs: bool = True
    workers: int = 1


Progress = Callable[[str], None]


class RunningServer:
    """One security server of the devnet: its process, its place, its administration."""

    def __init__(self, plan: PlannedServer, home: Path, ports: Ports) -> None:
        self.plan = plan
        self.layout = Layout(home)
        self.ports = ports
        self.process: asyncio.subprocess.Process | None = None
        self.signer: SignerForControl = connect_signer(self.layout.signer_admin_socket)
        self.control: ControlCalls = connect_rpc(
            self.layout.control_socket,
            ControlCalls,  # type: ignore[type-abstract]
            CONTROL_OPTIONS,
        )
        self.worker: WorkerCalls = connect_rpc(
            self.layout.worker_socket(0),
            WorkerCalls,  # type: ignore[type-abstract]
        )

    @property
    def exchange_log(self) -> Path:
        """Where the server writes the steps of each exchange."""
        return self.layout.home / "exchanges.jsonl"

    @property
    def http_url(self) -> str:
        """Where information systems call, without TLS."""
        return f"http://{self.plan.address}:{self.ports.http}"

    @property
    def https_url(self) -> str:
        """Where information systems call, with TLS."""
        return f"https://{self.plan.address}:{self.ports.https}"

    async def start(self) -> None:
        """Start the server's processes."""
        log = (self.layout.home / "server.log").open("ab")
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sild",
                "security-server",
                "--home",
                str(self.layout.home),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        finally:
            log.close()

    async def stop(self) -> None:
        """Stop the server and wait for its end."""
        for client in (self.signer, self.control, self.worker):
            close_rpc(client)
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ready(self) -> None:
        """Come back when messages can be exchanged; raises DevnetError after a minute."""
        await self._until(self._is_ready, "become ready")

    async def administrable(self) -> None:
        """Come back when the signer and control answer."""
        await self._until(self._is_administrable, "start")

    async def _is_ready(self) -> bool:
        return (await self.worker.status()).ready

    async def _is_administrable(self) -> bool:
        await self.signer.status()
        await self.control.status()
        return True

    async def _until(self, question: Callable[[], object], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self.process is not None and self.process.returncode is not None:
                break
            try:
                if await question():  # type: ignore[misc] # each is a coroutine function
                    return
            except RpcError:
                pass
            await asyncio.sleep(0.05)
        message = f"{self.plan.id} did not {what}; its log is {self.layout.home / 'server.log'}"
        raise DevnetError(message)


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
        self._provider_urls: dict[str, str] = {}
        self._registry: Registry | None = None

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
    def registry(self) -> Registry:
        """What the global configuration says now."""
        if self._registry is None:
            message = "the ecosystem is not up"
            raise DevnetError(message)
        return self._registry

    def publish(self, registry: Registry) -> None:
        """Change what the global configuration says."""
        self._registry = registry
        self.publisher.publish(registry)

    async def _open(self) -> None:
        topology, plan = self.topology, self.plan
        make_private_directory(plan.directory)
        self.ports = Ports(*free_ports(plan.base_port, topology.addresses, 7))
        await self._start_servers()
        await self._start_authorities()
        await self._start_providers()
        self._progress("a test CA with its OCSP responder and time-stamping authority")
        self.publish(self._first_registry())
        for server in self.servers.values():
            write_private(server.layout.anchor_file, self.publisher.anchor())
        self._progress("signed global configuration, re-signed before it expires")
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(self._set_up(server))
        await self._register()
        self._break()
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(server.ready())

    async def _start_authorities(self) -> None:
        topology, plan = self.topology, self.plan
        settings = replace(
            authorities_settings(topology),
            next_update=timedelta(seconds=plan.intervals.ocsp_freshness),
        )
        self.authorities = Authorities(settings, self._clock, plan.directory / "authorities")
        self.publisher = Publisher(
            topology.instance,
            self._clock,
            PublisherSettings(
                max(1, int(plan.intervals.configuration_expires / 4)),
                plan.intervals.configuration_expires,
            ),
            plan.directory / "publisher",
        )
        address = topology.central_address
        await self._keep(await self.authorities.serve(address, self.ports.central))
        await self._keep(await self.publisher.serve(address, self.ports.configuration))

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
        sections = {
            "server": {
                "workers": str(plan.workers),
                "refresh-interval": str(plan.intervals.refresh),
                "token-pin-file": _toml(str(pin_file)),
                "internal-host": _toml(address),
            },
            "proxy": proxy,
            "anti-dos": dict(plan.anti_dos),
            "message-log": dict(plan.message_log),
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

    def _first_registry(self) -> Registry:
        intervals = self.plan.intervals
        return replace(
            registry_of(self.topology, self.authorities),
            ocsp_freshness_seconds=intervals.ocsp_freshness,
            optional=OptionalParts(ocsp_fetch_interval_seconds=intervals.ocsp),
        )

    async def _set_up(self, server: RunningServer) -> None:
        """Everything that an administrator does on a new server."""
        await server.administrable()
        await server.control.refresh()
        if not (await server.signer.status()).initialized:
            await server.signer.initialize(_PIN)
        if not (await server.signer.status()).logged_in:
            await server.signer.login(_PIN)
        declaration = declaration_of(self.topology, server.plan, self._provider_urls)
        await server.control.declare(declaration)
        token = await server.signer.status()
        if not token.keys:
            for member in server.plan.signers:
                await self._sign_certificate(server, member)
            await self._auth_certificate(server)
        self._progress(f"security server {server.plan.id.short} at {server.plan.address}")

    async def _sign_certificate(self, server: RunningServer, member: ClientId) -> None:
        key = await server.signer.generate_key(
            f"sign {member.member_code}", KeyUsage.SIGNING, server.plan.signing_key
        )
        certificate = await self._certificate(server, key, member)
        if member in self.topology.broken.revoked_signing:
            self.authorities.ca.revoke(certificate.serial)
        self._spoil_ocsp(member, certificate)
        await server.control.import_certificate(certificate.der)

    async def _auth_certificate(self, server: RunningServer) -> None:
        key = await server.signer.generate_key(
            "auth", KeyUsage.AUTHENTICATION, server.plan.authentication_key
        )
        certificate = await self._certificate(server, key, server.plan.id.owner)
        entry = await server.control.import_certificate(certificate.der)
        await server.control.activate(entry.sha256)
        if server.plan.id in self.topology.broken.revoked_authentication:
            self.authorities.ca.revoke(certificate.serial)
        self._spoil_ocsp(server.plan.id, certificate)

    def _spoil_ocsp(self, of: ClientId | SecurityServerId, certificate: Certificate) -> None:
        for faulty in self.topology.broken.ocsp:
            if faulty.of == of:
                self.authorities.ocsp.misbehave(certificate.serial, faulty.fault)

    async def _certificate(self, server: RunningServer, key: Key, member: ClientId) -> Certificate:
        topology = self.topology
        order = RequestOrder(
            key.id,
            server.plan.id,
            topology.profile.value,
            member,
            topology.get_member(member).name,
            request_fields(topology, server.plan, key.usage),
        )
        request = await server.signer.generate_request(order)
        signing = key.usage is KeyUsage.SIGNING
        use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
        return self.authorities.ca.sign_request(request.der, use)

    async def _register(self) -> None:
        """What the Central Server does when it has approved the authentication certificates."""
        registry = self.registry
        for server in self.servers.values():
            token = await server.signer.status()
            for key in token.keys:
                if key.usage is KeyUsage.AUTHENTICATION:
                    for entry in key.certificates:
                        certificate = read_certificate(entry.certificate)
                        registry = registry.with_auth_certificate(server.plan.id, certificate)
        self.publish(registry)
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(server.control.refresh())

    def _break(self) -> None:
        """Make what the topology says is broken, so."""
        for name in self.topology.broken.silent_tsas:
            self.authorities.tsas[name].silent = True
