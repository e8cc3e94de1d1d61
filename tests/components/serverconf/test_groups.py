from datetime import UTC, datetime, timedelta

import pytest

from components.serverconf.builders import CALLER, OWNER, PROVIDER, server_conf
from components.serverconf.worlds import STRANGER
from sild.components.serverconf.errors import (
    ClientNotFound,
    GroupExists,
    GroupMemberExists,
    GroupMemberGone,
    GroupMemberNotFound,
    GroupMembersMissing,
    GroupNotFound,
)
from sild.components.serverconf.group_rows import GroupMember
from sild.components.serverconf.groups import Named
from sild.model.services import Endpoint, InvalidConfiguration, LocalGroup
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.ids import ClientId, LocalGroupId

pytestmark = pytest.mark.anyio

FAR = STRANGER.subsystem("portal")
UNKNOWN = ClientId("DEV", "COM", "M2", "nobody")


class StandingClock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.at = datetime(2026, 5, 4, tzinfo=UTC)

    def now(self):
        return self.at

    def turn(self, seconds):
        self.at += timedelta(seconds=seconds)


@pytest.fixture
async def conf(tmp_path, database_url):
    async with server_conf(tmp_path, database_url) as made:
        made.turned = StandingClock()
        made.groups = type(made.groups)(made.store, made.world, made.turned)
        yield made


async def friends(conf, owner=PROVIDER):
    return await conf.groups.add(LocalGroup(owner, "friends", description="Friends"))


async def test_a_local_group_comes_changes_and_goes(conf):
    group = await friends(conf)
    began = conf.turned.now()
    assert (group.owner, group.code, group.description) == (PROVIDER, "friends", "Friends")
    assert (group.updated, group.members) == (began, ())
    conf.turned.turn(60)
    await conf.groups.add_members(group.id, [CALLER])
    conf.turned.turn(60)
    await conf.groups.add_members(group.id, [FAR, PROVIDER])
    changed = await conf.groups.describe(group.id, "Old friends")
    assert (changed.description, changed.updated) == ("Old friends", conf.turned.now())
    ages = {member.client: (member.added - began).total_seconds() for member in changed.members}
    assert ages == {CALLER: 60, FAR: 120, PROVIDER: 120}
    assert await conf.groups.get(group.id) == changed
    assert await conf.groups.groups_of(PROVIDER) == (changed,)
    assert await conf.groups.groups_of(OWNER) == ()
    conf.turned.turn(60)
    await conf.groups.remove_members(group.id, [FAR, PROVIDER])
    left = await conf.groups.get(group.id)
    assert [type(each) for each in left.members] == [GroupMember]
    assert (left.members[0].added - began).total_seconds() == 60
    assert (await conf.snapshot()).groups == (
        LocalGroup(PROVIDER, "friends", frozenset({CALLER}), "Old friends"),
    )
    await conf.groups.remove(group.id)
    for act in (conf.groups.get, conf.groups.remove):
        with pytest.raises(GroupNotFound):
            await act(group.id)


async def test_a_code_is_given_once_for_each_client(conf):
    await friends(conf)
    with pytest.raises(GroupExists):
        await friends(conf)
    await friends(conf, OWNER)
    for act in (conf.groups.groups_of(CALLER), friends(conf, CALLER)):
        with pytest.raises(ClientNotFound):
            await act


async def test_a_group_that_is_not_there_is_refused(conf):
    for group_id in (-1, 99, 2**31, 2**70):
        for act in (
            conf.groups.get(group_id),
            conf.groups.describe(group_id, "x"),
            conf.groups.remove(group_id),
            conf.groups.add_members(group_id, [CALLER]),
            conf.groups.remove_members(group_id, [CALLER]),
        ):
            with pytest.raises(GroupNotFound):
                await act


async def test_members_are_put_in_all_or_none(conf):
    group = await friends(conf)
    add = conf.groups.add_members
    with pytest.raises(GroupMembersMissing):
        await add(group.id, [])
    with pytest.raises(GroupMemberNotFound):
        await add(group.id, [CALLER, UNKNOWN])
    await add(group.id, [CALLER])
    with pytest.raises(GroupMemberExists):
        await add(group.id, [PROVIDER, CALLER])
    with pytest.raises(InvalidConfiguration):
        await add(group.id, [PROVIDER, OWNER])
    assert [each.client for each in (await conf.groups.get(group.id)).members] == [CALLER]
    conf.world.conf = None
    with pytest.raises(GlobalConfOutdated):
        await add(group.id, [PROVIDER])


async def test_a_client_that_only_this_server_knows_can_be_a_member(conf):
    group = await friends(conf)
    await conf.add_client(UNKNOWN, registered=False)
    await conf.groups.add_members(group.id, [UNKNOWN])
    assert [each.client for each in (await conf.groups.get(group.id)).members] == [UNKNOWN]


async def test_members_are_put_out_all_or_none(conf):
    group = await friends(conf)
    await conf.groups.add_members(group.id, [CALLER])
    for clients in ([], [CALLER, PROVIDER]):
        with pytest.raises(GroupMemberGone):
            await conf.groups.remove_members(group.id, clients)
    assert len((await conf.groups.get(group.id)).members) == 1


async def test_a_group_that_could_not_be_is_refused(conf):
    for group in (
        LocalGroup(PROVIDER, ""),
        LocalGroup(PROVIDER, "a/b"),
        LocalGroup(PROVIDER, "g", frozenset({OWNER})),
        LocalGroup(PROVIDER, "g", description="x" * 256),
    ):
        with pytest.raises(InvalidConfiguration):
            await conf.groups.add(group)
    group = await friends(conf)
    with pytest.raises(InvalidConfiguration):
        await conf.groups.describe(group.id, "x" * 256)


async def test_removing_a_group_takes_its_rights_but_not_those_of_another_clients(conf):
    await conf.add_client(CALLER)
    await conf.add_service("own", CALLER)
    groups = {}
    for owner, code in ((PROVIDER, "people"), (CALLER, "own")):
        groups[owner] = await friends(conf, owner)
        await conf.rights.grant(Endpoint(owner, code), [LocalGroupId("friends")])
    await conf.groups.remove(groups[PROVIDER].id)
    (right,) = (await conf.snapshot()).rights
    assert right.endpoint.provider == CALLER


async def test_who_is_in_a_group_is_called_as_the_global_configuration_says(conf):
    assert conf.groups.name_of(CALLER) == Named("Second Ltd", "Portal")
    assert conf.groups.name_of(UNKNOWN) == Named("Second Ltd", None)
    conf.world.conf = None
    assert conf.groups.name_of(CALLER) == Named(None, None)
