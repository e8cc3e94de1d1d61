"""The process that keeps everything up to date: configuration, OCSP, certificates, the log.

It writes what the workers read: the verified global configuration, and one snapshot of the
server's own, swapped as a whole whenever something in it has changed.
"""

import asyncio
import contextlib
import logging
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from pathlib import Path

from sild.components.confclient.cache import CachedConf, generation_of, read_cached
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.errors import ArchivingFailed, NoTimestampingProvider
from sild.components.messagelog.records import RecordSummary
from sild.components.messagelog.settling import SettleCalls
from sild.components.registration.acts import Registration
from sild.components.serverconf.clients import Clients
from sild.components.serverconf.declaration import ServerDeclaration, apply_declaration
from sild.components.serverconf.errors import ServerNotSet
from sild.components.serverconf.snapshot_source import SnapshotSource
from sild.components.serverconf.store import ConfigurationStore
from sild.components.signer.acceptance import verify_importable
from sild.components.signer.certificates import CertificateImport
from sild.components.signer.errors import ActionNotPossible, CertificateNotFound
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
from sild.model.tokens import CertificateEntry, CertificateStatus, OcspStatus, Token
from sild.protocol.errors import (
    CertValidation,
    GlobalConfError,
    GlobalConfOutdated,
    MalformedGlobalConf,
    TimestampRefused,
)
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import TimestampingService
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.files import FileError, make_private_directory
from sild.runtime.packing import PackingError
from sild.runtime.rpc import RpcError, connect_rpc, serve_rpc
from sild.runtime.schedule import Job, Period, Schedule
from sild.runtime.timed import LOOK_SECONDS, Timed
from sild.servers.control_calls import CONTROL_OPTIONS, ControlCalls, ControlStatus
from sild.servers.databases import open_database, open_message_database
from sild.servers.document_calls import DOCUMENT_OPTIONS, DocumentCalls
from sild.servers.internal_tls import make_internal_tls
from sild.servers.kept_messages import KeptMessages, StampSources
from sild.servers.layout import Layout
from sild.servers.log_calls import LOG_OPTIONS
from sild.servers.ocsp_http import HttpOcsp
from sild.servers.processes import run_until_stopped
from sild.servers.registering import (
    REGISTRATION_OPTIONS,
    OwnStanding,
    RegistrationCalls,
    make_registration,
)
from sild.servers.settings import SecurityServerSettings
from sild.servers.snapshots import read_snapshot, write_snapshot
from sild.servers.tsa_http import HttpTimestamps
from sild.servers.worker_calls import WorkerCalls

_LOG = logging.getLogger(__name__)
# A time-stamp is asked for no more often, and no more seldom (PR-GCONF says nothing of it).
_SHORTEST_STAMPING, _LONGEST_STAMPING = 60.0, 86_400.0
# How often the workers are told how time-stamping stands, in seconds.
_TELL_INTERVAL = 10.0
_STAMPING_ERRORS = (NoTimestampingProvider, TimestampRefused, GlobalConfError)
# A journal that cannot be taken is reported no more often than this, in seconds.
_TAKE_RETRY = 10.0


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
        self._clock: Clock = SystemClock()
        self._store = ConfigurationStore(databases.configuration)
        self._clients = Clients(self._store, self._clock)
        self._source = SnapshotSource(self._store)
        self._signer = connect_control(layout.signer_admin_socket)
        self._client = ConfigurationClient(
            Places(layout.anchor_file, layout.globalconf),
            settings.configuration_client,
            fetcher,
            self._clock,
        )
        self._ocsp_cache = OcspCache(layout.ocsp_cache)
        self._ocsp = OcspRefresher(self._ocsp_cache, HttpOcsp(fetcher), self._clock, settings.ocsp)
        asking = HttpTimestamps(fetcher, settings.message_log)
        self.messages = KeptMessages(
            layout,
            databases.messages,
            StampSources(asking, self._tsas),
            settings.message_log,
            self._clock,
        )
        self._cached: CachedConf | None = None
        self._base: ServerSnapshot | None = None
        self._snapshot = _standing_snapshot(layout.snapshot_file)
        self._usable = UsableCertificates((), None, (), None)
        self._conf_error: str | None = None
        self._registered_now: set[str] = set()
        self._renewing = asyncio.Lock()
        # Apart from the other, because a responder may be slow, and rights must not wait for it.
        self._asking = asyncio.Lock()
        self._workers = [
            connect_rpc(layout.worker_socket(number), WorkerCalls)  # type: ignore[type-abstract]
            for number in range(settings.server.workers)
        ]
        self._schedule = Schedule(self._clock)
        self._download_job = self._plan()

    def _plan(self) -> Job:
        times = self._settings.configuration_client
        interval = self._settings.server.refresh_interval
        self._schedule.every(
            "snapshot", Period(interval, interval, expected=(RpcError,)), self._update
        )
        self._plan_log()
        return self._schedule.every(
            "global-configuration",
            Period(times.update_interval, times.retry_interval, expected=(GlobalConfError,)),
            self._download,
        )

    def _plan_log(self) -> None:
        settings = self._settings.message_log
        taking = settings.take_interval
        retry = max(taking, _TAKE_RETRY)
        # What was logged before the log was switched off is taken all the same.
        self._schedule.every("message-log", Period(taking, retry), self.messages.take)
        cleaning = Timed(settings.clean_interval, self.messages.clean, self._clock)
        look = Period(LOOK_SECONDS, LOOK_SECONDS)
        self._schedule.every("message-log-cleaning", look, cleaning.look)
        archiving = Timed(settings.archive_interval, self.messages.archive, self._clock)
        look = Period(LOOK_SECONDS, LOOK_SECONDS, expected=(ArchivingFailed, OSError))
        self._schedule.every("message-log-archiving", look, archiving.look)
        if not settings.enabled:
            return
        telling = min(_TELL_INTERVAL, settings.acceptable_timestamp_failure_period / 4 or inf)
        self._schedule.every(
            "time-stamping-standing", Period(telling, telling), self.messages.tell_standing
        )
        self._stamping = self._schedule.every(
            "time-stamping", Period(_SHORTEST_STAMPING, _SHORTEST_STAMPING), self._stamp
        )

    async def _stamp(self) -> int:
        """Time-stamp what waits, and come again when the global configuration says so."""
        wanted = _SHORTEST_STAMPING
        with contextlib.suppress(GlobalConfError):
            wanted = self._conf().conf.timestamping_interval_seconds
        retry = self._settings.message_log.timestamp_retry_delay
        self._stamping.period = stamping_period(wanted, retry)
        return await self.messages.stamp_waiting()

    async def archive(self) -> int:
        """Archive what is time-stamped now; give how many records that were."""
        return await self.messages.archive()

    @property
    def registration(self) -> Registration:
        """What sends management requests for this server."""
        standing = OwnStanding(self, self._layout, self._settings.proxy)
        return make_registration(self._signer, self._clients, self, standing, self._clock)

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

    async def own_changed(self) -> None:
        """Read the server's own configuration again."""
        self._base = None
        await self._renew()

    async def run(self) -> None:
        """Do all jobs until cancelled."""
        await self._schedule.run()

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
            await apply_declaration(self._store, declaration, self._clock)
        await self._renew()

    async def import_certificate(self, certificate: bytes) -> CertificateEntry:
        """Keep a certificate: a signing one is registered thereby, and active if OCSP is good."""
        conf = self._conf().conf
        member = verify_importable(certificate, conf, self._clock.now())
        if member is None:
            order = CertificateImport(certificate, CertificateStatus.SAVED)
            return await self._signer.import_certificate(order)
        knowledge = await self._ocsp.ask_now(read_certificate(certificate), conf)
        active = knowledge.status is OcspStatus.GOOD
        order = CertificateImport(certificate, CertificateStatus.REGISTERED, active, member)
        entry = await self._signer.import_certificate(order)
        await self._update()
        return entry

    async def import_from_token(self, sha256: str) -> CertificateEntry:
        """Use a signing certificate that was found on a token, after the same checks."""
        found = await self._certificate(sha256)
        if found is None or found.saved:
            message = f"there is no certificate {sha256!r} that is only on its token"
            raise CertificateNotFound(message)
        if not read_certificate(found.certificate).is_signing:
            raise ActionNotPossible("only signing certificates are imported from tokens")
        return await self.import_certificate(found.certificate)

    async def activate(self, sha256: str) -> None:
        """Let a certificate be used, after its OCSP responder has said that it is good."""
        found = await self._certificate(sha256)
        if found is not None:
            await self._check_good(found)
        await self._signer.set_active(sha256, active=True)
        await self._update()

    async def disable(self, sha256: str) -> None:
        """Let a certificate be used no more."""
        await self._signer.set_active(sha256, active=False)
        await self._update()

    async def _certificate(self, sha256: str) -> CertificateEntry | None:
        for token in await self._signer.tokens():
            for key in token.keys:
                for entry in key.certificates:
                    if entry.sha256 == sha256:
                        return entry
        return None

    async def _check_good(self, entry: CertificateEntry) -> None:
        knowledge = await self._ocsp.ask_now(read_certificate(entry.certificate), self._conf().conf)
        if knowledge.status is not OcspStatus.GOOD:
            message = (
                f"certificate {entry.sha256} is {knowledge.status.value} by its OCSP responder"
            )
            raise CertValidation(message)

    async def _activate_registered(self) -> bool:
        """Activate what has just been registered, where the settings say so; try each once."""
        registered, self._registered_now = self._registered_now, set()
        activated = False
        for sha256 in registered:
            found = await self._certificate(sha256)
            if found is None or found.active:
                continue
            try:
                await self._check_good(found)
            except (CertValidation, GlobalConfError) as error:
                _LOG.error("certificate %s is not activated by itself: %s", sha256, error)
                continue
            await self._signer.set_active(sha256, active=True)
            activated = True
        return activated

    async def refresh(self) -> ControlStatus:
        """Download the configuration, fetch OCSP responses, and tell the workers, now."""
        await self._download_job.run_and_wait()
        return await self.status()

    async def refresh_ocsp(self) -> None:
        """Ask the OCSP responders about every certificate now, and tell the workers."""
        conf = self.global_conf()
        async with asyncio.TaskGroup() as tasks:
            for certificate in certificates_to_watch(await self._signer.tokens()):
                tasks.create_task(self._ocsp.ask_now(certificate, conf))
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

    def _tsas(self) -> tuple[TimestampingService, ...]:
        conf = self._conf().conf
        conf.check_valid(self._clock.now())
        return conf.timestamping_services

    async def _download(self) -> datetime:
        try:
            done = await self._client.refresh()
        except GlobalConfError as error:
            self._conf_error = error.message
            raise
        self._conf_error = None
        await self._update()
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
            activated = await self._activate_registered()
            asked = await self._ocsp.refresh(certificates_to_watch(tokens), cached.conf)
        if asked.outcomes or activated:
            await self._renew()

    async def _renew(self) -> tuple[tuple[Token, ...], CachedConf] | None:
        """Make the snapshot say what is known now; None where that is not enough for one."""
        async with self._renewing:
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
            around = Circumstances(base.server, cached.conf, self._ocsp_cache, now)
            self._usable = choose_usable(tokens, around)
            await self._publish(base, self._usable)
            return tokens, cached

    async def _follow(self, cached: CachedConf) -> ServerSnapshot:
        """The server's own configuration, its clients' states led by the global one."""
        base = self._base
        if base is None:
            base = self._base = await self._source.read(0)
        changes = await self._clients.follow(cached.conf.clients_of(base.server))
        for change in changes:
            _LOG.info("%s is %s now", change.client, change.after.value)
        if changes:
            self._base = None
            base = self._base = await self._source.read(0)
        return base

    async def _registered(self, cached: CachedConf, server: SecurityServerId) -> tuple[Token, ...]:
        tokens = await self._signer.tokens()
        changes = statuses_to_set(tokens, cached.conf, server)
        for sha256, status in changes:
            _LOG.info("the authentication certificate %s is %s now", sha256, status.value)
            await self._signer.set_status(sha256, status)
            automatic = self._settings.signer.automatic_activate_auth_certificate
            if automatic and status is CertificateStatus.REGISTERED:
                self._registered_now.add(sha256)
        return await self._signer.tokens() if changes else tokens

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
        for worker in self._workers:
            try:
                await worker.reload()
            except RpcError as error:
                _LOG.debug("a worker did not reload, it will by itself: %s", error)


def stamping_period(interval: float, retry_delay: float) -> Period:
    """How often records are time-stamped, from what the configuration and the settings say."""
    retry = min(retry_delay or interval, interval)
    return Period(_clamped(interval), _clamped(retry), expected=_STAMPING_ERRORS)


def _clamped(seconds: float) -> float:
    return min(max(seconds, _SHORTEST_STAMPING), _LONGEST_STAMPING)


def _standing_snapshot(path: Path) -> ServerSnapshot | None:
    try:
        return read_snapshot(path)
    except (PackingError, FileError) as error:
        _LOG.warning("the snapshot that stands cannot be read, another is made: %s", error)
        return None


async def run_control(layout: Layout, settings: SecurityServerSettings) -> None:
    """Control's main coroutine."""
    make_internal_tls(layout.internal_tls, settings.server.internal_host, SystemClock().now())
    async with AsyncExitStack() as opened:
        databases = Databases(
            await opened.enter_async_context(open_database(layout.server_database)),
            await opened.enter_async_context(open_message_database(layout, settings.message_log)),
        )
        fetcher = await opened.enter_async_context(Fetcher())
        control = Control(layout, settings, databases, fetcher)
        rpc = await serve_rpc(layout.control_socket, control, ControlCalls, CONTROL_OPTIONS)
        opened.push_async_callback(rpc.close)
        registering = await serve_rpc(
            layout.registration_socket,
            control.registration,
            RegistrationCalls,
            REGISTRATION_OPTIONS,
        )
        opened.push_async_callback(registering.close)
        settling = await serve_rpc(layout.log_socket, control.messages, SettleCalls, LOG_OPTIONS)
        opened.push_async_callback(settling.close)
        # What a worker did not fetch before it ended is fetched no more.
        shutil.rmtree(layout.documents, ignore_errors=True)
        make_private_directory(layout.documents)
        giving = await serve_rpc(
            layout.documents_socket, control.messages, DocumentCalls, DOCUMENT_OPTIONS
        )
        opened.push_async_callback(giving.close)
        await run_until_stopped(control.run)
