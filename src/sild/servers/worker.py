"""The process on the message path: listeners, both sides of the proxy, a journal of its own.

It reads one snapshot of the server's configuration and the verified global configuration, both
kept by control, and swaps its view when either changes. It knows no database.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from sild.components.messagelog.log import Conditions, JournalLog
from sild.components.messagelog.off import NoLog
from sild.components.messagelog.settling import SettleCalls, Settling
from sild.components.messagelog.standing import StampingGate
from sild.components.proxy.acquaintances import Acquaintances
from sild.components.proxy.client_side import ClientSide
from sild.components.proxy.documents import DocumentRequests
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.limits import ocsp_pool_limits, peer_pool_limits
from sild.components.proxy.listeners import CannotListen, Listeners, Sides
from sild.components.proxy.outgoing import Sender
from sild.components.proxy.peers import PeerOcsp, Peers
from sild.components.proxy.routing import Routing
from sild.components.proxy.server_side import ServerSide
from sild.components.proxy.service_call import ServiceCaller, ServicePools, ServiceTls
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.signing import SigningQueues
from sild.components.proxy.steps import ExchangeLog
from sild.components.proxy.view import View
from sild.components.signer.errors import SignerError
from sild.components.signer.rpc import connect_worker
from sild.model.services import Service
from sild.protocol.algorithms import DigestAlgorithm
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.files import SpoolDirectory, SpoolLimits
from sild.runtime.http_client import HttpClientPool
from sild.runtime.journal import Journal, JournalLimits
from sild.runtime.machine import own_memory
from sild.runtime.rpc import RpcError, RpcServer, connect_rpc, serve_rpc
from sild.servers.document_calls import DOCUMENT_OPTIONS, ControlDocuments, DocumentCalls
from sild.servers.handshakes import SignerForHandshakes
from sild.servers.internal_contexts import InternalContexts
from sild.servers.layout import Layout
from sild.servers.log_calls import LOG_OPTIONS
from sild.servers.server_tls import ServerTls, information_system_policy
from sild.servers.settings import SecurityServerSettings
from sild.servers.views import CurrentView
from sild.servers.worker_calls import WorkerCalls, WorkerMeasures, WorkerStatus

if TYPE_CHECKING:
    from sild.model.snapshot import AuthenticationCertificate

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_COLLECTIONS = (20_000, 20, 20)
# What failed leaves some cycles, whose buffers weigh more than their number tells.
_COLLECT_SECONDS = 10.0


class Worker:
    """One worker, wired together."""

    def __init__(
        self,
        layout: Layout,
        settings: SecurityServerSettings,
        number: int,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._clock: Clock = SystemClock()
        self._stopping = asyncio.Event()
        self._serving = False
        self._reloading = asyncio.Lock()
        self._trouble = ""
        self._collected_at = 0.0
        self._authentication: AuthenticationCertificate | None = None
        self._signer = connect_worker(layout.signer_socket)
        self._view = CurrentView(layout, self._clock)
        handshakes = SignerForHandshakes(layout.signer_socket, self._clock)
        self._tls = ServerTls(settings.proxy, handshakes)
        self._spool = SpoolDirectory(layout.spool(number), _spool_limits(settings.proxy))
        self._journal_name = layout.journal(number).name
        self._journal = Journal.open(
            layout.journal(number),
            self._journal_name,
            self._journal_limits(),
            self._clock,
        )
        self._steps = ExchangeLog(settings.proxy.exchange_log)
        self._pools = ServicePools(settings.proxy)
        self._peers_pool = HttpClientPool(peer_pool_limits(settings.proxy))
        self._ocsp_pool = HttpClientPool(ocsp_pool_limits(settings.proxy))
        self._tasks = tasks
        self._internal = InternalContexts(
            layout.internal_tls, information_system_policy(settings.proxy)
        )
        self._listeners = self._wire()

    def _journal_limits(self) -> JournalLimits:
        # Where a journal was taken away as a whole, the next gives no position that it has given.
        first = int(self._clock.now().timestamp())
        size = self._settings.message_log.segment_bytes
        return JournalLimits(segment_bytes=size, first_segment=first)

    def _wire(self) -> Listeners:
        settings, clock = self._settings.proxy, self._clock
        self._queues = queues = SigningQueues(
            self._signer, self._tasks.create_task, clock.now, settings.batch_limit
        )
        log = self._log()
        sender = Sender(queues, log, self._spool, clock)
        exchanges = Exchanges(self._view, log, sender, self._spool, clock, settings, self._steps)
        acquaintances = Acquaintances(self._view, clock)
        routing = Routing(clock, settings.route_memory_seconds)
        ocsp = PeerOcsp(self._ocsp_pool, settings.ocsp_responder_port)
        peers = Peers(self._peers_pool, ocsp, self._tls.client, routing, settings, clock)
        services = ServiceCaller(self._pools, ServiceTls(self._verified, self._internal.unverified))
        sides = Sides(
            ClientSide(exchanges, peers, routing, self._internal.certificate),
            ServerSide(exchanges, services, acquaintances.meet),
            self._documents(exchanges),
        )
        anti_dos = self._settings.anti_dos
        return Listeners(exchanges, sides, self._internal.listening, anti_dos, acquaintances)

    def _documents(self, exchanges: Exchanges) -> DocumentRequests | None:
        if not self._settings.message_log.enabled:
            return None
        socket = self._layout.documents_socket
        calls = connect_rpc(socket, DocumentCalls, DOCUMENT_OPTIONS)  # type: ignore[type-abstract]
        return DocumentRequests(exchanges, ControlDocuments(calls), self._internal.certificate)

    def _log(self) -> JournalLog | NoLog:
        settings, spawn = self._settings.message_log, self._tasks.create_task
        if not settings.enabled:
            return NoLog()
        at_once = settings.timestamp_immediately
        # A message that waits for its own time-stamp waits for no other.
        period = 0 if at_once else settings.acceptable_timestamp_failure_period
        gate = StampingGate(self._layout.stamping_standing, period, self._clock)
        settle = None
        if at_once or settings.commit_to_database:
            calls = connect_rpc(self._layout.log_socket, SettleCalls, LOG_OPTIONS)  # type: ignore[type-abstract]
            settle = Settling(calls, self._journal_name, spawn, stamped=at_once).settle
        conditions = Conditions(gate.check, settle)
        return JournalLog(self._journal, settings, self._clock, spawn, conditions)

    def _verified(self, service: Service) -> ssl.SSLContext:
        """A context that trusts the certificates that the provider has registered."""
        trusted = self._view.current.get_client(service.id.provider).certificates
        return self._internal.trusting(trusted)

    async def run(self, number: int) -> None:
        """Serve until told to stop."""
        shared = self._settings.server.workers > 1
        rpc = await serve_rpc(self._layout.worker_socket(number), self, WorkerCalls)
        try:
            await self._refresh()
            await self._listeners.start_internal(share_ports=shared)
            await self._serve(share_ports=shared)
        finally:
            await self._close(rpc)

    async def _serve(self, *, share_ports: bool) -> None:
        while not self._stopping.is_set():
            if not self._serving and self._tls.listening is not None:
                await self._listeners.start_external(self._tls.listening, share_ports=share_ports)
                self._serving = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS if self._serving else 0.1):
                    await self._stopping.wait()
            await self._refresh()
            self._collect()

    def _collect(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._collected_at + _COLLECT_SECONDS:
            self._collected_at = now
            gc.collect()

    async def _close(self, rpc: RpcServer) -> None:
        await self._listeners.close(self._settings.server.stop_grace)
        await rpc.close()
        self._peers_pool.close()
        self._ocsp_pool.close()
        self._pools.close()
        await self._journal.close()
        self._spool.close()
        self._steps.close()

    async def _refresh(self) -> None:
        """Take over what control has changed; what cannot be read leaves the view as it is."""
        async with self._reloading:
            try:
                await self._take_over()
                self._trouble = ""
            except (RpcError, SignerError) as error:
                # Several times a second, perhaps for hours: once is enough.
                if str(error) != self._trouble:
                    _LOG.warning("the configuration is not reloaded yet: %s", error)
                self._trouble = str(error)
            except Exception:  # noqa: BLE001 - the view before is better than none
                _LOG.exception("the configuration could not be reloaded; the one before stays")

    async def _take_over(self) -> None:
        changed = self._view.read_changes()
        if changed is None:
            return
        authentication = changed.authentication
        if authentication is not None and self._tls.wants(authentication):
            digest = DigestAlgorithm.SHA256.digest(authentication.certificate)
            try:
                key = await self._signer.auth_key(digest.hex())
            except (RpcError, SignerError):
                # Rights that were taken away do not wait for the key; it is asked for again.
                snapshot = replace(changed.snapshot, authentication=self._authentication)
                self._view.swap(replace(changed, snapshot=snapshot))
                raise
            self._tls.use(authentication, key)
            self._peers_pool.drop_resting()
        self._authentication = authentication
        self._view.swap(changed)
        self._forget_all_but(changed)
        _LOG.info("configuration %d is in use", changed.snapshot.generation)

    def _forget_all_but(self, view: View) -> None:
        """Let go of what was made for keys and certificates that are used no more."""
        self._queues.forget_all_but(frozenset(view.signing_keys.values()))
        self._internal.forget_all_but([client.certificates for client in view.snapshot.clients])

    async def status(self) -> WorkerStatus:
        """How it fares."""
        ready = self._serving and self._view.is_ready
        pools = (self._peers_pool, self._ocsp_pool, self._pools)
        return WorkerStatus(
            self._view.generation,
            ready,
            self._spool.on_disk,
            tasks=len(asyncio.all_tasks()),
            accepted_connections=self._listeners.connection_count,
            opened_connections=sum(pool.connection_count for pool in pools),
            busy_connections=sum(pool.busy_count for pool in pools),
        )

    async def measures(self) -> WorkerMeasures:
        """What it has counted."""
        tally, memory = self._steps.tally, own_memory()
        return WorkerMeasures(tally.counted(), tally.durations(), memory.resident, memory.peak)

    async def reload(self) -> None:
        """Look at the snapshot and the global configuration now."""
        await self._refresh()

    async def reload_internal_tls(self) -> None:
        """Show another internal certificate from now on."""
        self._internal.read()
        self._pools.drop_resting()

    def request_stop(self) -> None:
        """Finish running messages and end, as a signal handler says it."""
        self._stopping.set()


def _spool_limits(settings: ProxySettings) -> SpoolLimits:
    limit = settings.spool_limit_bytes
    return SpoolLimits(settings.memory_body_bytes, item=limit, total=limit)


async def run_worker(layout: Layout, settings: SecurityServerSettings, number: int) -> int:
    """The worker's main coroutine; gives the exit code."""
    # Messages leave no cycles behind: looking for them after every 700 objects is for nothing.
    gc.set_threshold(*_COLLECTIONS)
    code = 0
    try:
        await _run(layout, settings, number)
    except* CannotListen as group:
        code = 1
        for error in group.exceptions:
            _LOG.error("%s", error)
    return code


async def _run(layout: Layout, settings: SecurityServerSettings, number: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        worker = Worker(layout, settings, number, tasks)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, worker.request_stop)
        await worker.run(number)
