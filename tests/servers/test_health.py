"""Whether a server serves, as a load balancer is told."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from ports import free_port
from servers.survey_builder import MEASURES, STATUS, surveyed
from sild.components.diagnostics.settings import DiagnosticsSettings, HealthSettings
from sild.model.tokens import Token, TokenStatus
from sild.runtime.database import Database
from sild.servers.diagnosing import make_diagnosing
from sild.servers.doors import CannotListen
from sild.servers.health import serve_health

pytestmark = [pytest.mark.anyio, pytest.mark.feature("HA-03")]

OPEN = (Token("0", "soft", TokenStatus.OK, logged_in=True),)
ALWAYS_LOOKING = HealthSettings(healthy_seconds=0, unhealthy_seconds=0, port=1)


@asynccontextmanager
async def balanced(path, health=ALWAYS_LOOKING, **ways):
    """A server with a health check, and what asks it."""
    port = free_port()
    settings = replace(health, listen_address="127.0.0.1", port=port)
    async with surveyed(path, health=settings, **ways) as made:
        made.signer.found = OPEN
        health = make_diagnosing(made.survey).health
        server = await serve_health(health, settings, made.clock)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
                made.http = http
                yield made
        finally:
            await server.close(0)


async def reasons(made):
    """What is wrong, by the names of checks."""
    answer = await made.http.get("/")
    told = answer.json()
    assert told["healthy"] is (answer.status_code == 200)
    assert answer.status_code in {200, 503}
    return told["reasons"]


@pytest.fixture
async def made(tmp_path):
    async with balanced(tmp_path) as made:
        yield made


async def test_a_server_that_fares_well_is_healthy_whatever_is_asked_for(made):
    assert await reasons(made) == {}
    answer = await made.http.get("/any/path?x=y")
    assert (answer.status_code, answer.json()) == (200, {"healthy": True, "reasons": {}})
    answer = await made.http.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await made.http.post("/")).status_code == 405


async def test_a_server_is_unhealthy_while_no_pin_was_entered(made):
    made.signer.found = (replace(OPEN[0], logged_in=False),)
    assert await reasons(made) == {"token": "no PIN of a token was entered"}
    made.signer.found = ()
    assert set(await reasons(made)) == {"token"}
    made.signer.found = OPEN
    assert await reasons(made) == {}
    made.signer.is_away = True
    assert await reasons(made) == {"token": "the signer does not answer"}


async def test_a_server_that_cannot_prove_itself_to_others_is_unhealthy(made):
    made.knowledge.known = replace(made.knowledge.known, authentication=None)
    assert "OCSP" in (await reasons(made))["authentication"]


async def test_a_server_without_a_valid_global_configuration_is_unhealthy(made):
    made.clock.turn(timedelta(days=2))
    assert set(await reasons(made)) == {"global-configuration"}
    made.knowledge.has_conf = False
    assert set(await reasons(made)) == {"global-configuration"}


async def test_a_server_without_its_database_is_unhealthy(made):
    (database,) = made.survey.databases
    await database.close()
    made.survey.layout.message_database.unlink()
    made.survey.layout.message_database.mkdir()
    assert await reasons(made) == {"database": "a database does not answer"}


async def test_every_database_is_looked_at(made, tmp_path):
    path = tmp_path / "more.db"
    async with Database.open(f"sqlite:///{path}") as second:
        survey = replace(made.survey, databases=(*made.survey.databases, second))
        health = make_diagnosing(survey).health
        assert (await health.state()).is_healthy
        await second.close()
        path.unlink(missing_ok=True)
        path.mkdir()
        assert set((await health.state()).reasons) == {"database"}


async def test_one_process_that_is_ready_is_enough(made):
    made.workers[0].is_away = True
    assert await reasons(made) == {}
    made.workers[1].told = replace(STATUS, ready=False)
    assert await reasons(made) == {"workers": "no process on the message path is ready"}


async def test_hardware_tokens_count_where_they_are_to(tmp_path):
    device = Token("d", "device", TokenStatus.OK, logged_in=True, type="hsm")
    settings = replace(ALWAYS_LOOKING, hsm_health_check_enabled=True)
    async with balanced(tmp_path, settings) as made:
        made.signer.found = (*OPEN, device)
        assert await reasons(made) == {}
        for wrong in (replace(device, logged_in=False), replace(device, available=False)):
            made.signer.found = (*OPEN, wrong)
            assert set(await reasons(made)) == {"hardware-tokens"}
        made.signer.is_away = True
        assert set(await reasons(made)) == {"hardware-tokens", "token"}


async def test_hardware_tokens_do_not_count_elsewhere(made):
    made.signer.found = (*OPEN, Token("d", "device", TokenStatus.OK, logged_in=False, type="hsm"))
    assert await reasons(made) == {}


async def test_memory_above_the_threshold_is_unhealthy(tmp_path):
    limits = DiagnosticsSettings(memory_usage_threshold=90)
    async with balanced(tmp_path, limits=limits) as made:
        assert await reasons(made) == {}
        made.workers[0].counted = replace(MEASURES, resident_bytes=2**60)
        assert set(await reasons(made)) == {"memory"}


async def test_a_good_answer_is_kept_for_two_seconds_and_a_bad_one_for_thirty(tmp_path):
    async with balanced(tmp_path, HealthSettings()) as made:
        assert await reasons(made) == {}
        made.signer.is_away = True
        assert await reasons(made) == {}
        made.clock.turn(timedelta(seconds=2))
        assert await reasons(made) != {}
        made.signer.is_away = False
        made.clock.turn(timedelta(seconds=25))
        assert await reasons(made) != {}
        made.clock.turn(timedelta(seconds=5))
        assert await reasons(made) == {}


async def test_without_a_port_there_is_no_health_check(tmp_path):
    async with surveyed(tmp_path) as made:
        health = make_diagnosing(made.survey).health
        assert await serve_health(health, HealthSettings(), made.clock) is None


async def test_a_port_that_is_taken_is_told(made):
    health = make_diagnosing(made.survey).health
    with pytest.raises(CannotListen, match="cannot listen on 127"):
        await serve_health(health, made.survey.health, made.clock)
