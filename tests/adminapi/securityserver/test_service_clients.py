import pytest
from hypothesis import given
from hypothesis import strategies as st

from adminapi.securityserver.rights_served import served_rights
from components.serverconf.stored import OWNER, PROVIDER
from sild.adminapi.securityserver.service_client_ids import (
    client_from_encoded,
    server_from_encoded,
    service_from_encoded,
    subject_from_encoded,
)
from sild.model.permissions import Role
from sild.model.refusals import BadRequest
from sild.model.services import Endpoint, LocalGroup
from sild.protocol.ids import ClientId

pytestmark = pytest.mark.anyio

CLIENT = "/clients/DEV:GOV:M1:registry"
SERVICE = "/services/DEV:GOV:M1:registry:people.v1/service-clients"
PORTAL = "DEV:COM:M2:portal"
TOLD = {
    "xRoadInstance": "DEV",
    "memberClass": "GOV",
    "memberCode": "M1",
    "subsystemCode": "registry",
}


@pytest.fixture
async def api(tmp_path):
    async with served_rights(tmp_path) as api:
        yield api


def items(*ids):
    return {"items": [{"id": each} for each in ids]}


def services(*codes):
    return {"items": [{"service_code": each} for each in codes]}


def names(clients):
    return [each["id"] for each in clients]


async def add_group(api, owner=PROVIDER):
    """A local group; gives how it is named."""
    return await api.conf.add_group(LocalGroup(owner, "friends", frozenset(), "Our friends"))


async def add_endpoint(api):
    """An endpoint of the service; gives how it is named."""
    return await api.conf.add_endpoint(Endpoint(PROVIDER, "people", "GET", "/names"))


@pytest.mark.feature("AR-01")
async def test_rights_to_a_service_are_given_and_taken(api):
    group = await add_group(api)
    assert await api.get(SERVICE) == []
    status, given = await api("POST", SERVICE, items(PORTAL, "EE:hospitals", group))
    assert status == 201
    assert [{**each, "rights_given_at": None} for each in given] == [
        {
            "id": "EE:hospitals",
            "name": "Hospitals",
            "service_client_type": "GLOBALGROUP",
            "rights_given_at": None,
        },
        {
            "id": group,
            "name": "Our friends",
            "local_group_code": "friends",
            "service_client_type": "LOCALGROUP",
            "rights_given_at": None,
        },
        {
            "id": PORTAL,
            "name": "Portal",
            "service_client_type": "SUBSYSTEM",
            "rights_given_at": None,
        },
    ]
    assert api.last == (
        "Add access rights to service",
        {
            "clientIdentifier": TOLD,
            "serviceCode": "people",
            "subjectIds": [
                "SUBSYSTEM:DEV/COM/M2/portal",
                "GLOBALGROUP:EE/hospitals",
                "LOCALGROUP:friends",
            ],
        },
        True,
    )
    assert await api.get(SERVICE) == given
    # A right is to a service in all its versions.
    assert await api.get(SERVICE.replace("v1", "V2")) == given
    assert await api("POST", f"{SERVICE}/delete", items(PORTAL, group)) == (204, None)
    assert names(await api.get(SERVICE)) == ["EE:hospitals"]
    assert api.last[0] == "Remove access rights from service"
    assert api.last[1]["subjectIds"] == ["SUBSYSTEM:DEV/COM/M2/portal", "LOCALGROUP:friends"]


@pytest.mark.feature("AR-06")
async def test_when_a_right_was_given_is_shown(api):
    await api("POST", SERVICE, items(PORTAL))
    (given,) = await api.get(SERVICE)
    (right,) = await api.get(f"{CLIENT}/service-clients/{PORTAL}/access-rights")
    assert given["rights_given_at"] == right["rights_given_at"]
    assert given["rights_given_at"].startswith("20")
    # A service is called as its newest version is.
    assert (right["service_code"], right["service_title"]) == ("people", "People")
    assert given["rights_given_at"].endswith("Z")


@pytest.mark.feature("AR-02")
async def test_rights_to_an_endpoint_are_given_and_taken(api):
    number = await add_endpoint(api)
    path = f"/endpoints/{number}/service-clients"
    status, given = await api("POST", path, items(PORTAL))
    assert (status, names(given)) == (201, [PORTAL])
    event, told, _ = api.last
    assert event == "Add access rights to service"
    assert (told["method"], told["path"]) == ("GET", "/names")
    assert names(await api.get(path)) == [PORTAL]
    # Whoever may use no more than endpoints is no service client of the client.
    assert await api.get(f"{CLIENT}/service-clients") == []
    assert await api.get(SERVICE) == []
    assert await api("POST", f"{path}/delete", items(PORTAL)) == (204, None)
    assert await api.get(path) == []


@pytest.mark.feature("AR-02")
async def test_the_right_to_an_endpoint_stays_when_that_to_the_service_goes(api):
    path = f"/endpoints/{await add_endpoint(api)}/service-clients"
    await api("POST", SERVICE, items(PORTAL))
    await api("POST", path, items(PORTAL))
    await api("POST", f"{SERVICE}/delete", items(PORTAL))
    assert names(await api.get(path)) == [PORTAL]


@pytest.mark.feature("AR-03")
async def test_rights_are_given_and_taken_by_who_has_them(api):
    await api.conf.add_service("houses")
    number = await add_endpoint(api)
    mine = f"{CLIENT}/service-clients/{PORTAL}"
    status, given = await api("POST", f"{mine}/access-rights", services("people", "houses"))
    assert status == 201
    assert sorted(each["service_code"] for each in given) == ["houses", "people"]
    assert api.last == (
        "Add access rights to subject",
        {
            "clientIdentifier": TOLD,
            "subjectId": "SUBSYSTEM:DEV/COM/M2/portal",
            "serviceCodes": ["houses", "people"],
        },
        True,
    )
    assert names(await api.get(f"{CLIENT}/service-clients")) == [PORTAL]
    assert (await api.get(mine))["name"] == "Portal"
    await api("POST", f"/endpoints/{number}/service-clients", items(PORTAL))
    taken = await api("POST", f"{mine}/access-rights/delete", services("people"))
    assert taken == (204, None)
    assert api.last[0] == "Remove access rights from subject"
    assert await api.get(f"/endpoints/{number}/service-clients") == []
    left = await api.get(f"{mine}/access-rights")
    assert [each["service_code"] for each in left] == ["houses"]
    # What was added is answered, and not what was there before.
    status, given = await api("POST", f"{mine}/access-rights", services("people"))
    assert [each["service_code"] for each in given] == ["people"]


@pytest.mark.feature("AR-03")
async def test_a_local_group_is_a_service_client_by_its_number(api):
    group = await add_group(api)
    mine = f"{CLIENT}/service-clients/{group}"
    assert (await api("POST", f"{mine}/access-rights", services("people")))[0] == 201
    shown = await api.get(mine)
    assert (shown["id"], shown["local_group_code"]) == (group, "friends")
    assert (await api("POST", f"{mine}/access-rights/delete", services("people")))[0] == 204
    assert await api.refused("GET", mine) == (404, "service_client_not_found")


@pytest.mark.feature("AR-05")
async def test_a_global_group_gets_rights(api):
    group = f"{CLIENT}/service-clients/DEV:all"
    assert (await api("POST", f"{group}/access-rights", services("people")))[0] == 201
    shown = await api.get(group)
    assert (shown["name"], shown["service_client_type"]) == ("Everybody", "GLOBALGROUP")
    # A group that the Central Server has no more can still lose its rights.
    api.world.conf = None
    assert "name" not in await api.get(group)
    assert (await api("POST", f"{group}/access-rights/delete", services("people")))[0] == 204


@pytest.mark.feature("AR-04")
async def test_candidates_are_searched_for(api):
    group = await add_group(api)
    path = f"{CLIENT}/service-client-candidates"

    async def found(**query):
        return names(await api.get(path, **query))

    everybody = await found()
    assert everybody == [
        "DEV:COM:M2:app",
        "DEV:all",
        "EE:hospitals",
        group,
        PORTAL,
        "EE:NGO:X1:portal",
        "DEV:GOV:M1:registry",
    ]
    blank = ("instance", "member_class", "member_group_code", "subsystem_code")
    assert await found(**dict.fromkeys(blank, "")) == everybody
    assert await found(service_client_type="LOCALGROUP") == [group]
    assert await found(service_client_type="GLOBALGROUP", instance="ee") == ["EE:hospitals"]
    assert await found(instance="EE") == ["EE:hospitals", group, "EE:NGO:X1:portal"]
    assert await found(member_name_group_description="second ltd") == ["DEV:COM:M2:app", PORTAL]
    assert await found(member_name_group_description="friend") == [group]
    assert await found(member_name_group_description="PORTAL") == [PORTAL, "EE:NGO:X1:portal"]
    assert await found(member_class="com") == ["DEV:COM:M2:app", PORTAL]
    assert await found(member_class="co") == []
    assert await found(member_group_code="m2") == ["DEV:COM:M2:app", PORTAL]
    assert await found(member_group_code="HOSP") == ["EE:hospitals"]
    assert await found(subsystem_code="PORT", member_class="NGO") == ["EE:NGO:X1:portal"]
    candidate = (await api.get(path, member_class="NGO"))[0]
    assert candidate == {
        "id": "EE:NGO:X1:portal",
        "name": "portal",
        "service_client_type": "SUBSYSTEM",
    }


async def test_candidates_need_a_valid_global_configuration(api):
    api.world.conf = None
    path = f"{CLIENT}/service-client-candidates"
    assert await api.refused("GET", path) == (409, "global_conf_outdated")
    assert await api.refused("POST", SERVICE, items(PORTAL)) == (409, "global_conf_outdated")


STRANGERS = ("DEV:COM:M2:nobody", "XX:COM:M2:portal", "DEV:nobody", "XX:all", "4711")


async def test_who_is_not_known_gets_no_rights(api):
    bad_request, not_found = ((status, "service_client_not_found") for status in (400, 404))
    endpoint = f"/endpoints/{await add_endpoint(api)}/service-clients"
    for stranger in STRANGERS:
        assert await api.refused("POST", SERVICE, items(PORTAL, stranger)) == bad_request
        assert await api.refused("POST", endpoint, items(stranger)) == bad_request
        mine = f"{CLIENT}/service-clients/{stranger}/access-rights"
        assert await api.refused("POST", mine, services("people")) == not_found
        assert not api.last[2]
    assert await api.get(SERVICE) == []


async def test_a_group_of_another_client_gets_no_rights(api):
    await api.conf.add_client(OWNER.subsystem("other"))
    await add_group(api)
    group = await add_group(api, OWNER.subsystem("other"))
    refusal = (400, "service_client_not_found")
    assert await api.refused("POST", SERVICE, items(group)) == refusal
    assert await api.refused("POST", f"{SERVICE}/delete", items(group)) == refusal


async def test_what_names_no_subject_is_refused(api):
    refusal = (400, "invalid_service_client_id")
    wrong = ("DEV:COM:M2", "DEV:COM::portal", "::", "DEV:", "x", "1x", "²", "9" * 10, "a:b:c:d:e")
    for text in wrong:
        assert await api.refused("POST", SERVICE, items(text)) == refusal
        assert await api.refused("GET", f"{CLIENT}/service-clients/{text}") == refusal


async def test_a_right_is_given_once(api):
    number = await add_endpoint(api)
    for path in (SERVICE, f"/endpoints/{number}/service-clients"):
        await api("POST", path, items(PORTAL, PORTAL))
        refusal = await api.refused("POST", path, items("DEV:all", PORTAL))
        assert refusal == (409, "duplicate_accessright")
        assert names(await api.get(path)) == [PORTAL]
    mine = f"{CLIENT}/service-clients/{PORTAL}/access-rights"
    refusal = await api.refused("POST", mine, services("people"))
    assert refusal == (409, "duplicate_accessright")


async def test_a_right_that_is_not_there_is_not_taken(api):
    await api("POST", SERVICE, items("DEV:all"))
    both = items("DEV:all", PORTAL)
    assert await api.refused("POST", f"{SERVICE}/delete", both) == (400, "accessright_not_found")
    endpoint = f"/endpoints/{await add_endpoint(api)}/service-clients/delete"
    assert await api.refused("POST", endpoint, both) == (404, "accessright_not_found")
    mine = f"{CLIENT}/service-clients/{PORTAL}/access-rights/delete"
    assert await api.refused("POST", mine, services("people")) == (409, "accessright_not_found")
    assert names(await api.get(SERVICE)) == ["DEV:all"]


async def test_a_service_that_is_not_there_is_told_of(api):
    missing = "/services/DEV:GOV:M1:registry:nothing/service-clients"
    assert await api.refused("GET", missing) == (404, "service_not_found")
    assert await api.refused("POST", missing, items(PORTAL)) == (404, "service_not_found")
    assert await api.refused("POST", f"{missing}/delete", items()) == (404, "service_not_found")
    mine = f"{CLIENT}/service-clients/{PORTAL}/access-rights"
    both = services("people", "nothing")
    assert await api.refused("POST", mine, both) == (400, "service_not_found")
    assert await api.refused("POST", f"{mine}/delete", both) == (400, "service_not_found")
    unversioned = "/services/DEV:GOV:M1:registry:people/service-clients"
    assert await api.refused("GET", unversioned) == (404, "service_not_found")
    for wrong in ("DEV:GOV:M1:people", "DEV:GOV:M1:registry:people:v1", "DEV:GOV::registry:people"):
        path = f"/services/{wrong}/service-clients"
        assert await api.refused("GET", path) == (400, "invalid_encoded_id")


async def test_an_endpoint_that_is_not_there_is_told_of(api):
    for name, code in (("4711", "endpoint_not_found"), ("x", "id_not_a_number")):
        path = f"/endpoints/{name}/service-clients"
        assert await api.refused("GET", path) == (404, code)
        assert await api.refused("POST", path, items(PORTAL)) == (404, code)
        assert await api.refused("POST", f"{path}/delete", items(PORTAL)) == (404, code)


async def test_a_client_that_is_not_there_is_told_of(api):
    missing = "/clients/DEV:GOV:M1:nothing"
    for path in ("service-clients", f"service-clients/{PORTAL}", "service-client-candidates"):
        assert await api.refused("GET", f"{missing}/{path}") == (404, "client_not_found")
    mine = f"{missing}/service-clients/{PORTAL}/access-rights"
    assert await api.refused("GET", mine) == (404, "client_not_found")
    assert await api.refused("POST", mine, services("people")) == (404, "client_not_found")
    assert await api.refused("POST", f"{mine}/delete", services("x")) == (404, "client_not_found")
    wrong = "/clients/DEV:GOV/service-clients"
    assert await api.refused("GET", wrong) == (400, "invalid_encoded_id")


async def test_rights_of_nobody_and_to_nothing_are_refused(api):
    mine = f"{CLIENT}/service-clients/{PORTAL}/access-rights"
    for body in ({}, {"items": []}, {"items": None}, {"items": [{}]}):
        assert await api.refused("POST", SERVICE, body) == (400, "validation_failure")
        assert await api.refused("POST", mine, body) == (400, "validation_failure")


async def test_who_may_only_look_changes_nothing(api):
    observer = Role.SECURITYSERVER_OBSERVER
    assert (await api("GET", SERVICE, role=observer))[0] == 200
    for path, body in (
        (SERVICE, items(PORTAL)),
        (f"{SERVICE}/delete", items(PORTAL)),
        (f"{CLIENT}/service-clients/{PORTAL}/access-rights", services("people")),
    ):
        assert (await api("POST", path, body, role=observer))[0] == 403
    assert (await api("GET", SERVICE, role=Role.REGISTRATION_OFFICER))[0] == 403


@given(st.text() | st.from_regex(r"\A[a-z:.0-9]{0,12}\Z"))
def test_any_text_is_an_identifier_or_refused(text):
    for read in (
        client_from_encoded,
        server_from_encoded,
        service_from_encoded,
        subject_from_encoded,
    ):
        try:
            found = read(text)
        except BadRequest:
            continue
        if isinstance(found, ClientId):
            assert found.encoded == text
