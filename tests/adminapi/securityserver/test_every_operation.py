"""What holds for every operation of a security server, whatever it does."""

import dataclasses

import pytest

from adminapi.whole_api import WholeApi
from sild.adminapi.application import PREFIX
from sild.adminapi.securityserver.application import AREAS
from sild.adminapi.securityserver.server import SecurityServer
from sild.model.permissions import SECURITY_SERVER, Role

pytestmark = pytest.mark.anyio

EVERYBODY = tuple(role for role in Role if role is not Role.MANAGEMENT_SERVICE)
WHOLE = WholeApi(AREAS, SECURITY_SERVER, EVERYBODY, {"{id}": "DEV:GOV:M1:S"})
NOBODY = SecurityServer(**{each.name: None for each in dataclasses.fields(SecurityServer)})
CLIENT = "/clients/DEV:GOV:M1:S"
SECRET = "Geheim-0815"


@pytest.fixture
async def api(tmp_path):
    """All operations, with nothing behind them."""
    async with WHOLE.served(tmp_path) as api:
        api.application.state.server = NOBODY
        yield api


@pytest.mark.feature("AP-05")
async def test_nobody_who_is_not_known_is_answered(api):
    await WHOLE.check_unknown(api)


@pytest.mark.feature("US-05")
async def test_each_operation_that_demands_a_permission_is_refused_without_it(api):
    await WHOLE.check_unpermitted(api, Role.SECURITYSERVER_OBSERVER)


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


@pytest.mark.feature("AP-04")
async def test_the_language_that_a_client_keeps_is_answered(api):
    key = await api.key(Role.SECURITYSERVER_OBSERVER)
    answer = await api.ask("PUT", f"{PREFIX}/language/et", headers=key)
    assert (answer.status, answer.json) == (200, {"id": "et"})
    for wrong in ("e", "eng"):
        refused = await api.ask("PUT", f"{PREFIX}/language/{wrong}", headers=key)
        assert (refused.status, refused.json["error"]["code"]) == (400, "validation_failure")


# By these names the forms of the reference's user interface find their errors.
@pytest.mark.parametrize(
    ("method", "path", "body", "field", "code"),
    [
        (
            *("POST", "/clients"),
            {"client": {"member_class": "GOV", "member_code": "a:b"}},
            *("clientAddDto.client.memberCode", "IdentifierChars"),
        ),
        (
            *("POST", f"{CLIENT}/local-groups", {"code": "a/b", "description": "d"}),
            *("localGroupAddDto.code", "IdentifierChars"),
        ),
        (
            *("POST", f"{CLIENT}/service-descriptions"),
            {"type": "REST", "url": "http://is", "rest_service_code": "a%b"},
            *("serviceDescriptionAddDto.restServiceCode", "IdentifierChars"),
        ),
        (
            *("PATCH", "/services/DEV:GOV:M1:S:get"),
            {"url": "http://is", "timeout": 1001, "ssl_auth": False},
            *("serviceUpdateDto.timeout", "Max"),
        ),
        (
            *("POST", "/initialization", {"security_server_code": "a;b"}),
            *("initialServerConfDto.securityServerCode", "IdentifierChars"),
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


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/initialization", {"software_token_pin": [SECRET]}),
        ("POST", "/initialization", {"software_token_pin": SECRET * 100}),
        ("POST", "/initialization", {"software_token_pin": SECRET}),
        ("POST", "/initialization", [SECRET]),
        ("PUT", "/tokens/0/login", {"password": {"password": SECRET}}),
        ("PUT", "/tokens/0/login", {"password": SECRET}),
        ("PUT", "/tokens/0/login", f'{{"password": "{SECRET}"'.encode()),
        ("PUT", "/tokens/0/pin", {"old_pin": SECRET, "new_pin": [SECRET]}),
        ("PUT", "/tokens/0/pin", {"old_pin": SECRET, "new_pin": SECRET}),
    ],
)
async def test_what_is_refused_is_told_without_its_secret(api, caplog, method, path, body):
    await WHOLE.check_secret(api, (method, path, body), SECRET, caplog)
