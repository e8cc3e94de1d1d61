import pytest

from adminapi.securityserver.clients_served import served_clients
from components.serverconf.builders import CALLER, PROVIDER
from sild.model.permissions import Role
from sild.model.services import Endpoint
from sild.protocol.ids import LocalGroupId

pytestmark = pytest.mark.anyio

GROUPS = "/clients/DEV:GOV:M1:registry/local-groups"
OWNER_TOLD = {
    "xRoadInstance": "DEV",
    "memberClass": "GOV",
    "memberCode": "M1",
    "subsystemCode": "registry",
}
PORTAL = "DEV:COM:M2:portal"


@pytest.fixture
async def api(tmp_path):
    async with served_clients(tmp_path) as served:
        yield served


async def friends(api):
    body = {"code": "friends", "description": "Our friends"}
    status, added = await api("POST", GROUPS, body)
    assert status == 201, added
    return added


@pytest.mark.feature("LG-01")
async def test_a_group_is_added(api):
    added = await friends(api)
    told = {
        "clientIdentifier": OWNER_TOLD,
        "groupCode": "friends",
        "groupDescription": "Our friends",
    }
    assert api.last == ("Add group", told, True)
    updated = added.pop("updated_at")
    assert len(updated) == 24
    assert added == {
        "id": added["id"],
        "code": "friends",
        "description": "Our friends",
        "member_count": 0,
        "members": [],
    }
    again = await api.refused("POST", GROUPS, {"code": "friends", "description": "x"})
    assert again == (409, "local_group_code_already_exists")


@pytest.mark.feature("LG-01")
async def test_what_cannot_be_a_group_is_refused(api):
    fields = {"code": "a:b", "description": "x"}
    assert await api.invalid("POST", GROUPS, fields) == {
        "localGroupAddDto.code": ["IdentifierChars"]
    }
    fields = {"code": "g", "description": "<b>"}
    assert await api.invalid("POST", GROUPS, fields) == {
        "localGroupAddDto.description": ["Pattern"]
    }
    fields = {"code": "g", "description": "x" * 256}
    assert await api.invalid("POST", GROUPS, fields) == {"localGroupAddDto.description": ["Size"]}
    assert (await api("POST", GROUPS, {"code": "g"}))[0] == 400
    role = Role.REGISTRATION_OFFICER
    assert (await api("POST", GROUPS, {"code": "g", "description": "x"}, role=role))[0] == 403
    nobody = await api.refused(
        "POST", f"/clients/{PORTAL}/local-groups", {"code": "g", "description": "x"}
    )
    assert nobody == (404, "client_not_found")


@pytest.mark.feature("LG-02")
async def test_members_come_and_go(api):
    path = f"/local-groups/{(await friends(api))['id']}"
    body = {"items": [PORTAL, "DEV:GOV:M1:registry", PORTAL]}
    assert await api("POST", f"{path}/members", body) == (201, body)
    told = {
        "clientIdentifier": OWNER_TOLD,
        "groupCode": "friends",
        "memberIdentifiers": ["SUBSYSTEM:DEV/COM/M2/portal", "SUBSYSTEM:DEV/GOV/M1/registry"],
    }
    assert api.last == ("Add members to group", told, True)
    group = await api.get(path)
    assert group["member_count"] == 2
    portal = next(each for each in group["members"] if each["id"] == PORTAL)
    assert len(portal.pop("created_at")) == 24
    assert portal == {"id": PORTAL, "member_name": "Second Ltd", "subsystem_name": "Portal"}
    gone = {"items": [PORTAL, PORTAL]}
    assert await api("POST", f"{path}/members/delete", gone) == (204, None)
    told |= {"memberIdentifiers": ["SUBSYSTEM:DEV/COM/M2/portal"]}
    assert api.last == ("Remove members from group", told, True)
    left = await api.get(path)
    assert [each["id"] for each in left["members"]] == ["DEV:GOV:M1:registry"]
    refused = await api.refused("POST", f"{path}/members/delete", gone)
    assert refused == (409, "local_group_member_not_found")


@pytest.mark.feature("LG-02")
async def test_who_cannot_be_a_member_is_refused(api):
    path = f"/local-groups/{(await friends(api))['id']}/members"
    for body in ({}, {"items": []}):
        assert await api.refused("POST", path, body) == (400, "missing_member_id")
    unknown = {"items": ["DEV:COM:M2:nobody"]}
    assert await api.refused("POST", path, unknown) == (404, "local_group_member_not_found")
    assert await api.refused("POST", path, {"items": ["M2"]}) == (400, "invalid_encoded_id")
    assert (await api("POST", path, {"items": ["DEV:COM:M2"]}))[0] == 400
    await api("POST", path, {"items": [PORTAL]})
    again = await api.refused("POST", path, {"items": [PORTAL]})
    assert again == (409, "local_group_member_already_exists")


@pytest.mark.feature("LG-03")
async def test_the_description_changes_and_the_group_goes_with_its_rights(api):
    path = f"/local-groups/{(await friends(api))['id']}"
    await api.conf.rights.grant(Endpoint(PROVIDER, "people"), [LocalGroupId("friends")])
    status, changed = await api("PATCH", path, {"description": "Old friends"})
    assert (status, changed["description"]) == (200, "Old friends")
    told = {
        "clientIdentifier": OWNER_TOLD,
        "groupCode": "friends",
        "groupDescription": "Old friends",
    }
    assert api.last == ("Edit group description", told, True)
    assert await api.invalid("PATCH", path, {"description": "a/b"}) == {
        "localGroupDescriptionDto.description": ["Pattern"]
    }
    assert await api("DELETE", path) == (204, None)
    assert api.last == ("Delete group", told, True)
    assert (await api.conf.snapshot()).rights == ()
    assert await api.refused("DELETE", path) == (404, "local_group_not_found")


@pytest.mark.feature("LG-03")
async def test_what_is_no_number_of_a_group_is_not_found(api):
    assert await api.refused("GET", "/local-groups/x") == (404, "id_not_a_number")
    for text in ("77", "99999999999999999"):
        assert await api.refused("GET", f"/local-groups/{text}") == (404, "local_group_not_found")


@pytest.mark.feature("LG-04")
async def test_groups_are_listed(api):
    added = await friends(api)
    assert await api.get(GROUPS) == [added]
    assert await api.get("/clients/DEV:GOV:M1/local-groups") == []
    assert await api.get(f"/local-groups/{added['id']}") == added
    assert await api.refused("GET", f"/clients/{CALLER.encoded}/local-groups") == (
        404,
        "client_not_found",
    )
