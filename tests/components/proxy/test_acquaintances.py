from datetime import timedelta

from sild.components.proxy.acquaintances import Acquaintances
from sild.protocol.globalconf.lookup import ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock

OWNER = ClientId("DEV", "GOV", "1")


class Conf:
    """Servers at some addresses, one without."""

    def __init__(self, *addresses):
        self.servers = [
            ServerEntry(SecurityServerId(OWNER, str(each)), each, frozenset(), None)
            for each in (*addresses, None)
        ]


class View:
    def __init__(self, conf):
        self.conf = conf


class Views:
    def __init__(self, *addresses):
        self.latest = View(Conf(*addresses))


def test_the_addresses_of_the_configuration_are_known_as_it_says_now():
    views = Views("192.0.2.1", "192.0.2.2")
    known = Acquaintances(views, TurnedClock())
    assert known.knows("192.0.2.1")
    assert not known.knows("192.0.2.3")
    views.latest = View(Conf("192.0.2.3"))
    assert known.knows("192.0.2.3")
    assert not known.knows("192.0.2.1")
    views.latest = None
    assert not known.knows("192.0.2.9")


def test_where_a_server_proved_itself_is_known_for_an_hour():
    clock = TurnedClock()
    known = Acquaintances(Views(), clock)
    known.meet("192.0.2.7")
    assert known.knows("192.0.2.7")
    clock.turn(timedelta(minutes=59))
    assert known.knows("192.0.2.7")
    clock.turn(timedelta(minutes=2))
    assert not known.knows("192.0.2.7")
