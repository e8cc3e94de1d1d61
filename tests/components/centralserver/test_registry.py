from datetime import timedelta

import pytest

from components.centralserver.registry_builder import (
    MEMBER,
    OTHER,
    PORTAL,
    SERVER,
    SUBSYSTEM,
    Registered,
    initialized,
    registered,
)
from sild.components.centralserver.registry_errors import (
    InstanceNotSet,
    InvalidText,
    MemberClassExists,
    MemberClassInUse,
    MemberClassNotFound,
    MemberExists,
    MemberNotFound,
    MemberNotRegistered,
    ServerNotFound,
    SubsystemExists,
    SubsystemNotFound,
    SubsystemNotRegistered,
    SubsystemRegistered,
)
from sild.components.centralserver.registry_values import MemberRow, SubsystemRow
from sild.model.refusals import BadRequest
from sild.protocol.globalconf.shared_parameters import MemberClass
from sild.protocol.ids import SecurityServerId

pytestmark = pytest.mark.anyio

NOT_IDENTIFIERS = (
    "",
    " ",
    "a:b",
    "a;b",
    "a/b",
    "a\\b",
    "a%b",
    "a\x00",
    "a\n",
    "a\u200b",
    ".",
    "..",
    "a" * 256,
)
IDENTIFIERS = ("a", "A-z", "0", "'()+,-.=?", "..a", "a b_ä", "a" * 255)
NOT_NAMES = ("", "  ", "a\x00b", "a\nb", "a\x85", "a\ufeffb", "a" * 256)


async def test_a_member_can_be_added_only_after_the_instance_has_a_name(database):
    made = Registered(database)
    with pytest.raises(InstanceNotSet) as raised:
        await made.registry.add_member("GOV", "M1", "First")
    assert raised.value.code == "instance_identifier_not_set"
    assert isinstance(raised.value, BadRequest)


@pytest.mark.parametrize("text", NOT_IDENTIFIERS)
async def test_what_is_no_identifier_is_registered_nowhere(database, text):
    made = await registered(database)
    before = await made.contents()
    for refused in (
        made.classes.add(text, "Class"),
        made.registry.add_member("GOV", text, "Name"),
        made.registry.add_member(text, "M", "Name"),
        made.registry.add_subsystem("GOV", "M1", text, None),
        made.groups.add(text, "Group"),
    ):
        with pytest.raises(InvalidText) as raised:
            await refused
        assert raised.value.code == "validation_failure"
    assert await made.contents() == before


@pytest.mark.parametrize("text", IDENTIFIERS)
async def test_identifiers_may_have_the_characters_of_identifiers(database, text):
    made = await initialized(database)
    await made.classes.add(text, "Class")
    await made.registry.add_member(text, text, "Name")
    await made.registry.add_subsystem(text, text, text, None)
    await made.groups.add(text, "Group")
    (member,) = (await made.contents()).members
    assert member.subsystems[0].id.parts == ("DEV", text, text, text)


@pytest.mark.parametrize("text", NOT_NAMES)
async def test_what_names_nobody_is_no_name(database, text):
    made = await registered(database)
    before = await made.contents()
    refused = [
        made.registry.add_member("GOV", "M", text),
        made.registry.rename_member(MEMBER, text),
    ]
    if text:
        refused.append(made.registry.add_subsystem("GOV", "M1", "a", text))
        refused.append(made.registry.rename_subsystem(SUBSYSTEM, text))
    for act in refused:
        with pytest.raises(InvalidText):
            await act
    assert await made.contents() == before


@pytest.mark.parametrize("text", ["", "ä", "<b>", "a\n", "a" * 256])
async def test_what_describes_nothing_is_no_description(database, text):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    for refused in (
        made.classes.add("ORG", text),
        made.classes.describe("GOV", text),
        made.groups.add("enemies", text),
        made.groups.describe("friends", text),
    ):
        with pytest.raises(InvalidText):
            await refused


async def test_a_class_is_added_described_and_removed(database):
    made = await initialized(database)
    await made.classes.add("b", "Second")
    await made.classes.add("A", "First")
    assert await made.classes.describe("b", "Another") == MemberClass("b", "Another")
    assert await made.classes.all() == (MemberClass("A", "First"), MemberClass("b", "Another"))
    await made.classes.remove("b")
    assert await made.classes.all() == (MemberClass("A", "First"),)


async def test_a_class_is_there_once_and_stays_while_it_is_used(database):
    made = await registered(database)
    with pytest.raises(MemberClassExists) as raised:
        await made.classes.add("GOV", "Again")
    assert raised.value.metadata == ("GOV",)
    with pytest.raises(MemberClassInUse) as raised:
        await made.classes.remove("GOV")
    assert raised.value.metadata == ("code", "GOV")
    for refused in (made.classes.remove("ORG"), made.classes.describe("ORG", "Others")):
        with pytest.raises(MemberClassNotFound):
            await refused
    await made.registry.remove_member(MEMBER)
    await made.classes.remove("GOV")


async def test_a_member_is_added_found_and_renamed(database):
    made = await registered(database)
    assert await made.registry.add_member("COM", "M3", "Third") == MemberRow(
        OTHER.__class__("DEV", "COM", "M3"), "Third"
    )
    assert await made.registry.get_member(MEMBER) == MemberRow(MEMBER, "First member")
    await made.registry.rename_member(MEMBER, "Renamed")
    assert await made.registry.get_member(MEMBER) == MemberRow(MEMBER, "Renamed")


async def test_a_member_is_there_once_and_of_a_class_that_is_there(database):
    made = await registered(database)
    with pytest.raises(MemberExists) as raised:
        await made.registry.add_member("GOV", "M1", "Again")
    assert raised.value.metadata == ("DEV/GOV/M1",)
    with pytest.raises(MemberClassNotFound) as raised:
        await made.registry.add_member("ORG", "M1", "Nobody")
    assert raised.value.metadata == ("code", "ORG")


async def test_a_member_goes_with_subsystems_servers_and_memberships(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    await made.groups.add_members("friends", [MEMBER.encoded, SUBSYSTEM.encoded, PORTAL.encoded])
    made.clock.turn(timedelta(minutes=1))
    await made.registry.remove_member(MEMBER)
    contents = await made.contents()
    assert [member.id for member in contents.members] == [OTHER]
    assert contents.servers == ()
    assert [group.members for group in contents.groups] == [(), (PORTAL,)]
    group = await made.groups.get("friends")
    assert group.updated >= group.created + timedelta(minutes=1)
    assert made.deletions.left == []
    for refused in (
        made.registry.get_member(MEMBER),
        made.registry.remove_member(MEMBER),
        made.registry.rename_member(MEMBER, "Gone"),
        made.registry.subsystems_of(MEMBER),
    ):
        with pytest.raises(MemberNotFound):
            await refused


async def test_a_members_subsystems_are_told_with_the_servers_that_have_them(database):
    made = await registered(database)
    await made.registry.add_subsystem("GOV", "M1", "unused", "")
    second = SecurityServerId(OTHER, "SS2")
    await made.change(lambda rows: rows.add_server(second, "ss2"))
    await made.change(lambda rows: rows.add_client(second, SUBSYSTEM))
    await made.change(lambda rows: rows.set_client_enabled(second, SUBSYSTEM, False))
    used, unused = await made.registry.subsystems_of(MEMBER)
    assert used.subsystem == SubsystemRow(SUBSYSTEM, "The register")
    assert [(each.id, each.owner_name, each.enabled) for each in used.servers] == [
        (SERVER, "First member", True),
        (second, "Second member", False),
    ]
    assert (unused.subsystem.name, unused.servers) == (None, ())


async def test_a_members_groups_are_those_of_its_subsystems_too(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    await made.groups.add_members("friends", [SUBSYSTEM.encoded, PORTAL.encoded])
    memberships = await made.registry.memberships_of(MEMBER)
    assert [(each.group, each.subsystem) for each in memberships] == [
        ("security-server-owners", None),
        ("friends", "register"),
    ]
    assert await made.registry.memberships_of(MEMBER.__class__("DEV", "GOV", "nobody")) == ()


async def test_a_members_servers_are_owned_or_used(database):
    made = await registered(database)
    second = SecurityServerId(OTHER, "SS2")
    await made.change(lambda rows: rows.add_server(second, "ss2"))
    await made.change(lambda rows: rows.add_client(second, OTHER.subsystem("portal")))
    assert [each.id for each in await made.registry.servers_owned_by(MEMBER)] == [SERVER]
    assert [each.id for each in await made.registry.servers_used_by(OTHER)] == [SERVER, second]
    await made.change(lambda rows: rows.add_client(second, MEMBER))
    assert [each.id for each in await made.registry.servers_used_by(MEMBER)] == [SERVER, second]


async def test_unregistering_leaves_a_deletion_request(database):
    made = await registered(database)
    await made.registry.unregister(SUBSYSTEM, SERVER)
    assert made.deletions.left == [(SERVER, SUBSYSTEM, None)]
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    await made.registry.unregister(OTHER, SERVER)
    assert made.deletions.left[1:] == [(SERVER, OTHER, None)]
    assert (await made.contents()).servers[0].server.clients == (PORTAL,)


async def test_who_is_no_client_cannot_be_unregistered_and_neither_can_the_owner(database):
    made = await registered(database)
    nowhere = SecurityServerId(OTHER, "SS1")
    for refusal, client, server in (
        (MemberNotRegistered, OTHER, SERVER),
        (MemberNotRegistered, MEMBER, SERVER),
        (SubsystemNotRegistered, MEMBER.subsystem("a"), SERVER),
        (ServerNotFound, SUBSYSTEM, nowhere),
    ):
        with pytest.raises(refusal):
            await made.registry.unregister(client, server)
    assert made.deletions.left == []


async def test_a_deletion_that_fails_changes_nothing(database):
    made = await registered(database)
    before = await made.contents()

    async def fails(*_):
        raise MemberNotFound("not now")

    made.deletions.delete_auth_certificate = fails
    with pytest.raises(MemberNotFound):
        await made.servers.remove(SERVER)
    assert await made.contents() == before


async def test_a_subsystem_is_added_renamed_and_removed(database):
    made = await registered(database)
    new = MEMBER.subsystem("new")
    assert await made.registry.add_subsystem("GOV", "M1", "new", "New") == SubsystemRow(new, "New")
    assert await made.registry.rename_subsystem(new, "Old") == SubsystemRow(new, "Old")
    await made.registry.remove_subsystem(new)
    with pytest.raises(SubsystemNotFound):
        await made.registry.remove_subsystem(new)
    with pytest.raises(SubsystemNotFound):
        await made.registry.rename_subsystem(new, "Gone")


async def test_a_subsystem_is_there_once_and_its_members(database):
    made = await registered(database)
    with pytest.raises(SubsystemExists) as raised:
        await made.registry.add_subsystem("GOV", "M1", "register", None)
    assert raised.value.metadata == ("DEV/GOV/M1/register",)
    with pytest.raises(MemberNotFound) as raised:
        await made.registry.add_subsystem("GOV", "nobody", "register", None)
    assert raised.value.metadata == ("code", "nobody")


async def test_a_subsystem_stays_while_a_server_has_it_even_disabled(database):
    made = await registered(database)
    await made.change(lambda rows: rows.set_client_enabled(SERVER, SUBSYSTEM, False))
    with pytest.raises(SubsystemRegistered):
        await made.registry.remove_subsystem(SUBSYSTEM)
    await made.registry.unregister(SUBSYSTEM, SERVER)
    await made.registry.remove_subsystem(SUBSYSTEM)
