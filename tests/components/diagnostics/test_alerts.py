"""What an administrator must be told of as long as it lasts."""

from datetime import timedelta

import pytest

from pki_builder import NOON
from sild.components.diagnostics.alerts import Alerts
from sild.model.tokens import Token, TokenStatus
from sild.protocol.errors import MalformedGlobalConf
from sild.runtime.clock import TurnedClock
from sild.runtime.rpc import RpcUnavailable

pytestmark = pytest.mark.anyio


class Server:
    """What alerts look at."""

    def __init__(self):
        self.since = None
        self.logged_in = True
        self.is_away = self.is_broken = False
        self.alerts = Alerts(self, self, self, TurnedClock())

    def global_conf(self):
        if self.is_broken:
            raise MalformedGlobalConf("it is not whole")

    async def tokens(self):
        if self.is_away:
            raise RpcUnavailable("nobody serves")
        return (Token("0", "soft", TokenStatus.OK, self.logged_in),)

    def running_since(self):
        return self.since


async def test_what_is_wrong_is_told():
    server = Server()
    state = await server.alerts.alerts()
    assert state.global_conf_valid
    assert state.pin_entered
    assert state.pin_known
    server.logged_in, server.is_broken = False, True
    state = await server.alerts.alerts()
    assert not state.global_conf_valid
    assert not state.pin_entered
    assert state.pin_known
    server.is_away = True
    assert not (await server.alerts.alerts()).pin_known


async def test_only_the_backup_that_was_dismissed_is_not_told_of():
    server = Server()
    server.since = NOON
    assert (await server.alerts.alerts()).backup_since == NOON
    server.alerts.dismiss_backup()
    assert (await server.alerts.alerts()).backup_since is None
    server.since = NOON + timedelta(hours=1)
    assert (await server.alerts.alerts()).backup_since == server.since


async def test_nobody_asks_for_the_pin_while_a_configuration_is_restored():
    server = Server()
    server.since = NOON
    state = await server.alerts.alerts()
    assert not state.pin_entered
    assert not state.pin_known
