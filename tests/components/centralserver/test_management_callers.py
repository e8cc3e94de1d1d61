import socket
from datetime import timedelta

import pytest

from components.centralserver.nodes import PROVIDER, SERVER, WANTED, Instance
from sild.components.centralserver.management_callers import LOOPBACK, ProviderServers
from sild.runtime.clock import TurnedClock

pytestmark = pytest.mark.anyio


class Names:
    """A name server, and the registry that names come from."""

    def __init__(self, **addresses):
        self.addresses = addresses
        self.asked = []

    async def server_addresses(self):
        return tuple(self.addresses)

    async def resolve(self, host):
        self.asked.append(host)
        found = self.addresses[host]
        if isinstance(found, Exception):
            raise found
        return found

    def callers(self, clock=None, **how):
        return ProviderServers(self, clock or TurnedClock(), resolve=self.resolve, **how)


async def test_this_machine_calls_and_no_name_is_looked_up():
    names = Names(one=("192.0.2.1",))
    for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        assert await names.callers().may_call(address)
    assert names.asked == []


async def test_every_address_of_every_server_may_call_and_no_other():
    names = Names(one=("192.0.2.1", "2001:db8::1"), two=("198.51.100.2",))
    callers = names.callers()
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "198.51.100.2"):
        assert await callers.may_call(address)
    for address in ("192.0.2.2", "2001:db8::2", "10.0.0.1", "", "one"):
        assert not await callers.may_call(address)


async def test_a_name_is_looked_up_once_a_minute():
    names, clock = Names(one=("192.0.2.1",)), TurnedClock()
    callers = names.callers(clock)
    for _ in range(3):
        assert await callers.may_call("192.0.2.1")
        clock.turn(timedelta(seconds=19))
    assert names.asked == ["one"]
    names.addresses["one"] = ("192.0.2.7",)
    assert await callers.may_call("192.0.2.1")
    clock.turn(timedelta(seconds=4))
    assert not await callers.may_call("192.0.2.1")
    assert await callers.may_call("192.0.2.7")
    assert len(names.asked) == 2


async def test_a_server_that_leaves_the_registry_may_not_call_from_then_on():
    names = Names(one=("192.0.2.1",), two=("192.0.2.2",))
    callers = names.callers()
    assert await callers.may_call("192.0.2.1")
    del names.addresses["one"]
    assert not await callers.may_call("192.0.2.1")


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), TimeoutError()],
    ids=repr,
)
async def test_a_name_that_does_not_resolve_lets_nobody_in_and_keeps_nobody_else_out(error):
    names, clock = Names(one=error, two=("192.0.2.2",)), TurnedClock()
    callers = names.callers(clock)
    assert not await callers.may_call("192.0.2.1")
    assert await callers.may_call("192.0.2.2")
    names.addresses["one"] = ("192.0.2.1",)
    clock.turn(timedelta(seconds=5))
    assert await callers.may_call("192.0.2.1")


async def test_what_a_name_server_said_is_kept_for_ten_minutes_while_it_says_nothing():
    names, clock = Names(one=("192.0.2.1",)), TurnedClock()
    callers = names.callers(clock)
    assert await callers.may_call("192.0.2.1")
    names.addresses["one"] = socket.gaierror(-3, "try again")
    for _ in range(8):
        clock.turn(timedelta(seconds=70))
        assert await callers.may_call("192.0.2.1")
        assert not await callers.may_call("192.0.2.2")
    clock.turn(timedelta(seconds=70))
    assert not await callers.may_call("192.0.2.1")
    assert len(names.asked) == 10


async def test_names_are_resolved_as_this_machine_resolves_them():
    callers = ProviderServers(Names(localhost=()), TurnedClock(), always=())
    assert await callers.may_call("127.0.0.1")
    assert not await callers.may_call("192.0.2.1")


async def test_before_anybody_is_appointed_only_this_machine_calls(database):
    made = Instance(database)
    await made.initialization.initialize(WANTED)
    await made.add_provider()
    assert await made.management.server_addresses() == ()
    await made.management.appoint(PROVIDER)
    assert await made.management.server_addresses() == ()
    await made.management.register(SERVER)
    (address,) = await made.management.server_addresses()
    assert "127.0.0.0/8" in LOOPBACK
    assert address == "ss1.example.org"
