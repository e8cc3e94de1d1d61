from datetime import timedelta

import pytest

from components.centralserver.registry_builder import (
    MEMBER,
    OTHER,
    PORTAL,
    SUBSYSTEM,
    registered,
)
from sild.components.centralserver.paging import InvalidSorting, Page
from sild.components.centralserver.registry_errors import (
    GroupExists,
    GroupMemberNotFound,
    GroupNotFound,
    InvalidEncodedId,
    MemberNotFound,
    OwnersGroupKeepsMembers,
    OwnersGroupStays,
    OwnersGroupTakesNobody,
    SubsystemNotFound,
)
from sild.components.centralserver.registry_searching import ClientKind, GroupMemberFilter

pytestmark = pytest.mark.anyio

OWNERS = "security-server-owners"


async def test_a_group_is_added_described_and_removed(database):
    made = await registered(database)
    added = await made.groups.add("friends", "Friends")
    assert (added.code, added.description, added.member_count) == ("friends", "Friends", 0)
    made.clock.turn(timedelta(minutes=1))
    described = await made.groups.describe("friends", "Best friends")
    assert described.description == "Best friends"
    assert described.updated >= described.created + timedelta(minutes=1)
    assert [group.code for group in await made.groups.all()] == [OWNERS, "friends"]
    await made.groups.add_members("friends", [MEMBER.encoded])
    assert (await made.groups.remove("friends")).member_count == 1
    assert [group.code for group in await made.groups.all()] == [OWNERS]


async def test_a_group_is_there_once(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    with pytest.raises(GroupExists) as raised:
        await made.groups.add("friends", "Again")
    assert raised.value.metadata == ("friends",)


async def test_a_group_that_is_not_there_refuses_changes_and_has_no_members(database):
    made = await registered(database)
    for refused in (
        made.groups.get("friends"),
        made.groups.describe("friends", "x"),
        made.groups.remove("friends"),
        made.groups.add_members("friends", [MEMBER.encoded]),
        made.groups.remove_member("friends", MEMBER.encoded),
    ):
        with pytest.raises(GroupNotFound):
            await refused
    assert (await made.groups.find_members("friends", GroupMemberFilter())).total == 0
    assert (await made.groups.filter_model("friends")).codes == ()


async def test_members_are_added_once_and_those_that_are_new_are_told(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    both = [MEMBER.encoded, PORTAL.encoded, MEMBER.encoded]
    assert await made.groups.add_members("friends", both) == (MEMBER.encoded, PORTAL.encoded)
    assert await made.groups.add_members("friends", [*both, OTHER.encoded]) == (OTHER.encoded,)
    assert (await made.groups.get("friends")).member_count == 3
    assert await made.groups.add_members("friends", []) == ()


async def test_who_is_not_registered_joins_no_group_and_nobody_with_them(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    for refusal, client, metadata in (
        (MemberNotFound, "DEV:GOV:nobody", ("MEMBER:DEV/GOV/nobody",)),
        (SubsystemNotFound, "DEV:GOV:M1:none", ("SUBSYSTEM:DEV/GOV/M1/none",)),
        (InvalidEncodedId, "DEV:GOV", ("DEV:GOV",)),
        (InvalidEncodedId, "DEV:GOV:M1:", ("DEV:GOV:M1:",)),
    ):
        with pytest.raises(refusal) as raised:
            await made.groups.add_members("friends", [MEMBER.encoded, client])
        assert raised.value.metadata == metadata
    assert (await made.groups.get("friends")).member_count == 0


async def test_a_member_is_removed_and_only_a_member(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    await made.groups.add_members("friends", [MEMBER.encoded, PORTAL.encoded])
    removed = await made.groups.remove_member("friends", PORTAL.encoded)
    assert (removed.client, removed.group.code) == (PORTAL, "friends")
    for client in (PORTAL.encoded, "DEV:GOV:nobody"):
        with pytest.raises(GroupMemberNotFound) as raised:
            await made.groups.remove_member("friends", client)
        assert raised.value.metadata == ("memberId", client)
    assert (await made.groups.get("friends")).member_count == 1


@pytest.mark.parametrize("code", [OWNERS, "Security-Server-OWNERS"])
async def test_the_owners_group_keeps_itself(database, code):
    made = await registered(database)
    if code != OWNERS:
        await made.groups.add(code, "Confusing")
    with pytest.raises(OwnersGroupStays):
        await made.groups.remove(code)
    with pytest.raises(OwnersGroupTakesNobody):
        await made.groups.add_members(code, [OTHER.encoded])


async def test_nobody_is_taken_out_of_the_owners_group(database):
    made = await registered(database)
    with pytest.raises(OwnersGroupKeepsMembers):
        await made.groups.remove_member(OWNERS, MEMBER.encoded)
    with pytest.raises(GroupMemberNotFound):
        await made.groups.remove_member(OWNERS, OTHER.encoded)
    assert await made.owners() == {MEMBER}


async def _friends(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    everyone = [MEMBER, SUBSYSTEM, OTHER, PORTAL]
    await made.groups.add_members("friends", [each.encoded for each in everyone])
    return made


async def test_members_of_a_group_are_searched(database):
    made = await _friends(database)

    async def found(**wanted):
        rows = await made.groups.find_members("friends", GroupMemberFilter(**wanted))
        assert rows.total == len(rows.items)
        return [row.client for row in rows.items]

    assert await found() == [MEMBER, SUBSYSTEM, OTHER, PORTAL]
    assert await found(text="first") == [MEMBER, SUBSYSTEM]
    assert await found(text="PORT") == [PORTAL]
    assert await found(text="subsyst") == [SUBSYSTEM, PORTAL]
    assert await found(text="dev") == [MEMBER, SUBSYSTEM, OTHER, PORTAL]
    assert await found(member_class="COM") == [OTHER, PORTAL]
    assert await found(member_class="com") == []
    assert await found(instance="TEST") == []
    assert await found(codes=["M1", "M9"]) == [MEMBER, SUBSYSTEM]
    assert await found(subsystems=["portal"]) == [PORTAL]
    assert await found(subsystems=[""]) == []
    assert await found(kinds=[ClientKind.MEMBER]) == [MEMBER, OTHER]
    assert await found(kinds=[ClientKind.SUBSYSTEM], codes=["M2"]) == [PORTAL]


async def test_members_of_a_group_are_sorted_and_paged(database):
    made = await _friends(database)

    async def page(sort, descending=False, **part):
        wanted = Page(sort=sort, descending=descending, **part)
        found = await made.groups.find_members("friends", GroupMemberFilter(), wanted)
        assert found.total == 4
        return [row.client for row in found.items]

    assert await page("subsystem") == [PORTAL, SUBSYSTEM, MEMBER, OTHER]
    assert await page("subsystem", descending=True) == [MEMBER, OTHER, SUBSYSTEM, PORTAL]
    assert await page("type", limit=2) == [MEMBER, OTHER]
    assert await page("type", limit=2, first=2) == [SUBSYSTEM, PORTAL]
    assert await page("class") == [OTHER, PORTAL, MEMBER, SUBSYSTEM]
    assert await page("name", descending=True) == [OTHER, PORTAL, MEMBER, SUBSYSTEM]
    for sort in ("instance", "code", "created_at"):
        assert await page(sort) == [MEMBER, SUBSYSTEM, OTHER, PORTAL]
    with pytest.raises(InvalidSorting):
        await page("id")


async def test_the_filter_model_says_what_members_differ_by(database):
    model = await (await _friends(database)).groups.filter_model("friends")
    assert model.instances == ("DEV",)
    assert model.member_classes == ("GOV", "COM")
    assert model.codes == ("M1", "M2")
    assert model.subsystems == ("register", "portal")
