"""Keys and requests for certificates over the API."""

from dataclasses import replace

import pytest
from cryptography import x509

from adminapi.securityserver.tokens_served import (
    CA,
    OFFICER,
    REGISTRAR,
    SETTINGS,
    served_tokens,
    wanted,
)
from sild.model.tokens import CertificateStatus
from sild.protocol.globalconf.shared_parameters import CsrFormat

pytestmark = pytest.mark.anyio

FIVRK = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
NOT_POSSIBLE = (409, "action_not_possible", [])


@pytest.fixture
async def api(tmp_path):
    async with served_tokens(tmp_path) as api:
        yield await api.logged_in()


async def carded(api):
    """The id of a key with a request on the card."""
    await api.signer.scan()
    await api.control.login("card-1", "1234")
    return (await api.key(token="card-1", label="on card"))[0]


async def actions(api, path):
    return set(await api.get(f"{path}/possible-actions"))


async def test_what_is_not_there_is_not_found(api):
    key_id, _ = await api.key()
    for method, path, body, code in (
        ("GET", "/keys/X", None, "key_not_found"),
        ("PATCH", "/keys/X", {"name": "n"}, "key_not_found"),
        ("DELETE", "/keys/X", None, "key_not_found"),
        ("GET", "/keys/X/possible-actions", None, "key_not_found"),
        ("POST", "/keys/X/csrs", wanted(), "key_not_found"),
        ("GET", "/keys/X/csrs/Y", None, "key_not_found"),
        ("GET", f"/keys/{key_id}/csrs/Y", None, "csr_not_found"),
        ("DELETE", f"/keys/{key_id}/csrs/Y", None, "csr_not_found"),
        ("GET", f"/keys/{key_id}/csrs/Y/possible-actions", None, "csr_not_found"),
    ):
        assert await api.refused(method, path, body) == (404, code, []), path


@pytest.mark.feature("KC-06")
async def test_a_key_is_called_otherwise(api):
    key_id, _ = await api.key()
    status, body = await api("PATCH", f"/keys/{key_id}", {"name": "Key of M1: 2026/1"})
    assert (status, body["name"]) == (200, "Key of M1: 2026/1")
    assert api.last == (
        "Set friendly name to key",
        {"keyId": key_id, "keyFriendlyName": "Key of M1: 2026/1"},
        True,
    )


@pytest.mark.feature("KC-18")
async def test_it_is_told_what_can_be_done_with_a_key_and_a_request(api):
    key_id, csr_id = await api.key()
    assert await actions(api, f"/keys/{key_id}") == {
        "DELETE",
        "EDIT_FRIENDLY_NAME",
        "GENERATE_SIGN_CSR",
    }
    assert await actions(api, f"/keys/{key_id}/csrs/{csr_id}") == {"DELETE"}
    await api.control.logout("0")
    assert await actions(api, f"/keys/{key_id}") == {"EDIT_FRIENDLY_NAME"}


@pytest.mark.feature("KC-16")
async def test_a_key_is_deleted_for_good(api):
    key_id, _ = await api.key(label="old")
    assert await api("DELETE", f"/keys/{key_id}", role=REGISTRAR) == (204, None)
    event, data, _ = api.last
    assert event == "Delete key from token and configuration"
    assert (data["keyId"], data["keyFriendlyName"], data["keyUsage"]) == (key_id, "old", "SIGNING")
    assert (await api.get("/tokens/0"))["keys"] == []


async def test_a_key_of_a_device_is_deleted_there_too(api):
    key_id = await carded(api)
    assert await api("DELETE", f"/keys/{key_id}") == (204, None)
    assert api.cards.card.deleted == [key_id]
    assert (await api.get("/tokens/card-1"))["keys"] == []


async def test_a_key_is_deleted_only_while_its_token_is_open(api):
    key_id, _ = await api.key()
    await api.control.logout("0")
    assert await api.refused("DELETE", f"/keys/{key_id}") == NOT_POSSIBLE
    event, data, well = api.last
    assert (event, data["keyId"], well) == ("Delete key", key_id, False)


async def test_who_may_not_delete_authentication_keys_is_refused(api):
    key_id, _ = await api.key("AUTHENTICATION")
    refusal = await api.refused("DELETE", f"/keys/{key_id}", role=REGISTRAR)
    assert refusal[:2] == (403, "access_denied")


@pytest.mark.feature("KC-16")
async def test_a_registered_certificate_is_unregistered_before_its_key_goes(api):
    sha256, key_id = await api.imported("AUTHENTICATION")
    await api.control.set_status(sha256, CertificateStatus.REGISTERED)
    status, body = await api("DELETE", f"/keys/{key_id}")
    assert (status, body["error"]["code"]) == (400, "warnings_detected")
    warning = {"code": "auth_key_with_registered_cert_warning", "metadata": [key_id]}
    assert body["warnings"] == [warning]
    assert api.sender.sent == []
    assert await api("DELETE", f"/keys/{key_id}", ignore_warnings="true") == (204, None)
    assert len(api.sender.sent) == 1
    assert (await api.get("/tokens/0"))["keys"] == []


async def test_a_key_whose_certificate_cannot_be_unregistered_stays(api):
    sha256, key_id = await api.imported("AUTHENTICATION")
    await api.control.set_status(sha256, CertificateStatus.REGISTERED)
    api.sender.refuses = "the Central Server does not answer"
    refusal = await api.refused("DELETE", f"/keys/{key_id}", ignore_warnings="true")
    assert refusal[:2] == (500, "management_request_sending_failed")
    assert (await api.get(f"/keys/{key_id}"))["certificates"][0]["status"] == "REGISTERED"


@pytest.mark.feature("KC-09")
async def test_a_request_is_made_for_a_key_that_is_there(api):
    _, key = await api("POST", "/tokens/0/keys", {"label": "k"})
    answer = await api.raw("POST", f"/keys/{key['id']}/csrs", json=wanted(), role=REGISTRAR)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/octet-stream"
    disposition = answer.headers["content-disposition"]
    assert disposition == 'attachment; filename="sign_csr_20260115_member_DEV_GOV_M1.pem"'
    assert x509.load_pem_x509_csr(answer.content).is_signature_valid
    event, data, _ = api.last
    assert (event, data["subjectName"]) == ("Generate CSR", "CN=M1,O=GOV,C=DEV")
    assert (await api.get(f"/keys/{key['id']}"))["usage"] == "SIGNING"
    assert (await api.raw("POST", f"/keys/{key['id']}/csrs", json=wanted())).status_code == 201


@pytest.mark.feature("KC-09")
async def test_no_request_is_made_for_a_key_that_has_a_certificate(api):
    _, key_id = await api.imported()
    assert await api.refused("POST", f"/keys/{key_id}/csrs", wanted()) == NOT_POSSIBLE


async def test_a_request_for_a_key_with_a_certificate_is_made_where_settings_let_it(tmp_path):
    settings = replace(SETTINGS, allow_csr_for_key_with_certificate=True)
    async with served_tokens(tmp_path, settings) as api:
        await api.logged_in()
        _, key_id = await api.imported()
        assert "GENERATE_SIGN_CSR" in await actions(api, f"/keys/{key_id}")
        assert (await api.raw("POST", f"/keys/{key_id}/csrs", json=wanted())).status_code == 201


async def test_a_key_is_asked_for_nothing_but_its_use(api):
    key_id, _ = await api.key()
    refusal = await api.refused("POST", f"/keys/{key_id}/csrs", wanted("AUTHENTICATION"))
    assert refusal == (400, "wrong_key_usage", [])


async def test_no_request_is_made_while_the_token_is_closed(api):
    key_id, _ = await api.key()
    await api.control.logout("0")
    assert await api.refused("POST", f"/keys/{key_id}/csrs", wanted()) == NOT_POSSIBLE


@pytest.mark.parametrize(
    ("usage", "role", "status"),
    [
        ("SIGNING", REGISTRAR, 201),
        ("SIGNING", OFFICER, 201),
        ("AUTHENTICATION", OFFICER, 201),
        ("AUTHENTICATION", REGISTRAR, 403),
    ],
)
async def test_a_request_is_for_those_who_may_ask_for_its_kind(api, usage, role, status):
    _, key = await api("POST", "/tokens/0/keys", {})
    answer = await api.raw("POST", f"/keys/{key['id']}/csrs", json=wanted(usage), role=role)
    assert answer.status_code == status


async def test_a_format_that_the_service_does_not_take_is_refused(api):
    api.world.change(csr_format=CsrFormat.DER)
    _, key = await api("POST", "/tokens/0/keys", {})
    refusal = await api.refused("POST", f"/keys/{key['id']}/csrs", wanted())
    assert refusal == (400, "invalid_csr_format", [])
    body = wanted(csr_format="DER")
    answer = await api.raw("POST", f"/keys/{key['id']}/csrs", json=body)
    assert x509.load_der_x509_csr(answer.content).is_signature_valid
    assert answer.headers["content-disposition"].endswith('.der"')


@pytest.mark.feature("KC-10")
async def test_a_request_is_handed_out_again_in_either_format(api):
    key_id, csr_id = await api.key("AUTHENTICATION")
    path = f"/keys/{key_id}/csrs/{csr_id}"
    pem = await api.raw("GET", path)
    der = await api.raw("GET", path, csr_format="DER")
    assert (pem.status_code, der.status_code) == (200, 200)
    first, again = x509.load_pem_x509_csr(pem.content), x509.load_der_x509_csr(der.content)
    assert first == again
    disposition = pem.headers["content-disposition"]
    assert (
        disposition == 'attachment; filename="auth_csr_20260115_securityserver_DEV_GOV_M1_SS1.pem"'
    )
    refusal = await api.refused("GET", path, role=REGISTRAR)
    assert refusal[:2] == (403, "access_denied")


@pytest.mark.feature("KC-10")
async def test_a_request_is_forgotten(api):
    key_id, csr_id = await api.key()
    path = f"/keys/{key_id}/csrs/{csr_id}"
    assert await api("DELETE", path, role=REGISTRAR) == (204, None)
    event, data, _ = api.last
    assert (event, data["csrId"], data["keyId"]) == ("Delete CSR", csr_id, key_id)
    assert await api.refused("GET", path) == (404, "csr_not_found", [])


async def test_an_authentication_request_is_not_for_everyone_to_forget(api):
    key_id, csr_id = await api.key("AUTHENTICATION")
    refusal = await api.refused("DELETE", f"/keys/{key_id}/csrs/{csr_id}", role=REGISTRAR)
    assert refusal[:2] == (403, "access_denied")


@pytest.mark.feature("KC-21")
async def test_what_the_profile_leaves_open_is_filled_in_and_the_rest_is_not(api):
    api.world.change(profile=FIVRK)
    fields = {
        "C": "EE",
        "O": "First",
        "serialNumber": "forged",
        "CN": "ss1.test",
        "subjectAltName": "ss1.test",
    }
    key_id, csr_id = await api.key("AUTHENTICATION", subject_field_values=fields)
    answer = await api.raw("GET", f"/keys/{key_id}/csrs/{csr_id}", csr_format="DER")
    csr = x509.load_der_x509_csr(answer.content)
    subject = {each.rfc4514_attribute_name: each.value for each in csr.subject}
    assert subject == {"C": "FI", "O": "First", "2.5.4.5": "DEV/SS1/GOV", "CN": "ss1.test"}
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ss1.test"]


async def test_a_request_needs_no_alternative_name(api):
    api.world.change(profile=FIVRK)
    fields = {"CN": "ss1.test", "O": "First"}
    key_id, csr_id = await api.key("AUTHENTICATION", subject_field_values=fields)
    answer = await api.raw("GET", f"/keys/{key_id}/csrs/{csr_id}", csr_format="DER")
    csr = x509.load_der_x509_csr(answer.content)
    with pytest.raises(x509.ExtensionNotFound):
        csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)


async def test_a_field_that_is_left_empty_is_named(api):
    api.world.change(profile=FIVRK)
    body = wanted("AUTHENTICATION", subject_field_values={"CN": " ", "O": "First"})
    _, key = await api("POST", "/tokens/0/keys", {})
    refusal = await api.refused("POST", f"/keys/{key['id']}/csrs", body)
    assert refusal == (400, "invalid_dn_parameter", [])
    assert CA.name
