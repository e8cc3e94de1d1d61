"""The process that keeps everything up to date: configuration, OCSP, certificates, the log.

It writes what the workers read: the verified global configuration, and one snapshot of the
server's own, swapped as a whole whenever something in it has changed.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sild.components.confclient.cache import CachedConf, generation_of, read_cached
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.records import RecordSummary
from sild.components.serverconf.client_states import ClientStates
from sild.components.serverconf.declaration import ServerDeclaration, apply_declaration
from sild.components.serverconf.errors import ServerNotSet
from sild.components.serverconf.renaming import Renaming
from sild.components.serverconf.snapshot_source import SnapshotSource
from sild.components.serverconf.store import ConfigurationStore
from sild.components.signer.acts import CertificateActs
from sild.components.signer.ocsp_cache import OcspCache
from sild.components.signer.ocsp_refresh import OcspRefresher
from sild.components.signer.rpc import connect_control
from sild.components.signer.usable import (
    Circumstances,
    UsableCertificates,
    certificates_to_watch,
    choose_usable,
    statuses_to_set,
)
from sild.model.snapshot import ServerSnapshot
from sild.model.tokens import CertificateEntry, CertificateStatus, Token
from sild.protocol.errors import (
    GlobalConfError,
    GlobalConfOutdated,
    MalformedGlobalConf,
)
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import TimestampingService
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.files import FileError
from sild.runtime.packing import PackingError
from sild.runtime.rpc import RpcError, RpcUnavailable, connect_rpc
from sild.runtime.schedule import Job, Period, Schedule
from sild.servers.control_calls import ControlStatus
from sild.servers.kept_messages import KeptMessages, StampSources
from sild.servers.layout import Layout
from sild.servers.log_jobs import LogJobs
from sild.servers.ocsp_http import HttpOcsp
from sild.servers.registering import OwnStanding, follow_standing
from sild.servers.settings import NodeType, SecurityServerSettings
from sild.servers.snapshots import read_snapshot, write_snapshot
from sild.servers.survey import Noted
from sild.servers.tsa_http import HttpTimestamps
from sild.servers.worker_calls import WorkerCalls

_LOG = logging.getLogger(__name__)

_FOLLOW_SECONDS = 5.0
"""How often what waits for the global configuration is looked at though that has not changed."""
_START_SECONDS, _ASK_SECONDS = 10.0, 0.1
"""How long a worker that is to start again is waited for, and how often it is asked."""


@dataclass(frozen=True, slots=True)
class Databases:
    """What control keeps: the server's own configuration, and the message log."""

    configuration: Database
    messages: Database


class Control:
    """Control, wired together."""

    def __init__(
        self,
        layout: Layout,
        settings: SecurityServerSettings,
        databases: Databases,
        fetcher: Fetcher,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self.clock: Clock = SystemClock()
        self._clock = self.clock
        # What is changed through the one shows in the snapshot at once; the other is for control.
        self.store = ConfigurationStore(databases.configuration, self.own_changed)
        self.quiet_store = ConfigurationStore(databases.configuration)
        self._clients = ClientStates(self.quiet_store)
        self._renaming = Renaming(self.quiet_store, self)
        self._source = SnapshotSource(self.quiet_store)
        self.noted = Noted.by(self._clock)
        self.signer = connect_control(layout.signer_admin_socket)
        self.ocsp_cache = OcspCache(layout.ocsp_cache)
        asking = HttpOcsp(fetcher)
        self.ocsp = OcspRefresher(
            *(self.ocsp_cache, asking, self._clock, settings.ocsp),
            note=self.noted.responders.note,
        )
        self.client = ConfigurationClient(
            Places(layout.anchor_file, layout.globalconf),
            settings.configuration_client,
            fetcher,
            self._clock,
        )
        self.certificates = CertificateActs(
            *(self.signer, self, self.ocsp, self._clock),
            changed=self._certificates_changed,
            settings=settings.signer,
        )
        stamping = HttpTimestamps(fetcher, settings.message_log)
        self.messages = KeptMessages(
            layout,
            databases.messages,
            StampSources(stamping, self.tsas, self.noted.authorities.note),
            settings.message_log,
            self._clock,
        )
        own = OwnStanding(self, layout, settings.proxy)
        self._standing = follow_standing(self.signer, self.quiet_store, own, self, self._clock)
        self._cached: CachedConf | None = None
        self._base: ServerSnapshot | None = None
        self._followed: CachedConf | None = None
        self._follow_again = 0.0
        self._snapshot = _standing_snapshot(layout.snapshot_file)
        self._usable = UsableCertificates((), None, (), None)
        self._conf_error: str | None = None
        self._told_generation: str | None = None
        self._renewing = asyncio.Lock()
        # Apart from the other, because a responder may be slow, and rights must not wait for it.
        self._asking = asyncio.Lock()
        self.workers = [
            connect_rpc(layout.worker_socket(number), WorkerCalls)  # type: ignore[type-abstract]
            for number in range(settings.server.workers)
        ]
        self.schedule = Schedule(self._clock)
        self.download = self._plan()

    def _plan(self) -> Job:
        times = self._settings.configuration_client
        interval = self._settings.server.refresh_interval
        self.schedule.every(
            "snapshot", Period(interval, interval, expected=(RpcError,)), self._update
        )
        log = LogJobs(
            self.messages, self._settings.message_log, self._stamping_interval, self._clock
        )
        log.plan(self.schedule)
        return self.schedule.every(
            "global-configuration",
            Period(times.update_interval, times.retry_interval, expected=(GlobalConfError,)),
            self._download,
        )

    async def archive(self) -> int:
        """Archive what is time-stamped now; give how many records that were."""
        return await self.messages.archive()

    def _stamping_interval(self) -> float | None:
        """How many seconds lie between time-stamps; None while no configuration says so."""
        with contextlib.suppress(GlobalConfError):
            return self._conf().conf.timestamping_interval_seconds
        return None

    def snapshot(self) -> ServerSnapshot:
        """The server's own configuration and usable certificates; raises ServerNotSet."""
        if self._snapshot is None:
            message = "the security server has not been initialised"
            raise ServerNotSet(message)
        return self._snapshot

    def global_conf(self) -> GlobalConf:
        """The global configuration; raises GlobalConfOutdated where none is valid."""
        conf = self._conf().conf
        conf.check_valid(self._clock.now())
        return conf

    def find_conf(self) -> GlobalConf | None:
        """The last global configuration, expired or not."""
        try:
            return self._conf().conf
        except (GlobalConfOutdated, MalformedGlobalConf):
            return None

    async def internal_tls_changed(self) -> None:
        """Have every worker show another internal certificate."""
        for worker in self.workers:
            try:
                await self._tell_of_internal_tls(worker)
            except RpcError as error:
                _LOG.warning("a worker still shows the former internal certificate: %s", error)

    async def _tell_of_internal_tls(self, worker: WorkerCalls) -> None:
        # One that is only just starting may have read what there was before: it is told, too.
        patience = self._clock.monotonic() + _START_SECONDS
        while True:
            try:
                return await worker.reload_internal_tls()
            except RpcUnavailable:
                if self._clock.monotonic() >= patience:
                    raise
            await self._clock.sleep(_ASK_SECONDS)

    async def own_changed(self) -> None:
        """Read the server's own configuration again."""
        try:
            await self._renew(anew=True)
        except RpcError as error:
            # What was changed is stored; it is used as far as it can be, and fully soon.
            _LOG.warning("a change is not used yet, for a process does not answer: %s", error)

    async def _certificates_changed(self) -> None:
        # What must sign no more does not wait for the responders of what may.
        await self._renew()
        await self._update()

    async def run(self) -> None:
        """Do all jobs until cancelled."""
        await self.schedule.run()

    async def status(self) -> ControlStatus:
        """How the server fares."""
        snapshot, cached = self._snapshot, self._cached
        return ControlStatus(
            snapshot.generation if snapshot else 0,
            snapshot.server if snapshot else None,
            cached.conf.valid_until if cached else None,
            self._conf_error,
            tuple(str(signing.member) for signing in self._usable.signing),
            self._usable.authentication is not None,
            self._usable.refusals,
            await self.messages.status(),
        )

    async def declare(self, declaration: ServerDeclaration) -> None:
        """Make the server's own configuration equal to the declaration."""
        async with self._renewing:
            # Whoever reads the configuration meanwhile would keep what was there before.
            self._base = None
            await apply_declaration(self.quiet_store, declaration, self._clock)
        await self._renew()

    async def import_certificate(self, certificate: bytes) -> CertificateEntry:
        """Keep a certificate: a signing one is registered thereby, and active if OCSP is good."""
        return await self.certificates.import_certificate(certificate)

    async def import_from_token(self, sha256: str) -> CertificateEntry:
        """Use a signing certificate that was found on a token, after the same checks."""
        return await self.certificates.import_from_token(sha256)

    async def activate(self, sha256: str) -> None:
        """Let a certificate be used, after its OCSP responder has said that it is good."""
        await self.certificates.activate(sha256)

    async def disable(self, sha256: str) -> None:
        """Let a certificate be used no more."""
        await self.certificates.disable(sha256)

    async def download_now(self) -> datetime:
        """Download by the anchor that is there now; raises GlobalConfError."""
        expires = await self._download()
        # The job had failed for want of an anchor, and would rest for long.
        self.download.run_now()
        return expires

    async def refresh(self) -> ControlStatus:
        """Download the configuration, fetch OCSP responses, and tell the workers, now."""
        await self.download.run_and_wait()
        return await self.status()

    async def refresh_ocsp(self) -> None:
        """Ask the OCSP responders about every certificate now, and tell the workers."""
        conf = self.global_conf()
        async with asyncio.TaskGroup() as tasks:
            for certificate in certificates_to_watch(await self.signer.tokens()):
                tasks.create_task(self.ocsp.ask_now(certificate, conf))
        await self._update()

    async def find_records(self, query_id: str) -> tuple[RecordSummary, ...]:
        """The message records with this query id, in the order of the log."""
        return await self.messages.find(query_id)

    async def record_count(self) -> int:
        """How many message records there are."""
        return await self.messages.count()

    async def export_container(
        self, query_id: str, owner: ClientId, is_response: bool, path: str
    ) -> str:
        """Write the owner's request or response with this id as a container; give its path."""
        written = await self.messages.export(query_id, owner, Path(path), is_response=is_response)
        return str(written)

    async def stamp_waiting(self) -> int:
        """Time-stamp all records that wait, now; give how many there were."""
        return await self.messages.stamp_waiting()

    async def timestamping_services(self) -> tuple[ChosenService, ...]:
        """The time-stamping services that were chosen for this server."""
        return await self.messages.services()

    async def choose_timestamping_services(self, services: tuple[ChosenService, ...]) -> None:
        """Use these approved services, top to bottom."""
        await self.messages.choose_services(services)

    def tsas(self) -> tuple[TimestampingService, ...]:
        """The approved time-stamping services; raises GlobalConfOutdated."""
        conf = self._conf().conf
        conf.check_valid(self._clock.now())
        return conf.timestamping_services

    async def _download(self) -> datetime:
        try:
            done = await self.client.refresh()
        except GlobalConfError as error:
            self._conf_error = error.message
            raise
        self._conf_error = None
        await self._update()
        generation = generation_of(self._layout.globalconf)
        if generation != self._told_generation:
            # Whoever was registered just now is not to wait until the workers look by themselves.
            self._told_generation = generation
            await self._tell_workers()
        return done.expires

    def _conf(self) -> CachedConf:
        generation = generation_of(self._layout.globalconf)
        if generation is None:
            message = "no global configuration has been downloaded yet"
            raise GlobalConfOutdated(message)
        if self._cached is None or self._cached.generation != generation:
            self._cached = read_cached(self._layout.globalconf, self._cached)
        return self._cached

    async def _update(self) -> None:
        """Bring the snapshot up to date, and once more when OCSP responders were asked."""
        async with self._asking:
            stock = await self._renew()
            if stock is None:
                return
            tokens, cached = stock
            activated = await self.certificates.activate_registered()
            asked = await self.ocsp.refresh(certificates_to_watch(tokens), cached.conf)
        if asked.outcomes or activated:
            await self._renew()

    async def _renew(self, *, anew: bool = False) -> tuple[tuple[Token, ...], CachedConf] | None:
        """Make the snapshot say what is known now; None where that is not enough for one.

        With `anew` the server's own configuration is read again: it was changed.
        """
        async with self._renewing:
            if anew:
                self._base = None
            try:
                cached = self._conf()
                base = await self._follow(cached)
            except (GlobalConfOutdated, MalformedGlobalConf, ServerNotSet) as error:
                _LOG.debug("no snapshot yet: %s", error)
                return None
            try:
                tokens = await self._registered(cached, base.server)
            except RpcError:
                # Rights that were taken away are gone also while the signer is.
                await self._publish(base, self._snapshot)
                raise
            now = self._clock.now()
            around = Circumstances(base.server, cached.conf, self.ocsp_cache, now)
            self._usable = choose_usable(tokens, around)
            await self._publish(base, self._usable)
            return tokens, cached

    async def _follow(self, cached: CachedConf) -> ServerSnapshot:
        """The server's own configuration, its clients' states led by the global one."""
        if self._settings.server.node_type is NodeType.SECONDARY:
            # What its primary changes and follows is there without a word to this node.
            return await self._source.read(0)
        base, now = self._base, self._clock.monotonic()
        if base is not None and cached is self._followed and now < self._follow_again:
            return base
        if base is None:
            base = self._base = await self._source.read(0)
        await self._standing.follow(cached.conf)
        # Of the identifier that it has by now: nobody is a client of the one of before.
        server = await self._find_owner() or base.server
        changes = await self._clients.follow(cached.conf.clients_of(server))
        for change in changes:
            _LOG.info("%s is %s now", change.client, change.after.value)
        await self._renaming.follow(cached.conf)
        if changes or server != base.server:
            self._base = None
            base = self._base = await self._source.read(0)
        self._followed, self._follow_again = cached, now + _FOLLOW_SECONDS
        return base

    async def _find_owner(self) -> SecurityServerId | None:
        async with self.quiet_store.reading() as conf:
            return await conf.find_server()

    async def _registered(self, cached: CachedConf, server: SecurityServerId) -> tuple[Token, ...]:
        tokens = await self.signer.tokens()
        changes = statuses_to_set(tokens, cached.conf, server)
        for sha256, status in changes:
            _LOG.info("the authentication certificate %s is %s now", sha256, status.value)
            await self.signer.set_status(sha256, status)
            automatic = self._settings.signer.automatic_activate_auth_certificate
            if automatic and status is CertificateStatus.REGISTERED:
                self.certificates.note_registered(sha256)
        return await self.signer.tokens() if changes else tokens

    async def _publish(
        self, base: ServerSnapshot, certified: UsableCertificates | ServerSnapshot | None
    ) -> None:
        """Write the snapshot if it says something new, and tell the workers."""
        before = self._snapshot
        wanted = replace(
            base,
            generation=before.generation if before else 0,
            signing=certified.signing if certified else (),
            authentication=certified.authentication if certified else None,
        )
        if wanted == before:
            return
        fresh = replace(wanted, generation=wanted.generation + 1)
        await asyncio.to_thread(write_snapshot, self._layout.snapshot_file, fresh)
        self._snapshot = fresh
        await self._tell_workers()

    async def _tell_workers(self) -> None:
        for worker in self.workers:
            try:
                await worker.reload()
            except RpcError as error:
                _LOG.debug("a worker did not reload, it will by itself: %s", error)


def _standing_snapshot(path: Path) -> ServerSnapshot | None:
    try:
        return read_snapshot(path)
    except (PackingError, FileError) as error:
        _LOG.warning("the snapshot that stands cannot be read, another is made: %s", error)
        return None
