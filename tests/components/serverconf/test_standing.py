import asyncio
from datetime import timedelta

import pytest

from components.serverconf.client_worlds import MANAGEMENT
from components.serverconf.standing_worlds import CHANGED, SERVER, some_standing, world_with
from components.serverconf.worlds import FIRST, SECOND
from sild.components.serverconf.errors import ServerNotSet
from sild.components.serverconf.standing import AddressStanding, MaintenanceStanding
from sild.components.serverconf.standing_errors import (
    AddressChangeSubmitted,
    MaintenanceAlreadyDisabled,
    MaintenanceAlreadyEnabled,
    MaintenanceChangeSubmitted,
    MaintenanceOfManagementServices,
    SameAddress,
)
from sild.model.maintenance import MaintenanceEvent, MaintenanceState
from sild.model.refusals import Failed
from sild.protocol.errors import GlobalConfOutdated
from sild.runtime.database import Database

pytestmark = pytest.mark.anyio
S, E = MaintenanceState, MaintenanceEvent


@pytest.fixture
async def made(database_url):
    async with Database.open(database_url) as database:
        yield await some_standing(database)


async def test_an_address_is_pending_until_the_global_configuration_shows_it(made):
    assert await made.standing.address() == AddressStanding("ss1.test", None)
    assert await made.standing.change_address("new.test") == 1
    assert made.requests.sent == [("address", "new.test")]
    assert await made.standing.address() == AddressStanding("ss1.test", "new.test")
    await made.show(address="ss1.test")
    assert (await made.standing.address()).requested == "new.test"
    await made.show(address="new.test")
    assert await made.standing.address() == AddressStanding("new.test", None)


async def test_one_address_is_asked_for_at_a_time(made):
    await made.standing.change_address("new.test")
    with pytest.raises(AddressChangeSubmitted):
        await made.standing.change_address("newer.test")
    assert len(made.requests.sent) == 1


async def test_of_two_who_ask_at_once_one_is_refused(made):
    asked = (made.standing.change_address(each) for each in ("a.test", "b.test"))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in outcomes] == [int, AddressChangeSubmitted]
    assert len(made.requests.sent) == 1


async def test_the_address_that_holds_is_not_asked_for(made):
    with pytest.raises(SameAddress):
        await made.standing.change_address("ss1.test")
    assert made.requests.sent == []


async def test_what_could_not_be_sent_is_not_pending(made):
    made.requests.failing = Failed("nobody answers")
    for asked in (
        made.standing.change_address("new.test"),
        made.standing.enable_maintenance("back soon"),
    ):
        with pytest.raises(Failed):
            await asked
    assert (await made.standing.address()).requested is None
    assert (await made.standing.maintenance()).state is S.DISABLED


async def test_what_is_pending_outlives_a_restart(made):
    await made.standing.change_address("new.test")
    await made.standing.enable_maintenance("back soon")
    made.standing = made.made()
    assert (await made.standing.address()).requested == "new.test"
    assert (await made.standing.maintenance()).state is S.PENDING_ENABLE


async def test_what_is_never_shown_is_given_up_after_an_hour(made):
    await made.standing.change_address("new.test")
    await made.standing.enable_maintenance()
    made.clock.turn(timedelta(minutes=59))
    await made.show()
    assert (await made.standing.address()).requested == "new.test"
    made.clock.turn(timedelta(minutes=2))
    await made.show()
    assert (await made.standing.address()).requested is None
    assert (await made.standing.maintenance()).state is S.DISABLED
    await made.standing.change_address("newer.test")


async def test_a_server_that_is_not_registered_has_no_address(made):
    made.world.conf = world_with(CHANGED)
    assert await made.standing.address() == AddressStanding(None, None)
    await made.standing.change_address("new.test")
    await made.show(CHANGED, address="new.test")
    assert (await made.standing.address()).requested == "new.test"


async def reach(made, state):
    """Bring the maintenance mode to a state."""
    if state is not S.DISABLED:
        await made.standing.enable_maintenance("back soon")
    if state in {S.ENABLED, S.PENDING_DISABLE}:
        await made.show(maintenance="back soon")
    if state is S.PENDING_DISABLE:
        await made.standing.disable_maintenance()
    assert (await made.standing.maintenance()).state is state
    made.requests.sent.clear()


async def cause(made, event):
    """Let an event happen."""
    if event is E.ENABLE:
        await made.standing.enable_maintenance("later")
    elif event is E.DISABLE:
        await made.standing.disable_maintenance()
    else:
        await made.show(maintenance="back soon" if event is E.SHOWN_ENABLED else None)


OUTCOMES = {
    (S.DISABLED, E.ENABLE): S.PENDING_ENABLE,
    (S.DISABLED, E.DISABLE): MaintenanceAlreadyDisabled,
    (S.DISABLED, E.SHOWN_ENABLED): S.ENABLED,
    (S.DISABLED, E.SHOWN_DISABLED): S.DISABLED,
    (S.PENDING_ENABLE, E.ENABLE): MaintenanceChangeSubmitted,
    (S.PENDING_ENABLE, E.DISABLE): MaintenanceChangeSubmitted,
    (S.PENDING_ENABLE, E.SHOWN_ENABLED): S.ENABLED,
    (S.PENDING_ENABLE, E.SHOWN_DISABLED): S.PENDING_ENABLE,
    (S.ENABLED, E.ENABLE): MaintenanceAlreadyEnabled,
    (S.ENABLED, E.DISABLE): S.PENDING_DISABLE,
    (S.ENABLED, E.SHOWN_ENABLED): S.ENABLED,
    (S.ENABLED, E.SHOWN_DISABLED): S.DISABLED,
    (S.PENDING_DISABLE, E.ENABLE): MaintenanceChangeSubmitted,
    (S.PENDING_DISABLE, E.DISABLE): MaintenanceChangeSubmitted,
    (S.PENDING_DISABLE, E.SHOWN_ENABLED): S.PENDING_DISABLE,
    (S.PENDING_DISABLE, E.SHOWN_DISABLED): S.DISABLED,
}


def test_every_event_in_every_state_is_tested():
    assert set(OUTCOMES) == {(state, event) for state in S for event in E}


@pytest.mark.parametrize(("state", "event"), OUTCOMES, ids=lambda each: each.name)
async def test_each_event_in_each_state(made, state, event):
    await reach(made, state)
    outcome = OUTCOMES[state, event]
    if isinstance(outcome, S):
        await cause(made, event)
        assert (await made.standing.maintenance()).state is outcome
    else:
        with pytest.raises(outcome):
            await cause(made, event)
        assert (await made.standing.maintenance()).state is state
        assert made.requests.sent == []


async def test_the_message_is_sent_and_shown(made):
    assert await made.standing.enable_maintenance("back soon") == 1
    assert made.requests.sent == [("enable", "back soon")]
    pending = await made.standing.maintenance()
    assert pending == MaintenanceStanding(S.PENDING_ENABLE, "back soon", False)
    await made.show(maintenance="other words")
    assert await made.standing.maintenance() == MaintenanceStanding(S.ENABLED, "other words", False)
    assert await made.standing.disable_maintenance() == 2
    assert (await made.standing.maintenance()).message is None


async def test_the_server_of_the_management_services_has_no_maintenance(made):
    made.world.conf = world_with(clients=(MANAGEMENT,))
    assert (await made.standing.maintenance()).provides_management_services
    with pytest.raises(MaintenanceOfManagementServices):
        await made.standing.enable_maintenance()
    assert made.requests.sent == []


async def test_the_server_of_the_management_services_may_end_its_maintenance(made):
    made.world.conf = world_with(clients=(MANAGEMENT,), maintenance="")
    await made.standing.disable_maintenance()
    assert made.requests.sent == [("disable",)]


async def test_the_owner_follows_the_global_configuration(made):
    made.changed_to = CHANGED
    await made.show(CHANGED)
    assert made.asked_with == (SERVER, (b"auth",))
    assert await made.server() == CHANGED
    assert await made.clients() == {FIRST, SECOND}
    assert made.changes == 1


async def test_a_server_that_is_known_stays_what_it_is(made):
    made.changed_to = CHANGED
    await made.show()
    assert made.asked_with is None
    assert await made.server() == SERVER


async def test_a_server_that_nobody_knows_stays_what_it_is(made):
    await made.show(CHANGED)
    assert made.asked_with is not None
    assert await made.server() == SERVER


async def test_following_without_news_changes_nothing(made):
    """Each change has the snapshot made anew."""
    await made.standing.change_address("new.test")
    made.changes = 0
    await made.show()
    assert made.changes == 0
    await made.show(address="new.test")
    assert made.changes == 1


async def test_the_version_of_the_configuration_is_shown(made):
    assert made.standing.find_configuration_version() == 6
    made.world.conf = None
    assert made.standing.find_configuration_version() is None


async def test_without_configuration_nothing_is_said_or_asked(made):
    made.world.conf = None
    for asked in (made.standing.address(), made.standing.enable_maintenance()):
        with pytest.raises(GlobalConfOutdated):
            await asked
    assert made.requests.sent == []


async def test_a_server_that_is_not_initialised_stands_nowhere(database_url):
    async with Database.open(database_url) as database:
        made = await some_standing(database, initialized=False)
        for asked in (
            made.standing.address(),
            made.standing.maintenance(),
            made.standing.change_address("new.test"),
        ):
            with pytest.raises(ServerNotSet):
                await asked
        await made.show()
        assert made.changes == 0
