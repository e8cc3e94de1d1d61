import hashlib
from datetime import timedelta

import pytest

from adminapi.centralserver.source_api import serving_sources
from components.centralserver.source_builders import (
    EXTERNAL,
    INTERNAL,
    PIN,
    SignerRefuses,
    partner_anchor,
)
from components.centralserver.test_publish import register
from protocol.globalconf.publisher import FETCHINTERVAL, MONITORING
from sild.adminapi.asked import Act, Caller
from sild.adminapi.centralserver.configuration_types import require_view
from sild.adminapi.centralserver.token_bodies import ConfigurationType
from sild.apiclient.errors import ApiError
from sild.apiclient.values import Form, NamedFile
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission, Role
from sild.model.refusals import Forbidden
from sild.protocol.errors import GlobalConfDownloadFailed
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.pki.certificate import read_certificate

pytestmark = pytest.mark.anyio

SOURCES = "/configuration-sources"
KEYS = f"{SOURCES}/INTERNAL/signing-keys"
PARTS = f"{SOURCES}/INTERNAL/configuration-parts"
ANCHORS = "/trusted-anchors"
WISH = {"token_id": 0, "key_label": "Internal signing key"}


@pytest.fixture
async def api(tmp_path):
    """The API, for a security officer."""
    async with serving_sources(tmp_path) as serving:
        yield serving


@pytest.fixture
async def keyed(api):
    """The same, with a key for each source."""
    await api.central.add_keys()
    return api


def part(content, identifier="FETCHINTERVAL", name="part.xml"):
    return Form({"content_identifier": identifier}, {"file": NamedFile(name, content)})


def anchor_form(file):
    return Form({}, {"anchor": NamedFile(file.name, file.content)})


@pytest.mark.feature("CC-03")
async def test_a_signing_key_is_made_as_existing_clients_ask(api):
    status, body = await api.ask("POST", KEYS, json=WISH)
    assert status == 200
    (key_id,) = api.central.keys.key_ids
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "id": key_id,
        "token_id": "0",
        "label": {"label": "Internal signing key"},
        "active": True,
        "available": True,
        "key_algorithm": "EC",
        "source_type": "INTERNAL",
        "possible_actions": [],
    }
    (key,) = (await api.central.sources.tokens())[0].keys
    certificate = read_certificate(key.signing_key.certificate)
    assert api.told == (
        AuditEvent.GENERATE_INTERNAL_CONFIGURATION_SIGNING_KEY,
        False,
        {
            "tokenId": "0",
            "tokenSerialNumber": None,
            "tokenFriendlyName": "token 0",
            "keyId": key_id,
            "keyFriendlyName": "Internal signing key",
            "certHash": certificate.sha256.hex(":").upper(),
            "certHashAlgorithm": "SHA-256",
        },
    )


async def test_a_third_key_is_refused(api):
    for _ in range(2):
        await api.ask("POST", KEYS, json=WISH)
    refused = await api.refusal("POST", KEYS, json=WISH)
    assert refused == (400, "token_action_not_possible", ())
    assert api.told[:2] == (AuditEvent.GENERATE_INTERNAL_CONFIGURATION_SIGNING_KEY, True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token_id": "0"},
        {"token_id": "0", "key_label": ""},
        {"token_id": "0", "key_label": "x" * 256},
        {"token_id": "0", "key_label": "a\u0000b"},
        {"token_id": "", "key_label": "x"},
    ],
)
async def test_a_wish_that_names_no_key_is_refused(api, body):
    status, code, _ = await api.refusal("POST", KEYS, json=body)
    assert (status, code) == (400, "validation_failure")


async def test_what_is_not_there_is_not_found(api):
    wish = {"token_id": "7", "key_label": "x"}
    assert (await api.refusal("POST", KEYS, json=wish))[:2] == (404, "token_not_found")
    for method, path in (("PUT", "/signing-keys/x/activate"), ("DELETE", "/signing-keys/x")):
        assert (await api.refusal(method, path))[:2] == (404, "signing_key_not_found")
    refused = await api.refusal("GET", f"{SOURCES}/INTERNAL/anchor/download")
    assert refused[:2] == (404, "configuration_not_found")
    status, *_ = await api.refusal("GET", f"{SOURCES}/OTHER/anchor")
    assert status == 400


@pytest.mark.feature("CC-06")
async def test_keys_are_activated_and_deleted(keyed):
    first, *_ = keyed.central.keys.key_ids
    _, second = await keyed.ask("POST", KEYS, json=WISH)
    assert set(second["possible_actions"]) == {"ACTIVATE", "DELETE"}
    refused = await keyed.refusal("DELETE", f"/signing-keys/{first}")
    assert refused[:2] == (400, "signing_key_action_not_possible")
    assert keyed.told[:2] == (AuditEvent.DELETE_INTERNAL_CONFIGURATION_SIGNING_KEY, True)
    assert (await keyed.ask("PUT", f"/signing-keys/{second['id']}/activate"))[0] == 204
    event, failed, data = keyed.told
    assert (event, failed) == (AuditEvent.ACTIVATE_INTERNAL_CONFIGURATION_SIGNING_KEY, False)
    assert (data["tokenId"], data["keyId"]) == ("0", second["id"])
    assert (await keyed.ask("DELETE", f"/signing-keys/{first}"))[0] == 204
    assert keyed.told[:2] == (AuditEvent.DELETE_INTERNAL_CONFIGURATION_SIGNING_KEY, False)
    assert first not in keyed.central.keys.key_ids


async def test_the_external_source_has_events_of_its_own(keyed):
    _, key = await keyed.ask("POST", f"{SOURCES}/EXTERNAL/signing-keys", json=WISH)
    assert keyed.told[0] is AuditEvent.GENERATE_EXTERNAL_CONFIGURATION_SIGNING_KEY
    await keyed.ask("DELETE", f"/signing-keys/{key['id']}")
    assert keyed.told[0] is AuditEvent.DELETE_EXTERNAL_CONFIGURATION_SIGNING_KEY
    await keyed.ask("PUT", f"{SOURCES}/EXTERNAL/anchor/re-create")
    assert keyed.told[0] is AuditEvent.RE_CREATE_EXTERNAL_CONFIGURATION_ANCHOR


async def test_tokens_are_shown_opened_and_closed(keyed):
    status, (token,) = await keyed.ask("GET", "/tokens")
    assert status == 200
    assert [key["label"]["label"] for key in token.pop("configuration_signing_keys")] == [
        "internal",
        "external",
    ]
    assert set(token.pop("possible_actions")) == {
        "LOGOUT",
        "CHANGE_PIN",
        "GENERATE_INTERNAL_KEY",
        "GENERATE_EXTERNAL_KEY",
        "EDIT_FRIENDLY_NAME",
    }
    assert token == {
        "id": "0",
        "name": "token 0",
        "status": "OK",
        "active": True,
        "available": True,
        "logged_in": True,
    }
    _, token = await keyed.ask("PUT", "/tokens/0/logout")
    assert not token["logged_in"]
    assert keyed.told[:2] == (AuditEvent.LOGOUT_TOKEN, False)
    _, token = await keyed.ask("PUT", "/tokens/0/login", json={"password": PIN})
    assert token["logged_in"]
    assert keyed.told == (
        AuditEvent.LOGIN_TOKEN,
        False,
        {"tokenId": "0", "tokenSerialNumber": None, "tokenFriendlyName": "token 0"},
    )


async def test_a_wrong_pin_is_refused_and_not_recorded(api):
    await api.central.keys.logout("0")
    refused = await api.refusal("PUT", "/tokens/0/login", json={"password": "wrong secret"})
    assert refused == (400, "token_activation_failed", ("pin_incorrect",))
    event, failed, data = api.told
    assert (event, failed) == (AuditEvent.LOGIN_TOKEN, True)
    assert "wrong secret" not in str(data)


async def test_a_signer_that_is_away_is_told(api):
    api.central.keys.broken["tokens"] = SignerRefuses("down")
    assert (await api.refusal("GET", "/tokens"))[:2] == (500, "token_fetch_failed")


@pytest.mark.feature("CC-04")
async def test_anchors_are_shown_made_anew_and_handed_out(keyed):
    path = f"{SOURCES}/INTERNAL/anchor"
    _, shown = await keyed.ask("GET", path)
    keyed.central.clock.turn(timedelta(minutes=1))
    status, anew = await keyed.ask("PUT", f"{path}/re-create")
    assert status == 200
    assert anew["hash"] != shown["anchor"]["hash"]
    assert keyed.told == (
        AuditEvent.RE_CREATE_INTERNAL_CONFIGURATION_ANCHOR,
        False,
        {"anchorFileHash": anew["hash"], "anchorFileHashAlgorithm": "SHA-224"},
    )
    assert (await keyed.ask("GET", path))[1] == {"anchor": anew}
    answer = await keyed.client.call("GET", f"{path}/download")
    assert read_anchor(answer.content).display_hash == anew["hash"]
    assert answer.headers["content-type"] == "application/xml"
    found = await keyed.central.sources.anchors.file(INTERNAL)
    assert answer.headers["content-disposition"] == f'attachment; filename="{found.name}"'


async def test_a_source_without_keys_has_no_anchor(api):
    assert await api.ask("GET", f"{SOURCES}/EXTERNAL/anchor") == (200, {})
    refused = await api.refusal("PUT", f"{SOURCES}/EXTERNAL/anchor/re-create")
    assert refused[:2] == (400, "no_configuration_signing_keys_configured")


@pytest.mark.feature("FE-02")
async def test_the_address_of_the_external_configuration_is_shown(api):
    status, body = await api.ask("GET", f"{SOURCES}/EXTERNAL/download-url")
    assert (status, body) == (200, {"url": "https://cs.test/externalconf"})


@pytest.mark.feature("CC-05")
async def test_an_optional_part_is_uploaded_listed_and_handed_out(keyed):
    assert (await keyed.ask("POST", PARTS, upload=part(FETCHINTERVAL)))[0] == 204
    assert keyed.told == (
        AuditEvent.UPLOAD_CONFIGURATION_PART,
        False,
        {
            "sourceType": "INTERNAL",
            "contentIdentifier": "FETCHINTERVAL",
            "partFileName": "fetchinterval-params.xml",
            "uploadFileName": "part.xml",
            "uploadFileHash": hashlib.sha224(FETCHINTERVAL).hexdigest(),
            "uploadFileHashAlgorithm": "SHA-224",
        },
    )
    _, listed = await keyed.ask("GET", PARTS)
    (found,) = (each for each in listed if each["content_identifier"] == "FETCHINTERVAL")
    assert found.pop("file_updated_at")
    assert found == {
        "content_identifier": "FETCHINTERVAL",
        "file_name": "fetchinterval-params.xml",
        "optional": True,
        "version": 0,
    }
    answer = await keyed.client.call("GET", f"{PARTS}/FETCHINTERVAL/0/download")
    assert answer.content == FETCHINTERVAL
    assert "fetchinterval-params.xml" in answer.headers["content-disposition"]


async def test_generated_parts_are_handed_out_in_every_version(keyed):
    await register(keyed.central)
    await keyed.central.publisher.publish()
    _, listed = await keyed.ask("GET", f"{SOURCES}/EXTERNAL/configuration-parts")
    assert [(each["content_identifier"], each["version"]) for each in listed] == [
        ("SHARED-PARAMETERS", version) for version in (2, 3, 4, 5, 6)
    ]
    for version in (2, 6):
        status, content = await keyed.ask("GET", f"{PARTS}/PRIVATE-PARAMETERS/{version}/download")
        assert status == 200
        assert content.startswith(b"<?xml")


@pytest.mark.parametrize(
    ("upload", "code"),
    [
        (part(b"<x/>"), "configuration_part_validation_failed"),
        (part(MONITORING), "configuration_part_validation_failed"),
        (part(FETCHINTERVAL, "OTHER"), "unknown_configuration_part"),
        (part(FETCHINTERVAL, name="part.txt"), "invalid_file_extension"),
        (part(FETCHINTERVAL, name="part.x.xml"), "double_file_extension"),
        (part(b"text"), "invalid_file_content_type"),
        (Form({"content_identifier": "FETCHINTERVAL"}, {}), "validation_failure"),
    ],
)
async def test_what_is_no_part_is_refused(keyed, upload, code):
    assert (await keyed.refusal("POST", PARTS, upload=upload))[:2] == (400, code)


async def test_a_part_that_is_refused_is_told_why(keyed):
    _, _, metadata = await keyed.refusal("POST", PARTS, upload=part(b"<x/>"))
    assert list(metadata) == ["the FETCHINTERVAL part: the document is no conf"]


@pytest.mark.parametrize("place", ["NONE/0", "FETCHINTERVAL/0", "SHARED-PARAMETERS/9"])
async def test_a_part_that_is_not_there_is_not_found(keyed, place):
    refused = await keyed.refusal("GET", f"{PARTS}/{place}/download")
    assert refused[:2] == (404, "configuration_part_file_not_found")


@pytest.mark.feature("FE-01")
async def test_an_anchor_is_compared_trusted_handed_out_and_forgotten(api):
    file = partner_anchor()
    expected = read_anchor(file.content)
    status, shown = await api.ask("POST", f"{ANCHORS}/preview", upload=anchor_form(file))
    assert status == 200
    assert (shown["hash"], shown["instance_identifier"]) == (expected.display_hash, "EE")
    assert await api.ask("GET", ANCHORS) == (200, [])
    assert await api.ask("POST", ANCHORS, upload=anchor_form(file)) == (201, shown)
    event, failed, data = api.told
    assert (event, failed) == (AuditEvent.ADD_TRUSTED_ANCHOR, False)
    assert data["anchorUrls"] == ["http://ee.test/externalconf"]
    assert data["instanceIdentifier"] == "EE"
    assert await api.ask("GET", ANCHORS) == (200, [shown])
    answer = await api.client.call("GET", f"{ANCHORS}/{shown['hash']}/download")
    assert answer.content == file.content
    assert "configuration_anchor_EE_EXTERNAL_" in answer.headers["content-disposition"]
    assert (await api.ask("DELETE", f"{ANCHORS}/{shown['hash']}"))[0] == 204
    assert api.told[2]["instanceIdentifier"] == "EE"
    refused = await api.refusal("DELETE", f"{ANCHORS}/{shown['hash']}")
    assert refused == (404, "trusted_anchor_not_found", (shown["hash"],))


async def test_an_anchor_that_cannot_be_trusted_is_refused(api):
    own = anchor_form(partner_anchor("DEV"))
    code = "trusted_anchor_verification_failed"
    itself = ("DEV is this instance itself",)
    assert await api.refusal("POST", ANCHORS, upload=own) == (400, code, itself)
    api.central.partners.broken = GlobalConfDownloadFailed("nobody is there")
    other = anchor_form(partner_anchor())
    assert await api.refusal("POST", ANCHORS, upload=other) == (400, code, ("nobody is there",))
    bad = Form({}, {"anchor": NamedFile("anchor.xml", b"<x/>")})
    for path in (ANCHORS, f"{ANCHORS}/preview"):
        assert (await api.refusal("POST", path, upload=bad))[:2] == (400, "malformed_anchor")


REGISTRATION_OFFICER_MAY_NOT = [
    ("GET", "/tokens"),
    ("PUT", "/tokens/0/login"),
    ("PUT", "/tokens/0/logout"),
    ("POST", KEYS),
    ("PUT", "/signing-keys/x/activate"),
    ("DELETE", "/signing-keys/x"),
    ("GET", f"{SOURCES}/INTERNAL/anchor"),
    ("GET", f"{SOURCES}/INTERNAL/anchor/download"),
    ("PUT", f"{SOURCES}/INTERNAL/anchor/re-create"),
    ("GET", f"{SOURCES}/INTERNAL/download-url"),
    ("GET", PARTS),
    ("POST", PARTS),
    ("GET", f"{PARTS}/MONITORING/0/download"),
    ("GET", ANCHORS),
    ("POST", ANCHORS),
    ("POST", f"{ANCHORS}/preview"),
    ("DELETE", f"{ANCHORS}/x"),
    ("GET", f"{ANCHORS}/x/download"),
]


async def test_nothing_here_is_a_registration_officer_s(tmp_path):
    async with serving_sources(tmp_path, Role.REGISTRATION_OFFICER) as api:
        for method, path in REGISTRATION_OFFICER_MAY_NOT:
            with pytest.raises(ApiError) as caught:
                await api.client.call(method, path)
            assert (caught.value.status, caught.value.code) == (403, "access_denied"), path


async def test_a_system_administrator_sees_sources_and_makes_no_keys(tmp_path):
    async with serving_sources(tmp_path, Role.SYSTEM_ADMINISTRATOR) as api:
        assert (await api.ask("GET", f"{SOURCES}/EXTERNAL/anchor"))[0] == 200
        assert (await api.refusal("POST", KEYS, json=WISH))[0] == 403
        assert api.central.keys.key_ids == []
        assert await api.central.sources.find_active(EXTERNAL) is None


@pytest.mark.parametrize("seen", ConfigurationType)
def test_who_sees_one_source_does_not_see_the_other(seen):
    may = frozenset({Permission[f"VIEW_{seen.value}_CONFIGURATION_SOURCE"]})
    act = Act(Caller("someone", frozenset(), may, "Session"), "127.0.0.1", "/", "1")
    for kind in ConfigurationType:
        if kind is seen:
            assert require_view(act, kind).name == kind.name
        else:
            with pytest.raises(Forbidden):
                require_view(act, kind)
