import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from adminapi.centralserver.trust_api import serving_trust
from pki_builder import TestCa, TestTsa
from sild.apiclient.errors import ApiError
from sild.apiclient.values import ApiKey, Form, NamedFile
from sild.model.audit import AuditEvent
from sild.model.permissions import Role

pytestmark = pytest.mark.anyio

ROOT = TestCa.create("Root")
MIDDLE = TestCa.create("Middle", parent=ROOT)
SIGNER = ROOT.issue_ocsp_signer().certificate
TSA = TestTsa.create("Stamper").signer.certificate
OTHER_TSA = TestTsa.create("Other").signer.certificate
PROFILE = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
BASIC = "ee.ria.xroad.common.certificateprofile.impl.BasicCertificateProfileInfoProvider"
CAS, TSAS = "/certification-services", "/timestamping-services"


def file_of(certificate, name="certificate.pem"):
    return NamedFile(name, certificate.x509.public_bytes(Encoding.PEM))


def form(certificate=None, name="certificate.pem", **fields):
    files = {} if certificate is None else {"certificate": file_of(certificate, name)}
    return Form(fields, files)


def service_form(certificate=ROOT.certificate, name="ca.pem", **fields):
    wish = {"certificate_profile_info": PROFILE, "tls_auth": "false", "default_csr_format": "DER"}
    return form(certificate, name, **(wish | fields))


def told_hash(certificate, prefix):
    return {
        f"{prefix}Hash": certificate.sha256.hex(":").upper(),
        f"{prefix}HashAlgorithm": "SHA-256",
    }


@pytest.fixture
async def api(tmp_path):
    """The API without limits on how often it is asked."""
    async with serving_trust(tmp_path, rate_limit_enabled=False) as serving:
        yield serving


@pytest.fixture
async def admin(api):
    """A client of a system administrator."""
    async with api.served.client(ApiKey(await api.key())) as client:
        yield client


async def ask(client, method, path, **body):
    answer = await client.call(method, path, **body)
    return answer.status, answer.json if answer.content else None


async def refused(client, method, path, **body):
    with pytest.raises(ApiError) as caught:
        await client.call(method, path, **body)
    return caught.value


async def added(client, path=CAS, upload=None):
    status, body = await ask(client, "POST", path, upload=upload or service_form())
    assert status == 201
    return body


@pytest.mark.feature("CT-01")
async def test_a_ca_is_approved_with_what_a_setup_says(api, admin):
    upload = service_form(acme_server_directory_url="http://ca:8887")
    body = await added(admin, upload=upload)
    assert body == {
        "id": body["id"],
        "name": "Root",
        "issuer_distinguished_name": "CN=Root, O=Tests, C=EE",
        "subject_distinguished_name": "CN=Root, O=Tests, C=EE",
        "not_before": ROOT.certificate.not_before.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "not_after": ROOT.certificate.not_after.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "certificate_profile_info": PROFILE,
        "tls_auth": False,
        "default_csr_format": "DER",
        "acme_server_directory_url": "http://ca:8887",
    }
    assert api.told == (
        AuditEvent.ADD_CERTIFICATION_SERVICE,
        False,
        {
            "caId": body["id"],
            **told_hash(ROOT.certificate, "caCert"),
            "authenticationOnly": False,
            "certificateProfileInfo": PROFILE,
            "defaultCsrFormat": "DER",
            "acmeDirectoryUrl": "http://ca:8887",
        },
    )
    assert await ask(admin, "GET", f"{CAS}/{body['id']}") == (200, body)
    listed = {name: body[name] for name in ("id", "name", "not_before", "not_after")}
    assert await ask(admin, "GET", CAS) == (200, [listed])


@pytest.mark.feature("CT-01")
async def test_every_field_of_acme_is_kept(admin):
    acme = {
        "acme_server_directory_url": "https://ca.test/acme",
        "acme_server_ip_address": "192.0.2.1, 2001:db8::1",
        "authentication_certificate_profile_id": "auth",
        "signing_certificate_profile_id": "sign",
    }
    body = await added(admin, upload=service_form(**acme, tls_auth="TRUE"))
    assert body["tls_auth"] is True
    assert {name: body[name] for name in acme} == acme


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"certificate_profile_info": ""}, "certificate_profile_info_class_not_found"),
        ({"certificate_profile_info": "missing.class"}, "certificate_profile_info_class_not_found"),
        ({"acme_server_directory_url": "ca.test"}, "invalid_url"),
        ({"acme_server_ip_address": "ca.test"}, "invalid_ip_address"),
        ({"signing_certificate_profile_id": "a" * 256}, "invalid_parameters"),
        ({"signing_certificate_profile_id": "a\u0001"}, "validation_failure"),
        ({"default_csr_format": ""}, "validation_failure"),
        ({"default_csr_format": "der"}, "validation_failure"),
        ({"tls_auth": "yes"}, "validation_failure"),
    ],
)
async def test_settings_that_cannot_be_are_refused(api, admin, fields, code):
    error = await refused(admin, "POST", CAS, upload=service_form(**fields))
    assert (error.status, error.code) == (400, code)
    assert api.told[:2] == (AuditEvent.ADD_CERTIFICATION_SERVICE, True)
    assert await ask(admin, "GET", CAS) == (200, [])


@pytest.mark.feature("CT-07")
@pytest.mark.parametrize(
    ("name", "content", "code", "metadata"),
    [
        ("ca.txt", ROOT.certificate.der, "invalid_file_extension", ("txt", "der, crt, pem, cer")),
        ("ca.exe.pem", ROOT.certificate.der, "double_file_extension", ()),
        (
            "ca.der",
            b"\x89PNG\r\n",
            "invalid_file_content_type",
            ("image/png", "application/x-x509-cert, text/plain"),
        ),
        ("ca.pem", b"no certificate", "invalid_certificate", ()),
        ("ca.pem", b"", "invalid_certificate", ()),
    ],
)
async def test_an_upload_that_is_no_certificate_is_refused_everywhere(
    admin, name, content, code, metadata
):
    ca = await added(admin)
    intermediate = await added(admin, f"{CAS}/{ca['id']}/intermediate-cas", form(ROOT.certificate))
    responders = f"{CAS}/{ca['id']}/ocsp-responders"
    address = {"url": "http://a.test", "cost_type": "FREE"}
    responder = await added(admin, responders, form(**address))
    tsa = await added(admin, TSAS, form(TSA, **address))
    file = {"certificate": NamedFile(name, content)}
    for method, path, fields in (
        ("POST", CAS, {"default_csr_format": "DER", "certificate_profile_info": PROFILE}),
        ("POST", f"{CAS}/{ca['id']}/intermediate-cas", {}),
        ("POST", responders, address),
        ("POST", f"/intermediate-cas/{intermediate['id']}/ocsp-responders", address),
        ("PATCH", f"/ocsp-responders/{responder['id']}", {}),
        ("POST", TSAS, address),
        ("PATCH", f"{TSAS}/{tsa['id']}", address),
    ):
        error = await refused(admin, method, path, upload=Form(fields, file))
        assert (error.status, error.code, error.metadata) == (400, code, metadata), path


@pytest.mark.feature("CT-07")
async def test_an_upload_of_megabytes_is_refused(admin):
    upload = Form({}, {"certificate": NamedFile("ca.pem", b"x" * 11_000_000)})
    assert (await refused(admin, "POST", CAS, upload=upload)).status == 413


async def test_a_form_without_its_file_is_refused(admin):
    for path in (CAS, TSAS):
        error = await refused(
            admin, "POST", path, upload=service_form(None, url="http://a.test", cost_type="FREE")
        )
        assert (error.status, error.code) == (400, "validation_failure")


@pytest.mark.feature("CT-02")
async def test_the_settings_of_a_ca_change_and_its_certificate_stays(api, admin):
    before = await added(admin, upload=service_form(acme_server_directory_url="http://ca.test"))
    path = f"{CAS}/{before['id']}"
    changes = {
        "certificate_profile_info": BASIC,
        "tls_auth": "true",
        "default_csr_format": "PEM",
        "acme_server_directory_url": "",
        "certificate": "ignored",
    }
    status, body = await ask(admin, "PATCH", path, json=changes)
    changed = {name: changes[name] for name in ("certificate_profile_info", "default_csr_format")}
    expected = before | changed | {"tls_auth": True}
    del expected["acme_server_directory_url"]
    assert (status, body) == (200, expected)
    assert api.told == (
        AuditEvent.EDIT_CERTIFICATION_SERVICE_SETTINGS,
        False,
        {
            "caId": before["id"],
            **told_hash(ROOT.certificate, "caCert"),
            "authenticationOnly": True,
            "certificateProfileInfo": BASIC,
            "defaultCsrFormat": "PEM",
        },
    )
    assert await ask(admin, "PATCH", path, json={}) == (200, expected)
    status, body = await ask(admin, "PATCH", path, json={"tls_auth": False})
    assert body["tls_auth"] is False


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"certificate_profile_info": ""}, "certificate_profile_info_class_not_found"),
        ({"acme_server_directory_url": "ca.test"}, "invalid_url"),
        ({"acme_server_ip_address": "1.2.3"}, "invalid_ip_address"),
        ({"default_csr_format": "XML"}, "validation_failure"),
        ({"tls_auth": "maybe"}, "validation_failure"),
    ],
)
async def test_changes_that_cannot_be_are_refused(admin, changes, code):
    before = await added(admin)
    error = await refused(admin, "PATCH", f"{CAS}/{before['id']}", json=changes)
    assert (error.status, error.code) == (400, code)
    assert await ask(admin, "GET", f"{CAS}/{before['id']}") == (200, before)


@pytest.mark.feature("CT-02")
async def test_the_certificate_of_a_ca_is_shown(admin):
    ca = await added(admin)
    status, body = await ask(admin, "GET", f"{CAS}/{ca['id']}/certificate")
    assert status == 200
    assert body["hash"] == ROOT.certificate.sha256.hex().upper()
    assert body["subject_common_name"] == "Root"
    assert body["key_usages"] == ["KEY_CERT_SIGN", "CRL_SIGN"]


@pytest.mark.feature("CT-02")
async def test_a_ca_is_deleted(api, admin):
    ca = await added(admin)
    assert await ask(admin, "DELETE", f"{CAS}/{ca['id']}") == (204, None)
    assert api.told == (AuditEvent.DELETE_CERTIFICATION_SERVICE, False, {"caId": ca["id"]})
    assert await ask(admin, "GET", CAS) == (200, [])


@pytest.mark.feature("CT-03")
async def test_a_responder_of_a_ca_comes_changes_and_goes(api, admin):
    ca = await added(admin)
    path = f"{CAS}/{ca['id']}/ocsp-responders"
    body = await added(admin, path, form(SIGNER, url="http://ocsp.test:8888", cost_type="FREE"))
    one = f"/ocsp-responders/{body['id']}"
    assert body == {
        "id": body["id"],
        "url": "http://ocsp.test:8888",
        "cost_type": "FREE",
        "has_certificate": True,
    }
    told = {
        "ocspId": body["id"],
        "ocspUrl": "http://ocsp.test:8888",
        "ocspCostType": "FREE",
        **told_hash(SIGNER, "ocspCert"),
    }
    assert api.told == (
        AuditEvent.ADD_CERTIFICATION_SERVICE_OCSP_RESPONDER,
        False,
        {"caId": ca["id"], **told},
    )
    bare = await added(admin, path, form(url="http://bare.test", cost_type="PAID"))
    assert bare["has_certificate"] is False
    assert await ask(admin, "GET", path) == (200, [body, bare])
    assert await ask(admin, "GET", one) == (200, body)

    changed = body | {"url": "https://new.test", "cost_type": "UNDEFINED"}
    upload = form(url="https://new.test", cost_type="UNDEFINED")
    assert await ask(admin, "PATCH", one, upload=upload) == (200, changed)
    assert api.told == (
        AuditEvent.EDIT_OCSP_RESPONDER,
        False,
        told | {"ocspUrl": "https://new.test", "ocspCostType": "UNDEFINED"},
    )
    assert await ask(admin, "PATCH", one, upload=form(ROOT.certificate)) == (200, changed)
    _, certificate = await ask(admin, "GET", f"{one}/certificate")
    assert certificate["hash"] == ROOT.certificate.sha256.hex().upper()
    error = await refused(admin, "GET", f"/ocsp-responders/{bare['id']}/certificate")
    assert (error.status, error.code) == (404, "ocsp_responder_not_found")

    assert await ask(admin, "DELETE", one) == (204, None)
    assert api.told == (AuditEvent.DELETE_OCSP_RESPONDER, False, {"ocspId": body["id"]})
    assert await ask(admin, "GET", path) == (200, [bare])


@pytest.mark.feature("CT-03")
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "http://a.test"}, "validation_failure"),
        ({"cost_type": "FREE"}, "validation_failure"),
        ({"url": "http://a.test", "cost_type": ""}, "validation_failure"),
        ({"url": "http://a.test", "cost_type": "GRATIS"}, "validation_failure"),
        ({"url": "", "cost_type": "FREE"}, "validation_failure"),
        ({"url": "http://a.test/" + "a" * 255, "cost_type": "FREE"}, "validation_failure"),
        ({"url": "a.test", "cost_type": "FREE"}, "invalid_url"),
    ],
)
async def test_a_responder_or_authority_needs_an_address_and_a_cost(admin, fields, code):
    ca = await added(admin)
    intermediate = await added(admin, f"{CAS}/{ca['id']}/intermediate-cas", form(ROOT.certificate))
    for path in (
        f"{CAS}/{ca['id']}/ocsp-responders",
        f"/intermediate-cas/{intermediate['id']}/ocsp-responders",
        TSAS,
    ):
        error = await refused(admin, "POST", path, upload=form(TSA, **fields))
        assert (error.status, error.code) == (400, code), path


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": ""}, "invalid_url"),
        ({"url": "a.test"}, "invalid_url"),
        ({"cost_type": "GRATIS"}, "validation_failure"),
    ],
)
async def test_a_responder_keeps_its_address_and_cost(admin, fields, code):
    ca = await added(admin)
    upload = form(url="http://a.test", cost_type="PAID")
    before = await added(admin, f"{CAS}/{ca['id']}/ocsp-responders", upload)
    error = await refused(admin, "PATCH", f"/ocsp-responders/{before['id']}", upload=form(**fields))
    assert (error.status, error.code) == (400, code)
    assert await ask(admin, "GET", f"/ocsp-responders/{before['id']}") == (200, before)


@pytest.mark.feature("CT-04")
async def test_an_intermediate_ca_has_responders_of_its_own(api, admin):
    ca = await added(admin)
    path = f"{CAS}/{ca['id']}/intermediate-cas"
    body = await added(admin, path, form(MIDDLE.certificate))
    one = f"/intermediate-cas/{body['id']}"
    assert body["ca_certificate"]["subject_distinguished_name"] == "CN=Middle, O=Tests, C=EE"
    assert body["ca_certificate"]["issuer_common_name"] == "Root"
    assert api.told == (
        AuditEvent.ADD_CERTIFICATION_SERVICE_INTERMEDIATE_CA,
        False,
        {
            "caId": ca["id"],
            "intermediateCaId": body["id"],
            **told_hash(MIDDLE.certificate, "intermediateCaCert"),
        },
    )
    assert await ask(admin, "GET", path) == (200, [body])
    assert await ask(admin, "GET", one) == (200, body)

    upload = form(url="http://ocsp.test", cost_type="PAID")
    responders = [await added(admin, f"{one}/ocsp-responders", upload) for _ in range(2)]
    assert api.told == (
        AuditEvent.ADD_INTERMEDIATE_CA_OCSP_RESPONDER,
        False,
        {
            "intermediateCaId": body["id"],
            "ocspId": responders[1]["id"],
            "ocspUrl": "http://ocsp.test",
            "ocspCostType": "PAID",
        },
    )
    assert await ask(admin, "GET", f"{one}/ocsp-responders") == (200, responders)
    assert await ask(admin, "GET", f"{CAS}/{ca['id']}/ocsp-responders") == (200, [])
    gone = f"{one}/ocsp-responders/{responders[0]['id']}"
    assert await ask(admin, "DELETE", gone) == (204, None)
    assert api.told == (AuditEvent.DELETE_OCSP_RESPONDER, False, {"ocspId": responders[0]["id"]})
    assert (await refused(admin, "DELETE", gone)).code == "ocsp_responder_not_found"

    assert await ask(admin, "DELETE", one) == (204, None)
    assert api.told == (AuditEvent.DELETE_INTERMEDIATE_CA, False, {"intermediateCaId": body["id"]})
    assert await ask(admin, "GET", path) == (200, [])
    assert (await refused(admin, "GET", f"/ocsp-responders/{responders[1]['id']}")).status == 404


@pytest.mark.feature("CT-05")
async def test_a_time_stamping_service_is_approved(api, admin):
    body = await added(admin, TSAS, form(TSA, url="http://tsa.test:8899", cost_type="FREE"))
    certificate = body.pop("certificate")
    assert certificate["subject_common_name"] == "Stamper"
    assert body == {
        "id": body["id"],
        "url": "http://tsa.test:8899",
        "cost_type": "FREE",
        "timestamping_interval": 60,
    }
    assert api.told == (
        AuditEvent.ADD_TSP,
        False,
        {
            "tsaId": body["id"],
            "tsaName": "Stamper",
            "tsaUrl": "http://tsa.test:8899",
            "tsaCostType": "FREE",
            **told_hash(TSA, "tsaCert"),
        },
    )
    whole = body | {"certificate": certificate}
    assert await ask(admin, "GET", TSAS) == (200, [whole])
    assert await ask(admin, "GET", f"{TSAS}/{body['id']}") == (200, whole)


@pytest.mark.feature("CT-06")
async def test_a_time_stamping_service_changes_and_goes(api, admin):
    before = await added(admin, TSAS, form(TSA, url="http://tsa.test", cost_type="FREE"))
    one = f"{TSAS}/{before['id']}"
    fields = {"url": "https://new.test", "cost_type": "PAID"}
    assert await ask(admin, "PATCH", one, upload=form(**fields)) == (200, before | fields)
    _, body = await ask(admin, "PATCH", one, upload=form(OTHER_TSA, **fields))
    assert body["certificate"]["subject_common_name"] == "Other"
    assert api.told == (
        AuditEvent.EDIT_TIMESTAMP_SERVICE,
        False,
        {
            "tsaId": before["id"],
            "tsaName": "Stamper",
            "tsaUrl": "https://new.test",
            "tsaCostType": "PAID",
            **told_hash(OTHER_TSA, "tsaCert"),
        },
    )
    for missing in fields:
        rest = {name: value for name, value in fields.items() if name != missing}
        assert (await refused(admin, "PATCH", one, upload=form(**rest))).status == 400
    assert await ask(admin, "DELETE", one) == (204, None)
    assert api.told == (
        AuditEvent.DELETE_TSP,
        False,
        {"tsaId": before["id"], "tsaName": "Stamper", "tsaUrl": "https://new.test"},
    )
    assert (await refused(admin, "GET", one)).code == "timestamping_authority_not_found"


ADDRESS = form(url="http://a.test", cost_type="FREE")
OPERATIONS = [
    ("GET", CAS, {}, None),
    ("POST", CAS, {"upload": service_form()}, None),
    ("GET", f"{CAS}/99", {}, "certification_service_not_found"),
    ("PATCH", f"{CAS}/99", {"json": {}}, "certification_service_not_found"),
    ("DELETE", f"{CAS}/99", {}, "certification_service_not_found"),
    ("GET", f"{CAS}/99/certificate", {}, "certification_service_not_found"),
    ("GET", f"{CAS}/99/intermediate-cas", {}, "certification_service_not_found"),
    (
        "POST",
        f"{CAS}/99/intermediate-cas",
        {"upload": form(ROOT.certificate)},
        "certification_service_not_found",
    ),
    ("GET", f"{CAS}/99/ocsp-responders", {}, "certification_service_not_found"),
    ("POST", f"{CAS}/99/ocsp-responders", {"upload": ADDRESS}, "certification_service_not_found"),
    ("GET", "/intermediate-cas/99", {}, "intermediate_ca_not_found"),
    ("DELETE", "/intermediate-cas/99", {}, "intermediate_ca_not_found"),
    ("GET", "/intermediate-cas/99/ocsp-responders", {}, "intermediate_ca_not_found"),
    (
        "POST",
        "/intermediate-cas/99/ocsp-responders",
        {"upload": ADDRESS},
        "intermediate_ca_not_found",
    ),
    ("DELETE", "/intermediate-cas/99/ocsp-responders/1", {}, "intermediate_ca_not_found"),
    ("GET", "/ocsp-responders/99", {}, "ocsp_responder_not_found"),
    ("PATCH", "/ocsp-responders/99", {"upload": ADDRESS}, "ocsp_responder_not_found"),
    ("DELETE", "/ocsp-responders/99", {}, "ocsp_responder_not_found"),
    ("GET", "/ocsp-responders/99/certificate", {}, "ocsp_responder_not_found"),
    ("GET", TSAS, {}, None),
    ("POST", TSAS, {"upload": form(TSA, url="http://a.test", cost_type="FREE")}, None),
    ("GET", f"{TSAS}/99", {}, "timestamping_authority_not_found"),
    ("PATCH", f"{TSAS}/99", {"upload": ADDRESS}, "timestamping_authority_not_found"),
    ("DELETE", f"{TSAS}/99", {}, "timestamping_authority_not_found"),
]


async def test_what_is_not_there_is_not_found(admin):
    for method, path, body, code in OPERATIONS:
        if code is not None:
            error = await refused(admin, method, path, **body)
            assert (error.status, error.code) == (404, code), (method, path)


async def test_an_id_that_nothing_can_have_is_refused(admin):
    for method, path, body, code in OPERATIONS:
        if code is not None:
            for bad in ("0", "-1", str(2**31), "x"):
                error = await refused(admin, method, path.replace("99", bad), **body)
                assert (error.status, error.code) == (400, "validation_failure"), (method, path)


# Who may read: the management service reads about CAs, and nobody else reads anything.
READ_BY_MANAGEMENT = [
    path for method, path, *_ in OPERATIONS if method == "GET" and not path.startswith(TSAS)
]


@pytest.mark.parametrize("role", [*Role])
async def test_each_role_may_do_what_it_may(api, role):
    async with api.served.client(ApiKey(await api.key(role))) as client:
        for method, path, body, _ in OPERATIONS:
            may = role is Role.SYSTEM_ADMINISTRATOR or (
                role is Role.MANAGEMENT_SERVICE and method == "GET" and path in READ_BY_MANAGEMENT
            )
            try:
                status = (await client.call(method, path, **body)).status
            except ApiError as error:
                status = error.status
            assert (status != 403) is may, (method, path)


async def test_nobody_asks_without_a_proof_of_who_they_are(api):
    async with api.served.client() as client:
        for method, path, body, _ in OPERATIONS:
            assert (await refused(client, method, path, **body)).status == 401


async def test_a_user_who_logs_in_may_change_things(api):
    async with api.served.client(await api.login()) as client:
        await added(client)
        await client.log_out()
        assert len((await ask(client, "GET", CAS))[1]) == 1


async def test_what_is_no_form_is_refused(admin):
    error = await refused(admin, "POST", CAS, json={})
    assert error.status == 415
