"""The client and the management API as they really are, over a real socket."""

from datetime import timedelta

import pytest

from adminapi.centralserver.trust_api import serving_trust
from clocks import StoppedClock
from sild.apiclient.errors import ApiError
from sild.apiclient.values import ApiKey, Login, Patience
from sild.model.audit import AuditEvent
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio

CAS = "/certification-services"


class Sleepless(SystemClock):
    """A clock that remembers who slept, and turns the server's meanwhile."""

    def __init__(self, servers):
        self.servers = servers
        self.pauses = []

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.servers.turn(timedelta(seconds=seconds))


async def test_a_key_and_a_session_open_the_same_api(tmp_path):
    async with serving_trust(tmp_path, rate_limit_enabled=False) as api:
        for credentials in (ApiKey(await api.key()), await api.login()):
            async with api.served.client(credentials) as client:
                answer = await client.call("GET", CAS)
                assert answer.json == []
                assert len(answer.correlation_id) == 16


async def test_a_session_that_ended_is_made_anew(tmp_path):
    async with serving_trust(tmp_path, rate_limit_enabled=False) as api:
        login = await api.login()
        async with api.served.client(login) as client:
            await client.call("GET", CAS)
            api.clock.turn(timedelta(hours=1))
            assert (await client.call("GET", CAS)).json == []
    events = [record.event for record in api.audit.records]
    assert events.count(AuditEvent.FORM_LOGIN) == 2


async def test_a_change_in_a_session_carries_its_token(tmp_path):
    async with serving_trust(tmp_path, rate_limit_enabled=False) as api:
        login = await api.login()
        async with api.served.client(login) as client:
            with pytest.raises(ApiError) as caught:
                await client.call("DELETE", f"{CAS}/1")
    assert (caught.value.status, caught.value.code) == (404, "certification_service_not_found")


async def test_what_is_wrong_is_told_by_field(tmp_path):
    async with serving_trust(tmp_path, rate_limit_enabled=False) as api:
        key = ApiKey(await api.key())
        async with api.served.client(key) as client:
            with pytest.raises(ApiError) as caught:
                await client.call("PATCH", f"{CAS}/1", json={"default_csr_format": "XML"})
    error = caught.value
    assert (error.status, error.code) == (400, "validation_failure")
    assert len(error.validation_errors) == 1
    assert "default" in str(error).lower()
    assert len(error.correlation_id) == 16


async def test_a_key_that_nobody_gave_out_is_refused(tmp_path):
    async with serving_trust(tmp_path, rate_limit_enabled=False) as api:
        for credentials in (ApiKey("none"), ApiKey("x" * 5000), Login("nobody", "nothing")):
            async with api.served.client(credentials) as client:
                with pytest.raises(ApiError) as caught:
                    await client.call("GET", CAS)
                assert caught.value.status == 401


async def test_a_client_waits_for_a_server_that_has_had_enough(tmp_path):
    stopped = StoppedClock()
    async with serving_trust(tmp_path, stopped, rate_limit_requests_per_second=2) as api:
        clock = Sleepless(stopped)
        async with api.served.client(ApiKey(await api.key()), clock) as client:
            for _ in range(4):
                assert (await client.call("GET", CAS)).json == []
    assert clock.pauses
    assert set(clock.pauses) == {1}


async def test_a_client_without_patience_says_so(tmp_path):
    async with serving_trust(tmp_path, StoppedClock(), rate_limit_requests_per_second=1) as api:
        hasty = Patience(attempts=1)
        async with api.served.client(ApiKey(await api.key()), patience=hasty) as client:
            await client.call("GET", CAS)
            with pytest.raises(ApiError) as caught:
                await client.call("GET", CAS)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
