"""What holds for every operation of the Central Server, whatever it does."""

import dataclasses

import pytest

from adminapi.whole_api import WholeApi
from sild.adminapi.application import PREFIX
from sild.adminapi.centralserver.application import AREAS
from sild.adminapi.centralserver.central import CentralServer
from sild.model.permissions import CENTRAL_SERVER, Role

pytestmark = pytest.mark.anyio

WHOLE = WholeApi(
    AREAS,
    CENTRAL_SERVER,
    (Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_OFFICER, Role.REGISTRATION_OFFICER),
    {"{configuration_type}": "INTERNAL"},
)
NOBODY = CentralServer(**{each.name: None for each in dataclasses.fields(CentralServer)})
SECRET = "Geheim-0815"


@pytest.fixture
async def api(tmp_path):
    """All operations, with nothing behind them."""
    async with WHOLE.served(tmp_path) as api:
        api.application.state.central = NOBODY
        yield api


@pytest.mark.feature("AP-05")
async def test_nobody_who_is_not_known_is_answered(api):
    await WHOLE.check_unknown(api)


@pytest.mark.feature("US-05")
async def test_each_operation_that_demands_a_permission_is_refused_without_it(api):
    await WHOLE.check_unpermitted(api, Role.MANAGEMENT_SERVICE)


@pytest.mark.feature("AP-04")
async def test_a_body_of_another_type_is_refused_by_each_operation(api):
    await WHOLE.check_media_types(api)


@pytest.mark.feature("AP-02")
async def test_a_body_that_is_too_large_is_refused_by_each_operation(tmp_path):
    await WHOLE.check_sizes(tmp_path)


async def test_a_method_that_a_path_does_not_have_is_refused_by_each_path(api):
    await WHOLE.check_methods(api)


async def test_who_asks_too_often_is_told_so_by_each_operation(tmp_path):
    await WHOLE.check_rates(tmp_path)


# By these names the forms of the reference's user interface find their errors.
@pytest.mark.parametrize(
    ("method", "path", "body", "field", "code"),
    [
        (
            *("POST", "/members"),
            {"member_name": "M", "member_id": {"member_class": "GOV", "member_code": "a:b"}},
            *("memberAddDto.memberId.memberCode", "IdentifierChars"),
        ),
        (
            *("POST", "/member-classes", {"code": "a/b", "description": "d"}),
            *("memberClassDto.code", "IdentifierChars"),
        ),
        (
            *("POST", "/global-groups", {"code": "a" * 256, "description": "d"}),
            *("globalGroupCodeAndDescriptionDto.code", "Size"),
        ),
        (
            *("PATCH", "/security-servers/DEV:GOV:M1:SS1", {"server_address": "a b"}),
            *("securityServerAddressDto.serverAddress", "OnlyAddressChars"),
        ),
        (
            *("PUT", "/system/server-address", {"central_server_address": ""}),
            *("centralServerAddressDto.centralServerAddress", "ValidHostAddress"),
        ),
        (
            *("POST", "/initialization"),
            {
                "instance_identifier": "a%b",
                "central_server_address": "cs",
                "software_token_pin": SECRET,
            },
            *("initialServerConfDto.instanceIdentifier", "IdentifierChars"),
        ),
    ],
)
@pytest.mark.feature("AP-04")
async def test_fields_are_told_by_the_names_that_forms_know(api, method, path, body, field, code):
    answer = await api.ask(method, PREFIX + path, body, await api.key(*WHOLE.everybody))
    assert answer.json == {
        "status": 400,
        "error": {"code": "validation_failure", "validation_errors": {field: [code]}},
    }


async def test_a_field_of_whichever_request_is_told_by_the_name_of_them_all(api):
    wrong = {"type": "OWNER_CHANGE_REQUEST", "origin": "CENTER", "security_server_id": "x"}
    answer = await api.ask(
        "POST", f"{PREFIX}/management-requests", wrong, await api.key(*WHOLE.everybody)
    )
    told = {"managementRequestDto.clientId": ["NotNull"]}
    assert answer.json["error"]["validation_errors"] == told


@pytest.mark.parametrize("wrong", [{"offset": False}, {"limit": "x"}, {"desc": 1}, {"sort": ""}])
async def test_a_page_in_a_body_is_of_the_types_that_are_described(api, wrong):
    path = f"{PREFIX}/global-groups/friends/members"
    body = {"paging_sorting": wrong}
    answer = await api.ask("POST", path, body, await api.key(*WHOLE.everybody))
    assert (answer.status, answer.json["error"]["code"]) == (400, "validation_failure")
    (name,) = wrong
    field = f"groupMembersFilterDto.pagingSorting.{name}"
    assert list(answer.json["error"]["validation_errors"]) == [field]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/initialization", {"software_token_pin": SECRET}),
        ("POST", "/initialization", {"software_token_pin": [SECRET]}),
        ("POST", "/initialization", {"software_token_pin": SECRET * 100}),
        ("POST", "/initialization", [SECRET]),
        ("PUT", "/tokens/0/login", {"password": {"password": SECRET}}),
        ("PUT", "/tokens/0/login", {"password": [SECRET]}),
        ("PUT", "/tokens/0/login", {"password": SECRET}),
        ("PUT", "/tokens/0/login", f'{{"password": "{SECRET}"'.encode()),
    ],
)
async def test_what_is_refused_is_told_without_its_secret(api, caplog, method, path, body):
    await WHOLE.check_secret(api, (method, path, body), SECRET, caplog)
