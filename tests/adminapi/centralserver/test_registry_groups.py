import pytest

from adminapi.centralserver.registry_served import served_registry

pytestmark = pytest.mark.anyio

OWNERS = "/global-groups/security-server-owners"
FRIENDS = "/global-groups/friends"


@pytest.fixture
async def api(tmp_path):
    async with served_registry(tmp_path) as served:
        yield served


async def _make_friends(api):
    body = {"code": "friends", "description": "Friends"}
    assert (await api("POST", "/global-groups", body))[0] == 201


@pytest.mark.feature("CI-02")
async def test_member_classes_are_added_described_and_deleted(api):
    new = {"code": "ORG", "description": "Organisations"}
    assert await api("POST", "/member-classes", new) == (201, new)
    assert api.audit.last == ("Add member class", new, None)
    _, listed = await api("GET", "/member-classes")
    assert [each["code"] for each in listed] == ["COM", "GOV", "ORG"]
    described = {"description": "Others"}
    assert await api("PATCH", "/member-classes/ORG", described) == (200, new | described)
    assert api.audit.last[0] == "Edit member class description"
    assert await api("DELETE", "/member-classes/ORG") == (204, None)
    assert api.audit.last == ("Delete member class", {"code": "ORG"}, None)


@pytest.mark.feature("CI-02")
async def test_a_member_class_that_is_there_used_or_gone_is_refused(api):
    again = {"code": "GOV", "description": "Again"}
    assert await api.refused("POST", "/member-classes", again) == (
        409,
        "member_class_exists",
        ["GOV"],
    )
    assert await api.refused("DELETE", "/member-classes/GOV") == (
        409,
        "member_class_is_in_use",
        ["code", "GOV"],
    )
    for method, body in (("DELETE", None), ("PATCH", {"description": "x"})):
        assert await api.refused(method, "/member-classes/ORG", body) == (
            404,
            "member_class_not_found",
            ["code", "ORG"],
        )
    for description in ("ä", "<b>", "a" * 256, ""):
        assert await api.invalid("PATCH", "/member-classes/GOV", {"description": description})


@pytest.mark.feature("CG-01")
async def test_groups_are_added_shown_described_and_deleted(api):
    await _make_friends(api)
    assert api.audit.last[1] == {"code": "friends", "description": "Friends"}
    status, shown = await api("GET", FRIENDS)
    assert (status, shown["code"], shown["member_count"]) == (200, "friends", 0)
    assert shown["created_at"] == shown["updated_at"]
    _, groups = await api("GET", "/global-groups")
    assert [(each["code"], each["member_count"]) for each in groups] == [
        ("security-server-owners", 1),
        ("friends", 0),
    ]
    status, described = await api("PATCH", FRIENDS, {"description": "Best friends"})
    assert (status, described["description"]) == (200, "Best friends")
    again = {"code": "friends", "description": "Again"}
    assert await api.refused("POST", "/global-groups", again) == (
        409,
        "global_group_exists",
        ["friends"],
    )
    assert await api("DELETE", FRIENDS) == (204, None)
    assert api.audit.last == (
        "Delete global group",
        {"code": "friends", "description": "Best friends"},
        None,
    )
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"description": "x"})):
        refused = await api.refused(method, FRIENDS, body)
        assert refused[:2] == (404, "global_group_not_found")


@pytest.mark.feature("CG-02")
async def test_members_join_and_leave_a_group(api):
    await _make_friends(api)
    both = {"items": ["DEV:GOV:M1", "DEV:COM:M2:portal"]}
    assert await api("POST", f"{FRIENDS}/members/add", both) == (201, both)
    event, data, _ = api.audit.last
    assert event == "Add members to global group"
    assert data["memberIdentifiers"][1] == {
        "xRoadInstance": "DEV",
        "memberClass": "COM",
        "memberCode": "M2",
        "subsystemCode": "portal",
    }
    assert await api("POST", f"{FRIENDS}/members/add", both) == (201, {"items": []})
    assert await api("POST", f"{FRIENDS}/members/add") == (201, {"items": []})
    assert await api("DELETE", f"{FRIENDS}/members/DEV:GOV:M1") == (204, None)
    assert api.audit.last[1]["code"] == "friends"
    assert await api.refused("DELETE", f"{FRIENDS}/members/DEV:GOV:M1") == (
        404,
        "member_not_found",
        ["memberId", "DEV:GOV:M1"],
    )
    for item, code in (
        ("DEV:GOV:M9", "member_not_found"),
        ("DEV:GOV:M1:none", "subsystem_not_found"),
        ("M1", "invalid_encoded_id"),
    ):
        refused = await api.refused("POST", f"{FRIENDS}/members/add", {"items": [item]})
        assert refused[1] == code
    nowhere = await api.refused("POST", "/global-groups/x/members/add", both)
    assert nowhere[:2] == (404, "global_group_not_found")


@pytest.mark.feature("CG-02")
async def test_members_of_a_group_are_searched_with_what_they_differ_by(api):
    await _make_friends(api)
    everybody = ["DEV:GOV:M1", "DEV:GOV:M1:register", "DEV:COM:M2", "DEV:COM:M2:portal"]
    await api("POST", f"{FRIENDS}/members/add", {"items": everybody})

    async def found(body=None):
        status, answer = await api("POST", f"{FRIENDS}/members", body)
        assert status == 200
        return [each["client_id"]["encoded_id"] for each in answer["items"]]

    assert await found() == everybody
    assert await found({}) == everybody
    empty = dict.fromkeys(("query", "member_class", "instance", "codes", "subsystems", "types"))
    assert await found(empty) == everybody
    assert await found({"types": ["SUBSYSTEM"], "codes": ["M2"]}) == ["DEV:COM:M2:portal"]
    paging = {"sort": "subsystem", "desc": False, "limit": 1, "offset": 1}
    assert await found({"query": "e", "paging_sorting": paging}) == ["DEV:GOV:M1:register"]
    _, answer = await api("POST", f"{FRIENDS}/members", {"paging_sorting": {"limit": 1}})
    assert answer["paging_metadata"]["total_items"] == 4
    assert answer["items"][0]["name"] == "First member"
    assert await api("GET", f"{FRIENDS}/members/filter-model") == (
        200,
        {
            "instances": ["DEV"],
            "member_classes": ["GOV", "COM"],
            "codes": ["M1", "M2"],
            "subsystems": ["register", "portal"],
        },
    )
    for paging, code in (
        ({"sort": "id"}, "invalid_sort_properties"),
        ({"limit": 0}, "invalid_pagination_properties"),
    ):
        refused = await api.refused("POST", f"{FRIENDS}/members", {"paging_sorting": paging})
        assert refused[:2] == (400, code)
    for wanted in ({"query": "\0"}, {"instance": "\0"}, {"codes": ["M1", "\0"]}):
        assert await api.invalid("POST", f"{FRIENDS}/members", wanted) == ["NoControlChars"]


@pytest.mark.feature("CG-03")
async def test_the_owners_group_follows_servers_and_nobody_else(api):
    _, answer = await api("POST", f"{OWNERS}/members", {})
    assert [each["client_id"]["encoded_id"] for each in answer["items"]] == ["DEV:GOV:M1"]
    assert await api.refused("DELETE", OWNERS) == (
        400,
        "owners_global_group_cannot_be_deleted",
        [],
    )
    other = {"items": ["DEV:COM:M2"]}
    assert await api.refused("POST", f"{OWNERS}/members/add", other) == (
        400,
        "cannot_add_member_to_owners_group",
        [],
    )
    assert await api.refused("DELETE", f"{OWNERS}/members/DEV:GOV:M1") == (
        400,
        "owners_global_group_member_cannot_be_deleted",
        [],
    )
    assert await api("DELETE", "/security-servers/DEV:GOV:M1:SS1") == (204, None)
    assert (await api("GET", OWNERS))[1]["member_count"] == 0
