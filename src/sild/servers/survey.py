"""What diagnostics look at, as control has it: adapters of its parts to their ports."""

import asyncio
import dataclasses
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import distributions
from typing import Any, Protocol, TypeVar

from sild import __version__
from sild.components.backup.backups import Backups
from sild.components.confclient.download import ConfigurationClient
from sild.components.diagnostics.contacts import Contacts
from sild.components.diagnostics.ports import OwnProxy, Tokens, Tried
from sild.components.diagnostics.report import Section
from sild.components.diagnostics.settings import DiagnosticsSettings, HealthSettings
from sild.components.diagnostics.values import (
    AddOns,
    BackupEncryption,
    Downloads,
    LogEncryption,
    MemberKeys,
    Memory,
    TrafficInterval,
    TrafficQuery,
)
from sild.components.messagelog.archivegroups import Group, Grouping, KeyMap
from sild.components.messagelog.errors import MessageLogError
from sild.components.registration.acts import Registration
from sild.components.registration.errors import SendingFailed
from sild.model.snapshot import ServerSnapshot
from sild.protocol.errors import InvalidRequest, PeerFault, ProtocolError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId
from sild.runtime.clock import Clock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.machine import (
    disk_space,
    is_in_container,
    memory_limit,
    operating_system,
    own_memory,
)
from sild.runtime.rpc import RpcError
from sild.runtime.schedule import Job
from sild.servers.kept_messages import KeptMessages
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings
from sild.servers.worker_calls import WorkerCalls, WorkerMeasures, WorkerStatus

_T = TypeVar("_T")


class Knowledge(Protocol):
    """What control knows."""

    def snapshot(self) -> ServerSnapshot:
        """The server's configuration and usable certificates; raises ServerNotSet."""
        ...

    def global_conf(self) -> GlobalConf:
        """The global configuration; raises GlobalConfOutdated, MalformedGlobalConf."""
        ...

    def find_conf(self) -> GlobalConf | None:
        """The last global configuration, expired or not."""
        ...


@dataclass(frozen=True, slots=True)
class Noted:
    """The last contacts with OCSP responders and time-stamping authorities."""

    responders: Contacts
    authorities: Contacts

    @classmethod
    def by(cls, clock: Clock) -> "Noted":
        """Nobody was contacted so far."""
        return cls(Contacts(clock), Contacts(clock))


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to look at; `facts` are further sections of the report, by name."""

    layout: Layout
    settings: SecurityServerSettings
    limits: DiagnosticsSettings
    health: HealthSettings
    knowledge: Knowledge
    client: ConfigurationClient
    download: Job
    messages: KeptMessages
    keys: Tokens
    workers: Sequence[WorkerCalls]
    databases: Sequence[Database]
    registration: Registration
    proxy: OwnProxy
    backups: Backups
    noted: Noted
    fetcher: Fetcher
    clock: Clock
    facts: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)


async def worker_statuses(workers: Sequence[WorkerCalls]) -> tuple[WorkerStatus | None, ...]:
    """How each worker fares; None for one that does not answer."""
    return tuple(await asyncio.gather(*(_answer_of(worker.status()) for worker in workers)))


async def worker_measures(workers: Sequence[WorkerCalls]) -> tuple[WorkerMeasures | None, ...]:
    """What each worker has counted; None for one that does not answer."""
    return tuple(await asyncio.gather(*(_answer_of(worker.measures()) for worker in workers)))


async def _answer_of(call: Awaitable[_T]) -> _T | None:
    try:
        return await call
    except RpcError:
        return None


class KnownConfiguration:
    """The global configuration and its downloads."""

    def __init__(self, survey: Survey) -> None:
        self.global_conf = survey.knowledge.global_conf
        self.find_conf = survey.knowledge.find_conf
        self._client = survey.client
        self._job = survey.download

    def downloads(self) -> Downloads:
        """How the downloads fare."""
        state, client = self._job.state, self._client
        ended = max(filter(None, (state.succeeded, state.failed)), default=None)
        return Downloads(ended, state.next_run, client.location, client.problem)

    async def try_sources(self) -> tuple[Tried, ...]:
        """Download from every source, and keep nothing; raises GlobalConfError."""
        sources = await self._client.try_sources()
        return tuple(
            Tried(attempt.location, attempt.error)
            for source in sources
            for attempt in source.attempts
        )


class UsedAuthorities:
    """The time-stamping services of the message log."""

    def __init__(self, survey: Survey) -> None:
        self._messages = survey.messages
        self._is_stamping = survey.settings.message_log.enabled

    async def urls(self) -> tuple[str, ...]:
        """The addresses of those that are used; raises GlobalConfOutdated."""
        return await self._messages.stamping_urls() if self._is_stamping else ()


class ServerMachine:
    """The machine, and the processes of the server on it."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey

    async def memory(self) -> Memory:
        """What the workers use."""
        found = [each for each in await worker_measures(self._survey.workers) if each is not None]
        used = sum(each.resident_bytes for each in found)
        peak = sum(each.peak_bytes for each in found)
        return Memory(memory_limit(), peak, used)

    def facts(self) -> Sequence[Section]:
        """What a support case asks of a machine."""
        return (
            ("Version", _versions),
            ("OS version", _operating_system),
            ("Settings that are not the default", self._settings),
            ("Runs in container", _in_container),
            ("Installed packages", _packages),
            ("Processes", self._processes),
            ("Disk space", self._disk_space),
            *self._survey.facts.items(),
        )

    async def _settings(self) -> list[str]:
        # Their names alone: values may be secret.
        return changed_settings(self._survey.settings)

    async def _processes(self) -> list[dict[str, object]]:
        workers = self._survey.workers
        statuses, measures = await asyncio.gather(
            worker_statuses(workers), worker_measures(workers)
        )
        told: list[dict[str, object]] = [{"process": "control", "memory": own_memory()}]
        for number, status in enumerate(statuses):
            told.append(
                {"process": f"worker-{number}", "status": status or "does not answer"}
                | _memory_of(measures[number])
            )
        return told

    async def _disk_space(self) -> object:
        return await asyncio.to_thread(disk_space, self._survey.layout.home)


def changed_settings(settings: SecurityServerSettings) -> list[str]:
    """The names of settings that are not as they are by default."""
    default = SecurityServerSettings()
    return [
        f"{section.name}.{key.name}".replace("_", "-")
        for section in dataclasses.fields(settings)
        for key in dataclasses.fields(_section(settings, section.name))
        if getattr(_section(settings, section.name), key.name)
        != getattr(_section(default, section.name), key.name)
    ]


def _section(settings: SecurityServerSettings, name: str) -> Any:
    return getattr(settings, name)


def _memory_of(measures: WorkerMeasures | None) -> dict[str, object]:
    if measures is None:
        return {}
    return {"memory": {"resident": measures.resident_bytes, "peak": measures.peak_bytes}}


async def _versions() -> dict[str, str]:
    return {"sild": __version__, "python": platform.python_version()}


async def _operating_system() -> str:
    return operating_system()


async def _in_container() -> bool:
    return is_in_container()


async def _packages() -> list[dict[str, str]]:
    def find() -> list[dict[str, str]]:
        found = {each.name: each.version for each in distributions()}
        return [{"name": name, "version": found[name]} for name in sorted(found)]

    return await asyncio.to_thread(find)


class SettingsProtection:
    """What the settings say of parts and of encryption."""

    def __init__(self, survey: Survey) -> None:
        self._log = survey.settings.message_log
        self._backup = survey.settings.backup
        self._knowledge = survey.knowledge

    def add_ons(self) -> AddOns:
        """Which parts are there."""
        return AddOns(self._log.enabled, operational_monitoring=False)

    def backups(self) -> BackupEncryption:
        """Whether backups are encrypted."""
        settings = self._backup
        return BackupEncryption(
            settings.backup_encryption_enabled, settings.backup_encryption_keyids
        )

    async def message_log(self) -> LogEncryption:
        """What of the message log is encrypted; raises ValueError for what cannot be read."""
        log = self._log
        members: tuple[MemberKeys, ...] = ()
        if log.archive_encryption_enabled and log.archive_grouping is not Grouping.NONE:
            members = await asyncio.to_thread(self._members)
        return LogEncryption(
            log.archive_encryption_enabled,
            log.messagelog_encryption_enabled,
            log.archive_grouping.value.upper(),
            members,
        )

    def _members(self) -> tuple[MemberKeys, ...]:
        path = self._log.archive_encryption_keys_config
        default = self._log.archive_default_encryption_key
        try:
            keys = KeyMap.read(path, default)
            clients = self._knowledge.snapshot().clients
        except (MessageLogError, ProtocolError) as error:
            raise ValueError(str(error)) from error
        members = dict.fromkeys(client.id.member for client in clients)
        return tuple(
            MemberKeys(member, keys.of(Group(Grouping.MEMBER, member)), _is_default(member, keys))
            for member in members
        )


def _is_default(member: ClientId, keys: KeyMap) -> bool:
    return member.short not in keys.keys


class NoTraffic:
    """Where nobody counts messages over time."""

    async def intervals(self, query: TrafficQuery) -> tuple[TrafficInterval, ...]:
        """No intervals."""
        del query
        return ()


class RegistrationTrial:
    """The registration service, asked for something that it must refuse."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey

    async def try_out(self) -> None:
        """Return if it refuses as it must; raises ProtocolError where it was not reached."""
        survey = self._survey
        entry = survey.knowledge.global_conf().server(survey.knowledge.snapshot().server)
        address = (None if entry is None else entry.address) or "localhost"
        try:
            await survey.registration.try_registration(None, address)
        except SendingFailed as error:
            fault = error.__cause__
            if isinstance(fault, PeerFault) and _is_expected(fault):
                return
            raise


def _is_expected(fault: PeerFault) -> bool:
    # Older Central Servers write InvalidRequest, with nothing before it.
    last = fault.fault.rpartition(".")[2]
    return last in {InvalidRequest.code, "InvalidRequest"}


class RunningBackup:
    """Whether a backup or restoration runs."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    def running_since(self) -> datetime | None:
        """Since when one runs."""
        running = self._backups.running
        return None if running is None else running.since
