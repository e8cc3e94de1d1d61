"""When a worker's view changes, and what is not in it any more."""

import pytest

from pki_builder import NOON
from servers.builders import MINUTE, Home
from sild.protocol.errors import GlobalConfOutdated, UnknownCertificationAuthority
from sild.protocol.ids import ClientId
from sild.runtime.clock import TurnedClock
from sild.runtime.packing import PackingError
from sild.servers.layout import Layout
from sild.servers.views import CurrentView

PARTNER = ClientId("EE", "GOV", "M1")


def at(moment):
    clock = TurnedClock()
    clock.turn_to(moment)
    return clock


def refresh(views):
    view = views.read_changes()
    if view is not None:
        views.swap(view)
    return view


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path, NOON)
    home.save_conf()
    home.save_snapshot()
    return home


def test_there_is_no_view_before_there_is_a_configuration_and_a_snapshot(tmp_path):
    views = CurrentView(Layout(tmp_path), at(NOON))
    assert views.read_changes() is None
    assert not views.is_ready
    with pytest.raises(GlobalConfOutdated, match="not set up"):
        _ = views.current


def test_a_view_is_read_once_and_again_when_the_snapshot_changes(home):
    views = CurrentView(home.layout, at(NOON))
    assert refresh(views) is views.current
    assert refresh(views) is None
    home.save_snapshot()
    assert refresh(views).snapshot.generation == 2
    assert refresh(views) is None


def test_a_view_that_has_expired_is_not_used(home):
    clock = at(NOON)
    views = CurrentView(home.layout, clock)
    refresh(views)
    clock.turn(11 * MINUTE)
    refresh(views)
    with pytest.raises(GlobalConfOutdated):
        _ = views.current


def test_a_federated_instance_is_trusted_until_its_own_configuration_expires(home):
    clock = at(NOON)
    views = CurrentView(home.layout, clock)
    before = refresh(views)
    assert views.current.conf.trust("EE")
    clock.turn(3 * MINUTE)
    after = refresh(views)
    assert after is views.current
    with pytest.raises(UnknownCertificationAuthority):
        views.current.conf.trust("EE")
    assert not views.current.conf.servers_of(PARTNER)
    assert after.signers is not before.signers
    assert refresh(views) is None

    home.own.now = home.partner.now = clock.now()
    home.save_conf()
    refresh(views)
    assert views.current.conf.trust("EE")


def test_verdicts_outlive_a_new_date_of_expiry_and_nothing_else(home):
    views = CurrentView(home.layout, at(NOON))
    before = refresh(views)
    home.own.now = home.partner.now = NOON + MINUTE
    home.save_conf()
    renewed = refresh(views)
    assert renewed.conf_valid_until == before.conf_valid_until + MINUTE
    assert (renewed.peers, renewed.signatures, renewed.signers) == (
        before.peers,
        before.signatures,
        before.signers,
    )
    home.save_snapshot()
    changed = refresh(views)
    assert changed.peers is not before.peers
    assert changed.signers is not before.signers


def test_a_snapshot_that_cannot_be_read_is_said_so_each_time(home):
    views = CurrentView(home.layout, at(NOON))
    view = refresh(views)
    home.layout.snapshot_file.write_bytes(b"of another release")
    for _ in range(2):
        with pytest.raises(PackingError):
            views.read_changes()
    assert views.current is view
