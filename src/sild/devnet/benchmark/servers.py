"""Our contestant: two security servers of two members, one REST service and two by SOAP."""

from dataclasses import dataclass, replace
from pathlib import Path

from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
)
from sild.devnet.benchmark.figures import CONSUMER, PROVIDER, Body
from sild.devnet.benchmark.letters import header_of, soap_path
from sild.devnet.ecosystem import Ecosystem, Intervals, Plan
from sild.devnet.errors import DevnetError
from sild.devnet.topology import (
    PlannedMember,
    PlannedServer,
    PlannedSubsystem,
    Topology,
)
from sild.model.services import ConnectionType, ServiceType
from sild.model.tokens import KeyAlgorithm
from sild.protocol.ids import ClientId, SecurityServerId, ServiceId

_CALLER = ClientId("BENCH", "GOV", "79990011")
_ANSWERER = ClientId("BENCH", "GOV", "79990012")
_CALLING = _CALLER.subsystem("calling")
_ANSWERING = _ANSWERER.subsystem("answering")
_SERVICE = "bytes"
_SOAP_CODES = {Body.SOAP: "message", Body.SOAP_PACKAGE: "package"}
HOSTS = ("127.0.0.31", "127.0.0.32")
_CENTRAL = "127.0.0.30"
# The reference's default, 10 MiB, would keep gigabytes of each run with large bodies.
_MESSAGE_LOG = (
    ("max-loggable-message-body-size", "1048576"),
    ("truncated-body-allowed", "true"),
)


def topology(key: KeyAlgorithm) -> Topology:
    """Two servers, all of whose keys are of one kind."""
    return Topology(
        instance="BENCH",
        member_classes=(("GOV", "Invented authorities"),),
        members=(
            PlannedMember(_CALLER, "Caller", (PlannedSubsystem(_CALLING, "Calling"),)),
            PlannedMember(_ANSWERER, "Answerer", (PlannedSubsystem(_ANSWERING, "Answering"),)),
        ),
        servers=tuple(
            PlannedServer(SecurityServerId(client.member, code), host, (client,), key, key)
            for client, code, host in (
                (_CALLING, CONSUMER, HOSTS[0]),
                (_ANSWERING, PROVIDER, HOSTS[1]),
            )
        ),
        management=_CALLING,
        central_address=_CENTRAL,
    )


@dataclass(frozen=True, slots=True)
class ServersPlan:
    """Where the servers stand and what they are like."""

    home: Path
    key: KeyAlgorithm
    workers: int


class ServerPair:
    """Two running security servers."""

    def __init__(self, ecosystem: Ecosystem) -> None:
        self._ecosystem = ecosystem
        self._caller = ecosystem.server_of(_CALLING)
        self._answerer = ecosystem.server_of(_ANSWERING)
        self.host, self.port = self._caller.plan.address, self._caller.ports.http

    @staticmethod
    def plan(plan: ServersPlan) -> Plan:
        """What the ecosystem is told; it takes its time, as real ones do."""
        return Plan(
            topology(plan.key),
            plan.home,
            base_port=19080,
            intervals=Intervals(
                configuration=60, ocsp_freshness=3600, configuration_expires=3600, refresh=1.0
            ),
            message_log=_MESSAGE_LOG,
            exchange_logs=False,
            workers=plan.workers,
            separate=True,
        )

    async def offer(self, backend: str) -> None:
        """Let the provider offer the backend to the caller."""
        service = DeclaredService(
            _SERVICE, f"http://{backend}", (DeclaredRight(_CALLING),), timeout_seconds=300
        )
        by_soap = (
            replace(
                service, code=code, url=f"http://{backend}{soap_path(body)}", type=ServiceType.WSDL
            )
            for body, code in _SOAP_CODES.items()
        )
        client = DeclaredClient(_ANSWERING, ConnectionType.NOSSL, services=(service, *by_soap))
        await self._answerer.control.declare(ServerDeclaration(self._answerer.plan.id, (client,)))
        await self._answerer.worker.reload()

    @property
    def pids(self) -> dict[str, int]:
        """The supervisor of each server."""
        found = {}
        for name, server in ((CONSUMER, self._caller), (PROVIDER, self._answerer)):
            if server.process is None:
                raise DevnetError(f"{server.plan.id} does not run")
            found[name] = server.process.pid
        return found

    @property
    def tls_address(self) -> tuple[str, int]:
        """Where the provider's server listens to the caller's."""
        return self._answerer.plan.address, self._answerer.ports.server

    @property
    def path(self) -> str:
        """Where the service's paths begin."""
        instance, member_class, code = (
            _ANSWERER.instance,
            _ANSWERER.member_class,
            _ANSWERER.member_code,
        )
        return f"/r1/{instance}/{member_class}/{code}/{_ANSWERING.subsystem_code}/{_SERVICE}"

    @staticmethod
    def soap_header(body: Body) -> str:
        """The header of SOAP messages of this kind."""
        return header_of(_CALLING, ServiceId(_ANSWERING, _SOAP_CODES[body]))

    @property
    def headers(self) -> dict[str, str]:
        """What every request says."""
        return {"X-Road-Client": f"BENCH/GOV/{_CALLER.member_code}/{_CALLING.subsystem_code}"}
