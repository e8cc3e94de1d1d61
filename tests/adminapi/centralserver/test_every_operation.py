"""What holds for every operation of the Central Server, whatever it does."""

import dataclasses
import re

import pytest

from adminapi.api_builder import UNLIMITED, some_api
from sild.adminapi.application import PREFIX
from sild.adminapi.centralserver.application import AREAS
from sild.adminapi.centralserver.central import CentralServer
from sild.adminapi.routes import OperationRoute
from sild.adminapi.settings import AdminApiSettings
from sild.model.permissions import CENTRAL_SERVER, Role

pytestmark = pytest.mark.anyio

OPERATIONS = [operation for area in AREAS for operation in area]
ROUTES = [OperationRoute(PREFIX, operation) for operation in OPERATIONS]
NOBODY = CentralServer(**{each.name: None for each in dataclasses.fields(CentralServer)})
EVERYBODY = (Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_OFFICER, Role.REGISTRATION_OFFICER)
SECRET = "Geheim-0815"
_ID = "x-road-ui-correlation-id"


@pytest.fixture
async def api(tmp_path):
    """All operations, with nothing behind them."""
    async with some_api(tmp_path, AREAS) as api:
        api.application.state.central = NOBODY
        yield api


def path_of(operation):
    """A path of the operation, whatever its parameters name."""
    kinds = {"{configuration_type}": "INTERNAL"}
    parts = (
        kinds.get(part, "1") if part.startswith("{") else part for part in operation.path.split("/")
    )
    path = "/".join(parts)
    return path if path.startswith("/api/") else PREFIX + path


async def check_each(api, operations, status, code, **how):
    """Ask for operations, which must all be refused the same way; each answer has its own id."""
    ids = set()
    for operation in operations:
        answer = await api.ask(operation.method, path_of(operation), **how)
        assert answer.json == {"status": status, "error": {"code": code}}, operation
        assert answer.headers["content-type"] == "application/json"
        ids.add(answer.headers[_ID])
    assert len(ids) == len(operations) > 50
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)


@pytest.mark.feature("AP-05")
async def test_nobody_who_is_not_known_is_answered(api):
    await check_each(api, OPERATIONS, 401, "not_authenticated")
    wrong = {"authorization": "X-Road-ApiKey token=00000000-0000-4000-8000-000000000000"}
    await check_each(api, OPERATIONS, 401, "not_authenticated", headers=wrong)


@pytest.mark.feature("US-05")
async def test_each_operation_that_demands_a_permission_is_refused_without_it(api):
    role = Role.MANAGEMENT_SERVICE
    refused = [
        operation
        for operation in OPERATIONS
        if operation.needs and CENTRAL_SERVER[role].isdisjoint(operation.needs)
    ]
    headers = await api.key(role) | {"content-type": "application/json"}
    await check_each(api, refused, 403, "access_denied", headers=headers, body=b"no JSON")


@pytest.mark.feature("AP-04")
async def test_a_body_of_another_type_is_refused_by_each_operation(api):
    headers = await api.key(*EVERYBODY) | {"content-type": "text/xml"}
    for route in ROUTES:
        if route.takes is None:
            continue
        operation = route.operation
        answer = await api.ask(operation.method, path_of(operation), b"<a/>", headers)
        told = {"code": "unsupported_media_type", "metadata": [route.takes]}
        assert answer.json == {"status": 415, "error": told}, operation
        assert answer.headers[_ID]


@pytest.mark.feature("AP-02")
async def test_a_body_that_is_too_large_is_refused_by_each_operation(tmp_path):
    settings = AdminApiSettings(
        rate_limit_enabled=False,
        request_size_limit_regular=1000,
        request_size_limit_binary_upload=2000,
    )
    async with some_api(tmp_path, AREAS, settings) as api:
        key = await api.key(*EVERYBODY)
        for route in ROUTES:
            size = 1001 if route.takes in (None, "application/json") else 2001
            headers = key | ({"content-type": route.takes} if route.takes else {})
            operation = route.operation
            answer = await api.ask(operation.method, path_of(operation), b"x" * size, headers)
            assert answer.json["error"] == {"code": "request_size_limit_exceeded"}, operation
            assert (answer.status, bool(answer.headers[_ID])) == (413, True)


async def test_a_method_that_a_path_does_not_have_is_refused_by_each_path(api):
    key = await api.key(*EVERYBODY)
    for path in {operation.path for operation in OPERATIONS}:
        there = {each.method for each in OPERATIONS if each.path == path}
        operation = next(each for each in OPERATIONS if each.path == path)
        answer = await api.ask("OPTIONS", path_of(operation), headers=key)
        assert (answer.status, answer.json["error"]) == (405, {"code": "method_not_allowed"})
        assert set(answer.headers["allow"].split(", ")) == there
        assert answer.headers[_ID]


async def test_who_asks_too_often_is_told_so_by_each_operation(tmp_path):
    settings = dataclasses.replace(
        UNLIMITED,
        rate_limit_enabled=True,
        rate_limit_requests_per_second=-1,
        rate_limit_requests_per_minute=1,
    )
    async with some_api(tmp_path, AREAS, settings) as api:
        assert (await api.ask("GET", "/")).status == 200
        await check_each(api, OPERATIONS, 429, "rate_limit_exceeded")


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
    answer = await api.ask(method, PREFIX + path, body, await api.key(*EVERYBODY))
    assert answer.json == {
        "status": 400,
        "error": {"code": "validation_failure", "validation_errors": {field: [code]}},
    }


async def test_a_field_of_whichever_request_is_told_by_the_name_of_them_all(api):
    wrong = {"type": "OWNER_CHANGE_REQUEST", "origin": "CENTER", "security_server_id": "x"}
    answer = await api.ask(
        "POST", f"{PREFIX}/management-requests", wrong, await api.key(*EVERYBODY)
    )
    told = {"managementRequestDto.clientId": ["NotNull"]}
    assert answer.json["error"]["validation_errors"] == told


@pytest.mark.parametrize("wrong", [{"offset": False}, {"limit": "x"}, {"desc": 1}, {"sort": ""}])
async def test_a_page_in_a_body_is_of_the_types_that_are_described(api, wrong):
    path = f"{PREFIX}/global-groups/friends/members"
    body = {"paging_sorting": wrong}
    answer = await api.ask("POST", path, body, await api.key(*EVERYBODY))
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
    key = await api.key(*EVERYBODY)
    headers = key | {"content-type": "application/json"}
    answer = await api.ask(method, PREFIX + path, body, headers)
    # Nothing is behind the operations: what gets as far as that fails there.
    assert answer.status in {400, 500}
    told = answer.body.decode() + str(answer.headers) + str(api.audit.lines()) + caplog.text
    assert SECRET not in told
    assert key["authorization"].partition("=")[2] not in told
