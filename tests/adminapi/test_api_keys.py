import base64

import pytest

from adminapi.api_builder import PASSWORD, some_api
from adminapi.operations_of_tests import THINGS
from sild.adminapi.settings import AdminApiSettings
from sild.model.permissions import Role

pytestmark = pytest.mark.anyio

KEYS = "/api/v1/api-keys"


@pytest.fixture
async def api(tmp_path):
    async with some_api(tmp_path, [THINGS]) as made:
        yield made


def basic(name="joe", password=PASSWORD):
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.feature("US-07")
async def test_a_key_is_made_listed_changed_and_revoked(api):
    joe = await api.session()
    roles = ["XROAD_REGISTRATION_OFFICER"]
    made = await joe.ask("POST", KEYS, roles)
    assert made.status == 200
    key_id, text = made.json["id"], made.json["key"]
    assert made.json == {"id": key_id, "key": text, "roles": roles}
    assert (await joe.ask("GET", KEYS)).json == [{"id": key_id, "roles": roles}]
    key = {"authorization": f"X-Road-ApiKey token={text}"}
    user = (await api.ask("GET", "/api/v1/user", headers=key)).json
    assert (user["username"], user["roles"]) == (f"api-key-{key_id}", [f"ROLE_{roles[0]}"])
    changed = await joe.ask("PUT", f"{KEYS}/{key_id}", ["XROAD_SECURITY_OFFICER"])
    assert changed.json == {"id": key_id, "roles": ["XROAD_SECURITY_OFFICER"]}
    assert (await joe.ask("GET", f"{KEYS}/{key_id}")).json == changed.json
    assert (await api.ask("GET", "/api/v1/things/1", headers=key)).status == 403
    revoked = await joe.ask("DELETE", f"{KEYS}/{key_id}")
    assert (revoked.status, revoked.body) == (200, b"")
    assert (await api.ask("GET", "/api/v1/user", headers=key)).status == 401
    assert (await joe.ask("GET", f"{KEYS}/{key_id}")).json == {
        "status": 404,
        "error": {"code": "api_key_not_found", "metadata": [str(key_id)]},
    }
    told = [line for line in api.audit.lines() if line["event"].startswith("API key")]
    assert [(line["event"], line["data"]["apiKeyId"]) for line in told[:3]] == [
        ("API key create", key_id),
        ("API key update", key_id),
        ("API key remove", key_id),
    ]
    assert text not in str(api.audit.lines())


@pytest.mark.parametrize("header", ["X-Road-ApiKey token={}", "x-road-apikey TOKEN= {} "])
async def test_a_key_changes_things_without_a_token_of_a_session(api, header):
    made = await api.accounts.keys.create(["XROAD_REGISTRATION_OFFICER"], frozenset(Role))
    headers = {"authorization": header.format(made.text)}
    assert (await api.ask("DELETE", "/api/v1/things/1", headers=headers)).status == 204


@pytest.mark.parametrize(
    "header", ["", "X-Road-ApiKey token=", "X-Road-ApiKey token=x", "Bearer x", "Basic am9lOng="]
)
async def test_a_header_that_is_no_key_is_refused_whatever_session_comes_with_it(api, header):
    joe = await api.session()
    answer = await joe.ask("GET", "/api/v1/user", headers={"authorization": header})
    assert answer.status == 401
    assert api.audit.lines()[-1]["event"] == "API key authentication failed"


async def test_a_key_manages_no_keys(api):
    key = await api.key(Role.SYSTEM_ADMINISTRATOR)
    assert (await api.ask("GET", KEYS, headers=key)).status == 401


async def test_keys_are_managed_with_a_name_and_password(api):
    made = await api.ask("POST", KEYS, ["XROAD_MANAGEMENT_SERVICE"], basic())
    assert made.json["roles"] == ["XROAD_MANAGEMENT_SERVICE"]
    login, create = api.audit.lines()
    assert (login["event"], login["user"]) == ("Key management API log in", "joe")
    assert create["auth"] == "HttpBasicPam"


@pytest.mark.parametrize(
    "headers",
    [
        basic(password="wrong"),
        basic("nobody"),
        {"authorization": "Basic x"},
        {"authorization": "Basic " + base64.b64encode(b"joe").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"authorization": "Digest x"},
    ],
)
async def test_a_name_and_password_that_are_wrong_manage_nothing(api, headers):
    answer = await api.ask("GET", KEYS, headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="API keys"'
    assert api.audit.lines()[-1]["event"] == "Key management API log in failed"


async def test_who_has_no_permission_manages_no_keys(api):
    for method, path in (
        ("GET", KEYS),
        ("POST", KEYS),
        ("PUT", f"{KEYS}/1"),
        ("DELETE", f"{KEYS}/1"),
    ):
        answer = await api.ask(method, path, ["XROAD_REGISTRATION_OFFICER"], basic("otto"))
        assert answer.status == 403


async def test_a_key_beyond_ones_own_roles_is_refused(api):
    await api.accounts.set_roles("joe", {Role.SYSTEM_ADMINISTRATOR})
    answer = await api.ask("POST", KEYS, ["XROAD_SECURITY_OFFICER"], basic())
    assert answer.status == 403
    assert api.audit.lines()[-1]["reason"] == "Missing authority: ROLE_XROAD_SECURITY_OFFICER"


@pytest.mark.parametrize("body", [[], ["XROAD_KING"], {}, "x", [1], None])
async def test_a_key_of_no_role_is_refused(api, body):
    headers = basic() | {"content-type": "application/json"}
    answer = await api.ask("POST", KEYS, body if isinstance(body, list) else '"x"', headers)
    assert answer.status == 400
    code = answer.json["error"]["code"]
    assert code == (
        "invalid_role" if isinstance(body, list) and body != [1] else "validation_failure"
    )


@pytest.mark.parametrize("key_id", ["0", "-1", "x", str(2**63), "1.5"])
async def test_an_id_that_is_none_is_refused(api, key_id):
    answer = await api.ask("GET", f"{KEYS}/{key_id}", headers=basic())
    assert answer.status == 400
    assert list(answer.json["error"]["validation_errors"]) == ["getApiKey.id"]


@pytest.mark.parametrize("name", ["regular_api_whitelist", "key_management_api_whitelist"])
def test_a_list_of_addresses_that_cannot_be_read_is_refused(name):
    for wrong in ("", "192.0.2.0/33", "localhost", "192.0.2.*"):
        with pytest.raises(ValueError, match="IPv4 or IPv6"):
            AdminApiSettings(**{name: ("192.0.2.1", wrong)})


@pytest.mark.feature("US-08")
async def test_addresses_that_are_not_listed_use_and_manage_no_keys(tmp_path):
    settings = AdminApiSettings(
        rate_limit_enabled=False,
        regular_api_whitelist=("192.0.2.0/24",),
        key_management_api_whitelist=("192.0.2.1",),
    )
    async with some_api(tmp_path, [THINGS], settings) as api:
        key = await api.key(Role.REGISTRATION_OFFICER)
        answer = await api.ask("GET", "/api/v1/user", headers=key)
        assert answer.status == 401
        assert api.audit.lines()[-1]["reason"] == "Invalid IP Address 127.0.0.1"
        assert (await api.ask("GET", KEYS, headers=basic())).status == 401
        assert api.audit.lines()[-1]["reason"] == "Invalid IP Address 127.0.0.1"
        assert (await api.login()).status == 200
