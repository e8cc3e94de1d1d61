import asyncio
from datetime import UTC, datetime

import pytest

from components.serverconf.stored import OWNER, PROVIDER, stored_conf
from components.serverconf.worlds import FixedWorld
from sild.components.serverconf.errors import (
    AccessRightExists,
    AccessRightNotFound,
    ClientNotFound,
    EndpointNotFound,
    GroupNotFound,
    ServiceNotFound,
)
from sild.components.serverconf.rights import NamedService, Rights
from sild.components.serverconf.service_client_errors import ServiceClientNotFound
from sild.components.serverconf.service_clients import ServiceClients
from sild.model.services import AccessRight, Endpoint, InvalidConfiguration, LocalGroup
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio

CALLER = ClientId("DEV", "COM", "M2", "portal")
BASE = Endpoint(PROVIDER, "people")
NAMES = Endpoint(PROVIDER, "people", "GET", "/names")
GROUP = GlobalGroupId("DEV", "all")
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
LATER = NOON.replace(hour=13)


class StillClock(SystemClock):
    """A clock that stands still until it is set."""

    def __init__(self):
        self.moment = NOON

    def now(self):
        return self.moment


class Used:
    """Rights as they are used, and what they work on."""

    def __init__(self, stored):
        self.stored = stored
        self.world = FixedWorld()
        self.clock = StillClock()
        self.rights = Rights(stored.store, self.world, self.clock)
        self.clients = ServiceClients(stored.store, self.world)

    async def given(self):
        async with self.stored.store.reading() as conf:
            return set(await conf.rights())


@pytest.fixture(params=["sqlite", "postgresql"])
async def used(request, tmp_path):
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with stored_conf(tmp_path, url) as stored:
        yield Used(stored)


async def test_rights_are_given_and_taken(used):
    await used.rights.grant(BASE, [CALLER, GROUP])
    assert await used.given() == {AccessRight(BASE, CALLER), AccessRight(BASE, GROUP)}
    await used.rights.revoke(BASE, [CALLER])
    assert await used.given() == {AccessRight(BASE, GROUP)}


async def test_a_right_is_given_once(used):
    await used.rights.grant(BASE, [CALLER])
    with pytest.raises(AccessRightExists):
        await used.rights.grant(BASE, [GROUP, CALLER])
    assert await used.given() == {AccessRight(BASE, CALLER)}


async def test_of_rights_that_are_given_at_once_one_is_given(used):
    first, second = await asyncio.gather(
        used.rights.grant(BASE, [CALLER]),
        used.rights.grant(BASE, [CALLER]),
        return_exceptions=True,
    )
    assert (first is None) != (second is None)
    assert await used.given() == {AccessRight(BASE, CALLER)}


async def test_a_right_that_is_not_there_is_not_taken(used):
    await used.rights.grant(BASE, [GROUP])
    with pytest.raises(AccessRightNotFound):
        await used.rights.revoke(BASE, [GROUP, CALLER])
    with pytest.raises(AccessRightNotFound):
        await used.rights.revoke_services(PROVIDER, CALLER, ["people"])
    assert await used.given() == {AccessRight(BASE, GROUP)}


async def test_a_right_to_nothing_is_refused(used):
    with pytest.raises(EndpointNotFound):
        await used.rights.grant(NAMES, [CALLER])
    with pytest.raises(ServiceNotFound):
        await used.rights.grant_services(PROVIDER, CALLER, ["people", "houses"])
    with pytest.raises(ServiceNotFound):
        await used.rights.get_endpoint(NamedService(PROVIDER, "people"))
    with pytest.raises(ClientNotFound):
        await used.rights.get_endpoint(NamedService(OWNER.subsystem("other"), "people.v1"))
    with pytest.raises(EndpointNotFound):
        await used.rights.get_endpoint(4711)
    assert await used.given() == set()


async def test_a_member_as_such_gets_no_rights(used):
    with pytest.raises(InvalidConfiguration, match="subsystem"):
        await used.rights.grant(BASE, [CALLER.member])


async def test_who_is_not_known_gets_no_rights(used):
    for subject in (
        CALLER.member.subsystem("nobody"),
        ClientId("XX", "COM", "M2", "portal"),
        GlobalGroupId("DEV", "nobody"),
        GlobalGroupId("XX", "all"),
    ):
        with pytest.raises(ServiceClientNotFound):
            await used.rights.grant(BASE, [CALLER, subject])
        with pytest.raises(ServiceClientNotFound):
            await used.rights.grant_services(PROVIDER, subject, ["people"])
    assert await used.given() == set()


async def test_while_nobody_knows_who_is_registered_nobody_gets_rights(used):
    used.world.conf = None
    with pytest.raises(GlobalConfOutdated):
        await used.rights.grant(BASE, [LocalGroupId("friends")])


async def test_a_local_group_must_be_the_providers(used):
    await used.stored.add_client(OWNER.subsystem("other"))
    other = await used.stored.add_group(LocalGroup(OWNER.subsystem("other"), "friends"))
    with pytest.raises(ServiceClientNotFound):
        await used.rights.get_subjects(PROVIDER, [int(other)])
    with pytest.raises(GroupNotFound):
        await used.rights.grant(BASE, [LocalGroupId("friends")])
    own = await used.stored.add_group(LocalGroup(PROVIDER, "friends"))
    named = [int(own), CALLER, int(own)]
    subjects = await used.rights.get_subjects(PROVIDER, named)
    assert subjects == (LocalGroupId("friends"), CALLER)
    await used.rights.grant(BASE, subjects)
    assert await used.given() == {AccessRight(BASE, each) for each in subjects}


async def test_rights_to_a_service_and_to_its_endpoints_go_by_themselves(used):
    await used.stored.add_endpoint(NAMES)
    for endpoint in (BASE, NAMES):
        await used.rights.grant(endpoint, [CALLER, GROUP])
    await used.rights.revoke(NAMES, [GROUP])
    await used.rights.revoke(BASE, [CALLER])
    assert await used.given() == {AccessRight(NAMES, CALLER), AccessRight(BASE, GROUP)}


async def test_with_a_subjects_services_go_all_its_rights_to_their_endpoints(used):
    await used.stored.add_endpoint(NAMES)
    await used.stored.add_service("houses")
    await used.rights.grant_services(PROVIDER, CALLER, ["people", "houses", "people"])
    await used.rights.grant(NAMES, [CALLER, GROUP])
    await used.rights.revoke_services(PROVIDER, CALLER, ["people"])
    left = {AccessRight(NAMES, GROUP), AccessRight(Endpoint(PROVIDER, "houses"), CALLER)}
    assert await used.given() == left


async def test_a_service_client_has_rights_since_the_first_of_them(used):
    await used.stored.add_service("houses")
    await used.rights.grant_services(PROVIDER, CALLER, ["people"])
    used.clock.moment = LATER
    await used.rights.grant_services(PROVIDER, CALLER, ["houses"])
    (client,) = await used.clients.of_client(PROVIDER)
    assert (client.subject, client.given) == (CALLER, NOON)
    given = {each.code: each.given for each in await used.clients.rights_of(PROVIDER, CALLER)}
    assert given == {"people": NOON, "houses": LATER}
    await used.rights.revoke_services(PROVIDER, CALLER, ["people"])
    (client,) = await used.clients.of_client(PROVIDER)
    assert client.given == LATER
    # The older right counts, whichever row is the older.
    used.clock.moment = NOON
    await used.rights.grant_services(PROVIDER, CALLER, ["people"])
    (client,) = await used.clients.of_client(PROVIDER)
    assert client.given == NOON
