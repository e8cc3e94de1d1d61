from datetime import UTC, datetime, timedelta

import pytest

from sild.components.proxy.routing import Routing, candidates
from sild.protocol.errors import InvalidSecurityServer, MaintenanceMode, UnknownMember
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock

OWNER = ClientId("DEV", "GOV", "1")
PROVIDER = OWNER.subsystem("register")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Servers:
    """The one question that routing asks of the global configuration."""

    def __init__(self, *servers):
        self._servers = servers

    def servers_of(self, client):
        return self._servers if client == PROVIDER else ()


def server(code, address="127.0.0.1", maintenance=None):
    return ServerEntry(SecurityServerId(OWNER, code), address, frozenset(), maintenance)


def test_a_provider_that_nobody_serves_is_unknown():
    with pytest.raises(UnknownMember):
        candidates(Servers(), PROVIDER, None)


def test_a_server_without_an_address_is_not_tried():
    conf = Servers(server("a", address=None), server("b"))
    assert [entry.id.server_code for entry in candidates(conf, PROVIDER, None)] == ["b"]
    with pytest.raises(UnknownMember, match="address"):
        candidates(Servers(server("a", address=None)), PROVIDER, None)


def test_a_server_in_maintenance_is_not_tried():
    conf = Servers(server("a", maintenance="until noon"), server("b"))
    assert [entry.id.server_code for entry in candidates(conf, PROVIDER, None)] == ["b"]


def test_when_all_are_in_maintenance_their_notices_are_told():
    conf = Servers(server("a", maintenance="until noon"), server("b", maintenance=""))
    with pytest.raises(MaintenanceMode, match="until noon"):
        candidates(conf, PROVIDER, None)


def test_the_server_asked_for_must_be_one_of_the_providers():
    conf = Servers(server("a"), server("b"))
    wanted = SecurityServerId(OWNER, "b")
    assert [entry.id for entry in candidates(conf, PROVIDER, wanted)] == [wanted]
    for other in (SecurityServerId(OWNER, "c"), SecurityServerId(ClientId("DEV", "GOV", "2"), "b")):
        with pytest.raises(InvalidSecurityServer):
            candidates(conf, PROVIDER, other)


def test_the_server_that_answered_last_is_first_until_it_fails_or_is_forgotten():
    clock = TurnedClock()
    conf = Servers(*(server(code, f"127.0.0.{number}") for number, code in enumerate("abcdefgh")))
    routing = Routing(clock, memory_seconds=3600)
    route = routing.route(conf, PROVIDER, None)
    chosen = route.servers[5]
    routing.remember(route, chosen)
    assert all(routing.route(conf, PROVIDER, None).servers[0] == chosen for _ in range(20))
    another = route.servers[2]
    routing.forget(PROVIDER, another)
    assert routing.route(conf, PROVIDER, None).servers[0] == chosen
    routing.forget(PROVIDER, chosen)
    assert {routing.route(conf, PROVIDER, None).servers[0] for _ in range(60)} != {chosen}


def test_after_a_while_one_message_chooses_again_and_the_others_go_on():
    clock = TurnedClock()
    conf = Servers(*(server(code, f"127.0.0.{number}") for number, code in enumerate("abcdefgh")))
    routing = Routing(clock, memory_seconds=3600)
    route = routing.route(conf, PROVIDER, None)
    assert not route.afresh
    chosen, better = route.servers[5], route.servers[2]
    routing.remember(route, chosen)
    clock.turn(timedelta(seconds=3000))
    routing.remember(routing.route(conf, PROVIDER, None), chosen)  # makes it no longer
    clock.turn(timedelta(seconds=601))
    again = routing.route(conf, PROVIDER, None)
    assert again.afresh
    for _ in range(20):
        other = routing.route(conf, PROVIDER, None)
        assert (other.servers[0], other.afresh) == (chosen, False)
    routing.remember(again, better)
    assert routing.route(conf, PROVIDER, None).servers[0] == better


def test_without_memory_nothing_is_remembered():
    conf = Servers(*(server(code, f"127.0.0.{number}") for number, code in enumerate("abcdefgh")))
    routing = Routing(TurnedClock(), memory_seconds=0)
    route = routing.route(conf, PROVIDER, None)
    routing.remember(route, route.servers[5])
    routes = [routing.route(conf, PROVIDER, None) for _ in range(60)]
    assert len({each.servers[0] for each in routes}) > 1
    assert not any(each.afresh for each in routes)
