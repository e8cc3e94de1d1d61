"""Numbers for Prometheus: what workers counted, and how everything stands that messages need.

All is read at the moment of asking; the message path counts in plain dictionaries.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sild import __version__
from sild.components.diagnostics.contacts import Contacts
from sild.components.diagnostics.health import Health, HealthState
from sild.components.diagnostics.settings import MetricsSettings
from sild.components.proxy.tally import BOUNDS, Durations
from sild.model.tokens import Token
from sild.protocol.errors import IncorrectCertificate, ProtocolError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock
from sild.runtime.database import DatabaseError
from sild.runtime.http_server import HttpServer, Request, Response
from sild.runtime.machine import own_memory
from sild.runtime.rpc import RpcError
from sild.servers.health import listen_at
from sild.servers.kept_messages import MessageLogStatus
from sild.servers.survey import Survey, worker_measures, worker_statuses
from sild.servers.worker_calls import WorkerMeasures, WorkerStatus

_PATH = b"/metrics"


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything at one moment; None is what could not be asked."""

    statuses: Sequence[WorkerStatus | None]
    measures: Sequence[WorkerMeasures | None]
    health: HealthState
    tokens: tuple[Token, ...] | None
    log: MessageLogStatus | None
    conf: GlobalConf | None
    authorities: Sequence[str]
    own_bytes: int


class Metrics:
    """The numbers, as text."""

    def __init__(self, survey: Survey, health: Health) -> None:
        self._survey = survey
        self._health = health

    async def text(self) -> bytes:
        """The numbers now, in the text format of Prometheus."""
        registry = CollectorRegistry()
        registry.register(_Families(await self._read(), self._survey))
        return generate_latest(registry)

    async def _read(self) -> _Reading:
        workers = self._survey.workers
        statuses, measures, health, tokens, log, authorities = await asyncio.gather(
            worker_statuses(workers),
            worker_measures(workers),
            self._health.state(),
            self._tokens(),
            self._log(),
            self._authorities(),
        )
        conf = self._survey.knowledge.find_conf()
        own = own_memory().resident
        return _Reading(statuses, measures, health, tokens, log, conf, authorities, own)

    async def _tokens(self) -> tuple[Token, ...] | None:
        try:
            return await self._survey.keys.tokens()
        except (RpcError, ProtocolError):
            return None

    async def _log(self) -> MessageLogStatus | None:
        try:
            return await self._survey.messages.status()
        except (DatabaseError, ProtocolError):
            return None

    async def _authorities(self) -> tuple[str, ...]:
        try:
            return await self._survey.messages.stamping_urls()
        except (DatabaseError, ProtocolError):
            return ()


class _Families(Collector):
    """The numbers, named."""

    def __init__(self, reading: _Reading, survey: Survey) -> None:
        self._reading = reading
        self._survey = survey

    def collect(self) -> Iterable[Metric]:
        """Give every family."""
        yield InfoMetricFamily("sild_build", "Which version runs.", {"version": __version__})
        yield from self._healths()
        yield from self._messages()
        yield from self._workers()
        yield from self._memory()
        yield from self._configuration()
        yield from self._log()
        yield from self._keys()

    def _healths(self) -> Iterator[Metric]:
        health = self._reading.health
        yield GaugeMetricFamily(
            "sild_healthy", "Whether the health check passes.", value=int(health.is_healthy)
        )
        family = GaugeMetricFamily(
            "sild_health_problem", "What the health check fails of.", labels=["check"]
        )
        for name in health.reasons:
            family.add_metric([name], 1)
        yield family

    def _messages(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "sild_messages",
            "Messages by side, protocol and outcome: ok, or the code of what went wrong.",
            labels=["worker", "side", "protocol", "outcome"],
        )
        times = HistogramMetricFamily(
            "sild_message_duration_seconds",
            "How long messages took on this server, the wait for the other side included.",
            labels=["worker", "side", "protocol"],
        )
        for number, measures in _numbered(self._reading.measures):
            for each in measures.counted:
                labels = [number, each.side, each.protocol, each.outcome]
                counts.add_metric(labels, each.number)
            for lane in measures.durations:
                labels = [number, lane.side, lane.protocol]
                times.add_metric(labels, _buckets(lane), lane.seconds)
        yield counts
        yield times

    def _workers(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily(
            "sild_worker_ready", "Whether a worker exchanges messages.", labels=["worker"]
        )
        spooled = GaugeMetricFamily(
            "sild_worker_spooled_bytes", "What bodies take of its disk.", labels=["worker"]
        )
        connections = GaugeMetricFamily(
            "sild_worker_connections",
            "Connections that are accepted, opened, and of the latter busy.",
            labels=["worker", "kind"],
        )
        for index, status in enumerate(self._reading.statuses):
            number = str(index)
            ready.add_metric([number], int(status is not None and status.ready))
            if status is None:
                continue
            spooled.add_metric([number], status.spooled_bytes)
            connections.add_metric([number, "accepted"], status.accepted_connections)
            connections.add_metric([number, "opened"], status.opened_connections)
            connections.add_metric([number, "busy"], status.busy_connections)
        yield ready
        yield spooled
        yield connections

    def _memory(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "sild_process_resident_memory_bytes",
            "What each process holds of the memory.",
            labels=["process"],
        )
        family.add_metric(["control"], self._reading.own_bytes)
        for number, measures in _numbered(self._reading.measures):
            family.add_metric([f"worker-{number}"], measures.resident_bytes)
        yield family

    def _configuration(self) -> Iterator[Metric]:
        conf, noted = self._reading.conf, self._survey.noted
        if conf is None:
            return
        yield GaugeMetricFamily(
            "sild_global_configuration_expires_timestamp_seconds",
            "When the global configuration that is held expires.",
            value=conf.valid_until.timestamp(),
        )
        responders = dict.fromkeys(
            responder.url
            for service in conf.certification_services
            for entry in (service.top, *service.intermediates)
            for responder in entry.responders
        )
        yield _answers(
            "sild_ocsp_responder_up", "Whether it answered well, when it was last asked.",
            responders, noted.responders,
        )  # fmt: skip
        yield _answers(
            "sild_timestamping_service_up", "Whether it answered well, when it was last asked.",
            self._reading.authorities, noted.authorities,
        )  # fmt: skip

    def _log(self) -> Iterator[Metric]:
        log = self._reading.log
        if log is None:
            return
        yield GaugeMetricFamily(
            "sild_message_log_waiting_records",
            "Records that have no time-stamp yet.",
            value=log.waiting,
        )
        since = log.failing_since
        yield GaugeMetricFamily(
            "sild_timestamping_failing_since_timestamp_seconds",
            "Since when time-stamping fails; 0 while it does not.",
            value=0 if since is None else since.timestamp(),
        )

    def _keys(self) -> Iterator[Metric]:
        tokens = self._reading.tokens
        yield GaugeMetricFamily(
            "sild_signer_up", "Whether the signer answers.", value=int(tokens is not None)
        )
        logged_in = GaugeMetricFamily(
            "sild_token_logged_in", "Whether a token can be used.", labels=["token"]
        )
        expires = GaugeMetricFamily(
            "sild_certificate_expires_timestamp_seconds",
            "When an active certificate of a key expires.",
            labels=["sha256", "usage", "member"],
        )
        for token in tokens or ():
            logged_in.add_metric([token.id], int(token.logged_in))
            for labels, moment in _expiries(token):
                expires.add_metric(labels, moment)
        yield logged_in
        yield expires


def _numbered(
    measures: Sequence[WorkerMeasures | None],
) -> Iterator[tuple[str, WorkerMeasures]]:
    for number, each in enumerate(measures):
        if each is not None:
            yield str(number), each


def _buckets(lane: Durations) -> list[tuple[str, float]]:
    """The buckets as Prometheus has them, each with all that are below it."""
    bounds = [*map(str, BOUNDS), "+Inf"]
    sums = [sum(lane.buckets[: index + 1]) for index in range(len(lane.buckets))]
    return list(zip(bounds, map(float, sums), strict=True))


def _answers(name: str, what: str, urls: Iterable[str], contacts: Contacts) -> Metric:
    family = GaugeMetricFamily(name, what, labels=["url"])
    for url in urls:
        contact = contacts.find(url)
        if contact is not None:
            family.add_metric([url], int(contact.error is None))
    return family


def _expiries(token: Token) -> Iterator[tuple[list[str], float]]:
    for key in token.keys:
        for entry in key.certificates:
            if not (entry.active and entry.saved):
                continue
            try:
                until = read_certificate(entry.certificate).x509.not_valid_after_utc
            except IncorrectCertificate:
                continue
            usage = "" if key.usage is None else key.usage.value.lower()
            member = "" if entry.member is None else entry.member.short
            yield [entry.sha256, usage, member], until.timestamp()


async def serve_metrics(
    metrics: Metrics, settings: MetricsSettings, clock: Clock
) -> HttpServer | None:
    """Answer Prometheus; None where there is no port for it.

    Raises CannotListen.
    """

    async def answer(request: Request) -> Response:
        if request.target.partition(b"?")[0] != _PATH:
            return Response(404, b"Not Found")
        if request.method != b"GET":
            return Response(405, b"Method Not Allowed", [(b"Allow", b"GET")])
        headers = [(b"Content-Type", CONTENT_TYPE_LATEST.encode("ascii"))]
        return Response(200, b"OK", headers, await metrics.text())

    if not settings.port:
        return None
    return await listen_at(answer, settings.listen_address, settings.port, clock)
