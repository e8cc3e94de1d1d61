import pytest

from adminapi.securityserver.rights_served import served_rights
from components.serverconf.worlds import LOCAL, conf_of
from sild.model.permissions import Role

pytestmark = pytest.mark.anyio

FIRST = {
    "id": "DEV:GOV:M1:SS1",
    "instance_id": "DEV",
    "member_class": "GOV",
    "member_code": "M1",
    "server_code": "SS1",
    "server_address": "ss1.test",
}


@pytest.fixture
async def api(tmp_path):
    async with served_rights(tmp_path) as api:
        yield api


@pytest.mark.feature("SP-05")
async def test_lists_to_choose_from(api):
    assert await api.get("/xroad-instances") == [
        {"identifier": "DEV", "local": True},
        {"identifier": "EE", "local": False},
    ]
    assert await api.get("/member-classes") == ["COM", "GOV", "NGO"]
    assert await api.get("/member-classes", current_instance="true") == ["COM", "GOV"]
    assert await api.get("/member-classes/EE") == ["GOV", "NGO"]
    asked = {"member_class": "COM", "member_code": "M2"}
    assert await api.get("/member-names", **asked) == {"member_name": "Second Ltd"}
    assert [each["id"] for each in await api.get("/security-servers")] == [
        "DEV:GOV:M1:SS1",
        "EE:NGO:X1:SS9",
    ]
    assert await api.get("/security-servers", current_server="true") == [FIRST]
    assert await api.get("/security-servers/DEV:GOV:M1:SS1") == FIRST


@pytest.mark.feature("SP-05")
async def test_a_server_that_is_not_registered_yet_has_no_address(api):
    api.world.conf = conf_of(type(LOCAL)(instance="DEV"))
    (current,) = await api.get("/security-servers", current_server="true")
    assert current == {name: text for name, text in FIRST.items() if name != "server_address"}


async def test_what_is_not_there_is_told_of(api):
    for path, refusal in (
        ("/member-classes/XX", (404, "instance_identifier_not_found")),
        ("/member-names?member_class=GOV&member_code=M9", (404, "member_name_not_found")),
        ("/member-names?member_class=GOV", (400, "validation_failure")),
        ("/security-servers/DEV:GOV:M1:SS9", (404, "security_server_not_found")),
        ("/security-servers/XX:GOV:M1:SS1", (404, "security_server_not_found")),
        ("/security-servers/DEV:GOV:M1", (400, "invalid_encoded_id")),
        ("/security-servers/DEV:GOV:M1:a:b", (400, "invalid_encoded_id")),
        ("/security-servers/DEV::M1:SS1", (400, "invalid_encoded_id")),
    ):
        assert await api.refused("GET", path) == refusal


async def test_without_a_valid_global_configuration_there_are_no_lists(api):
    api.world.conf = None
    for path in ("xroad-instances", "member-classes", "security-servers", "member-classes/EE"):
        assert await api.refused("GET", f"/{path}") == (409, "global_conf_outdated")


async def test_names_and_single_servers_are_for_who_sets_the_server_up(api):
    role = Role.SERVICE_ADMINISTRATOR
    assert (await api("GET", "/security-servers", role=role))[0] == 200
    assert (await api("GET", "/security-servers/DEV:GOV:M1:SS1", role=role))[0] == 403
    names = await api("GET", "/member-names", role=role, member_class="GOV", member_code="M1")
    assert names[0] == 403
