"""Certificates over the API: each state with everything that can be done in it."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from adminapi.securityserver.tokens_served import (
    OFFICER,
    OTHER,
    REGISTRAR,
    served_tokens,
    sha256_of,
)
from pki_builder import NOON, TestCa
from sild.model.tokens import CertificateStatus
from sild.protocol.management.requests import AuthCertDeletion, AuthCertRegistration

pytestmark = pytest.mark.anyio

NOT_POSSIBLE = (409, "action_not_possible", [])
DENIED = (403, "access_denied")
PATH = "/token-certificates"


@pytest.fixture
async def api(tmp_path):
    async with served_tokens(tmp_path) as api:
        yield await api.logged_in()


async def on_card(api, **wish):
    """The hash of a certificate that was only found on a card, and the id of its key."""
    await api.signer.scan()
    await api.control.login("card-1", "1234")
    key_id, _ = await api.key(token="card-1")
    _, key = api.cards.card.made[key_id]
    certificate = api.certify(key.public_key(), **wish)
    api.cards.card.hold(key_id, certificate)
    await api.signer.scan()
    return sha256_of(certificate), key_id


async def status_of(api, sha256):
    return (await api.get(f"{PATH}/{sha256}"))["status"]


async def test_what_is_not_there_is_not_found(api):
    wanted = (404, "certificate_not_found", ["Certificate with hash ab12 not found"])
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("PUT", "/activate", None),
        ("PUT", "/disable", None),
        ("POST", "/import", None),
        ("GET", "/possible-actions", None),
        ("PUT", "/register", {"address": "ss1.test"}),
        ("PUT", "/unregister", None),
        ("PUT", "/mark-for-deletion", None),
    ):
        assert await api.refused(method, f"{PATH}/ab12{path}", body) == wanted, path
    assert await api.invalid("GET", f"{PATH}/nonsense") == {"getCertificate.hash": ["Pattern"]}


@pytest.mark.feature("KC-11")
@pytest.mark.feature("TS-03")
async def test_a_signing_certificate_is_imported_and_used_if_ocsp_says_that_it_is_good(api):
    certificate = await api.signed()
    status, body = await api("POST", PATH, content=certificate.der, role=REGISTRAR)
    assert status == 201
    assert body["certificate_details"]["hash"] == sha256_of(certificate).upper()
    assert (body["status"], body["active"], body["owner_id"]) == ("REGISTERED", True, "DEV:GOV:M1")
    assert (body["ocsp_status"], body["saved_to_configuration"]) == ("OCSP_RESPONSE_GOOD", True)
    assert set(body["possible_actions"]) == {"DELETE", "DISABLE"}
    assert api.responder.asked == ["http://ocsp.test/"]
    assert api.changes
    event, data, well = api.last
    assert (event, well) == ("Import certificate from file", True)
    assert data == {
        "certHash": certificate.sha256.hex(":").upper(),
        "certHashAlgorithm": "SHA-256",
        "keyUsage": "SIGNING",
        "clientIdentifier": {"xRoadInstance": "DEV", "memberClass": "GOV", "memberCode": "M1"},
    }
    (key,) = (await api.get("/tokens/0"))["keys"]
    assert key["certificate_signing_requests"] == []


@pytest.mark.feature("KC-11")
async def test_an_authentication_certificate_is_imported_in_pem_and_not_used_yet(api):
    certificate = await api.signed("AUTHENTICATION")
    pem = certificate.x509.public_bytes(Encoding.PEM)
    status, body = await api("POST", PATH, content=pem, role=OFFICER)
    assert status == 201
    assert (body["status"], body["active"], body["ocsp_status"]) == ("SAVED", False, "DISABLED")
    assert body["owner_id"] == "DEV:GOV:M1"
    assert set(body["possible_actions"]) == {"DELETE", "REGISTER", "ACTIVATE"}


@pytest.mark.feature("TS-01")
async def test_what_a_responder_said_is_kept_shown_and_goes_stale(api):
    sha256, _ = await api.imported()
    asked = len(api.responder.asked)
    assert (await api.get(f"{PATH}/{sha256}"))["ocsp_status"] == "OCSP_RESPONSE_GOOD"
    api.clock.turn(timedelta(hours=2))
    assert (await api.get(f"{PATH}/{sha256}"))["ocsp_status"] == "OCSP_RESPONSE_UNKNOWN"
    assert len(api.responder.asked) == asked
    api.clock.turn(timedelta(days=400))
    assert (await api.get(f"{PATH}/{sha256}"))["ocsp_status"] == "EXPIRED"


async def test_without_a_global_configuration_nothing_is_known_of_revocation(api):
    sha256, _ = await api.imported()
    api.world.conf = None
    assert (await api.get(f"{PATH}/{sha256}"))["ocsp_status"] == "OCSP_RESPONSE_UNKNOWN"
    certificate = await api.raw("GET", "/tokens/0")
    assert certificate.status_code == 200
    refusal = await api.refused("POST", PATH, content=b"x")
    assert refusal[1] == "invalid_certificate"


@pytest.mark.feature("TS-04")
@pytest.mark.parametrize("status", ["revoked", "unknown", None])
async def test_a_certificate_that_is_not_good_is_kept_and_not_used(api, status):
    certificate = await api.signed()
    api.responder.silent = status is None
    api.responder.status = status
    made, body = await api("POST", PATH, content=certificate.der)
    assert made == 201
    assert (body["active"], body["ocsp_status"]) == (False, "DISABLED")
    why = status or "does not answer"
    assert why in body["ocsp_verify_before_activation_error"]
    sha256 = sha256_of(certificate)
    told, code, (reason,) = await api.refused("PUT", f"{PATH}/{sha256}/activate")
    assert (told, code) == (500, "ocsp_response_verification_failure")
    assert why in reason
    assert not (await api.get(f"{PATH}/{sha256}"))["active"]
    api.responder.silent, api.responder.status = False, "good"
    assert await api("PUT", f"{PATH}/{sha256}/activate") == (204, None)
    assert "ocsp_verify_before_activation_error" not in await api.get(f"{PATH}/{sha256}")


async def test_a_certificate_that_was_revoked_later_is_shown_so(api):
    sha256, _ = await api.imported()
    api.clock.turn(timedelta(minutes=1))
    for status, shown in (("revoked", "REVOKED"), ("on hold", "SUSPENDED"), ("good", "GOOD")):
        api.clock.turn(timedelta(minutes=1))
        api.responder.status = status
        await api.ocsp.ask_now(api.responder.known[-1], api.world.conf)
        body = await api.get(f"{PATH}/{sha256}")
        assert body["ocsp_status"] == f"OCSP_RESPONSE_{shown}"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\n"])
async def test_what_is_no_certificate_is_refused(api, content):
    told = await api("POST", PATH, content=content)
    assert told[0] == 400
    if content:
        assert told[1]["error"]["code"] == "invalid_certificate"


async def test_a_body_of_another_type_is_refused(api):
    assert (await api.refused("POST", PATH, {"certificate": "x"}))[0] == 415


async def test_a_certificate_is_imported_once(api):
    certificate = await api.signed()
    assert (await api("POST", PATH, content=certificate.der))[0] == 201
    refusal = await api.refused("POST", PATH, content=certificate.der)
    assert refusal == (409, "certificate_already_exists", [])


async def test_a_certificate_of_no_key_here_is_refused(api):
    stranger = TestCa.create("Stranger").key.public_key()
    refusal = await api.refused("POST", PATH, content=api.certify(stranger).der)
    assert refusal == (400, "key_not_found", [])


async def test_a_certificate_for_a_member_that_is_no_client_is_refused(api):
    key_id, _ = await api.key()
    held = await api.acts.get_key(key_id)
    public_key = load_der_public_key(held.key.public_key)
    nobody = OTHER.__class__("DEV", "COM", "M9")
    refusal = await api.refused("POST", PATH, content=api.certify(public_key, member=nobody).der)
    assert refusal == (400, "client_not_found", ["DEV:COM:M9"])
    client = api.certify(public_key, member=OTHER)
    assert (await api("POST", PATH, content=client.der))[0] == 201


async def test_a_certificate_that_is_not_for_what_its_key_is_for_is_refused(api):
    key_id, _ = await api.key("AUTHENTICATION")
    held = await api.acts.get_key(key_id)
    signing = api.certify(load_der_public_key(held.key.public_key))
    refusal = await api.refused("POST", PATH, content=signing.der)
    assert refusal == (400, "cert_wrong_usage", [])


@pytest.mark.parametrize("usage", ["SIGNING", "AUTHENTICATION"])
async def test_a_certificate_that_expired_or_that_nobody_approved_issued_is_refused(api, usage):
    old = await api.signed(usage, wish={"not_after": NOON - timedelta(days=1)})
    refusal = await api.refused("POST", PATH, content=old.der)
    assert refusal[:2] == (400, "cert_import_failed")
    good = await api.signed(usage)
    api.world.list()
    refusal = await api.refused("POST", PATH, content=good.der)
    assert refusal[:2] == (400, "cert_import_failed")


async def test_who_may_import_one_kind_may_not_import_the_other(api):
    certificate = await api.signed("AUTHENTICATION")
    refusal = await api.refused("POST", PATH, content=certificate.der, role=REGISTRAR)
    assert refusal[:2] == DENIED
    event, data, well = api.last
    assert (event, well) == ("Import certificate from file", False)
    assert data["certHash"] == certificate.sha256.hex(":").upper()


@pytest.mark.feature("KC-12")
async def test_a_signing_certificate_is_imported_from_its_token(api):
    sha256, key_id = await on_card(api)
    found = await api.get(f"{PATH}/{sha256}")
    assert (found["saved_to_configuration"], found["active"]) == (False, False)
    assert set(found["possible_actions"]) == {"DELETE", "IMPORT_FROM_TOKEN"}
    status, body = await api("POST", f"{PATH}/{sha256}/import", role=REGISTRAR)
    assert (status, body["status"], body["active"]) == (201, "REGISTERED", True)
    event, data, _ = api.last
    assert event == "Import certificate from token"
    assert (data["tokenId"], data["keyId"], data["certId"]) == ("card-1", key_id, sha256)
    assert data["keyUsage"] == "SIGNING"
    assert await api.refused("POST", f"{PATH}/{sha256}/import") == NOT_POSSIBLE


async def test_an_authentication_certificate_is_not_imported_from_its_token(api):
    sha256, _ = await on_card(api, usage="AUTHENTICATION")
    assert await api.refused("POST", f"{PATH}/{sha256}/import") == NOT_POSSIBLE


@pytest.mark.feature("KC-16")
async def test_a_certificate_on_a_device_is_deleted_twice(api):
    sha256, _ = await on_card(api)
    await api("POST", f"{PATH}/{sha256}/import")
    assert await api("DELETE", f"{PATH}/{sha256}") == (204, None)
    event, data, _ = api.last
    assert (event, data["certId"]) == ("Delete certificate from configuration", sha256)
    assert not (await api.get(f"{PATH}/{sha256}"))["saved_to_configuration"]
    assert await api("DELETE", f"{PATH}/{sha256}") == (204, None)
    assert api.last[0] == "Delete certificate from token"
    assert api.cards.card.certificates == []


@pytest.mark.feature("KC-17")
async def test_a_certificate_is_shown_by_its_hash_however_written(api):
    sha256, _ = await api.imported()
    shown = await api.get(f"{PATH}/{sha256.upper()}")
    details = shown["certificate_details"]
    assert details["hash"] == sha256.upper()
    assert details["subject_distinguished_name"] == "CN=M1, O=GOV, C=DEV"
    assert details["key_usages"] == ["NON_REPUDIATION"]
    assert shown == await api.get(f"{PATH}/{sha256}")


@pytest.mark.feature("KC-18")
async def test_it_is_told_what_can_be_done_with_a_certificate(api):
    sha256, _ = await api.imported("AUTHENTICATION")
    actions = await api.get(f"{PATH}/{sha256}/possible-actions")
    assert set(actions) == {"DELETE", "REGISTER", "ACTIVATE"}


@pytest.mark.feature("KC-15")
async def test_a_certificate_is_used_or_not(api):
    sha256, key_id = await api.imported()
    changes = api.changes
    assert await api("PUT", f"{PATH}/{sha256.upper()}/disable", role=REGISTRAR) == (204, None)
    event, data, _ = api.last
    assert (event, data["keyId"], data["certId"]) == ("Disable certificate", key_id, sha256)
    assert (await api.get(f"{PATH}/{sha256}"))["ocsp_status"] == "DISABLED"
    assert await api.refused("PUT", f"{PATH}/{sha256}/disable") == NOT_POSSIBLE
    assert await api("PUT", f"{PATH}/{sha256.upper()}/activate") == (204, None)
    assert api.last[0] == "Enable certificate"
    assert await api.refused("PUT", f"{PATH}/{sha256}/activate") == NOT_POSSIBLE
    assert api.changes == changes + 2


async def test_who_may_not_activate_authentication_certificates_is_refused(api):
    sha256, _ = await api.imported("AUTHENTICATION")
    for act in ("activate", "disable"):
        refusal = await api.refused("PUT", f"{PATH}/{sha256}/{act}", role=REGISTRAR)
        assert refusal[:2] == DENIED


@pytest.mark.feature("KC-13")
async def test_an_authentication_certificate_is_registered_with_the_servers_address(api):
    sha256, key_id = await api.imported("AUTHENTICATION")
    path = f"{PATH}/{sha256.upper()}/register"
    assert await api("PUT", path, {"address": "ss1.test"}, role=OFFICER) == (204, None)
    (request,) = api.sender.sent
    assert isinstance(request, AuthCertRegistration)
    assert request.address == "ss1.test"
    event, data, _ = api.last
    assert event == "Register authentication certificate"
    assert (data["tokenId"], data["keyId"], data["certId"]) == ("0", key_id, sha256)
    assert (data["address"], data["managementRequestId"]) == ("ss1.test", 41)
    assert data["certStatus"] == "registration in progress"
    assert await status_of(api, sha256) == "REGISTRATION_IN_PROGRESS"


@pytest.mark.feature("KC-14")
async def test_what_cannot_be_unregistered_is_marked_for_deletion(api):
    sha256, _ = await api.imported("AUTHENTICATION")
    await api.control.set_status(sha256, CertificateStatus.REGISTERED)
    api.sender.refuses = "nobody answers"
    refusal = await api.refused("PUT", f"{PATH}/{sha256}/unregister")
    assert refusal == (500, "management_request_sending_failed", ["nobody answers"])
    assert await status_of(api, sha256) == "REGISTERED"
    assert await api("PUT", f"{PATH}/{sha256}/mark-for-deletion") == (204, None)
    event, data, _ = api.last
    assert event == "Skip unregistration of authentication certificate"
    assert data["certStatus"] == "deletion in progress"
    assert await status_of(api, sha256) == "DELETION_IN_PROGRESS"
    assert await api("DELETE", f"{PATH}/{sha256}") == (204, None)


async def test_a_signing_certificate_is_not_registered(api):
    sha256, _ = await api.imported()
    for act, body in (("register", {"address": "a"}), ("unregister", None)):
        refusal = await api.refused("PUT", f"{PATH}/{sha256}/{act}", body)
        assert refusal == (400, "sign_cert_not_supported", ["not an auth cert"])


@pytest.mark.parametrize("address", ["", "no address", "a" * 256])
async def test_an_address_that_is_none_is_refused(api, address):
    sha256, _ = await api.imported("AUTHENTICATION")
    fields = await api.invalid("PUT", f"{PATH}/{sha256}/register", {"address": address})
    assert list(fields) == ["securityServerAddressDto.address"]


# An authentication certificate in each state (features 4.2): None where an act is refused.
EDGES = {
    ("SAVED", "register"): "REGISTRATION_IN_PROGRESS",
    ("SAVED", "unregister"): None,
    ("SAVED", "mark-for-deletion"): None,
    ("SAVED", "delete"): "gone",
    ("REGISTRATION_IN_PROGRESS", "register"): None,
    ("REGISTRATION_IN_PROGRESS", "unregister"): "DELETION_IN_PROGRESS",
    ("REGISTRATION_IN_PROGRESS", "mark-for-deletion"): "DELETION_IN_PROGRESS",
    ("REGISTRATION_IN_PROGRESS", "delete"): None,
    ("REGISTERED", "register"): None,
    ("REGISTERED", "unregister"): "DELETION_IN_PROGRESS",
    ("REGISTERED", "mark-for-deletion"): "DELETION_IN_PROGRESS",
    ("REGISTERED", "delete"): None,
    ("DELETION_IN_PROGRESS", "register"): None,
    ("DELETION_IN_PROGRESS", "unregister"): None,
    ("DELETION_IN_PROGRESS", "mark-for-deletion"): None,
    ("DELETION_IN_PROGRESS", "delete"): "gone",
    ("GLOBAL_ERROR", "register"): None,
    ("GLOBAL_ERROR", "unregister"): None,
    ("GLOBAL_ERROR", "mark-for-deletion"): None,
    ("GLOBAL_ERROR", "delete"): "gone",
}
ACTS = {
    "register": ("PUT", "/register", {"address": "ss1.test"}),
    "unregister": ("PUT", "/unregister", None),
    "mark-for-deletion": ("PUT", "/mark-for-deletion", None),
    "delete": ("DELETE", "", None),
}


def test_the_table_has_each_state_and_act():
    assert {(state.name, act) for state in CertificateStatus for act in ACTS} == EDGES.keys()


@pytest.mark.feature("KC-14")
@pytest.mark.parametrize(("state", "act"), EDGES)
async def test_an_authentication_certificate_moves_as_the_table_says(api, state, act):
    sha256, _ = await api.imported("AUTHENTICATION")
    await api.control.set_status(sha256, CertificateStatus[state])
    method, path, body = ACTS[act]
    expected = EDGES[state, act]
    told = await api(method, f"{PATH}/{sha256}{path}", body)
    if expected is None:
        assert (told[0], told[1]["error"]["code"]) == (409, "action_not_possible")
        assert await status_of(api, sha256) == state
        assert api.sender.sent == []
    elif expected == "gone":
        assert told == (204, None)
        assert (await api("GET", f"{PATH}/{sha256}"))[0] == 404
    else:
        assert told == (204, None)
        assert await status_of(api, sha256) == expected
        kinds = {"register": [AuthCertRegistration], "unregister": [AuthCertDeletion]}
        assert [type(each) for each in api.sender.sent] == kinds.get(act, [])


async def test_who_may_not_delete_authentication_certificates_is_refused(api):
    sha256, _ = await api.imported("AUTHENTICATION")
    assert (await api.refused("DELETE", f"{PATH}/{sha256}", role=REGISTRAR))[:2] == DENIED
    signing, _ = await api.imported()
    assert await api("DELETE", f"{PATH}/{signing}", role=REGISTRAR) == (204, None)


@pytest.mark.feature("KC-22")
async def test_a_certificate_that_was_just_registered_is_activated_by_itself(api):
    sha256, _ = await api.imported("AUTHENTICATION")
    await api.control.set_status(sha256, CertificateStatus.REGISTERED)
    api.acts.note_registered(sha256)
    assert await api.acts.activate_registered()
    shown = await api.get(f"{PATH}/{sha256}")
    assert (shown["active"], shown["ocsp_status"]) == (True, "OCSP_RESPONSE_GOOD")
    assert not await api.acts.activate_registered()


async def test_a_certificate_that_is_not_good_is_not_activated_by_itself_and_it_is_told_why(api):
    sha256, _ = await api.imported("AUTHENTICATION")
    await api.control.set_status(sha256, CertificateStatus.REGISTERED)
    api.responder.silent = True
    api.acts.note_registered(sha256)
    api.acts.note_registered("gone")
    assert not await api.acts.activate_registered()
    shown = await api.get(f"{PATH}/{sha256}")
    assert not shown["active"]
    assert "does not answer" in shown["ocsp_verify_before_activation_error"]
