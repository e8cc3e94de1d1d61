"""Approved certification services over the API, and what they want to read in requests."""

from dataclasses import replace

import pytest

from adminapi.securityserver.tokens_served import (
    CA,
    OFFICER,
    REGISTRAR,
    served_tokens,
)
from pki_builder import EJBCA, TestCa
from sild.model.costs import Strategy
from sild.model.permissions import Role
from sild.protocol.globalconf.shared_parameters import (
    AcmeServer,
    CaEntry,
    CertificationService,
    CostType,
    CsrFormat,
    OcspResponderEntry,
)

pytestmark = pytest.mark.anyio

FIVRK = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
PATH = "/certificate-authorities"
FIELDS = f"{PATH}/Test CA/csr-subject-fields"
DENIED = (403, "access_denied")
BELOW = TestCa.create("Below", parent=CA)
OBSERVER = Role.SECURITYSERVER_OBSERVER


@pytest.fixture
async def api(tmp_path):
    async with served_tokens(tmp_path) as api:
        yield await api.logged_in()


def service(name="Test CA", **more):
    responder = OcspResponderEntry("http://ocsp.test/", CA.certificate, CostType.PAID)
    top = CaEntry(CA.certificate, (responder,))
    return CertificationService(name, EJBCA, top, **more)


@pytest.mark.feature("TS-11")
async def test_the_approved_services_are_listed_with_their_chains(api):
    below = CaEntry(BELOW.certificate, (OcspResponderEntry("http://below.test/"),))
    acme = AcmeServer("https://acme.test/directory", "192.0.2.1,192.0.2.2")
    api.world.list(service(intermediates=(below,), csr_format=CsrFormat.DER, acme=acme))
    (top,) = await api.get(PATH, role=OBSERVER)
    name = "CN=Test CA, O=Tests, C=EE"
    assert top == {
        "name": "Test CA",
        "subject_distinguished_name": name,
        "issuer_distinguished_name": name,
        "ocsp_response": "NOT_AVAILABLE",
        "not_after": "2028-07-03T12:00:00.000Z",
        "top_ca": True,
        "path": name,
        "authentication_only": False,
        "certificate_profile_info": EJBCA,
        "default_csr_format": "DER",
        "acme_capable": True,
        "acme_server_ip_addresses": ["192.0.2.1", "192.0.2.2"],
        "ocsp_responders": [{"url": "http://ocsp.test/", "cost_type": "PAID"}],
    }
    again, lower = await api.get(PATH, include_intermediate_cas="true")
    assert again == top
    assert (lower["name"], lower["top_ca"]) == ("Test CA", False)
    assert lower["path"] == f"{name}:CN=Below, O=Tests, C=EE"
    assert lower["ocsp_responders"] == [{"url": "http://below.test/", "cost_type": "UNDEFINED"}]


@pytest.mark.feature("TS-11")
async def test_what_is_known_of_the_revocation_of_an_intermediate_ca_is_told(api):
    api.world.list(service(intermediates=(CaEntry(BELOW.certificate),)))
    api.responder.known.append(BELOW.certificate)
    await api.ocsp.ask_now(BELOW.certificate, api.world.conf)
    _, lower = await api.get(PATH, include_intermediate_cas="true")
    assert lower["ocsp_response"] == "OCSP_RESPONSE_GOOD"


async def test_services_for_authentication_only_are_not_listed_for_signing(api):
    api.world.list(service(), service("For servers", authentication_only=True))
    names = {
        usage: [each["name"] for each in await api.get(PATH, **usage_of(usage))]
        for usage in (None, "AUTHENTICATION", "SIGNING")
    }
    assert names == {
        None: ["Test CA", "For servers"],
        "AUTHENTICATION": ["Test CA", "For servers"],
        "SIGNING": ["Test CA"],
    }


def usage_of(usage):
    return {} if usage is None else {"key_usage_type": usage}


async def test_without_a_global_configuration_nothing_is_approved(api):
    api.world.conf = None
    assert (await api.refused("GET", PATH))[1] == "global_conf_outdated"


async def test_who_manages_services_does_not_see_the_approved_ones(api):
    refusal = await api.refused("GET", PATH, role=Role.SERVICE_ADMINISTRATOR)
    assert refusal[:2] == DENIED


@pytest.mark.feature("TS-02")
@pytest.mark.parametrize("strategy", Strategy)
async def test_the_strategy_by_cost_is_told(tmp_path, strategy):
    async with served_tokens(tmp_path, strategy=strategy) as api:
        told = await api.get(f"{PATH}/ocsp-prioritization-strategy", role=OBSERVER)
        assert told == strategy.value
        refusal = await api.refused(
            "GET", f"{PATH}/ocsp-prioritization-strategy", role=Role.SERVICE_ADMINISTRATOR
        )
        assert refusal[:2] == DENIED


@pytest.mark.feature("TS-02")
@pytest.mark.parametrize(
    ("strategy", "asked"),
    [
        (Strategy.NONE, ["paid", "free", "unknown"]),
        (Strategy.FREE_FIRST, ["free", "paid", "unknown"]),
        (Strategy.PAID_FIRST, ["paid", "free", "unknown"]),
        (Strategy.ONLY_FREE, ["free"]),
        (Strategy.ONLY_PAID, ["paid"]),
    ],
)
async def test_responders_are_asked_in_the_order_of_their_cost(tmp_path, strategy, asked):
    costs = {"paid": CostType.PAID, "free": CostType.FREE, "unknown": None}
    responders = tuple(
        OcspResponderEntry(f"http://{name}.test/", CA.certificate, cost)
        for name, cost in costs.items()
    )
    async with served_tokens(tmp_path, strategy=strategy) as api:
        await api.logged_in()
        (own,) = api.world.conf.shared.certification_services
        api.world.change(top=replace(own.top, responders=responders))
        certificate = await api.signed()
        api.responder.silent = True
        assert (await api("POST", "/token-certificates", content=certificate.der))[0] == 201
        assert api.responder.asked == [f"http://{name}.test/" for name in asked]


@pytest.mark.feature("KC-21")
async def test_the_fields_of_the_subject_are_told_with_what_is_known(api):
    fields = await api.get(FIELDS, key_usage_type="AUTHENTICATION", role=OFFICER)
    assert fields == [
        {
            "id": "C",
            "label_key": "INSTANCE_IDENTIFIER",
            "default_value": "DEV",
            "read_only": True,
            "required": True,
            "localized": True,
        },
        {
            "id": "CN",
            "label_key": "SERVER_CODE",
            "default_value": "SS1",
            "read_only": True,
            "required": True,
            "localized": True,
        },
    ]
    query = {"key_usage_type": "SIGNING", "member_id": "DEV:COM:M2"}
    fields = await api.get(FIELDS, **query, role=REGISTRAR)
    assert {each["id"]: each["default_value"] for each in fields} == {
        "C": "DEV",
        "O": "COM",
        "CN": "M2",
    }


@pytest.mark.feature("KC-21")
async def test_fields_that_are_open_are_told_so(api):
    api.world.change(profile=FIVRK)
    fields = await api.get(FIELDS, key_usage_type="SIGNING", member_id="DEV:GOV:M1")
    assert {each["id"] for each in fields if not each["read_only"]} == {"O", "subjectAltName"}


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({"key_usage_type": "SIGNING"}, (400, "memberId_required_for_sign_csr")),
        ({"key_usage_type": "SIGNING", "member_id": "x"}, (400, "invalid_encoded_id")),
        ({"key_usage_type": "SIGNING", "member_id": "DEV:GOV:M9"}, (400, "client_not_found")),
        ({"key_usage_type": "AUTHENTICATION", "key_id": "X"}, (400, "key_not_found")),
    ],
)
async def test_whose_subject_is_not_known_is_refused(api, query, refusal):
    assert (await api.refused("GET", FIELDS, **query))[:2] == refusal


async def test_the_member_of_a_new_client_is_no_client_yet(api):
    query = {"key_usage_type": "SIGNING", "member_id": "DEV:GOV:M9", "is_new_member": "true"}
    fields = await api.get(FIELDS, **query)
    assert [each["default_value"] for each in fields] == ["DEV", "GOV", "M9"]


async def test_a_key_for_something_else_is_refused(api):
    key_id, _ = await api.key()
    query = {"key_usage_type": "AUTHENTICATION", "key_id": key_id}
    assert await api.refused("GET", FIELDS, **query) == (400, "wrong_key_usage", [])
    query = {"key_usage_type": "SIGNING", "key_id": key_id, "member_id": "DEV:GOV:M1"}
    assert await api.get(FIELDS, **query)


async def test_a_service_for_authentication_only_is_asked_for_nothing_else(api):
    api.world.change(authentication_only=True)
    query = {"key_usage_type": "SIGNING", "member_id": "DEV:GOV:M1"}
    assert await api.refused("GET", FIELDS, **query) == (400, "wrong_key_usage", [])


async def test_a_profile_that_nobody_knows_is_told(api):
    api.world.change(profile="com.example.Profile")
    refusal = await api.refused("GET", FIELDS, key_usage_type="AUTHENTICATION")
    assert refusal[:2] == (500, "certificate_profile_instantiation_failure")


async def test_a_service_that_is_not_approved_is_not_found(api):
    wanted = (404, "certificate_authority_not_found", [])
    query = {"key_usage_type": "AUTHENTICATION"}
    for path in ("csr-subject-fields", "has-acme-eab-credentials"):
        assert await api.refused("GET", f"{PATH}/Nobody/{path}", **query) == wanted
    body = {"csr_id": "x", "key_usage_type": "SIGNING"}
    assert await api.refused("POST", f"{PATH}/Nobody/acme-order", body) == wanted


async def test_each_kind_of_request_is_for_those_who_may_make_it(api):
    query = {"key_usage_type": "AUTHENTICATION"}
    for path in (FIELDS, f"{PATH}/Test CA/has-acme-eab-credentials"):
        assert (await api.refused("GET", path, **query, role=REGISTRAR))[:2] == DENIED
    body = {"csr_id": "x", "key_usage_type": "AUTHENTICATION"}
    refusal = await api.refused("POST", f"{PATH}/Test CA/acme-order", body, role=REGISTRAR)
    assert refusal[:2] == DENIED


async def test_nothing_is_ordered_over_acme(api):
    _, csr_id = await api.key()
    status = await api.get(f"{PATH}/Test CA/has-acme-eab-credentials", key_usage_type="SIGNING")
    assert status == {
        "acme_eab_required": False,
        "has_acme_external_account_credentials": False,
    }
    body = {"csr_id": csr_id, "key_usage_type": "SIGNING"}
    refusal = await api.refused("POST", f"{PATH}/Test CA/acme-order", body)
    assert refusal == (500, "acme.acme_yaml_missing", [])
    event, data, well = api.last
    assert (event, well) == ("Acme order certificate", False)
    assert data["certificationServiceName"] == "Test CA"
    body = {"csr_id": "x", "key_usage_type": "SIGNING"}
    refusal = await api.refused("POST", f"{PATH}/Test CA/acme-order", body)
    assert refusal == (404, "csr_not_found", [])
