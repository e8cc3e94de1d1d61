"""Tokens over the API: each state with everything that can be asked of a token in it."""

import pytest

from adminapi.securityserver.tokens_served import (
    ADMINISTRATOR,
    OFFICER,
    REGISTRAR,
    served_tokens,
    wanted,
)
from components.signer.builders import PIN

pytestmark = pytest.mark.anyio

NOT_POSSIBLE = (409, "action_not_possible", [])
OTHER_PIN = "Another-5678"


@pytest.fixture
async def api(tmp_path):
    async with served_tokens(tmp_path) as api:
        yield api


async def token(api, token_id="0"):
    return await api.get(f"/tokens/{token_id}")


@pytest.mark.feature("KC-05")
async def test_tokens_are_listed_with_what_is_known_of_them(api):
    await api.signer.scan()
    software, card = await api.get("/tokens")
    assert software == {
        "id": "0",
        "name": "softToken-0",
        "type": "SOFTWARE",
        "keys": [],
        "status": "NOT_INITIALIZED",
        "logged_in": False,
        "available": True,
        "saved_to_configuration": False,
        "read_only": False,
        "token_infos": [],
        "possible_actions": ["LOGIN"],
    }
    assert card["type"] == "HARDWARE"
    assert card["serial_number"] == "4711"
    assert card["token_infos"] == [{"key": "Manufacturer", "value": "Nobody"}]


async def test_a_token_that_is_not_there_is_not_found(api):
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("PUT", "/login", {"password": "x"}),
        ("PUT", "/logout", None),
        ("PUT", "/pin", {"old_pin": "x", "new_pin": "y"}),
        ("POST", "/keys", {}),
        ("POST", "/keys-with-csrs", {"key_label": "", "csr_generate_request": wanted()}),
    ):
        status, code, _ = await api.refused(method, f"/tokens/9{path}", body)
        assert (status, code) == (404, "token_not_found"), path


# What happens to a token in each state (features 4.3): None where it is refused as not possible.
STATES = ("not initialized", "logged out", "logged in", "unavailable")
EDGES = {
    ("not initialized", "login"): (409, "token_not_initialized"),
    ("not initialized", "logout"): None,
    ("not initialized", "pin"): None,
    ("not initialized", "key"): None,
    ("not initialized", "delete"): None,
    ("logged out", "login"): "logged in",
    ("logged out", "logout"): None,
    ("logged out", "pin"): None,
    ("logged out", "key"): None,
    ("logged out", "delete"): None,
    ("logged in", "login"): None,
    ("logged in", "logout"): "logged out",
    ("logged in", "pin"): "logged out",
    ("logged in", "key"): "logged in",
    ("logged in", "delete"): None,
    ("unavailable", "login"): None,
    ("unavailable", "logout"): None,
    ("unavailable", "pin"): None,
    ("unavailable", "key"): None,
    ("unavailable", "delete"): "gone",
}
ACTS = {
    "login": ("PUT", "/login", {"password": PIN}, 200),
    "logout": ("PUT", "/logout", None, 200),
    "pin": ("PUT", "/pin", {"old_pin": PIN, "new_pin": OTHER_PIN}, 204),
    "key": ("POST", "/keys", {"label": "k"}, 201),
    "delete": ("DELETE", "", None, 204),
}


def state_of(body):
    if not body["available"]:
        return "unavailable"
    if body["status"] == "NOT_INITIALIZED":
        return "not initialized"
    return "logged in" if body["logged_in"] else "logged out"


async def brought(api, state):
    """The id of a token in a state."""
    if state == "unavailable":
        await api.signer.scan()
        await api.control.login("card-1", "1234")
        await api.key(token="card-1")
        api.cards.card.there = api.cards.card.logged_in = False
        return "card-1"
    if state != "not initialized":
        await api.control.initialize(PIN)
    if state == "logged in":
        await api.control.login("0", PIN)
    return "0"


@pytest.mark.feature("KC-01")
@pytest.mark.parametrize(("state", "act"), EDGES)
async def test_a_token_moves_as_the_table_of_its_states_says(api, state, act):
    token_id = await brought(api, state)
    assert state_of(await token(api, token_id)) == state
    method, path, body, status = ACTS[act]
    expected = EDGES[state, act]
    told = await api(method, f"/tokens/{token_id}{path}", body)
    if isinstance(expected, str):
        assert told[0] == status
        found = [each for each in await api.get("/tokens") if each["id"] == token_id]
        assert (state_of(found[0]) if found else "gone") == expected
    else:
        wanted_refusal = (409, "action_not_possible") if expected is None else expected
        assert (told[0], told[1]["error"]["code"]) == wanted_refusal
        assert state_of(await token(api, token_id)) == state


def test_the_table_has_each_state_and_act():
    assert {(state, act) for state in STATES for act in ACTS} == EDGES.keys()


@pytest.mark.feature("KC-01")
async def test_a_token_is_opened_and_closed(api):
    await api.control.initialize(PIN)
    status, body = await api("PUT", "/tokens/0/login", {"password": PIN}, role=ADMINISTRATOR)
    assert (status, body["logged_in"]) == (200, True)
    assert body["possible_actions"] == ["LOGOUT", "TOKEN_CHANGE_PIN", "GENERATE_KEY"]
    told = {"tokenId": "0", "tokenSerialNumber": None, "tokenFriendlyName": "softToken-0"}
    assert api.last == ("Log in to token", told, True)
    status, body = await api("PUT", "/tokens/0/logout", role=OFFICER)
    assert (status, body["logged_in"]) == (200, False)
    assert api.last == ("Log out from token", told, True)


@pytest.mark.parametrize("body", [{}, {"password": None}])
async def test_without_a_pin_no_token_is_opened(api, body):
    refusal = await api.refused("PUT", "/tokens/0/login", body)
    assert refusal == (400, "missing_token_password", [])


async def test_a_wrong_pin_opens_nothing(api):
    await api.control.initialize(PIN)
    refusal = await api.refused("PUT", "/tokens/0/login", {"password": "wrong"})
    assert refusal == (400, "pin_incorrect", [])
    event, data, well = api.last
    assert (event, well) == ("Log in to token", False)
    assert "wrong" not in str(data)


async def test_who_may_neither_open_nor_close_tokens_is_refused(api):
    for path in ("login", "logout"):
        refusal = await api.refused("PUT", f"/tokens/0/{path}", {"password": PIN}, role=REGISTRAR)
        assert refusal[:2] == (403, "access_denied")


@pytest.mark.feature("KC-03")
async def test_another_pin_opens_the_token(api):
    await api.logged_in()
    body = {"old_pin": PIN, "new_pin": OTHER_PIN}
    assert await api("PUT", "/tokens/0/pin", body) == (204, None)
    event, data, well = api.last
    assert (event, well) == ("Change token pin", True)
    assert PIN not in str(data)
    assert OTHER_PIN not in str(data)
    refusal = await api.refused("PUT", "/tokens/0/login", {"password": PIN})
    assert refusal[1] == "pin_incorrect"
    assert (await api("PUT", "/tokens/0/login", {"password": OTHER_PIN}))[0] == 200


@pytest.mark.feature("KC-02")
@pytest.mark.parametrize(
    ("pin", "code", "metadata"),
    [
        ("Short-1", "token_weak_pin", True),
        ("onlysmallletters", "token_weak_pin", True),
        ("Sécret-12345", "invalid_characters_pin", False),
    ],
)
async def test_a_weak_pin_is_refused_and_what_is_wanted_is_told(api, pin, code, metadata):
    await api.logged_in()
    wants = ["pin_min_length", "10", "pin_min_char_classes_count", "3"] if metadata else []
    refusal = await api.refused("PUT", "/tokens/0/pin", {"old_pin": PIN, "new_pin": pin})
    assert refusal == (400, code, wants)
    assert (await token(api))["logged_in"]


async def test_the_old_pin_is_asked_for(api):
    await api.logged_in()
    body = {"old_pin": "wrong", "new_pin": OTHER_PIN}
    assert await api.refused("PUT", "/tokens/0/pin", body) == (400, "pin_incorrect", [])


@pytest.mark.feature("KC-06")
async def test_a_token_that_holds_something_has_a_name(api):
    await api.logged_in()
    assert await api.refused("PATCH", "/tokens/0", {"name": "Ours"}) == NOT_POSSIBLE
    await api.key()
    status, body = await api("PATCH", "/tokens/0", {"name": "Ours: keys/1"})
    assert (status, body["name"]) == (200, "Ours: keys/1")
    told = {"tokenId": "0", "tokenSerialNumber": None, "tokenFriendlyName": "Ours: keys/1"}
    assert api.last == ("Set friendly name to token", told, True)
    assert await api.invalid("PATCH", "/tokens/0", {"name": ""}) == {"tokenNameDto.name": ["Size"]}


@pytest.mark.feature("KC-07")
async def test_a_token_that_is_gone_is_forgotten(api):
    token_id = await brought(api, "unavailable")
    assert (await token(api, token_id))["possible_actions"] == [
        "TOKEN_DELETE",
        "EDIT_FRIENDLY_NAME",
    ]
    assert await api("DELETE", f"/tokens/{token_id}", role=ADMINISTRATOR) == (204, None)
    event, data, _ = api.last
    assert (event, data["tokenId"], data["tokenSerialNumber"]) == ("Delete token", "card-1", "4711")
    assert [each["id"] for each in await api.get("/tokens")] == ["0"]


@pytest.mark.feature("KC-08")
async def test_a_key_that_is_for_nothing_yet_is_made(api):
    await api.logged_in()
    status, key = await api("POST", "/tokens/0/keys", {"label": "first key"})
    assert status == 201
    assert "usage" not in key
    assert (key["name"], key["label"], key["key_algorithm"]) == ("first key", "first key", "RSA")
    assert (key["available"], key["saved_to_configuration"]) == (True, False)
    assert set(key["possible_actions"]) == {
        "DELETE",
        "EDIT_FRIENDLY_NAME",
        "GENERATE_AUTH_CSR",
        "GENERATE_SIGN_CSR",
    }
    event, data, _ = api.last
    assert event == "Generate key"
    assert (data["keyId"], data["keyLabel"], data["keyFriendlyName"]) == (
        key["id"],
        "first key",
        "first key",
    )
    status, nameless = await api("POST", "/tokens/0/keys", {})
    assert (status, nameless["name"]) == (201, nameless["id"])


@pytest.mark.feature("KC-08")
async def test_a_key_is_made_with_a_request_for_its_certificate(api):
    await api.logged_in()
    body = {"key_label": "Sign key", "csr_generate_request": wanted(csr_format="DER")}
    status, made = await api("POST", "/tokens/0/keys-with-csrs", body, role=REGISTRAR)
    assert status == 200
    key = made["key"]
    assert (key["usage"], key["key_algorithm"], key["name"]) == ("SIGNING", "EC", "Sign key")
    (request,) = key["certificate_signing_requests"]
    assert request == {
        "id": made["csr_id"],
        "owner_id": "DEV:GOV:M1",
        "certificate_profile": request["certificate_profile"],
        "possible_actions": ["DELETE"],
    }
    assert request["certificate_profile"].endswith("EjbcaCertificateProfileInfoProvider")
    event, data, well = api.last
    assert (event, well) == ("Generate key and CSR", True)
    assert data == {
        "tokenId": "0",
        "tokenSerialNumber": None,
        "tokenFriendlyName": "softToken-0",
        "keyId": key["id"],
        "keyLabel": "Sign key",
        "keyFriendlyName": "Sign key",
        "keyUsage": "SIGNING",
        "clientIdentifier": {"xRoadInstance": "DEV", "memberClass": "GOV", "memberCode": "M1"},
        "subjectName": "CN=M1,O=GOV,C=DEV",
        "certificationServiceName": "Test CA",
        "csrFormat": "DER",
        "isAcmeOrder": False,
    }


async def test_an_authentication_request_belongs_to_the_servers_owner(api):
    await api.logged_in()
    key_id, _ = await api.key("AUTHENTICATION", label="")
    key = await api.get(f"/keys/{key_id}")
    assert (key["usage"], key["name"]) == ("AUTHENTICATION", key_id)
    assert key["certificate_signing_requests"][0]["owner_id"] == "DEV:GOV:M1"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"ca_name": "Nobody"}, (404, "certificate_authority_not_found")),
        ({"member_id": "DEV:GOV:M9"}, (400, "client_not_found")),
        ({"member_id": "DEV:COM:M2:S"}, (400, "client_not_found")),
        ({"member_id": "nonsense"}, (400, "invalid_encoded_id")),
        ({"member_id": None}, (400, "memberId_required_for_sign_csr")),
        ({"subject_field_values": {"OU": "x"}}, (400, "invalid_dn_parameter")),
        ({"acme_order": True}, (500, "acme.acme_yaml_missing")),
    ],
)
async def test_what_no_certificate_can_be_asked_for_leaves_no_key(api, change, refusal):
    await api.logged_in()
    body = {"key_label": "k", "csr_generate_request": wanted(**change)}
    told = await api.refused("POST", "/tokens/0/keys-with-csrs", body)
    assert told[:2] == refusal
    assert (await token(api))["keys"] == []


async def test_a_key_whose_request_fails_is_removed_again(api):
    await api.signer.scan()
    await api.control.login("card-1", "1234")

    async def fail(*_):
        raise OSError("the card was taken away for a moment")

    api.cards.card.sign = fail
    body = {"key_label": "k", "csr_generate_request": wanted()}
    status, _, _ = await api.refused("POST", "/tokens/card-1/keys-with-csrs", body)
    assert status == 500
    assert (await token(api, "card-1"))["keys"] == []
    assert api.cards.card.made == {}


async def test_who_may_ask_for_one_kind_of_certificate_may_not_ask_for_the_other(api):
    await api.logged_in()
    body = {"key_label": "k", "csr_generate_request": wanted("AUTHENTICATION")}
    refusal = await api.refused("POST", "/tokens/0/keys-with-csrs", body, role=REGISTRAR)
    assert refusal[:2] == (403, "access_denied")


async def test_what_is_missing_or_too_long_is_named(api):
    request = wanted() | {"csr_format": "JKS", "ca_name": "x" * 256}
    del request["key_usage_type"]
    body = {"key_label": "x" * 256, "csr_generate_request": request}
    assert await api.invalid("POST", "/tokens/0/keys-with-csrs", body) == {
        "keyLabelWithCsrGenerateDto.keyLabel": ["Size"],
        "keyLabelWithCsrGenerateDto.csrGenerateRequest.caName": ["Size"],
        "keyLabelWithCsrGenerateDto.csrGenerateRequest.csrFormat": ["InvalidValue"],
        "keyLabelWithCsrGenerateDto.csrGenerateRequest.keyUsageType": ["NotNull"],
    }
