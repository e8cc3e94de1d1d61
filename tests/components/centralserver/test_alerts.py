from dataclasses import replace
from datetime import timedelta

import pytest

from components.centralserver.nodes import SILENT, WANTED, Instance
from sild.components.centralserver.alerts import Alerts
from sild.model.tokens import Key, KeyAlgorithm, KeyUsage

pytestmark = pytest.mark.anyio
KEY = Key("K1", "internal", KeyUsage.SIGNING, KeyAlgorithm.RSA_2048, b"")


class Active:
    def __init__(self, **keys):
        self.keys = keys

    async def active_keys(self):
        return self.keys


async def alerts(instance, **keys):
    found = Alerts(instance.system, instance.cluster, instance.tokens, Active(**keys))
    return [alert.code for alert in await found.alerts()]


@pytest.fixture
async def instance(database):
    made = Instance(database)
    await made.initialization.initialize(WANTED)
    await made.cluster.succeeded()
    made.tokens.token = replace(
        made.tokens.token, logged_in=True, keys=(KEY,), available_keys=frozenset({"K1"})
    )
    return made


async def test_nothing_is_told_of_a_healthy_server(instance):
    assert await alerts(instance, internal="K1", external="K1") == []


async def test_nothing_is_told_of_a_server_that_is_not_initialised(database):
    assert await alerts(Instance(database), internal=None) == []


async def test_a_silent_signer_is_all_that_is_told(instance):
    instance.tokens.broken = SILENT
    assert await alerts(instance, internal=None) == ["status.signer_error"]


@pytest.mark.parametrize("source", ["internal", "external"])
@pytest.mark.parametrize(
    ("key", "changes", "alert"),
    [
        (None, {}, "missing"),
        ("K2", {}, "token_not_found"),
        ("K1", {"logged_in": False}, "token_not_active"),
        ("K1", {"available_keys": frozenset()}, "key_not_available"),
    ],
)
async def test_a_key_that_cannot_sign_is_told(instance, source, key, changes, alert):
    instance.tokens.token = replace(instance.tokens.token, **changes)
    assert await alerts(instance, **{source: key}) == [f"status.signing_key.{source}.{alert}"]


async def test_generation_that_fails_is_told_with_its_moment(instance):
    await instance.cluster.failed()
    since = (await instance.cluster.generation()).failing_since
    (alert,) = await Alerts(
        instance.system, instance.cluster, instance.tokens, Active(internal="K1")
    ).alerts()
    assert (alert.code, alert.since) == ("status.global_conf_generation.failing", since)


async def test_configuration_that_has_expired_is_told(instance):
    instance.clock.turn(timedelta(seconds=602))
    expired = ["status.global_conf_generation.global_conf_expired"]
    assert await alerts(instance, internal="K1") == expired


async def test_configuration_that_was_never_generated_is_told(database):
    instance = Instance(database)
    await instance.initialization.initialize(WANTED)
    assert await alerts(instance) == ["status.global_conf_generation.status_not_found"]
