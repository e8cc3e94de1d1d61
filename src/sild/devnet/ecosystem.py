"""Bring a topology up on this machine: authorities, configuration, servers, services, callable.

Everything goes through what people have: settings files, and the management APIs. Each security
server is declared, and made so by its administrator; the Central Server's approves what they ask.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from sild.devnet.administrator import Administrator
from sild.devnet.authorities import Authorities
from sild.devnet.central import CentralPlan, CentralPorts, GoverningAuthority, RunningCentral
from sild.devnet.declared import PIN_FILE, Around, authorities_settings
from sild.devnet.founding import Founding
from sild.devnet.ports import free_ports
from sild.devnet.providers import PROVIDERS, provider_app
from sild.devnet.running import Ports, RunningServer
from sild.devnet.serving import Served, serve_app
from sild.devnet.soap_descriptions import describing
from sild.devnet.topology import PlannedServer, Topology
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.files import make_private_directory, write_private

__all__ = ["Ecosystem", "Intervals", "Plan", "Ports", "RunningServer"]

PIN = "Devnet-PIN-0001"
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
    separate: bool = False
    """Whether each server is a program of its own, which shares no memory with the others."""


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
        await self._bring_up()
        await self._all_of(RunningServer.refresh)
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
            separate=self.plan.separate,
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
                app = describing(provider_app(name, self._clock))
                served = await serve_app(app, server.address, self.ports.providers)
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
            server = RunningServer(planned, home, self.ports, separate=self.plan.separate)
            self._write_settings(server)
            self.servers[planned.id] = server
            self._opened.push_async_callback(server.stop)
            await server.start()

    def _write_settings(self, server: RunningServer) -> None:
        plan, ports, address = self.plan, self.ports, server.plan.address
        pin_file = server.layout.home / PIN_FILE
        write_private(pin_file, PIN.encode())
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
        user_file = Administrator.write_first_user(server.layout.home)
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
            "signer": {
                "signing-key-algorithm": _toml(server.plan.signing_key.value),
                "authentication-key-algorithm": _toml(server.plan.authentication_key.value),
                **dict(plan.signer),
            },
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

    def _made(self, of: ClientId | SecurityServerId, certificate: Certificate) -> None:
        """Note a certificate that was made for a member or a server."""
        self._certificates.append((of, certificate))

    async def _bring_up(self) -> None:
        """Make the instance and its servers what the topology says."""
        async with asyncio.TaskGroup() as tasks:
            founding = tasks.create_task(self._found())
            for server in self.servers.values():
                tasks.create_task(server.administrable())
        central = self.central
        around = Around(self._provider_urls, central.management_url, central.management_wsdl)
        made = Founding(self.topology, self.authorities, self.authority, around, self._made)
        carrier = self.server_of(self.topology.management)
        async with asyncio.TaskGroup() as approval:
            approving = approval.create_task(made.approve(carrier))
            async with asyncio.TaskGroup() as tasks:
                for server in self.servers.values():
                    tasks.create_task(self._make(server, made, founding.result()))
            approving.cancel()

    async def _make(self, server: RunningServer, founding: Founding, anchor: bytes) -> None:
        await founding.found(server, anchor)
        self._progress(f"security server {server.plan.id.short} at {server.plan.address}")

    async def _all_of(self, what: Callable[[RunningServer], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers.values():
                tasks.create_task(what(server))

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
