import pytest

from adminapi.centralserver.registry_served import served_registry
from components.centralserver.registry_builder import MEMBER, OTHER, SERVER, SUBSYSTEM

pytestmark = pytest.mark.anyio

MEMBER_BODY = {
    "client_id": {
        "instance_id": "DEV",
        "type": "MEMBER",
        "member_class": "GOV",
        "member_code": "M1",
        "encoded_id": "DEV:GOV:M1",
    },
    "member_name": "First member",
}
SUBSYSTEM_ID = {
    "instance_id": "DEV",
    "type": "SUBSYSTEM",
    "member_class": "GOV",
    "member_code": "M1",
    "subsystem_code": "register",
    "encoded_id": "DEV:GOV:M1:register",
}


@pytest.fixture
async def api(tmp_path):
    async with served_registry(tmp_path) as served:
        yield served


def _member(member_class="GOV", member_code="M3", name="Third"):
    return {
        "member_name": name,
        "member_id": {"member_class": member_class, "member_code": member_code},
    }


@pytest.mark.feature("CM-01")
async def test_a_member_is_added_shown_and_found(api):
    status, added = await api("POST", "/members", _member())
    assert (status, added["client_id"]["encoded_id"]) == (201, "DEV:GOV:M3")
    assert api.audit.last == (
        "Add member",
        {"memberName": "Third", "memberClass": "GOV", "memberCode": "M3"},
        None,
    )
    assert await api("GET", "/members/DEV:GOV:M3") == (200, added)
    assert await api("GET", "/members/DEV:GOV:M1") == (200, MEMBER_BODY)
    status, found = await api("GET", "/clients", q="third", client_type="MEMBER")
    assert (status, found["clients"]) == (200, [added])
    assert found["paging_metadata"] == {"total_items": 1, "items": 1, "limit": 25, "offset": 0}


@pytest.mark.feature("CM-01")
async def test_clients_are_searched_by_every_parameter(api):
    async def found(**query):
        status, answer = await api("GET", "/clients", **query)
        assert status == 200
        return [client["client_id"]["encoded_id"] for client in answer["clients"]]

    everybody = ["DEV:GOV:M1", "DEV:COM:M2", "DEV:GOV:M1:register", "DEV:COM:M2:portal"]
    assert await found() == everybody
    assert await found(name="FIRST", subsystem_code="reg") == ["DEV:GOV:M1:register"]
    assert await found(instance="dev", member_class="com") == ["DEV:COM:M2", "DEV:COM:M2:portal"]
    assert await found(member_code="m1", client_type="SUBSYSTEM") == ["DEV:GOV:M1:register"]
    assert await found(security_server=SERVER.encoded, q="") == everybody[2:]
    assert await found(excluding_group="security-server-owners") == everybody[1:]
    sorted_by = {"sort": "client_id.member_code", "desc": "true"}
    assert await found(**sorted_by, limit=1, offset=2) == ["DEV:GOV:M1"]
    # As existing clients have it, the offset counts pages.
    assert await found(limit=2, offset=1) == everybody[2:]


@pytest.mark.feature("CM-01")
async def test_a_search_that_cannot_be_is_refused(api):
    refused = api.refused
    assert await refused("GET", "/clients", sort="name") == (
        400,
        "invalid_sort_properties",
        ["name"],
    )
    assert (await refused("GET", "/clients", limit=0))[1] == "invalid_pagination_properties"
    assert (await refused("GET", "/clients", offset=-1))[1] == "invalid_pagination_properties"
    assert await refused("GET", "/clients", security_server="DEV:GOV:M1:SS9") == (
        404,
        "security_server_not_found",
        ["SERVER:DEV/GOV/M1/SS9"],
    )
    assert (await refused("GET", "/clients", security_server="SS9"))[1] == "invalid_encoded_id"
    assert await api.invalid("GET", "/clients", q="a" * 256) == ["Size"]
    no_control = await api.invalid("GET", "/clients", security_server="DEV:GOV:M1\0:SS1")
    assert no_control == ["NoControlChars"]
    assert (await api("GET", "/clients", client_type="SERVER"))[0] == 400


@pytest.mark.feature("CM-01")
async def test_who_is_there_or_cannot_be_is_not_added(api):
    assert await api.refused("POST", "/members", _member(member_code="M1")) == (
        409,
        "member_exists",
        ["DEV/GOV/M1"],
    )
    assert await api.refused("POST", "/members", _member(member_class="ORG")) == (
        404,
        "member_class_not_found",
        ["code", "ORG"],
    )
    event, data, reason = api.audit.last
    assert event == "Add member"
    assert data["memberClass"] == "ORG"
    assert "ORG" in reason


@pytest.mark.feature("CM-02")
async def test_a_member_gets_another_name(api):
    status, renamed = await api("PATCH", "/members/DEV:GOV:M1", {"member_name": "Renamed"})
    assert (status, renamed) == (200, MEMBER_BODY | {"member_name": "Renamed"})
    assert api.audit.last[0] == "Edit member name"
    named = {"member_name": "x"}
    assert await api.refused("PATCH", "/members/DEV:GOV:M9", named) == (
        404,
        "member_not_found",
        [],
    )
    for name in ("", " ", "a" * 256, "a\u0007b"):
        assert await api.invalid("PATCH", "/members/DEV:GOV:M1", {"member_name": name})
    assert await api.invalid("PATCH", "/members/DEV:GOV:M1", {}) == ["NotNull"]


@pytest.mark.feature("CM-03")
async def test_a_member_is_deleted_with_servers_and_subsystems(api):
    assert await api("DELETE", "/members/DEV:GOV:M1") == (204, None)
    assert api.audit.last == ("Delete member", {"memberClass": "GOV", "memberCode": "M1"}, None)
    assert (await api("GET", "/security-servers"))[1]["items"] == []
    assert (await api("GET", "/clients", member_code="M1"))[1]["clients"] == []
    assert (await api.refused("DELETE", "/members/DEV:GOV:M1"))[:2] == (404, "member_not_found")
    assert (await api.refused("GET", "/members/DEV:GOV:M1"))[:2] == (404, "member_not_found")


@pytest.mark.feature("CM-04")
async def test_a_members_servers_groups_and_subsystems_are_shown(api):
    await api.made.groups.add("friends", "Friends")
    await api.made.groups.add_members("friends", [SUBSYSTEM.encoded])
    _, (owned,) = await api("GET", "/members/DEV:GOV:M1/owned-servers")
    assert owned["server_id"]["encoded_id"] == "DEV:GOV:M1:SS1"
    _, (used,) = await api("GET", "/members/DEV:COM:M2/used-servers")
    assert used == owned
    _, groups = await api("GET", "/members/DEV:GOV:M1/global-groups")
    assert [(group["group_code"], group.get("subsystem")) for group in groups] == [
        ("security-server-owners", None),
        ("friends", "register"),
    ]
    assert groups[0]["added_to_group"].endswith("Z")
    for path in ("owned-servers", "used-servers", "global-groups"):
        assert await api("GET", f"/members/DEV:GOV:M9/{path}") == (200, [])
    status, code, _ = await api.refused("GET", "/members/DEV:GOV:M9/subsystems")
    assert (status, code) == (404, "member_not_found")


@pytest.mark.feature("CM-05")
async def test_a_member_is_unregistered_by_a_deletion_request(api):
    await api.made.change(lambda rows: rows.add_client(SERVER, OTHER))
    assert await api("DELETE", "/members/DEV:COM:M2/servers/DEV:GOV:M1:SS1") == (204, None)
    assert api.made.deletions.left == [(SERVER, OTHER, None)]
    assert api.audit.last == (
        "Unregister member as security server client",
        {
            "serverCode": "SS1",
            "ownerClass": "GOV",
            "ownerCode": "M1",
            "clientIdentifier": {
                "xRoadInstance": "DEV",
                "memberClass": "COM",
                "memberCode": "M2",
            },
        },
        None,
    )


@pytest.mark.feature("CM-05")
async def test_the_owner_and_who_is_no_client_cannot_be_unregistered(api):
    for member in (MEMBER, OTHER):
        path = f"/members/{member.encoded}/servers/{SERVER.encoded}"
        assert await api.refused("DELETE", path) == (
            404,
            "member_not_registered_to_security_server",
            [],
        )
    path = f"/members/{OTHER.encoded}/servers/DEV:COM:M2:SS9"
    assert (await api.refused("DELETE", path))[:2] == (404, "security_server_not_found")


@pytest.mark.feature("CM-06")
async def test_subsystems_are_added_renamed_and_deleted(api):
    new = {"member_class": "GOV", "member_code": "M1", "subsystem_code": "new"}
    body = {"subsystem_id": new, "subsystem_name": "New one"}
    status, added = await api("POST", "/subsystems", body)
    assert (status, added["client_id"]["encoded_id"]) == (201, "DEV:GOV:M1:new")
    assert "member_name" not in added
    assert api.audit.last[1]["memberSubsystemCode"] == "new"
    assert await api.refused("POST", "/subsystems", body) == (
        409,
        "subsystem_exists",
        ["DEV/GOV/M1/new"],
    )
    path = "/subsystems/DEV:GOV:M1:new"
    assert (await api("PATCH", path, {"subsystem_name": "Renamed"}))[0] == 200
    assert api.audit.last[0] == "Edit subsystem"
    _, subsystems = await api("GET", "/members/DEV:GOV:M1/subsystems")
    assert subsystems[1]["subsystem_name"] == "Renamed"
    assert subsystems[1]["used_security_servers"] == []
    assert await api("PATCH", path, {"subsystem_name": ""}) == (200, added)
    assert "subsystem_name" not in (await api("GET", "/members/DEV:GOV:M1/subsystems"))[1][1]
    assert await api("DELETE", path) == (204, None)
    assert (await api.refused("DELETE", path))[:2] == (404, "subsystem_not_found")
    assert (await api.refused("PATCH", path, {}))[:2] == (404, "subsystem_not_found")


@pytest.mark.feature("CM-06")
async def test_a_subsystem_needs_its_member(api):
    new = {"member_class": "GOV", "member_code": "M9", "subsystem_code": "new"}
    assert await api.refused("POST", "/subsystems", {"subsystem_id": new}) == (
        404,
        "member_not_found",
        ["code", "M9"],
    )


@pytest.mark.feature("CM-06")
async def test_subsystems_show_the_servers_that_have_them(api):
    status, (subsystem,) = await api("GET", "/members/DEV:GOV:M1/subsystems")
    used = {
        "encoded_id": "DEV:GOV:M1:SS1",
        "server_code": "SS1",
        "server_owner": "First member",
        "status": "APPROVED",
    }
    assert (status, subsystem) == (
        200,
        {
            "subsystem_id": SUBSYSTEM_ID,
            "subsystem_name": "The register",
            "used_security_servers": [used],
        },
    )
    await api.made.change(lambda rows: rows.set_client_enabled(SERVER, SUBSYSTEM, False))
    _, (subsystem,) = await api("GET", "/members/DEV:GOV:M1/subsystems")
    assert subsystem["used_security_servers"] == [used | {"status": "DISABLED"}]


@pytest.mark.feature("CM-06")
async def test_a_subsystem_is_deleted_only_once_it_is_unregistered(api):
    path = "/subsystems/DEV:GOV:M1:register"
    assert await api.refused("DELETE", path) == (
        400,
        "subsystem_registered_and_cannot_be_deleted",
        [],
    )
    assert await api("DELETE", f"{path}/servers/DEV:GOV:M1:SS1") == (204, None)
    assert api.made.deletions.left == [(SERVER, SUBSYSTEM, None)]
    assert api.audit.last[0] == "Unregister subsystem as security server client"
    assert await api.refused("DELETE", f"{path}/servers/DEV:GOV:M1:SS1") == (
        404,
        "subsystem_not_registered_to_security_server",
        [],
    )
    assert await api("DELETE", path) == (204, None)


NOT_IDENTIFIERS = ("a b", "a:b", "a;b", "a/b", "a\\b", "a%b", "a_b", "a&b", "a#b", "ä", "a\u200b")
NOT_TEXTS = ("", "  ", "a" * 256)


@pytest.mark.feature("CM-07")
async def test_only_characters_of_identifiers_identify_what_is_new(api):
    def bodies(text):
        identifier = {"member_class": "GOV", "member_code": "M1", "subsystem_code": text}
        yield "/members", _member(member_code=text)
        yield "/members", _member(member_class=text)
        yield "/subsystems", {"subsystem_id": identifier}
        yield "/member-classes", {"code": text, "description": "x"}
        yield "/global-groups", {"code": text, "description": "x"}

    before = await api.made.contents()
    for text in NOT_IDENTIFIERS:
        for path, body in bodies(text):
            assert await api.invalid("POST", path, body) == ["IdentifierChars"], (path, text)
    for text in NOT_TEXTS:
        for path, body in bodies(text):
            assert await api.invalid("POST", path, body) in (["NotBlank"], ["Size"]), (path, text)
    for path, body in bodies(".."):
        assert (await api("POST", path, body))[0] == 400
    assert await api.made.contents() == before
    every = "azAZ09'()+,-.=?"
    for path, body in bodies(every):
        if path != "/members":
            assert (await api("POST", path, body))[0] == 201
    assert (await api("POST", "/members", _member(every, every)))[0] == 201
    assert (await api("GET", f"/members/DEV:{every}:{every}".replace("?", "%3F")))[0] == 200


@pytest.mark.feature("CM-07")
async def test_paths_take_identifiers_of_their_kind_only(api):
    for kind, wrong, code in (
        ("members", "DEV:GOV:M1:register", "invalid_member_id"),
        ("members", "M1", "invalid_member_id"),
        ("members", "DEV::M1", "invalid_encoded_id"),
        ("subsystems", "DEV:GOV:M1", "invalid_subsystem_id"),
        ("subsystems", "DEV:GOV:M1:", "invalid_encoded_id"),
        ("security-servers", "DEV:GOV:M1", "invalid_encoded_id"),
        ("security-servers", ":::", "invalid_encoded_id"),
    ):
        status, told, metadata = await api.refused("DELETE", f"/{kind}/{wrong}")
        assert (status, told, metadata) == (400, code, [wrong])
