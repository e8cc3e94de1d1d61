"""A security server of the devnet: its process, its place, its administration."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sild.apiclient.client import ApiClient
from sild.components.signer.rpc import SignerForControl
from sild.components.signer.rpc import connect_control as connect_signer
from sild.devnet.administrator import Administrator
from sild.devnet.errors import DevnetError
from sild.devnet.process import ServerProcess, fork_server, start_server, stop_server
from sild.devnet.topology import PlannedServer
from sild.model.services import ClientStatus
from sild.protocol.ids import ClientId
from sild.runtime.rpc import RpcError, close_rpc, connect_rpc
from sild.servers.control_calls import CONTROL_OPTIONS, ControlCalls
from sild.servers.layout import Layout
from sild.servers.registering import REGISTRATION_OPTIONS, RegistrationCalls
from sild.servers.snapshots import read_snapshot
from sild.servers.worker_calls import WorkerCalls

_PATIENCE_SECONDS = 120.0


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
    api: int
    registration: int
    management: int


class RunningServer:
    """One security server of the devnet: its process, its place, its administration."""

    def __init__(
        self, plan: PlannedServer, home: Path, ports: Ports, *, separate: bool = False
    ) -> None:
        self.plan = plan
        self._start = start_server if separate else fork_server
        self.layout = Layout(home)
        self.ports = ports
        self.process: ServerProcess | None = None
        url = f"https://{plan.address}:{ports.api}"
        self._administrator = Administrator(url, self.layout.api_tls)
        self.signer: SignerForControl = connect_signer(self.layout.signer_admin_socket)
        self.control: ControlCalls = connect_rpc(
            self.layout.control_socket,
            ControlCalls,  # type: ignore[type-abstract]
            CONTROL_OPTIONS,
        )
        self.registration: RegistrationCalls = connect_rpc(
            self.layout.registration_socket,
            RegistrationCalls,  # type: ignore[type-abstract]
            REGISTRATION_OPTIONS,
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

    @property
    def client(self) -> ApiClient:
        """Who administers it by its API; raises DevnetError before it is up."""
        return self._administrator.client

    async def start(self) -> None:
        """Start the server's processes."""
        self.process = await self._start("security-server", self.layout.home)

    async def stop(self) -> None:
        """Stop the server and wait for its end."""
        for client in (self.signer, self.control, self.registration, self.worker):
            close_rpc(client)
        await self._administrator.close()
        await stop_server(self.process)

    async def ready(self) -> None:
        """Come back when messages can be exchanged; raises DevnetError after two minutes."""
        await self._until(self._is_ready, "become ready")

    async def administrable(self) -> None:
        """Come back when the signer, control and the API answer."""
        await self._until(self._is_administrable, "start")

    async def refresh(self) -> None:
        """Download the global configuration now, and have the workers know it."""
        await self.control.refresh()
        await self.worker.reload()

    async def carries(self, client: ClientId) -> None:
        """Come back when the global configuration has this client here; raises DevnetError."""

        async def is_carried() -> bool:
            await self.control.refresh()
            return client not in await self.clients_to_register()

        await self._until(is_carried, f"carry {client}")

    async def signing(self) -> None:
        """Come back when the owner's signing certificate can be used; raises DevnetError."""
        owner = str(self.plan.id.owner)

        async def is_signing() -> bool:
            return owner in (await self.control.status()).signing_members

        await self._until(is_signing, f"be able to sign for {owner}")

    async def authenticated(self) -> None:
        """Come back when the authentication certificate is registered; raises DevnetError."""
        await self._until(self._is_authenticated, "have its certificate registered")

    async def ask_ocsp(self) -> None:
        """Ask the OCSP responders about every certificate now."""
        await self.control.refresh_ocsp()

    async def clients_to_register(self) -> tuple[ClientId, ...]:
        """The clients, but for the owner, that the Central Server has not been told of."""
        snapshot = await asyncio.to_thread(read_snapshot, self.layout.snapshot_file)
        clients = snapshot.clients if snapshot else ()
        return tuple(client.id for client in clients if client.status is ClientStatus.SAVED)

    async def registered(self) -> None:
        """Come back when the global configuration has all clients; raises DevnetError."""
        await self._until(self._is_registered, "be registered with its clients")

    async def _is_authenticated(self) -> bool:
        return (await self.control.refresh()).authenticated

    async def _is_registered(self) -> bool:
        await self.control.refresh()
        snapshot = await asyncio.to_thread(read_snapshot, self.layout.snapshot_file)
        return snapshot is not None and all(
            client.status is ClientStatus.REGISTERED for client in snapshot.clients
        )

    async def _is_ready(self) -> bool:
        return (await self.worker.status()).ready

    async def _is_administrable(self) -> bool:
        await self.signer.tokens()
        await self.control.status()
        return await self._administrator.is_answered()

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
