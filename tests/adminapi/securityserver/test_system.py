import hashlib
import io
import platform
import tarfile
from dataclasses import replace

import pytest
from cryptography import x509

from adminapi.securityserver.system_served import INITIAL, PIN, refusal, served_system
from components.serverconf.client_worlds import MANAGEMENT
from components.serverconf.standing_worlds import SERVER, world_with
from components.tlsidentity.test_identity import Authority, pem
from protocol.globalconf.publisher import signing_key
from sild.model.permissions import Role
from sild.model.refusals import Failed
from sild.protocol.globalconf.anchor import write_anchor

pytestmark = pytest.mark.anyio
OWNER = {"xRoadInstance": "DEV", "memberClass": "GOV", "memberCode": "M1"}


@pytest.fixture
async def served(tmp_path):
    async with served_system(tmp_path) as made:
        yield made


@pytest.mark.feature("SP-01")
async def test_a_server_is_initialised_step_by_step(served):
    assert await served.get("/initialization/status") == {
        "is_anchor_imported": False,
        "is_server_code_initialized": False,
        "is_server_owner_initialized": False,
        "software_token_init_status": "NOT_INITIALIZED",
        "enforce_token_pin_policy": True,
    }
    early = await served.ask("POST", "/initialization", INITIAL)
    assert refusal(early) == (409, "anchor_not_found")
    document = served.behind.place.document
    shown = await served.send("POST", "/system/anchor/previews?validate_instance=false", document)
    assert shown.json["hash"] == hashlib.sha224(document).hexdigest().upper()
    assert (await served.send("POST", "/system/anchor", document)).status == 201
    assert (await served.get("/initialization/status"))["is_anchor_imported"]
    served.behind.world.conf = world_with(replace(SERVER, server_code="SS9"))
    answer = await served.ask("POST", "/initialization", INITIAL)
    assert (answer.status, answer.body) == (201, b"")
    assert served.told == (
        "INIT_SERVER_CONFIGURATION",
        True,
        {"ownerIdentifier": OWNER, "serverCode": "SS1"},
    )
    assert await served.get("/initialization/status") == {
        "is_anchor_imported": True,
        "is_server_code_initialized": True,
        "is_server_owner_initialized": True,
        "software_token_init_status": "INITIALIZED",
        "enforce_token_pin_policy": True,
    }
    assert served.behind.backup_keys.names == ["DEV/GOV/M1/SS1"]
    again = await served.ask("POST", "/initialization", INITIAL)
    assert refusal(again) == (409, "server_already_fully_initialized")


@pytest.mark.feature("SP-01")
async def test_warnings_are_told_and_can_be_ignored(served):
    await served.send("POST", "/system/anchor", served.behind.place.document)
    asked = INITIAL | {"owner_member_code": "M9"}
    answer = await served.ask("POST", "/initialization", asked)
    assert refusal(answer) == (400, "warnings_detected")
    assert answer.json["warnings"] == [
        {"code": "init_unregistered_member", "metadata": ["DEV/GOV/M9"]}
    ]
    taken = await served.ask("POST", "/initialization", INITIAL)
    assert taken.json["warnings"] == [
        {"code": "init_server_id_exists", "metadata": ["DEV/GOV/M1/SS1"]}
    ]
    assert served.behind.token.pins == []
    answer = await served.ask("POST", "/initialization", asked | {"ignore_warnings": True})
    assert answer.status == 201


@pytest.mark.feature("SP-01")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"software_token_pin": "12"}, "token_weak_pin"),
        ({"software_token_pin": "Sécret-1234"}, "invalid_characters_pin"),
        ({"software_token_pin": ""}, "validation_failure"),
        ({"software_token_pin": "x" * 256}, "validation_failure"),
        ({"security_server_code": "SS:1"}, "validation_failure"),
        ({"security_server_code": ""}, "validation_failure"),
        ({"owner_member_class": "G/V"}, "validation_failure"),
        ({"owner_member_code": "x" * 256}, "validation_failure"),
        ({"owner_member_code": None}, "invalid_init_params"),
        ({"software_token_pin": None}, "invalid_init_params"),
    ],
)
async def test_what_cannot_be_initialised_is_refused(served, changed, code):
    await served.send("POST", "/system/anchor", served.behind.place.document)
    asked = INITIAL | {"ignore_warnings": True} | changed
    answer = await served.ask("POST", "/initialization", asked)
    assert refusal(answer) == (400, code)
    status = await served.get("/initialization/status")
    assert not status["is_server_code_initialized"]
    assert status["software_token_init_status"] == "NOT_INITIALIZED"


async def test_the_pin_is_taken_as_it_is_and_never_told(served):
    await served.send("POST", "/system/anchor", served.behind.place.document)
    asked = {"software_token_pin": f" {PIN} ", "ignore_warnings": True}
    assert (await served.ask("POST", "/initialization", INITIAL | asked)).status == 201
    assert served.behind.token.pins == [f" {PIN} "]
    assert PIN not in str(served.api.audit.records)


@pytest.mark.feature("SP-02")
async def test_the_anchor_is_shown_handed_out_and_replaced(served):
    place = served.behind.place
    assert refusal(await served.ask("GET", "/system/anchor")) == (404, "anchor_file_not_found")
    await served.initialize()
    first = place.document
    assert await served.get("/system/anchor") == {
        "hash": hashlib.sha224(first).hexdigest().upper(),
        "created_at": f"{place.publisher.anchor().generated_at:%FT%T}.000Z",
    }
    place.publisher.key = signing_key("Another")
    second = place.document
    shown = await served.send("POST", "/system/anchor/previews", second)
    assert shown.status == 201
    assert (await served.ask("GET", "/system/anchor/download")).body == first
    assert (await served.send("PUT", "/system/anchor", second)).status == 201
    event, succeeded, told = served.told
    assert (event, succeeded) == ("UPLOAD_ANCHOR", True)
    digest = hashlib.sha224(second).digest()
    assert told["anchorFileHash"] == digest.hex(":").upper()
    assert told["anchorFileHashAlgorithm"] == "SHA-224"
    assert told["generatedAt"].endswith("+00:00")
    handed = await served.ask("GET", "/system/anchor/download")
    assert handed.body == second
    assert handed.headers["content-type"] == "application/xml"
    name = f"configuration_anchor_UTC_{place.publisher.anchor().generated_at:%Y-%m-%d_%H_%M_%S}"
    assert f'filename="{name}.xml"' in handed.headers["content-disposition"]


@pytest.mark.feature("SP-02")
async def test_an_anchor_that_should_not_be_kept_is_refused(served):
    place, path = served.behind.place, "/system/anchor"
    assert refusal(await served.send("POST", path, b"<x/>")) == (400, "malformed_anchor")
    assert refusal(await served.send("POST", path, b"")) == (400, "validation_failure")
    await served.initialize()
    again = await served.send("POST", path, place.document)
    assert refusal(again) == (409, "anchor_already_exists")
    other = write_anchor(replace(place.publisher.anchor(), instance="EE"))
    code = "internal_anchor_upload_invalid_instance_id"
    assert refusal(await served.send("PUT", path, other)) == (400, code)
    assert refusal(await served.send("POST", f"{path}/previews", other)) == (400, code)
    place.publisher.silent = ("http",)
    unreachable = await served.send("PUT", path, place.document)
    assert refusal(unreachable) == (500, "conf_verification.unreachable")
    event, succeeded, told = served.told
    assert (event, succeeded) == ("UPLOAD_ANCHOR", False)
    assert told["anchorFileHash"]


async def test_a_file_comes_as_octets(served):
    answer = await served.ask(
        "POST", "/system/anchor", b"{}", **{"content-type": "application/json"}
    )
    assert answer.status == 415


async def test_only_who_initialises_brings_the_first_anchor(served):
    served.headers = await served.api.key(Role.SECURITY_OFFICER)
    answer = await served.send("POST", "/system/anchor", served.behind.place.document)
    assert answer.status == 403
    answer = await served.send("PUT", "/system/anchor", served.behind.place.document)
    assert refusal(answer) == (404, "anchor_file_not_found")


@pytest.mark.feature("SP-03")
async def test_an_address_is_asked_for_and_pending_until_it_is_shown(served):
    await served.initialize()
    path = "/system/server-address"
    served.behind.world.conf = world_with()
    assert await served.get(path) == {"current_address": {"address": "ss1.test"}}
    answer = await served.ask("PUT", path, {"address": "new.test"})
    assert (answer.status, answer.body) == (202, b"")
    assert served.told == ("EDIT_SECURITY_SERVER_ADDRESS", True, {"address": "new.test"})
    assert served.behind.requests.sent == [("address", "new.test")]
    assert await served.get(path) == {
        "current_address": {"address": "ss1.test"},
        "requested_change": {"address": "new.test"},
    }
    again = await served.ask("PUT", path, {"address": "newer.test"})
    assert refusal(again) == (409, "address_change_request_already_submitted")
    await served.show(address="new.test")
    assert await served.get(path) == {"current_address": {"address": "new.test"}}
    same = await served.ask("PUT", path, {"address": "new.test"})
    assert refusal(same) == (409, "same_address_change_request")


@pytest.mark.feature("SP-03")
@pytest.mark.parametrize("address", ["", None, "a b", "1.2.3.256", "x" * 256, "host:80"])
async def test_what_is_no_address_is_not_asked_for(served, address):
    await served.initialize()
    answer = await served.ask("PUT", "/system/server-address", {"address": address})
    assert refusal(answer) == (400, "validation_failure")
    assert served.behind.requests.sent == []


@pytest.mark.feature("SP-03")
async def test_what_the_central_server_refuses_is_told(served):
    await served.initialize()
    served.behind.requests.failing = Failed("nobody answers")
    answer = await served.ask("PUT", "/system/server-address", {"address": "new.test"})
    assert answer.status == 500
    assert served.told[1] is False
    assert "requested_change" not in await served.get("/system/server-address")


@pytest.mark.feature("SP-04")
async def test_version_and_kind_of_node_are_shown(served):
    assert await served.get("/system/version") == {
        "info": "0.1",
        "java_version": 0,
        "min_java_version": 0,
        "max_java_version": 0,
        "using_supported_java_version": True,
        "java_vendor": platform.python_implementation(),
        "java_runtime_version": platform.python_version(),
        "global_configuration_version": 6,
    }
    served.behind.world.conf = None
    assert "global_configuration_version" not in await served.get("/system/version")
    assert await served.get("/system/node-type") == {"node_type": "STANDALONE"}


@pytest.mark.feature("IS-04")
async def test_the_tls_certificate_is_made_asked_for_taken_and_handed_out(served):
    seen = []
    served.behind.tls.follow(seen.append)
    path = "/system/certificate"
    first = await served.get(path)
    assert first["subject_common_name"] == "ss1.test"
    assert first["subject_alternative_names"] == "DNS:ss1.test, IP Address:192.0.2.1"
    assert (await served.ask("POST", path)).status == 204
    made = await served.get(path)
    assert made["hash"] != first["hash"]
    event, _, told = served.told
    assert event == "GENERATE_INTERNAL_TLS_KEY_CERT"
    assert told["certHash"].replace(":", "") == made["hash"]
    request = await served.ask("POST", f"{path}/csr", {"name": "CN=ss1.test, C=FI"})
    assert request.status == 201
    assert served.told == ("GENERATE_INTERNAL_TLS_CSR", True, {"subjectName": "CN=ss1.test, C=FI"})
    assert "internal_tls_cert_request_" in request.headers["content-disposition"]
    root = Authority("root")
    middle = Authority("middle", root)
    leaf = middle.answer(request.body)
    chain = pem(leaf, middle.certificate, root.certificate)
    taken = await served.send("POST", f"{path}/import", chain)
    assert taken.status == 200
    assert taken.json["issuer_common_name"] == "middle"
    assert served.told[2]["certHash"].replace(":", "") == taken.json["hash"]
    assert [len(identity.chain) for identity in seen] == [1, 1, 3]
    packed = await served.ask("GET", f"{path}/export")
    assert packed.headers["content-type"] == "application/gzip"
    assert 'filename="certs.tar.gz"' in packed.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(packed.body)) as archive:
        assert archive.getnames() == ["./cert.pem", "./cert.cer"]
        handed = archive.extractfile("./cert.pem").read()
    assert x509.load_pem_x509_certificate(handed) == leaf


@pytest.mark.feature("IS-04")
async def test_what_is_no_certificate_of_the_key_is_refused(served):
    path = "/system/certificate"
    request = (await served.ask("POST", f"{path}/csr", {"name": "CN=ss1.test"})).body
    leaf = Authority("CA").answer(request)
    for content, wanted in (
        (b"nothing", (400, "invalid_certificate")),
        (b"", (400, "validation_failure")),
        (pem(Authority("stranger").certificate), (400, "key_not_found")),
        (pem(leaf, Authority("stranger").certificate), (400, "import_internal_cert_failed")),
    ):
        assert refusal(await served.send("POST", f"{path}/import", content)) == wanted
    assert (await served.send("POST", f"{path}/import", pem(leaf))).status == 200
    again = await served.send("POST", f"{path}/import", pem(leaf))
    assert refusal(again) == (409, "certificate_already_exists")
    for name in ("this is wrong", "", None):
        answer = await served.ask("POST", f"{path}/csr", {"name": name})
        assert answer.status == 400


@pytest.mark.feature("MM-01")
async def test_maintenance_is_enabled_with_a_message_and_disabled(served):
    await served.initialize()
    served.behind.world.conf = world_with()
    path = "/system/maintenance-mode"
    answer = await served.ask("PUT", f"{path}/enable", {"message": "back at noon!"})
    assert (answer.status, answer.body) == (204, b"")
    assert served.told == (
        "ENABLE_MAINTENANCE_MODE",
        True,
        {"message": "back at noon!", "managementRequestId": 1},
    )
    await served.show(maintenance="back at noon!")
    assert (await served.ask("PUT", f"{path}/disable")).status == 204
    assert served.told == ("DISABLE_MAINTENANCE_MODE", True, {"managementRequestId": 2})
    assert served.behind.requests.sent == [("enable", "back at noon!"), ("disable",)]


@pytest.mark.parametrize("body", [{}, {"message": None}])
async def test_maintenance_is_enabled_without_a_message(served, body):
    await served.initialize()
    served.behind.world.conf = world_with()
    answer = await served.ask("PUT", "/system/maintenance-mode/enable", body)
    assert answer.status == 204
    assert served.behind.requests.sent == [("enable", None)]


@pytest.mark.feature("MM-01")
@pytest.mark.parametrize("message", ["x" * 256, "<b>", "noon €"])
async def test_a_message_that_others_could_not_be_told_is_refused(served, message):
    await served.initialize()
    answer = await served.ask("PUT", "/system/maintenance-mode/enable", {"message": message})
    assert refusal(answer) == (400, "validation_failure")
    assert served.behind.requests.sent == []


@pytest.mark.feature("MM-01")
async def test_the_server_of_the_management_services_has_no_maintenance(served):
    await served.initialize()
    served.behind.world.conf = world_with(clients=(MANAGEMENT,))
    path = "/system/maintenance-mode"
    assert (await served.get(path))["is_management_services_provider"]
    answer = await served.ask("PUT", f"{path}/enable", {})
    code = "forbidden_enable_maintenance_mode_for_management_service"
    assert refusal(answer) == (409, code)


@pytest.mark.feature("MM-02")
async def test_each_state_of_the_maintenance_mode_is_shown(served):
    await served.initialize()
    served.behind.world.conf = world_with()
    path = "/system/maintenance-mode"
    usual = {"is_management_services_provider": False}

    async def shown(status, **more):
        assert await served.get(path) == usual | {"status": f"{status}_MAINTENANCE_MODE"} | more

    async def refused(act, code):
        assert refusal(await served.ask("PUT", f"{path}/{act}", {})) == (409, code)

    under_way = "maintenance_mode_change_request_already_submitted"
    await shown("DISABLED")
    await refused("disable", "already_disabled_maintenance_mode")
    await served.ask("PUT", f"{path}/enable", {"message": "soon"})
    await shown("PENDING_ENABLE", message="soon")
    await refused("enable", under_way)
    await refused("disable", under_way)
    await served.show(maintenance="soon")
    await shown("ENABLED", message="soon")
    await refused("enable", "already_enabled_maintenance_mode")
    await served.ask("PUT", f"{path}/disable")
    await shown("PENDING_DISABLE")
    await refused("enable", under_way)
    await refused("disable", under_way)
    await served.show()
    await shown("DISABLED")


async def test_a_server_that_is_not_initialised_stands_nowhere(served):
    for path in ("/system/server-address", "/system/maintenance-mode"):
        assert refusal(await served.ask("GET", path)) == (409, "server_not_initialized")


async def test_nobody_is_notified_by_mail(served):
    status = await served.get("/mail/mail-notification-status")
    assert status == {"enabled_notifications": [], "configuration_present": False}
    answer = await served.ask("PUT", "/mail/send-test-mail", {"mail_address": "a@example.org"})
    assert answer.status == 200
    assert answer.json["status"] == "error"
    assert answer.json["text"].startswith("Error: ")
    answer = await served.ask("PUT", "/mail/send-test-mail", {})
    assert refusal(answer) == (400, "validation_failure")
