"""The devnet's Central Server: its process, and what a governing authority does with its API."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sild.adminapi.centralserver.management_service import WSDL_PATH
from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiError
from sild.apiclient.values import Form, NamedFile
from sild.devnet.administrator import Administrator
from sild.devnet.authorities import Authorities
from sild.devnet.errors import DevnetError
from sild.devnet.process import ServerProcess, fork_server, start_server, stop_server
from sild.devnet.topology import Topology
from sild.model.registration import RequestStatus
from sild.protocol.globalconf.shared_parameters import CertificationService, OcspResponderEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.files import make_private_directory, write_private
from sild.servers.central_layout import CentralLayout

_PIN = "Devnet-PIN-0001"
_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.05
_OWNERS = "security-server-owners"
_NOT_POSSIBLE = "token_action_not_possible"
_CALLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class CentralPorts:
    """The ports of the Central Server at its address."""

    api: int
    registration: int
    management: int
    configuration: int


@dataclass(frozen=True, slots=True)
class CentralPlan:
    """Where the Central Server lives and how often it does things, in seconds."""

    home: Path
    address: str
    ports: CentralPorts
    generation: float = 10.0
    separate: bool = False
    """Whether it is a program of its own, as in `Plan`."""


class RunningCentral:
    """The process; `client` speaks to its API once it is up."""

    def __init__(self, plan: CentralPlan) -> None:
        self.plan = plan
        self.layout = CentralLayout(plan.home)
        self.process: ServerProcess | None = None
        self._administrator = Administrator(self.api_url, self.layout.api_tls)

    @property
    def configuration_url(self) -> str:
        """Where the configuration for servers of the instance is."""
        return f"http://{self.plan.address}:{self.plan.ports.configuration}/internalconf"

    @property
    def api_url(self) -> str:
        """Where the management API is."""
        return f"https://{self.plan.address}:{self.plan.ports.api}"

    @property
    def management_url(self) -> str:
        """Where the management service answers its provider's security server."""
        host = f"{self.plan.address}:{self.plan.ports.management}"
        return f"https://{host}/managementservice/manage/"

    @property
    def management_wsdl(self) -> str:
        """Where the management services are described."""
        return f"http://{self.plan.address}:{self.plan.ports.configuration}{WSDL_PATH}"

    @property
    def client(self) -> ApiClient:
        """Who has every role."""
        return self._administrator.client

    async def start(self) -> None:
        """Start the server's processes."""
        make_private_directory(self.layout.home)
        user_file = Administrator.write_first_user(self.layout.home)
        pin_file = self.layout.home / "token-pin"
        write_private(pin_file, _PIN.encode())
        write_private(self.layout.settings_file, self._settings(user_file, pin_file).encode())
        start = start_server if self.plan.separate else fork_server
        self.process = await start("central-server", self.layout.home)

    def _settings(self, user_file: Path, pin_file: Path) -> str:
        plan, ports = self.plan, self.plan.ports
        sections: dict[str, dict[str, object]] = {
            "server": {
                "first-user-file": str(user_file),
                "token-pin-file": str(pin_file),
                "tls-host": plan.address,
            },
            "center": {
                "global-conf-generation-interval": plan.generation,
                # Published when it matters, once for many changes.
                "generate-on-change": False,
                "internal-key-algorithm": "EC",
                "external-key-algorithm": "EC",
            },
            "listeners": {
                "listen-address": plan.address,
                "api-port": ports.api,
                "registration-port": ports.registration,
                "management-port": ports.management,
                "configuration-http-port": ports.configuration,
                "configuration-https-port": 0,
                "management-requests-per-minute": 6000,
            },
            "admin-api": {"rate-limit-enabled": False},
        }
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for name, keys in sections.items()
        )

    async def until_up(self) -> None:
        """Come back when the API answers; raises DevnetError after two minutes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while loop.time() < deadline:
            if self.process is not None and self.process.returncode is not None:
                break
            if await self._administrator.is_answered():
                return
            await asyncio.sleep(_POLL_SECONDS)
        log = self.layout.home / "server.log"
        raise DevnetError(f"the Central Server did not start; its log is {log}")

    async def open_token(self) -> None:
        """Log in to the token, unless the server, which looks for its PIN by itself, was faster."""
        try:
            await self.client.call("PUT", "/tokens/0/login", json={"password": _PIN})
        except ApiError as error:
            if error.code != _NOT_POSSIBLE:
                raise

    async def stop(self) -> None:
        """Stop the server and wait for its end."""
        await self._administrator.close()
        await stop_server(self.process)


class GoverningAuthority:
    """Whoever runs the Central Server: all that it does goes through the management API."""

    def __init__(self, central: RunningCentral, topology: Topology) -> None:
        self._central = central
        self._topology = topology

    async def found(self, authorities: Authorities) -> bytes:
        """Make the instance, unless it is there; give the anchor that its servers start from."""
        status = await self._central.client.call("GET", "/initialization/status")
        if not status.json["instance_identifier"]:
            await self._make_instance(authorities)
        await self.publish()
        answer = await self._central.client.call(
            "GET", "/configuration-sources/INTERNAL/anchor/download"
        )
        return answer.content

    async def _make_instance(self, authorities: Authorities) -> None:
        topology = self._topology
        await self._post("/initialization", {
            "software_token_pin": _PIN,
            "instance_identifier": topology.instance,
            "central_server_address": self._central.plan.address,
        })  # fmt: skip
        await self._central.open_token()
        for kind in ("INTERNAL", "EXTERNAL"):
            key = {"key_label": f"{kind.lower()} key", "token_id": "0"}
            await self._post(f"/configuration-sources/{kind}/signing-keys", key)
        await self._approve_services(authorities)
        await self._register_members()
        provider = {"service_provider_id": topology.management.encoded}
        await self._call("PATCH", "/management-services-configuration", provider)

    async def _register_members(self) -> None:
        topology = self._topology
        for code, description in topology.member_classes:
            await self._post("/member-classes", {"code": code, "description": description})
        await _all(
            self._post("/members", {"member_name": member.name, "member_id": _member(member.id)})
            for member in topology.members
        )
        await _all(
            self._post("/subsystems", {
                "subsystem_id": _member(each.id) | {"subsystem_code": each.id.subsystem_code},
                "subsystem_name": each.name,
            })
            for each in topology.subsystems
        )  # fmt: skip
        for group in topology.groups:
            if group.id.group_code == _OWNERS:
                continue
            described = {"code": group.id.group_code, "description": group.description}
            await self._post("/global-groups", described)
            members = {"items": [member.encoded for member in group.members]}
            await self._post(f"/global-groups/{group.id.group_code}/members/add", members)

    async def _approve_services(self, authorities: Authorities) -> None:
        await self._approve_ca(authorities.certification_service())
        for service in authorities.timestamping_services():
            await self._upload(
                "/timestamping-services",
                {"url": service.url, "cost_type": "FREE"},
                service.certificate.der,
            )

    async def _approve_ca(self, service: CertificationService) -> None:
        fields = {
            "certificate_profile_info": service.profile,
            "tls_auth": "true" if service.authentication_only else "false",
            "default_csr_format": service.csr_format.value if service.csr_format else "DER",
        }
        made = await self._upload("/certification-services", fields, service.top.certificate.der)
        place = f"/certification-services/{made['id']}"
        for responder in service.top.responders:
            await self._add_responder(place, responder)
        for intermediate in service.intermediates:
            ca = await self._upload(f"{place}/intermediate-cas", {}, intermediate.certificate.der)
            for responder in intermediate.responders:
                await self._add_responder(f"/intermediate-cas/{ca['id']}", responder)

    async def _add_responder(self, place: str, responder: OcspResponderEntry) -> None:
        certificate = responder.certificate.der if responder.certificate else None
        fields = {"url": responder.url, "cost_type": "FREE"}
        await self._upload(f"{place}/ocsp-responders", fields, certificate)

    async def approve_waiting(self) -> int:
        """Approve every request that waits; give how many there were."""
        client, count = self._central.client, 0
        for status in (RequestStatus.WAITING, RequestStatus.SUBMITTED_FOR_APPROVAL):
            query: dict[str, str | int | bool] = {"status": status.value, "limit": 100}
            found = await client.call("GET", "/management-requests", query=query)
            for request in found.json["items"]:
                await client.call("POST", f"/management-requests/{request['id']}/approval")
                count += 1
        if count:
            await self.publish()
        return count

    async def register_provider(self, server: SecurityServerId) -> None:
        """Let a security server carry the management services, unless one does already."""
        configuration = await self._central.client.call("GET", "/management-services-configuration")
        if not configuration.json.get("security_server_id"):
            wanted = {"security_server_id": server.encoded}
            await self._post("/management-services-configuration/register-provider", wanted)
            await self.publish()

    async def publish(self) -> None:
        """Have everything that was changed published now."""
        await self._call("POST", "/api/sild/v1/global-configuration", {})

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        await self._call("POST", path, body)

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> None:
        try:
            await self._central.client.call(method, path, json=body)
        except ApiError as error:
            raise DevnetError(f"the Central Server refused: {error}") from error

    async def _upload(self, path: str, fields: dict[str, str], der: bytes | None) -> dict[str, Any]:
        files = {} if der is None else {"certificate": NamedFile("certificate.der", der)}
        try:
            answer = await self._central.client.call("POST", path, upload=Form(fields, files))
        except ApiError as error:
            raise DevnetError(f"the Central Server refused: {error}") from error
        made: dict[str, Any] = answer.json
        return made


def _member(client: ClientId) -> dict[str, Any]:
    return {"member_class": client.member_class, "member_code": client.member_code}


async def _all(calls: Iterable[Any]) -> None:
    """Make calls, a few at a time."""
    places = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def make(call: Any) -> None:
        async with places:
            await call

    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            tasks.create_task(make(call))
