"""How everything stands that a security server depends on (DG-01 to DG-04)."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sild.components.diagnostics.advice import advice_on
from sild.components.diagnostics.contacts import Contact, Contacts
from sild.components.diagnostics.ports import (
    Configuration,
    Machine,
    Protection,
    Stamping,
    Tokens,
    Traffic,
)
from sild.components.diagnostics.reaching import check_reachable
from sild.components.diagnostics.report import Section, gather, write_report
from sild.components.diagnostics.settings import DiagnosticsSettings
from sild.components.diagnostics.values import (
    AddOns,
    BackupEncryption,
    CaState,
    GlobalConfState,
    LogEncryption,
    MemoryUse,
    ResponderState,
    Standing,
    TimestampingState,
    TrafficInterval,
    TrafficQuery,
    Trouble,
    trouble_of,
)
from sild.model.refusals import Failed
from sild.model.tokens import KeyUsage
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfError,
    GlobalConfUnanswered,
    ProtocolError,
)
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import CaEntry, CertificationService
from sild.runtime.clock import Clock
from sild.runtime.fetch import Fetcher, FetchRequest

_QUERY_TYPE = (("content-type", "application/timestamp-query"),)
_WRONG_ANSWER = "global_conf_get_version_failed"


class DiagnosticRequestFailed(Failed):
    """What was asked for could not be found out."""

    code = "diagnostic_request_failed"


@dataclass(frozen=True, slots=True)
class Watched:
    """What diagnostics look at."""

    configuration: Configuration
    stamping: Stamping
    keys: Tokens
    machine: Machine
    protection: Protection
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of the last contacts with services on the network."""

    responders: Contacts
    authorities: Contacts
    fetcher: Fetcher


class Diagnostics:
    """The use cases; what was noted is told as it is, time-stamping services are looked at."""

    def __init__(
        self, watched: Watched, asked: Asked, settings: DiagnosticsSettings, clock: Clock
    ) -> None:
        self._watched = watched
        self._asked = asked
        self._settings = settings
        self._clock = clock

    async def global_conf(self) -> GlobalConfState:
        """How the global configuration stands."""
        now = self._clock.now()
        downloads = self._watched.configuration.downloads()
        ended, next_at = downloads.ended or now, downloads.next_at or now
        if downloads.ended is None:
            return GlobalConfState(Standing.WAITING, ended, next_at)
        error = downloads.error or self._find_outdated()
        standing = Standing.OK if error is None else Standing.FAIL
        trouble = None if error is None else _of_download(error)
        return GlobalConfState(standing, ended, next_at, downloads.location, trouble)

    async def responders(self) -> tuple[CaState, ...]:
        """How the OCSP responders of each approved CA stand; none without a configuration."""
        conf = self._watched.configuration.find_conf()
        if conf is None:
            return ()
        entries = {
            entry.certificate.name: entry
            for service in conf.certification_services
            for entry in _entries(service)
        }
        return tuple(
            CaState(name, tuple(self._responders_of(entry, conf)))
            for name, entry in entries.items()
        )

    async def timestamping(self) -> tuple[TimestampingState, ...]:
        """How the time-stamping services of this server stand, which are connected to for this."""
        conf = self._watched.configuration.find_conf()
        if conf is None:
            return ()
        try:
            urls = await self._watched.stamping.urls()
        except GlobalConfError as error:
            raise DiagnosticRequestFailed(error.message) from error
        costs = {service.url: service.cost for service in conf.timestamping_services}
        found = await asyncio.gather(*map(self._authority, urls))
        return tuple(
            TimestampingState(url, costs.get(url), standing, contact.at, _of_contact(contact))
            for url, (standing, contact) in zip(urls, found, strict=True)
        )

    def add_ons(self) -> AddOns:
        """Which parts of the server are there."""
        return self._watched.protection.add_ons()

    def backup_encryption(self) -> BackupEncryption:
        """Whether backups are encrypted, and for whom."""
        return self._watched.protection.backups()

    async def log_encryption(self) -> LogEncryption:
        """What of the message log is encrypted; raises DiagnosticRequestFailed."""
        try:
            return await self._watched.protection.message_log()
        except (OSError, ValueError) as error:
            raise DiagnosticRequestFailed(f"the encryption is not known: {error}") from error

    async def memory(self) -> MemoryUse:
        """What the processes on the message path use."""
        threshold = self._settings.memory_usage_threshold or None
        return MemoryUse(await self._watched.machine.memory(), threshold)

    async def traffic(self, query: TrafficQuery) -> tuple[TrafficInterval, ...]:
        """How many messages there were; nothing where operational monitoring is not there."""
        return tuple(await self._watched.traffic.intervals(query))

    async def report(self) -> bytes:
        """All of this and what is known of the machine, as JSON for a support case (DG-03).

        What cannot be found out is told with the reason. It holds no secret: of settings the names.
        """
        watched = self._watched
        sections: list[Section] = [
            *watched.machine.facts(),
            ("Authentication certificates", self._authentication_certificates),
            ("Global configuration", self.global_conf),
            ("OCSP responders", self.responders),
            ("Timestamping", self.timestamping),
            ("Proxy memory", self.memory),
            ("Message log encryption", self.log_encryption),
        ]
        return write_report(await gather(sections))

    def _find_outdated(self) -> ProtocolError | None:
        try:
            self._watched.configuration.global_conf()
        except GlobalConfError as error:
            return error
        return None

    def _responders_of(self, entry: CaEntry, conf: GlobalConf) -> Iterator[ResponderState]:
        interval = timedelta(seconds=conf.ocsp_fetch_interval_seconds)
        for responder in entry.responders:
            contact = self._asked.responders.find(responder.url)
            yield ResponderState(
                responder.url,
                responder.cost,
                _standing_of(contact),
                self._clock.now() if contact is None else contact.at + interval,
                None if contact is None else contact.at,
                _of_contact(contact),
            )

    async def _authority(self, url: str) -> tuple[Standing, Contact]:
        """How an authority stands: by what it answered last, and whether it can be reached now."""
        last = self._asked.authorities.find(url)
        if last is not None and last.error is not None:
            return Standing.FAIL, last
        try:
            request = FetchRequest(url, "POST", _QUERY_TYPE)
            await check_reachable(self._asked.fetcher, request)
        except ProtocolError as error:
            return Standing.FAIL, Contact(self._clock.now(), error)
        return _standing_of(last), last or Contact(self._clock.now())

    async def _authentication_certificates(self) -> Sequence[object]:
        return [
            {"name": key.label, "sha256": entry.sha256, "status": entry.status.value}
            | {"active": entry.active, "token": token.label}
            for token in await self._watched.keys.tokens()
            for key in token.keys
            if key.usage is KeyUsage.AUTHENTICATION
            for entry in key.certificates
        ]


def _entries(service: CertificationService) -> tuple[CaEntry, ...]:
    return (service.top, *service.intermediates)


def _standing_of(contact: Contact | None) -> Standing:
    if contact is None:
        return Standing.WAITING
    return Standing.OK if contact.error is None else Standing.FAIL


def _of_contact(contact: Contact | None) -> Trouble | None:
    return None if contact is None or contact.error is None else trouble_of(contact.error)


def _of_download(error: ProtocolError) -> Trouble:
    if type(error) is GlobalConfDownloadFailed:
        return Trouble(_WRONG_ANSWER, (error.message, advice_on(_WRONG_ANSWER)))
    if isinstance(error, GlobalConfUnanswered):
        return Trouble(error.code, (error.message, advice_on("network_error")))
    return trouble_of(error)
