"""Numbers for Prometheus, as it scrapes them."""

from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pki_builder import NOON
from ports import free_port
from servers.survey_builder import surveyed
from sild.components.diagnostics.settings import MetricsSettings
from sild.components.proxy.tally import BOUNDS, Tally
from sild.protocol.errors import HttpError
from sild.servers.diagnosing import make_diagnosing
from sild.servers.metrics import serve_metrics
from sild.servers.worker_calls import WorkerMeasures

pytestmark = [pytest.mark.anyio, pytest.mark.feature("EX-13")]


def measures_of(tally):
    return WorkerMeasures(tally.counted(), tally.durations(), 1000, 2000)


@asynccontextmanager
async def scraped(path):
    """A server with metrics, and what scrapes them."""
    settings = MetricsSettings(port=free_port())
    async with surveyed(path) as made:
        metrics = make_diagnosing(made.survey).metrics
        server = await serve_metrics(metrics, settings, made.clock)
        try:
            base = f"http://127.0.0.1:{settings.port}"
            async with httpx.AsyncClient(base_url=base, timeout=60) as http:
                made.http = http
                yield made
        finally:
            await server.close(0)


@pytest.fixture
async def made(tmp_path):
    async with scraped(tmp_path) as made:
        yield made


async def samples(made):
    """Every number by its name and labels."""
    answer = await made.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labelled(name, **labels):
    return name, tuple(sorted(labels.items()))


async def test_messages_are_told_by_side_protocol_and_outcome_of_each_worker(made):
    tally = Tally()
    for seconds in (0.001, 0.02, 99.0):
        tally.note("consumer", "rest", "ok", seconds)
    tally.note("provider", "soap", "service_failed.access_denied", 0.3)
    made.workers[1].counted = measures_of(tally)
    told = await samples(made)
    lane = {"worker": "1", "side": "consumer", "protocol": "rest"}
    assert told[labelled("sild_messages_total", outcome="ok", **lane)] == 3
    denied = {"worker": "1", "side": "provider", "protocol": "soap"}
    outcome = "service_failed.access_denied"
    assert told[labelled("sild_messages_total", outcome=outcome, **denied)] == 1
    buckets = [
        told[labelled("sild_message_duration_seconds_bucket", le=le, **lane)]
        for le in [*map(str, BOUNDS), "+Inf"]
    ]
    assert (buckets[0], buckets[BOUNDS.index(0.025)], buckets[-2], buckets[-1]) == (1, 2, 2, 3)
    assert told[labelled("sild_message_duration_seconds_count", **lane)] == 3
    assert told[labelled("sild_message_duration_seconds_sum", **lane)] == pytest.approx(99.021)


async def test_workers_and_memory_are_told(made):
    made.workers[0].is_away = True
    told = await samples(made)
    assert told[labelled("sild_worker_ready", worker="0")] == 0
    assert told[labelled("sild_worker_ready", worker="1")] == 1
    assert told[labelled("sild_worker_connections", worker="1", kind="busy")] == 14
    assert told[labelled("sild_worker_spooled_bytes", worker="1")] == 10
    memory = "sild_process_resident_memory_bytes"
    assert told[labelled(memory, process="worker-1")] == 100 * 1024**2
    assert told[labelled(memory, process="control")] > 0
    assert labelled(memory, process="worker-0") not in told


async def test_what_messages_depend_on_is_told(made):
    (tsa,) = made.knowledge.conf.timestamping_services
    made.noted.authorities.note(tsa.url, HttpError("no"))
    made.noted.responders.note("http://ocsp.test/", None)
    token = made.signer.found[0]
    key = token.keys[0]
    active = replace(key.certificates[0], active=True)
    passive = replace(active, active=False, sha256="00")
    made.signer.found = (replace(token, keys=(replace(key, certificates=(active, passive)),)),)
    told = await samples(made)
    assert told[labelled("sild_healthy")] == 1
    assert told[labelled("sild_timestamping_service_up", url=tsa.url)] == 0
    assert told[labelled("sild_ocsp_responder_up", url="http://ocsp.test/")] == 1
    expires = told[labelled("sild_global_configuration_expires_timestamp_seconds")]
    assert expires == made.knowledge.conf.valid_until.timestamp() > NOON.timestamp()
    assert told[labelled("sild_message_log_waiting_records")] == 0
    assert told[labelled("sild_timestamping_failing_since_timestamp_seconds")] == 0
    assert told[labelled("sild_signer_up")] == 1
    assert told[labelled("sild_token_logged_in", token="0")] == 1
    certificate = {"sha256": active.sha256, "usage": "authentication", "member": ""}
    assert told[labelled("sild_certificate_expires_timestamp_seconds", **certificate)] > 0
    other = labelled(
        "sild_certificate_expires_timestamp_seconds", **(certificate | {"sha256": "00"})
    )
    assert other not in told


async def test_a_server_that_is_in_trouble_still_tells_its_numbers(made):
    made.signer.is_away = True
    made.knowledge.has_conf = False
    for worker in made.workers:
        worker.is_away = True
    told = await samples(made)
    assert told[labelled("sild_healthy")] == 0
    assert told[labelled("sild_health_problem", check="workers")] == 1
    assert told[labelled("sild_signer_up")] == 0
    assert labelled("sild_global_configuration_expires_timestamp_seconds") not in told


async def test_there_is_nothing_else_at_the_port(made):
    assert (await made.http.get("/")).status_code == 404
    assert (await made.http.post("/metrics")).status_code == 405


async def test_without_a_port_there_are_no_metrics(tmp_path):
    async with surveyed(tmp_path) as made:
        metrics = make_diagnosing(made.survey).metrics
        assert await serve_metrics(metrics, MetricsSettings(), made.clock) is None
