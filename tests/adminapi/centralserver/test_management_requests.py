"""The management API's view of management requests, over a socket."""

import base64

import pytest

from adminapi.centralserver.requests_api import requests_api
from components.centralserver.request_builders import (
    CENTER,
    NEW_CLIENT,
    NEW_SERVER,
    OTHER,
    PORTAL,
    SERVER,
    SERVERS_OWN,
    STRANGER,
    SUBSYSTEM,
)
from sild.model.permissions import Role
from sild.model.registration import RequestStatus
from sild.protocol.ids import SecurityServerId
from sild.protocol.management.requests import (
    AuthCertRegistration,
    ClientDeletion,
    ClientRegistration,
    OwnerChange,
)

pytestmark = pytest.mark.anyio

MANAGER = Role.MANAGEMENT_SERVICE
OFFICER = Role.REGISTRATION_OFFICER


def body(kind, origin="CENTER", server=SERVER, **fields):
    return {
        "type": kind,
        "origin": origin,
        "security_server_id": server.encoded,
        **fields,
    }


def client_registration(client=NEW_CLIENT, **fields):
    return body("CLIENT_REGISTRATION_REQUEST", client_id=client.encoded, **fields)


@pytest.mark.feature("CR-01")
async def test_an_officer_sees_what_waits_and_approves_it(tmp_path):
    async with requests_api(tmp_path) as api:
        server = SecurityServerId(STRANGER, "SS9")
        await api.made.submit(AuthCertRegistration(server, api.made.certificate, "ss9.org"))
        await api.made.submit(ClientDeletion(SERVER, PORTAL))
        status, found = await api("GET", "", status="WAITING")
        assert status == 200
        assert found["paging_metadata"] == {
            "total_items": 1,
            "items": 1,
            "limit": 25,
            "offset": 0,
        }
        (item,) = found["items"]
        # No owner's name: nobody knows the member, and approval will make it.
        assert item == {
            "id": 1,
            "type": "AUTH_CERT_REGISTRATION_REQUEST",
            "origin": "SECURITY_SERVER",
            "security_server_id": {
                "instance_id": "DEV",
                "type": "SERVER",
                "member_class": "COM",
                "member_code": "M9",
                "server_code": "SS9",
                "encoded_id": "DEV:COM:M9:SS9",
            },
            "address": "ss9.org",
            "status": "WAITING",
            "created_at": item["created_at"],
        }
        status, approved = await api("POST", "/1/approval")
        assert (status, approved["status"]) == (200, "APPROVED")
        line = api.audit.lines()[-1]
        assert line["event"] == "Approve management request"
        assert line["data"] == {
            "requestId": 1,
            "memberName": "M9",
            "memberClass": "COM",
            "memberCode": "M9",
        }


@pytest.mark.feature("CR-07")
async def test_approval_changes_the_registry(tmp_path):
    async with requests_api(tmp_path) as api:
        await api.made.change(lambda rows: rows.add_client(SERVER, OTHER))
        await api.made.submit(AuthCertRegistration(NEW_SERVER, api.made.certificate, "ss9.org"))
        await api.made.submit(OwnerChange(SERVER, OTHER))
        for number in (1, 2):
            assert (await api("POST", f"/{number}/approval"))[0] == 200
        assert await api.made.registered.owners() == {OTHER}
        changed = SecurityServerId(OTHER, "SS1")
        assert SERVER.owner in await api.made.clients_of(changed)


@pytest.mark.feature("CR-03")
async def test_what_is_approved_by_a_setting_is_answered_with_201(tmp_path):
    async with requests_api(tmp_path) as api:
        automatic = api.made.with_automatic(client_registrations=True)
        saved = await automatic.submit(ClientRegistration(SERVER, NEW_CLIENT), SERVERS_OWN)
        assert saved.status is RequestStatus.APPROVED
        await api.made.submit(ClientRegistration(SERVER, OTHER), CENTER)
        status, answer = await api(
            "POST", "", client_registration(OTHER, origin="SECURITY_SERVER"), role=MANAGER
        )
        assert (status, answer["status"]) == (201, "APPROVED")


async def test_an_officer_asks_for_a_client_and_waits(tmp_path):
    async with requests_api(tmp_path) as api:
        status, answer = await api("POST", "", client_registration(subsystem_name="New"))
        assert status == 202
        assert answer == {
            "id": 1,
            "type": "CLIENT_REGISTRATION_REQUEST",
            "origin": "CENTER",
            "security_server_id": "DEV:GOV:M1:SS1",
            "client_id": "DEV:COM:M2:new",
            "subsystem_name": "New",
            "status": "WAITING",
            "created_at": answer["created_at"],
            "updated_at": answer["updated_at"],
        }
        line = api.audit.lines()[-1]
        assert (line["event"], line["data"]) == ("Add management request", {"requestId": 1})


EVERY_TYPE = [
    client_registration(origin="SECURITY_SERVER"),
    body("CLIENT_DISABLE_REQUEST", "SECURITY_SERVER", client_id=PORTAL.encoded),
    body("CLIENT_ENABLE_REQUEST", "SECURITY_SERVER", client_id=PORTAL.encoded),
    body(
        "CLIENT_RENAME_REQUEST",
        "SECURITY_SERVER",
        client_id=SUBSYSTEM.encoded,
        subsystem_name="Other",
    ),
    body("CLIENT_DELETION_REQUEST", "SECURITY_SERVER", client_id=PORTAL.encoded),
    body("ADDRESS_CHANGE_REQUEST", "SECURITY_SERVER", server_address="new.example.org"),
    body("MAINTENANCE_MODE_ENABLE_REQUEST", "SECURITY_SERVER", message="later"),
    body("MAINTENANCE_MODE_DISABLE_REQUEST", "SECURITY_SERVER"),
    body("OWNER_CHANGE_REQUEST", "SECURITY_SERVER", client_id=OTHER.encoded),
]


async def test_every_type_is_asked_for_and_read_again(tmp_path):
    async with requests_api(tmp_path) as api:
        await api.made.change(lambda rows: rows.add_client(SERVER, OTHER))
        certificate = base64.b64encode(api.made.certificate).decode()
        registration = body(
            "AUTH_CERT_REGISTRATION_REQUEST",
            "SECURITY_SERVER",
            server_address="ss1.org",
            authentication_certificate=certificate,
        )
        deletion = body(
            "AUTH_CERT_DELETION_REQUEST", "SECURITY_SERVER", authentication_certificate=certificate
        )
        for number, asked in enumerate((registration, deletion, *EVERY_TYPE), 1):
            status, answer = await api("POST", "", asked, role=MANAGER)
            assert status == 202, answer
            assert answer["id"] == number
            assert {key: answer.get(key) for key in asked} == asked
            status, seen = await api("GET", f"/{number}")
            assert (status, seen["type"]) == (200, asked["type"])


@pytest.mark.feature("CR-06")
async def test_the_details_of_a_request(tmp_path):
    async with requests_api(tmp_path) as api:
        await api.made.submit(
            AuthCertRegistration(NEW_SERVER, api.made.certificate, "ss9.org"), comments="why"
        )
        status, seen = await api("GET", "/1")
        assert status == 200
        assert seen["comments"] == "why"
        assert seen["security_server_owner"] == "Second member"
        assert seen["certificate_details"]["subject_common_name"] == "SS9"
        await api.made.submit(ClientRegistration(SERVER, NEW_CLIENT, "New"))
        _, seen = await api("GET", "/2")
        assert seen["client_id"]["encoded_id"] == "DEV:COM:M2:new"
        assert (seen["client_owner_name"], seen["client_subsystem_name"]) == (
            "Second member",
            "New",
        )
        assert "certificate_details" not in seen


async def test_declining_and_taking_back_are_two_events(tmp_path):
    async with requests_api(tmp_path) as api:
        await api.made.submit(ClientRegistration(SERVER, NEW_CLIENT))
        await api("POST", "", client_registration(OTHER))
        for number, event, after in (
            (1, "Decline management request", RequestStatus.DECLINED),
            (2, "Revoke management request", RequestStatus.REVOKED),
        ):
            assert await api("DELETE", f"/{number}") == (204, None)
            line = api.audit.lines()[-1]
            assert (line["event"], line["data"]) == (event, {"requestId": number})
            assert (await api.made.requests.get(number)).status is after


@pytest.mark.feature("CR-09")
async def test_refusals_have_their_codes(tmp_path):
    async with requests_api(tmp_path) as api:
        await api("POST", "", client_registration())
        again = await api("POST", "", client_registration())
        assert again == (
            409,
            {
                "status": 409,
                "error": {"code": "management_request_exists", "metadata": ["1"]},
            },
        )
        owner = client_registration(SERVER.owner)
        assert await api.code("POST", "", owner) == (
            400,
            "management_request_cannot_register_owner",
        )
        await api("DELETE", "/1")
        assert await api.code("DELETE", "/1") == (400, "management_request_invalid_state")
        assert await api.code("POST", "/1/approval") == (
            400,
            "management_request_invalid_state_for_approval",
        )
        for method, path in (("GET", "/9"), ("DELETE", "/9"), ("POST", "/9/approval")):
            assert await api.code(method, path) == (404, "management_request_not_found")
        line = api.audit.lines()[-1]
        assert line["event"] == "Approve management request failed"


async def test_only_who_speaks_for_servers_does_so_and_nothing_else(tmp_path):
    async with requests_api(tmp_path) as api:
        for asked, role in (
            (client_registration(), MANAGER),
            (client_registration(origin="SECURITY_SERVER"), OFFICER),
            (EVERY_TYPE[-1], OFFICER),
            (client_registration(), Role.SECURITY_OFFICER),
            (client_registration(), Role.SYSTEM_ADMINISTRATOR),
        ):
            assert (await api("POST", "", asked, role=role))[0] == 403
        assert await api.made.count() == 0


async def test_only_officers_see_and_decide(tmp_path):
    async with requests_api(tmp_path) as api:
        await api.made.submit(ClientRegistration(SERVER, NEW_CLIENT))
        await api.made.submit(ClientDeletion(SERVER, PORTAL))
        for role in (MANAGER, Role.SECURITY_OFFICER, Role.SYSTEM_ADMINISTRATOR):
            for method, path in (
                ("GET", ""),
                ("GET", "/1"),
                ("DELETE", "/1"),
                ("POST", "/1/approval"),
            ):
                assert (await api(method, path, role=role))[0] == 403
        # There is no permission to decide on what needs no decision.
        for method, path in (("DELETE", "/2"), ("POST", "/2/approval")):
            assert (await api(method, path))[0] == 403
        assert (await api.made.requests.get(1)).status is RequestStatus.WAITING


async def test_lists_are_filtered_sorted_and_cut(tmp_path):
    async with requests_api(tmp_path) as api:
        await api.made.submit(ClientRegistration(SERVER, NEW_CLIENT))
        await api.made.submit(ClientDeletion(SERVER, PORTAL))
        await api.made.submit(ClientRegistration(SERVER, OTHER), CENTER)

        async def ids(**query):
            status, found = await api("GET", "", **query)
            assert status == 200, found
            return [each["id"] for each in found["items"]]

        assert await ids(sort="id", desc="true") == [3, 2, 1]
        assert await ids(limit=2, offset=1) == [3]
        assert await ids(origin="CENTER") == [3]
        assert await ids(types=["CLIENT_REGISTRATION_REQUEST", "CLIENT_DELETION_REQUEST"]) == [
            1,
            2,
            3,
        ]
        assert await ids(types="CLIENT_DELETION_REQUEST") == [2]
        assert await ids(server_id=SERVER.encoded, query="first") == [1, 2, 3]
        assert await ids(server_id=NEW_SERVER.encoded) == []
        await api.made.submit(ClientRegistration(SERVER, NEW_CLIENT), CENTER)
        assert await ids(status="SUBMITTED FOR APPROVAL") == [1, 4]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "DONE"},
        {"origin": "NOBODY"},
        {"types": "OTHER"},
        {"server_id": "DEV:GOV"},
        {"sort": "comments"},
        {"query": "x" * 256},
    ],
)
async def test_what_cannot_be_asked_for_is_refused(tmp_path, query):
    async with requests_api(tmp_path) as api:
        assert (await api("GET", "", **query))[0] == 400


@pytest.mark.parametrize(
    "change",
    [
        {"type": "OTHER"},
        {"type": None},
        {"origin": "NOBODY"},
        {"security_server_id": "DEV:GOV"},
        {"client_id": "DEV"},
        {"client_id": None},
        {"subsystem_name": "x" * 256},
        {"type": "AUTH_CERT_REGISTRATION_REQUEST"},
        {
            "type": "AUTH_CERT_REGISTRATION_REQUEST",
            "server_address": "x.org",
            "authentication_certificate": "not base64!",
        },
        {"type": "CLIENT_DELETION_REQUEST", "client_id": None},
    ],
)
async def test_what_is_no_request_is_refused(tmp_path, change):
    async with requests_api(tmp_path) as api:
        assert (await api("POST", "", client_registration() | change))[0] == 400
        assert await api.made.count() == 0


@pytest.mark.parametrize("number", ["x", "-1", str(2**31)])
async def test_what_is_no_number_of_a_request_is_refused(tmp_path, number):
    async with requests_api(tmp_path) as api:
        assert (await api("GET", f"/{number}"))[0] == 400
