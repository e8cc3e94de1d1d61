"""What requests do, what stands against them, and how they are found."""

import asyncio
import ssl
from datetime import timedelta

import pytest

from components.centralserver.request_builders import (
    CENTER,
    CERTIFICATE,
    MEMBER,
    NEW_CLIENT,
    NEW_SERVER,
    NODE,
    OTHER,
    PORTAL,
    SERVER,
    SERVERS_OWN,
    STRANGER,
    SUBSYSTEM,
    requested,
)
from pki_builder import NOON, TestCa
from sild.components.centralserver.paging import InvalidSorting, Page
from sild.components.centralserver.request_errors import RequestExists
from sild.components.centralserver.request_values import RequestFilter
from sild.components.centralserver.system import Parameter, set_parameter
from sild.model.refusals import BadRequest, Conflict, NotFound, Refusal
from sild.model.registration import RequestStatus
from sild.protocol.errors import GlobalConfOutdated, InvalidClientIdentifier
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import (
    AddressChange,
    AuthCertDeletion,
    AuthCertRegistration,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    MaintenanceDisable,
    MaintenanceEnable,
    OwnerChange,
    RequestType,
)

pytestmark = pytest.mark.anyio

ADDRESS = "ss9.example.org"
ELSEWHERE = SecurityServerId(ClientId("DEV", "GOV", "M1"), "NONE")


# Approval


async def test_a_certificate_makes_its_server_and_its_owner_an_owner(database):
    made = await requested(database)
    saved = await made.submit(AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS))
    assert saved.status is RequestStatus.WAITING
    assert await made.read(lambda rows: rows.find_server(NEW_SERVER)) is None
    await made.requests.approve(saved.id)
    server = await made.read(lambda rows: rows.get_server(NEW_SERVER))
    assert (server.id, server.address) == (NEW_SERVER, ADDRESS)
    holder = await made.read(lambda rows: rows.find_server_of_certificate(made.certificate))
    assert holder == NEW_SERVER
    assert await made.registered.owners() == {MEMBER, OTHER}


async def test_a_second_certificate_also_says_where_the_server_is_now(database):
    made = await requested(database)
    saved = await made.submit(AuthCertRegistration(SERVER, made.certificate, "new.example.org"))
    await made.requests.approve(saved.id)
    assert (await made.read(lambda rows: rows.get_server(SERVER))).address == "new.example.org"
    found = await made.read(lambda rows: rows.auth_certificates_of(SERVER))
    assert [each.der for each in found] == [CERTIFICATE, made.certificate]


async def test_approval_makes_a_member_that_nobody_knew_and_names_it_by_its_code(database):
    made = await requested(database)
    server = SecurityServerId(STRANGER, "SS9")
    saved = await made.submit(AuthCertRegistration(server, made.certificate, ADDRESS))
    approved = await made.requests.approve(saved.id)
    assert approved.new_member == STRANGER
    assert (await made.read(lambda rows: rows.find_member(STRANGER))).name == "M9"


async def test_a_member_of_no_class_is_not_made(database):
    made = await requested(database)
    server = SecurityServerId(ClientId("DEV", "NONE", "M9"), "SS9")
    saved = await made.submit(AuthCertRegistration(server, made.certificate, ADDRESS))
    with pytest.raises(NotFound) as refused:
        await made.requests.approve(saved.id)
    assert refused.value.code == "member_class_not_found"
    assert (await made.requests.get(saved.id)).status is RequestStatus.WAITING


async def test_a_client_makes_its_subsystem_with_its_name(database):
    made = await requested(database)
    saved = await made.submit(ClientRegistration(SERVER, NEW_CLIENT, "New one"))
    await made.requests.approve(saved.id)
    assert NEW_CLIENT in await made.clients_of(SERVER)
    assert (await made.read(lambda rows: rows.find_subsystem(NEW_CLIENT))).name == "New one"


async def test_a_client_that_is_known_elsewhere_gets_another_name(database):
    made = await requested(database)
    await made.change(lambda rows: rows.remove_client(SERVER, SUBSYSTEM))
    saved = await made.submit(ClientRegistration(SERVER, SUBSYSTEM, "Renamed"), comments="why")
    assert saved.comments == "Changing subsystem name from 'The register' to 'Renamed'. why"
    await made.requests.approve(saved.id)
    assert (await made.read(lambda rows: rows.find_subsystem(SUBSYSTEM))).name == "Renamed"


async def test_a_client_keeps_its_name_where_none_is_given(database):
    made = await requested(database)
    await made.change(lambda rows: rows.remove_client(SERVER, SUBSYSTEM))
    saved = await made.submit(ClientRegistration(SERVER, SUBSYSTEM))
    await made.requests.approve(saved.id)
    assert (await made.read(lambda rows: rows.find_subsystem(SUBSYSTEM))).name == "The register"


async def test_a_member_can_be_a_client_itself(database):
    made = await requested(database)
    await made.requests.approve((await made.submit(ClientRegistration(SERVER, OTHER))).id)
    assert OTHER in await made.clients_of(SERVER)


async def test_owner_and_client_change_places_and_the_groups_follow(database):
    made = await requested(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    saved = await made.submit(OwnerChange(SERVER, OTHER))
    await made.requests.approve(saved.id)
    changed = SecurityServerId(OTHER, "SS1")
    assert await made.read(lambda rows: rows.find_server(SERVER)) is None
    assert await made.clients_of(changed) == {MEMBER, SUBSYSTEM, PORTAL}
    assert await made.registered.owners() == {OTHER}


async def test_the_central_server_registers_a_client_at_once_when_it_must(database):
    made = await requested(database)
    async with database.transaction() as connection:
        await made.requests.register_client(connection, SERVER, OTHER)
    assert OTHER in await made.clients_of(SERVER)
    (only,) = (await made.requests.find(RequestFilter(), Page())).items
    assert (only.status, only.origin) == (RequestStatus.APPROVED, CENTER)


# Automatic approval


@pytest.mark.parametrize(
    ("setting", "owner"),
    [("auth_cert_registrations", OTHER), ("client_registrations", OTHER), ("owner_changes", OTHER)],
)
async def test_a_setting_approves_what_known_members_ask(database, setting, owner):
    made = await requested(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    requests = made.with_automatic(**{setting: True})
    asked = {
        "auth_cert_registrations": AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS),
        "client_registrations": ClientRegistration(SERVER, NEW_CLIENT),
        "owner_changes": OwnerChange(SERVER, OTHER),
    }
    for name, request in asked.items():
        saved = await requests.submit(request, SERVERS_OWN)
        expected = RequestStatus.APPROVED if name == setting else RequestStatus.WAITING
        assert saved.status is expected


async def test_no_setting_approves_what_strangers_ask_or_the_central_server(database):
    made = await requested(database)
    requests = made.with_automatic(
        auth_cert_registrations=True, client_registrations=True, owner_changes=True
    )
    server = SecurityServerId(STRANGER, "SS9")
    waiting = (
        (AuthCertRegistration(server, made.certificate, ADDRESS), SERVERS_OWN),
        (AuthCertRegistration(NEW_SERVER, made.new_certificate(number=5), ADDRESS), CENTER),
        (ClientRegistration(SERVER, STRANGER), SERVERS_OWN),
        (ClientRegistration(ELSEWHERE, OTHER), SERVERS_OWN),
        (ClientRegistration(SERVER, OTHER), CENTER),
    )
    for request, origin in waiting:
        assert (await requests.submit(request, origin)).status is RequestStatus.WAITING


# What happens at once


async def test_a_deleted_client_is_gone_and_the_request_is_kept(database):
    made = await requested(database)
    async with database.transaction() as connection:
        await made.requests.delete_client(connection, SERVER, PORTAL, "by hand")
    assert PORTAL not in await made.clients_of(SERVER)
    (kept,) = (await made.requests.find(RequestFilter(), Page())).items
    assert kept.request == ClientDeletion(SERVER, PORTAL)
    assert (kept.origin, kept.comments, kept.status) == (CENTER, "by hand", None)


async def test_a_deleted_certificate_is_gone(database):
    made = await requested(database)
    async with database.transaction() as connection:
        await made.requests.delete_auth_certificate(connection, SERVER, CERTIFICATE, "old")
    assert await made.read(lambda rows: rows.auth_certificates_of(SERVER)) == ()


async def test_a_deletion_and_its_effect_are_one_transaction(database):
    made = await requested(database)

    async def delete_and_fail():
        async with database.transaction() as connection:
            await made.requests.delete_client(connection, SERVER, PORTAL)
            raise LookupError

    with pytest.raises(LookupError):
        await delete_and_fail()
    assert PORTAL in await made.clients_of(SERVER)
    assert await made.count() == 0


async def test_a_client_rests_and_wakes(database):
    made = await requested(database)
    await made.submit(ClientDisable(SERVER, PORTAL))
    assert not (await made.read(lambda rows: rows.find_client_link(SERVER, PORTAL))).enabled
    await made.submit(ClientEnable(SERVER, PORTAL))
    assert (await made.read(lambda rows: rows.find_client_link(SERVER, PORTAL))).enabled


async def test_a_subsystem_is_renamed_and_what_it_was_called_is_noted(database):
    made = await requested(database)
    saved = await made.submit(ClientRename(SERVER, SUBSYSTEM, "Other"), comments="new law")
    assert saved.comments == "Changing subsystem name from 'The register' to 'Other'. new law"
    assert (await made.read(lambda rows: rows.find_subsystem(SUBSYSTEM))).name == "Other"


async def test_a_server_moves_and_where_it_was_is_noted(database):
    made = await requested(database)
    saved = await made.submit(AddressChange(SERVER, "2001:db8::1"))
    assert saved.comments == "Changing from 'ss1.example.org'."
    assert (await made.read(lambda rows: rows.get_server(SERVER))).address == "2001:db8::1"


async def test_a_server_goes_into_maintenance_and_out(database):
    made = await requested(database)
    saved = await made.submit(MaintenanceEnable(SERVER, "until noon"))
    assert (saved.comments, saved.request.message) == ("until noon", "until noon")
    server = await made.read(lambda rows: rows.get_server(SERVER))
    assert (server.in_maintenance, server.maintenance_message) == (True, "until noon")
    await made.submit(MaintenanceDisable(SERVER))
    server = await made.read(lambda rows: rows.get_server(SERVER))
    assert (server.in_maintenance, server.maintenance_message) == (False, None)


# Refusals (CR-09)


async def add_other_server(rows):
    await rows.add_server(SecurityServerId(OTHER, "SS1"), "ss2.example.org")
    await rows.add_client(SERVER, OTHER)


async def in_maintenance(rows):
    await rows.set_maintenance(SERVER, None, on=True)


def of(certificate, server=NEW_SERVER, address=ADDRESS):
    return lambda made: AuthCertRegistration(server, certificate(made), address)


def always(request):
    return lambda made: request


def other_ca(made):
    return TestCa.create("Unknown CA").issue_auth("SS9").certificate.der


def broken(made):
    return made.ca.issue_auth("SS9").certificate.der[:-3]


def forged(made):
    return TestCa.create("Test CA", number=7).issue_auth("SS9").certificate.der


REFUSALS = [
    (of(lambda made: CERTIFICATE), BadRequest, "management_request_invalid_auth_certificate"),
    (of(broken), BadRequest, "management_request_invalid_auth_certificate"),
    (of(other_ca), BadRequest, "management_request_invalid_auth_certificate"),
    (of(forged), BadRequest, "management_request_invalid_auth_certificate"),
    (
        of(lambda made: made.ca.issue_sign(OTHER).certificate.der),
        BadRequest,
        "management_request_invalid_auth_certificate",
    ),
    (
        of(lambda made: made.new_certificate(not_after=NOON - timedelta(days=1))),
        BadRequest,
        "management_request_invalid_auth_certificate",
    ),
    (
        of(lambda made: made.certificate, address="not an address"),
        BadRequest,
        "management_request_invalid_server_address",
    ),
    (
        of(lambda made: made.certificate, address=None),
        BadRequest,
        "management_request_invalid_server_address",
    ),
    (
        of(lambda made: made.certificate, SecurityServerId(ClientId("XX", "GOV", "M1"), "SS1")),
        Conflict,
        "management_request_server_not_found",
    ),
    (
        always(ClientRegistration(SERVER, MEMBER)),
        BadRequest,
        "management_request_cannot_register_owner",
    ),
    (
        always(ClientRegistration(SERVER, SUBSYSTEM)),
        Conflict,
        "management_request_client_already_registered",
    ),
    (
        always(ClientRegistration(SERVER, ClientId("XX", "GOV", "M1"))),
        Conflict,
        "management_request_member_not_found",
    ),
    (
        always(ClientRegistration(SERVER, NEW_CLIENT, "x" * 256)),
        BadRequest,
        "management_request_invalid_subsystem_name",
    ),
    (
        always(OwnerChange(SERVER, SUBSYSTEM)),
        BadRequest,
        "management_request_owner_must_be_member",
    ),
    (always(OwnerChange(ELSEWHERE, OTHER)), Conflict, "management_request_server_not_found"),
    (always(OwnerChange(SERVER, MEMBER)), BadRequest, "management_request_client_already_owner"),
    (always(OwnerChange(SERVER, OTHER)), BadRequest, "management_request_owner_must_be_client"),
    (
        always(ClientDeletion(SERVER, NEW_CLIENT)),
        NotFound,
        "management_request_client_registration_not_found",
    ),
    (
        always(ClientDeletion(ELSEWHERE, NEW_CLIENT)),
        NotFound,
        "management_request_client_registration_not_found",
    ),
    (
        always(AuthCertDeletion(SERVER, b"never seen")),
        Conflict,
        "management_request_invalid_auth_certificate",
    ),
    (
        always(AuthCertDeletion(NEW_SERVER, CERTIFICATE)),
        NotFound,
        "security_server_not_found",
    ),
    (
        always(ClientDisable(SERVER, NEW_CLIENT)),
        Conflict,
        "management_request_server_client_not_found",
    ),
    (
        always(ClientEnable(ELSEWHERE, PORTAL)),
        Conflict,
        "management_request_server_client_not_found",
    ),
    (
        always(ClientRename(SERVER, NEW_CLIENT, "New")),
        Conflict,
        "management_request_server_client_not_found",
    ),
    (
        always(ClientRename(SERVER, MEMBER, "New")),
        BadRequest,
        "management_request_only_subsystem_rename_allowed",
    ),
    (
        always(ClientRename(SERVER, SUBSYSTEM, " ")),
        BadRequest,
        "management_request_invalid_subsystem_name",
    ),
    (
        always(ClientRename(SERVER, SUBSYSTEM, "x" * 256)),
        BadRequest,
        "management_request_invalid_subsystem_name",
    ),
    (
        always(AddressChange(SERVER, " ")),
        BadRequest,
        "management_request_invalid_server_address",
    ),
    (
        always(AddressChange(ELSEWHERE, "ss1.example.org")),
        NotFound,
        "management_request_server_not_found",
    ),
    (
        always(MaintenanceEnable(ELSEWHERE)),
        NotFound,
        "management_request_server_not_found",
    ),
    (
        always(MaintenanceDisable(ELSEWHERE)),
        NotFound,
        "management_request_server_not_found",
    ),
    (
        always(MaintenanceDisable(SERVER)),
        Conflict,
        "management_request_server_not_in_maintenance_mode",
    ),
]


@pytest.mark.parametrize(("asking", "kind", "code"), REFUSALS)
async def test_what_stands_against_a_request_is_told_and_nothing_changes(
    database, asking, kind, code
):
    made = await requested(database)
    before = await made.registered.contents()
    with pytest.raises(kind) as refused:
        await made.submit(asking(made))
    assert refused.value.code == code
    assert await made.registered.contents() == before
    assert await made.count() == 0


async def refused_with(made, request, origin=SERVERS_OWN):
    with pytest.raises(Refusal) as refused:
        await made.submit(request, origin)
    return type(refused.value), refused.value.code


async def test_a_server_does_not_delete_the_certificate_of_another(database):
    made = await requested(database)
    other = SecurityServerId(OTHER, "SS1")
    await made.change(lambda rows: rows.add_server(other, "ss2.example.org"))
    assert (await refused_with(made, AuthCertDeletion(other, CERTIFICATE)))[1] == (
        "security_server_not_found"
    )
    assert await made.read(lambda rows: rows.find_server_of_certificate(CERTIFICATE)) == SERVER


async def test_the_central_server_asks_only_for_those_it_knows(database):
    made = await requested(database)
    server = SecurityServerId(STRANGER, "SS9")
    asked = (
        (
            AuthCertRegistration(server, made.certificate, ADDRESS),
            "management_request_server_owner_not_found",
        ),
        (ClientRegistration(ELSEWHERE, OTHER), "management_request_server_not_found"),
        (ClientRegistration(SERVER, STRANGER), "management_request_member_not_found"),
    )
    for request, code in asked:
        assert (await refused_with(made, request, CENTER))[1] == code


async def test_a_certificate_in_pem_is_the_same_certificate(database):
    made = await requested(database)
    pem = ssl.DER_cert_to_PEM_cert(made.certificate).encode()
    saved = await made.submit(AuthCertRegistration(NEW_SERVER, pem, ADDRESS))
    assert saved.request.certificate == made.certificate
    again = AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS)
    assert (await refused_with(made, again))[1] == "management_request_exists"


async def test_a_registered_certificate_is_not_registered_again(database):
    made = await requested(database)
    request = AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS)
    await made.requests.approve((await made.submit(request)).id)
    _, code = await refused_with(made, request)
    assert code == "management_request_security_server_exists"


async def test_a_certificate_that_waits_for_one_server_is_not_completed_for_another(database):
    made = await requested(database)
    await made.submit(AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS))
    other = AuthCertRegistration(SERVER, made.certificate, ADDRESS)
    for origin in (CENTER, SERVERS_OWN):
        assert (await refused_with(made, other, origin))[1] == "management_request_exists"


async def test_no_certificate_is_taken_while_nothing_valid_is_published(database):
    made = await requested(database)

    class Outdated:
        async def ecosystem(self):
            raise GlobalConfOutdated("nothing was published today")

    made.requests = type(made.requests)(database, NODE, made.clock, Outdated())
    with pytest.raises(GlobalConfOutdated):
        await made.submit(AuthCertRegistration(SERVER, made.certificate, ADDRESS))
    await made.submit(ClientDeletion(SERVER, PORTAL))


async def test_an_owner_does_not_get_a_second_server_of_the_same_code(database):
    made = await requested(database)
    await made.change(add_other_server)
    _, code = await refused_with(made, OwnerChange(SERVER, OTHER))
    assert code == "management_request_server_code_exists"


async def test_a_server_of_the_same_code_that_came_meanwhile_stands_against_approval(database):
    made = await requested(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    saved = await made.submit(OwnerChange(SERVER, OTHER))
    await made.change(lambda rows: rows.add_server(SecurityServerId(OTHER, "SS1"), "x.org"))
    with pytest.raises(Conflict) as refused:
        await made.requests.approve(saved.id)
    assert refused.value.code == "management_request_server_code_exists"


async def test_a_server_that_is_gone_stands_against_approval(database):
    made = await requested(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    client = await made.submit(ClientRegistration(SERVER, NEW_CLIENT))
    owner = await made.submit(OwnerChange(SERVER, OTHER))
    await made.change(lambda rows: rows.remove_server(SERVER))
    for saved, kind in ((client, BadRequest), (owner, Conflict)):
        with pytest.raises(kind) as refused:
            await made.requests.approve(saved.id)
        assert refused.value.code == "management_request_server_not_found"


async def test_a_new_owner_who_is_gone_stands_against_approval(database):
    made = await requested(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    saved = await made.submit(OwnerChange(SERVER, OTHER))
    await made.change(lambda rows: rows.remove_member(OTHER))
    with pytest.raises(Conflict) as refused:
        await made.requests.approve(saved.id)
    assert refused.value.code == "management_request_member_not_found"


@pytest.mark.parametrize("provider", [SUBSYSTEM, MEMBER])
async def test_the_provider_of_management_services_stays_up(database, provider):
    made = await requested(database)
    await made.provide(provider)
    _, code = await refused_with(made, MaintenanceEnable(SERVER))
    assert code == "mr_forbidden_enable_maintenance_mode_for_management_service"
    if provider.is_subsystem:
        _, code = await refused_with(made, ClientDisable(SERVER, provider))
        assert code == "mr_forbidden_disable_management_service_client"


async def test_a_server_in_maintenance_does_not_go_into_it(database):
    made = await requested(database)
    await made.change(in_maintenance)
    _, code = await refused_with(made, MaintenanceEnable(SERVER))
    assert code == "management_request_server_already_in_maintenance_mode"


@pytest.mark.parametrize("sign", [":", ";", "%", "/", "\\", "\u200b", "\ufeff", "\x07", "\x85"])
async def test_identifiers_that_could_not_be_written_are_not_registered(database, sign):
    made = await requested(database)
    with pytest.raises(InvalidClientIdentifier):
        await made.submit(ClientRegistration(SERVER, OTHER.subsystem(f"a{sign}b")))


async def test_what_is_not_there_is_neither_read_nor_decided(database):
    made = await requested(database)
    for act in (made.requests.get, made.requests.approve, made.requests.decline):
        with pytest.raises(NotFound) as refused:
            await act(12345)
        assert refused.value.code == "management_request_not_found"


# Two at once


async def outcomes(*acts):
    return await asyncio.gather(*acts, return_exceptions=True)


async def test_of_two_approvals_at_once_one_has_its_effect(database):
    made = await requested(database)
    saved = await made.submit(AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS))
    found = await outcomes(*(made.requests.approve(saved.id) for _ in range(4)))
    refused = [each for each in found if isinstance(each, Exception)]
    assert [each.code for each in refused] == ["management_request_invalid_state_for_approval"] * 3
    assert len(await made.read(lambda rows: rows.auth_certificates_of(NEW_SERVER))) == 1


async def test_of_the_same_request_at_once_one_is_kept(database):
    made = await requested(database)
    request = ClientRegistration(SERVER, NEW_CLIENT)
    found = await outcomes(*(made.submit(request) for _ in range(4)))
    assert sum(isinstance(each, RequestExists) for each in found) == 3
    assert await made.count() == 1


async def test_requests_of_both_sides_at_once_meet(database):
    made = await requested(database)
    request = ClientRegistration(SERVER, PORTAL.member)
    found = await outcomes(made.submit(request, CENTER), made.submit(request, SERVERS_OWN))
    assert not [each for each in found if isinstance(each, Exception)]
    first, second = (await made.requests.find(RequestFilter(), Page())).items
    assert first.life == second.life
    assert first.status in {RequestStatus.APPROVED, RequestStatus.SUBMITTED_FOR_APPROVAL}


async def test_approval_and_deletion_at_once_leave_one_state(database):
    made = await requested(database)
    saved = await made.submit(ClientRegistration(SERVER, OTHER))
    await outcomes(made.requests.approve(saved.id), made.submit(ClientDeletion(SERVER, OTHER)))
    # Whichever was first: the client is gone.
    assert OTHER not in await made.clients_of(SERVER)


# Finding them


async def with_some(database):
    made = await requested(database)
    await made.submit(ClientRegistration(SERVER, NEW_CLIENT, "New one"))
    made.later()
    await made.submit(AuthCertRegistration(NEW_SERVER, made.certificate, ADDRESS), CENTER)
    made.later()
    await made.submit(ClientDeletion(SERVER, PORTAL))
    return made


async def ids(made, page=None, **wanted):
    found = await made.requests.find(RequestFilter(**wanted), page or Page())
    return [each.id for each in found.items], found.total


async def test_requests_are_found_by_what_they_are(database):
    made = await with_some(database)
    assert await ids(made) == ([1, 2, 3], 3)
    assert await ids(made, origin=CENTER) == ([2], 1)
    assert await ids(made, status=RequestStatus.WAITING) == ([1, 2], 2)
    assert await ids(made, server=SERVER) == ([1, 3], 2)
    types = frozenset({RequestType.CLIENT_REGISTRATION, RequestType.CLIENT_DELETION})
    assert await ids(made, types=types) == ([1, 3], 2)
    assert await ids(made, types=types, status=RequestStatus.WAITING) == ([1], 1)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("second MEMBER", [2]),
        ("ss9", [2]),
        ("gov", [1, 3]),
        ("12:01:0", [2]),
        ("2026-01-15", [1, 2, 3]),
        ("%", []),
        ("_", []),
        ("3", [3]),
    ],
)
async def test_requests_are_found_by_what_people_type(database, query, found):
    made = await with_some(database)
    assert (await ids(made, query=query))[0] == found


@pytest.mark.parametrize(
    ("sort", "rising", "falling"),
    [
        ("id", [1, 2, 3], [3, 2, 1]),
        ("created_at", [1, 2, 3], [3, 2, 1]),
        ("type", [2, 3, 1], [1, 3, 2]),
        ("security_server_owner", [1, 3, 2], [2, 1, 3]),
        ("security_server_id", [2, 1, 3], [1, 3, 2]),
        ("status", [1, 2, 3], [3, 1, 2]),
    ],
)
async def test_requests_are_sorted_as_asked(database, sort, rising, falling):
    made = await with_some(database)
    assert (await ids(made, Page(sort=sort)))[0] == rising
    assert (await ids(made, Page(sort=sort, descending=True)))[0] == falling


async def test_an_order_that_the_list_does_not_have_is_refused(database):
    made = await requested(database)
    with pytest.raises(InvalidSorting):
        await made.requests.find(RequestFilter(), Page(sort="comments"))


async def test_requests_come_in_pages(database):
    made = await with_some(database)
    assert await ids(made, Page(first=2, limit=2)) == ([3], 3)


async def test_everything_that_was_asked_can_be_read_again(database):
    made = await requested(database)
    saved = await made.submit(ClientRegistration(SERVER, NEW_CLIENT, "New one"), comments="note")
    read = await made.requests.get(saved.id)
    assert read == saved
    assert read.request == ClientRegistration(SERVER, NEW_CLIENT, "New one")
    assert (read.owner_name, read.client_owner_name) == ("First member", "Second member")
    assert (read.origin, read.comments) == (SERVERS_OWN, "note")
    assert read.created == read.updated


async def test_a_request_outlives_what_it_was_about(database):
    made = await with_some(database)
    await made.change(lambda rows: rows.remove_member(MEMBER))
    assert (await ids(made))[1] == 3
    assert (await made.requests.get(1)).owner_name is None


async def test_another_instance_name_makes_all_registrations_foreign(database):
    made = await requested(database)
    async with database.transaction() as connection:
        await set_parameter(connection, NODE, Parameter.INSTANCE, "OTHER")
    _, code = await refused_with(made, ClientRegistration(SERVER, NEW_CLIENT))
    assert code == "management_request_server_not_found"
