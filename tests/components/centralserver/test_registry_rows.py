from datetime import timedelta

import pytest

from components.centralserver.registry_builder import (
    CERTIFICATE,
    MEMBER,
    OTHER,
    PORTAL,
    SERVER,
    SUBSYSTEM,
    initialized,
    registered,
)
from sild.components.centralserver.registry_errors import (
    AuthCertificateExists,
    AuthCertificateNotFound,
    ClientRegistered,
    MemberClassNotFound,
    MemberExists,
    MemberNotFound,
    MemberNotRegistered,
    ServerExists,
    ServerNotFound,
    SubsystemExists,
    SubsystemNotFound,
    SubsystemNotRegistered,
    SubsystemRegistered,
)
from sild.components.centralserver.registry_values import ClientLink
from sild.protocol.globalconf.shared_parameters import MemberClass
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

pytestmark = pytest.mark.anyio

NOBODY = ClientId("DEV", "GOV", "nobody")
A_MINUTE = timedelta(minutes=1)
NOWHERE = SecurityServerId(MEMBER, "nowhere")


async def test_an_empty_registry_tells_nothing(database):
    made = await initialized(database)
    contents = await made.contents()
    assert (contents.members, contents.servers, contents.groups) == ((), (), ())
    assert contents.member_classes == ()


async def test_the_registry_is_read_as_it_was_registered(database):
    contents = await (await registered(database)).contents()
    assert contents.member_classes == (
        MemberClass("GOV", "Government"),
        MemberClass("COM", "Companies"),
    )
    first, second = contents.members
    assert (first.id, first.name, first.class_description) == (
        MEMBER,
        "First member",
        "Government",
    )
    assert [(each.id, each.name) for each in first.subsystems] == [(SUBSYSTEM, "The register")]
    assert [(each.id, each.name) for each in second.subsystems] == [(PORTAL, None)]
    (server,) = contents.servers
    assert server.server.id == SERVER
    assert server.server.address == "ss1.example.org"
    assert server.server.clients == (SUBSYSTEM, PORTAL)
    assert server.server.maintenance is None
    assert server.auth_certificates == (CERTIFICATE,)
    (group,) = contents.groups
    assert group.id == GlobalGroupId("DEV", "security-server-owners")
    assert group.members == (MEMBER,)


async def test_a_disabled_client_is_not_told_but_stays_linked(database):
    made = await registered(database)
    await made.change(lambda rows: rows.set_client_enabled(SERVER, PORTAL, False))
    assert (await made.contents()).servers[0].server.clients == (SUBSYSTEM,)
    links = await made.read(lambda rows: rows.clients_of(SERVER))
    assert links == (ClientLink(SERVER, SUBSYSTEM, True), ClientLink(SERVER, PORTAL, False))
    await made.change(lambda rows: rows.set_client_enabled(SERVER, PORTAL, True))
    assert (await made.contents()).servers[0].server.clients == (SUBSYSTEM, PORTAL)


async def test_maintenance_is_told_with_its_message_or_without(database):
    made = await registered(database)

    async def told(message, on):
        await made.change(lambda rows: rows.set_maintenance(SERVER, message, on=on))
        return (await made.contents()).servers[0].server.maintenance

    assert await told("until noon", True) == "until noon"
    assert await told(None, True) == ""
    assert await told("not told", False) is None
    assert (await made.servers.get(SERVER)).maintenance_message is None


async def test_the_rows_find_what_is_there_and_nothing_else(database):
    made = await registered(database)
    assert (await made.read(lambda rows: rows.find_member(SUBSYSTEM))).id == MEMBER
    assert await made.read(lambda rows: rows.find_member(NOBODY)) is None
    assert (await made.read(lambda rows: rows.find_subsystem(SUBSYSTEM))).name == "The register"
    assert await made.read(lambda rows: rows.find_subsystem(MEMBER)) is None
    assert await made.read(lambda rows: rows.find_server(NOWHERE)) is None
    assert await made.read(lambda rows: rows.find_server_of_certificate(CERTIFICATE)) == SERVER
    assert await made.read(lambda rows: rows.find_server_of_certificate(b"other")) is None
    assert await made.read(lambda rows: rows.find_client_link(SERVER, MEMBER)) is None
    assert await made.read(lambda rows: rows.has_member_class("GOV"))
    assert not await made.read(lambda rows: rows.has_member_class("gov"))


async def test_codes_differ_by_case(database):
    made = await registered(database)
    await made.registry.add_member("GOV", "m1", "Lower case")
    assert {member.id.member_code for member in (await made.contents()).members} == {
        "M1",
        "M2",
        "m1",
    }


REFUSED = (
    (MemberExists, lambda rows: rows.add_member(MEMBER, "Again")),
    (MemberClassNotFound, lambda rows: rows.add_member(ClientId("DEV", "ORG", "M"), "Who")),
    (MemberNotFound, lambda rows: rows.rename_member(NOBODY, "Who")),
    (MemberNotFound, lambda rows: rows.remove_member(NOBODY)),
    (SubsystemExists, lambda rows: rows.add_subsystem(SUBSYSTEM, None)),
    (MemberNotFound, lambda rows: rows.add_subsystem(NOBODY.subsystem("a"), None)),
    (SubsystemNotFound, lambda rows: rows.add_subsystem(MEMBER, None)),
    (SubsystemNotFound, lambda rows: rows.rename_subsystem(MEMBER.subsystem("a"), "A")),
    (SubsystemNotFound, lambda rows: rows.rename_subsystem(MEMBER, "A")),
    (SubsystemNotFound, lambda rows: rows.remove_subsystem(MEMBER.subsystem("a"))),
    (SubsystemRegistered, lambda rows: rows.remove_subsystem(SUBSYSTEM)),
    (ServerExists, lambda rows: rows.add_server(SERVER, "elsewhere")),
    (MemberNotFound, lambda rows: rows.add_server(SecurityServerId(NOBODY, "SS1"), "x")),
    (ServerNotFound, lambda rows: rows.remove_server(NOWHERE)),
    (ServerNotFound, lambda rows: rows.change_owner(NOWHERE, OTHER)),
    (MemberNotFound, lambda rows: rows.change_owner(SERVER, NOBODY)),
    (ServerExists, lambda rows: rows.change_owner(SERVER, MEMBER)),
    (ServerNotFound, lambda rows: rows.set_address(NOWHERE, "x")),
    (ServerNotFound, lambda rows: rows.set_maintenance(NOWHERE, None, on=True)),
    (ServerNotFound, lambda rows: rows.add_auth_certificate(NOWHERE, b"x")),
    (AuthCertificateExists, lambda rows: rows.add_auth_certificate(SERVER, CERTIFICATE)),
    (ServerNotFound, lambda rows: rows.remove_auth_certificate(NOWHERE, CERTIFICATE)),
    (AuthCertificateNotFound, lambda rows: rows.remove_auth_certificate(SERVER, b"x")),
    (ServerNotFound, lambda rows: rows.auth_certificates_of(NOWHERE)),
    (ServerNotFound, lambda rows: rows.add_client(NOWHERE, SUBSYSTEM)),
    (ClientRegistered, lambda rows: rows.add_client(SERVER, SUBSYSTEM)),
    (SubsystemNotFound, lambda rows: rows.add_client(SERVER, MEMBER.subsystem("a"))),
    (MemberNotFound, lambda rows: rows.add_client(SERVER, NOBODY)),
    (MemberNotRegistered, lambda rows: rows.remove_client(SERVER, OTHER)),
    (SubsystemNotRegistered, lambda rows: rows.remove_client(SERVER, MEMBER.subsystem("a"))),
    (SubsystemNotRegistered, lambda rows: rows.set_client_enabled(SERVER, OTHER.subsystem("a"), 1)),
    (ServerNotFound, lambda rows: rows.remove_client(NOWHERE, SUBSYSTEM)),
    (ServerNotFound, lambda rows: rows.find_client_link(NOWHERE, SUBSYSTEM)),
    (ServerNotFound, lambda rows: rows.clients_of(NOWHERE)),
    (MemberNotFound, lambda rows: rows.add_to_owners(NOBODY)),
    (MemberNotFound, lambda rows: rows.remove_from_owners_if_none(NOBODY)),
)


async def test_what_stands_against_a_change_refuses_it_and_nothing_changes(database):
    made = await registered(database)
    before = await made.contents()
    for refusal, change in REFUSED:
        with pytest.raises(refusal) as raised:
            await made.change(change)
        assert raised.type is refusal
    assert await made.contents() == before


async def test_a_certificate_is_one_servers_only(database):
    made = await registered(database)
    await made.change(lambda rows: rows.add_server(SecurityServerId(OTHER, "SS1"), "ss2"))
    with pytest.raises(AuthCertificateExists):
        await made.change(
            lambda rows: rows.add_auth_certificate(SecurityServerId(OTHER, "SS1"), CERTIFICATE)
        )


async def test_who_owns_a_server_is_in_the_owners_group_as_long_as_it_does(database):
    made = await registered(database)
    second, third = SecurityServerId(OTHER, "SS1"), SecurityServerId(OTHER, "SS2")
    assert await made.owners() == {MEMBER}
    await made.change(lambda rows: rows.add_server(second, "ss2"))
    await made.change(lambda rows: rows.add_server(third, "ss3"))
    assert await made.owners() == {MEMBER, OTHER}
    await made.change(lambda rows: rows.remove_server(second))
    assert await made.owners() == {MEMBER, OTHER}
    await made.change(lambda rows: rows.remove_server(third))
    assert await made.owners() == {MEMBER}
    await made.change(lambda rows: rows.remove_from_owners_if_none(MEMBER))
    assert await made.owners() == {MEMBER}


async def test_a_new_owner_is_no_client_and_the_old_one_is(database):
    made = await registered(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    changed = await made.change(lambda rows: rows.change_owner(SERVER, OTHER))
    assert changed == SecurityServerId(OTHER, "SS1")
    links = await made.read(lambda rows: rows.clients_of(changed))
    assert [link.client for link in links] == [SUBSYSTEM, PORTAL, MEMBER]
    assert await made.owners() == {OTHER}
    assert await made.read(lambda rows: rows.find_server(SERVER)) is None
    assert await made.read(lambda rows: rows.find_server_of_certificate(CERTIFICATE)) == changed
    assert (await made.servers.get(changed)).owner_name == "Second member"


async def test_a_server_is_not_given_to_who_has_one_of_that_code(database):
    made = await registered(database)
    await made.change(lambda rows: rows.add_server(SecurityServerId(OTHER, "SS1"), "ss2"))
    with pytest.raises(ServerExists):
        await made.change(lambda rows: rows.change_owner(SERVER, OTHER))


async def test_what_changes_a_server_shows_when(database):
    made = await registered(database)
    before = await made.servers.get(SERVER)
    made.clock.turn(A_MINUTE)
    await made.change(lambda rows: rows.set_address(SERVER, "new.example.org"))
    after = await made.servers.get(SERVER)
    assert (after.address, after.created) == ("new.example.org", before.created)
    assert after.updated >= before.updated + A_MINUTE


async def test_a_subsystem_that_no_server_has_goes_with_its_memberships(database):
    made = await registered(database)
    await made.groups.add("friends", "Friends")
    await made.groups.add_members("friends", [SUBSYSTEM.encoded])
    await made.change(lambda rows: rows.remove_client(SERVER, SUBSYSTEM))
    made.clock.turn(A_MINUTE)
    await made.change(lambda rows: rows.remove_subsystem(SUBSYSTEM))
    assert await made.read(lambda rows: rows.find_subsystem(SUBSYSTEM)) is None
    group = await made.groups.get("friends")
    assert group.member_count == 0
    assert group.updated >= group.created + A_MINUTE


async def test_a_blank_name_of_a_subsystem_is_none(database):
    made = await registered(database)
    await made.change(lambda rows: rows.rename_subsystem(SUBSYSTEM, ""))
    assert (await made.contents()).members[0].subsystems[0].name is None
