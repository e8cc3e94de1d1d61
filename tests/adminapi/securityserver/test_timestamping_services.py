import pytest

from adminapi.securityserver.rights_served import served_rights
from sild.model.permissions import Role

pytestmark = pytest.mark.anyio

PATH = "/system/timestamping-services"
FIRST = {"name": "First", "url": "http://first.test/", "cost_type": "PAID"}
SECOND = {"name": "Second", "url": "http://second.test/", "cost_type": "UNDEFINED"}


@pytest.fixture
async def api(tmp_path):
    async with served_rights(tmp_path) as api:
        yield api


@pytest.mark.feature("TS-07")
async def test_services_are_chosen_in_order_from_those_that_are_approved(api):
    assert await api.get("/timestamping-services") == [FIRST, SECOND]
    assert await api.get(PATH) == []
    assert await api("POST", PATH, SECOND) == (201, SECOND)
    # What a service costs is not for who chooses it to say, nor need they.
    named = {"name": "First", "url": "http://first.test/"}
    assert await api("POST", PATH, named | {"cost_type": "FREE"}) == (201, FIRST)
    assert api.last == (
        "Add timestamping service",
        {"tspName": "First", "tspUrl": "http://first.test/", "tspCostType": "FREE"},
        True,
    )
    assert await api.get(PATH) == [SECOND, FIRST]
    assert await api("POST", f"{PATH}/delete", SECOND) == (204, None)
    assert api.last[:2] == (
        "Delete timestamping service",
        {"tspName": "Second", "tspUrl": "http://second.test/", "tspCostType": "UNDEFINED"},
    )
    assert await api.get(PATH) == [FIRST]


@pytest.mark.feature("TS-07")
async def test_a_service_that_is_approved_no_more_can_be_seen_and_taken_away(api):
    await api("POST", PATH, FIRST)
    api.approved.clear()
    assert await api.get(PATH) == [FIRST | {"cost_type": "UNDEFINED"}]
    assert (await api("POST", f"{PATH}/delete", FIRST))[0] == 204
    assert await api.get(PATH) == []


@pytest.mark.feature("TS-08")
async def test_the_strategy_is_shown(api):
    assert await api.get(f"{PATH}/prioritization-strategy") == "FREE_FIRST"


async def test_a_service_that_is_not_approved_is_refused(api):
    for wrong in ({"name": "Third"}, {"url": "http://third.test/"}):
        refusal = await api.refused("POST", PATH, FIRST | wrong)
        assert refusal == (400, "timestamping_service_not_found")
    assert await api.get(PATH) == []
    assert not api.last[2]


async def test_a_service_is_chosen_once(api):
    await api("POST", PATH, FIRST)
    refusal = await api.refused("POST", PATH, FIRST)
    assert refusal == (409, "duplicate_configured_timestamping_service")
    assert await api.get(PATH) == [FIRST]


async def test_a_service_that_was_not_chosen_is_not_taken_away(api):
    await api("POST", PATH, FIRST)
    refusal = await api.refused("POST", f"{PATH}/delete", SECOND)
    assert refusal == (400, "timestamping_service_not_found")
    assert await api.get(PATH) == [FIRST]


async def test_only_security_officers_choose(api):
    for role in (Role.SYSTEM_ADMINISTRATOR, Role.SERVICE_ADMINISTRATOR):
        assert (await api("POST", PATH, FIRST, role=role))[0] == 403
        assert (await api("POST", f"{PATH}/delete", FIRST, role=role))[0] == 403
    assert (await api("POST", PATH, FIRST, role=Role.SECURITY_OFFICER))[0] == 201


async def test_what_names_no_service_is_refused(api):
    for wrong in ({"name": ""}, {"url": "x" * 256}, {"cost_type": "CHEAP"}):
        assert await api.refused("POST", PATH, FIRST | wrong) == (400, "validation_failure")
