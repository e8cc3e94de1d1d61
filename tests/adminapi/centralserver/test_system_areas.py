import io
import tarfile
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from cryptography import x509

from adminapi.centralserver.system_served import INITIAL, served_system
from components.centralserver.nodes import SERVER
from components.tlsidentity.test_identity import Authority, pem
from sild.components.backup.settings import BackupSettings
from sild.components.centralserver.system import Node
from sild.model.permissions import Role
from sild.runtime.timed import Timed
from sild.servers.audit import delete_old_backups

pytestmark = pytest.mark.anyio
CONFIGURATION = "/management-services-configuration"
PROVIDER = "DEV:GOV:M1:management"


@pytest.fixture
async def served(tmp_path):
    async with served_system(tmp_path) as made:
        yield made


@pytest.mark.feature("CI-01")
async def test_a_server_is_initialised_once(served):
    status = (await served.ask("GET", "/initialization/status")).json
    assert status == {
        "instance_identifier": "",
        "central_server_address": "",
        "software_token_init_status": "NOT_INITIALIZED",
    }
    # Existing clients wait for this status, whatever the contract says.
    answer = await served.ask("POST", "/initialization", INITIAL)
    assert (answer.status, answer.body) == (200, b"")
    event, succeeded, told = served.told
    assert (event, succeeded) == ("INIT_CENTRAL_SERVER", True)
    assert told == {
        "centralServerAddress": "cs.example.org",
        "instanceIdentifier": "DEV",
        "haNode": "node_0",
    }
    assert (await served.ask("GET", "/initialization/status")).json == {
        "instance_identifier": "DEV",
        "central_server_address": "cs.example.org",
        "software_token_init_status": "INITIALIZED",
    }
    again = await served.refused("POST", "/initialization", INITIAL)
    assert again == (409, "init_already_initialized")


@pytest.mark.feature("CI-01")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"software_token_pin": "12"}, "token_weak_pin"),
        ({"software_token_pin": "Sécret-1234"}, "token_invalid_characters"),
        ({"software_token_pin": ""}, "validation_failure"),
        ({"software_token_pin": "x" * 256}, "validation_failure"),
        ({"instance_identifier": "INSTANCE::::%INVALID"}, "validation_failure"),
        ({"instance_identifier": ""}, "validation_failure"),
        ({"central_server_address": "123.123..invalid..123.x"}, "validation_failure"),
        ({"central_server_address": "123.123_invalid_123.x"}, "validation_failure"),
        ({"central_server_address": ""}, "validation_failure"),
        ({"central_server_address": None}, "validation_failure"),
    ],
)
async def test_what_cannot_be_initialised_is_refused(served, changed, code):
    assert await served.refused("POST", "/initialization", INITIAL | changed) == (400, code)
    status = (await served.ask("GET", "/initialization/status")).json
    assert status["software_token_init_status"] == "NOT_INITIALIZED"


async def test_the_pin_is_taken_as_it_is_and_never_told(served):
    pin = " Secret-1234 "
    await served.ask("POST", "/initialization", INITIAL | {"software_token_pin": pin})
    assert pin.strip() not in str(served.api.audit.records)


@pytest.mark.feature("CI-03")
async def test_the_address_changes_and_the_anchors_with_it(served):
    await served.initialize()
    asked = {"central_server_address": "other.example.org"}
    answer = await served.ask("PUT", "/system/server-address", asked)
    assert answer.status == 200
    assert answer.json == {
        "initialization_status": {
            "instance_identifier": "DEV",
            "central_server_address": "other.example.org",
            "software_token_init_status": "INITIALIZED",
        },
        "high_availability_status": {"is_ha_configured": False, "node_name": "node_0"},
    }
    assert served.instance.anchors.made == 1
    assert served.told[0] == "EDIT_CENTRAL_SERVER_ADDRESS"
    configuration = (await served.ask("GET", CONFIGURATION)).json
    assert configuration["wsdl_address"] == "http://other.example.org/managementservices.wsdl"
    for address in ("invalid...address.c", "invalid_address.c", ""):
        asked = {"central_server_address": address}
        refused = await served.refused("PUT", "/system/server-address", asked)
        assert refused == (400, "validation_failure")


@pytest.mark.feature("CI-09")
async def test_version_and_status_are_shown(served):
    await served.initialize()
    assert (await served.ask("GET", "/system/version")).json == {"info": "0.1"}
    status = (await served.ask("GET", "/system/status")).json
    assert status["initialization_status"]["instance_identifier"] == "DEV"
    assert status["high_availability_status"] == {"is_ha_configured": False, "node_name": "node_0"}


@pytest.mark.feature("CH-03")
async def test_the_nodes_of_a_cluster_are_shown(tmp_path):
    async with served_system(tmp_path, Node("node_1", is_ha=True)) as served:
        await served.initialize()
        path = "/system/high-availability-cluster/status"
        node = {"node_name": "node_1", "node_address": "cs.example.org", "status": "UNKNOWN"}
        assert (await served.ask("GET", path)).json == {
            "is_ha_configured": True,
            "node_name": "node_1",
            "nodes": [node],
            "all_nodes_ok": False,
        }
        await served.instance.cluster.succeeded()
        found = (await served.ask("GET", path)).json
        assert found["all_nodes_ok"]
        assert found["nodes"][0]["status"] == "OK"
        assert len(found["nodes"][0]["configuration_generated"]) == 24


@pytest.mark.feature("CI-08")
async def test_alerts_are_shown(served):
    assert (await served.ask("GET", "/notifications/alerts")).json == []
    await served.initialize()
    await served.instance.cluster.failed()
    found = (await served.ask("GET", "/notifications/alerts")).json
    assert [each["errorCode"] for each in found] == [
        "status.global_conf_generation.failing",
        "status.signing_key.internal.missing",
    ]
    assert len(found[0]["metadata"][0]) == 24
    assert found[1]["metadata"] == []


@pytest.mark.feature("CI-04")
async def test_the_provider_is_appointed_and_registered(served):
    await served.initialize()
    await served.instance.add_provider()
    before = (await served.ask("GET", CONFIGURATION)).json
    assert before == {
        "services_address": "https://cs.example.org:4002/managementservice/manage/",
        "wsdl_address": "http://cs.example.org/managementservices.wsdl",
        "security_server_owners_global_group_code": "security-server-owners",
    }
    path = f"{CONFIGURATION}/register-provider"
    asked = {"security_server_id": SERVER.encoded}
    refused = await served.refused("POST", path, asked)
    assert refused == (400, "management_service_provider_not_set")
    answer = await served.ask("PATCH", CONFIGURATION, {"service_provider_id": PROVIDER})
    assert answer.json == before | {
        "service_provider_id": f"SUBSYSTEM:{PROVIDER}",
        "service_provider_name": "First member",
        "security_server_id": "",
    }
    assert served.told[2] == {
        "serviceProviderIdentifier": PROVIDER,
        "serviceProviderName": "First member",
    }
    answer = await served.ask("POST", path, asked)
    assert answer.json["security_server_id"] == "SERVER:DEV:GOV:M1:SS1"
    assert served.told[2] == {
        "serverCode": "SS1",
        "ownerClass": "GOV",
        "ownerCode": "M1",
        "clientIdentifier": PROVIDER,
    }
    refused = await served.refused("POST", path, asked)
    assert refused == (400, "subsystem_already_registered_to_security_server")


@pytest.mark.feature("CI-04")
@pytest.mark.parametrize(
    ("provider", "refusal"),
    [
        ("DEV:GOV:M1:Random", (404, "subsystem_not_found")),
        ("DEV:GOV:M1", (400, "invalid_service_provider_id")),
        ("DEV", (400, "invalid_service_provider_id")),
        ("DEV::M1:x", (400, "invalid_service_provider_id")),
        (None, (400, "invalid_service_provider_id")),
        ("", (400, "validation_failure")),
    ],
)
async def test_who_cannot_provide_is_not_appointed(served, provider, refusal):
    await served.initialize()
    await served.instance.add_provider()
    asked = {"service_provider_id": provider}
    assert await served.refused("PATCH", CONFIGURATION, asked) == refusal


@pytest.mark.parametrize("server", ["DEV:GOV:M1", "x", "DEV:GOV:M1:"])
async def test_what_names_no_server_is_refused(served, server):
    asked = {"security_server_id": server}
    refused = await served.refused("POST", f"{CONFIGURATION}/register-provider", asked)
    assert refused == (400, "invalid_encoded_id")


@pytest.mark.feature("CI-05")
async def test_what_the_administrator_of_the_management_services_needs_is_shown(served):
    await served.initialize()
    found = (await served.ask("GET", CONFIGURATION)).json
    assert found["wsdl_address"] == "http://cs.example.org/managementservices.wsdl"
    services = "https://cs.example.org:4002/managementservice/manage/"
    assert found["services_address"] == services
    assert found["security_server_owners_global_group_code"] == "security-server-owners"


@pytest.mark.feature("CI-06")
async def test_the_tls_certificate_is_made_asked_for_taken_and_handed_out(served):
    await served.central.management_tls.make_if_missing()
    seen = []
    served.central.management_tls.follow(seen.append)
    path = f"{CONFIGURATION}/certificate"
    first = (await served.ask("GET", path)).json
    assert first["subject_common_name"] == "cs.example.org"
    assert (await served.ask("POST", path)).status == 201
    assert served.told[2]["certHashAlgorithm"] == "SHA-256"
    made = (await served.ask("GET", path)).json
    assert made["hash"] != first["hash"]
    request = await served.ask("POST", f"{CONFIGURATION}/generate-csr", {"name": "CN=cs, C=FI"})
    # Existing clients wait for this status, whatever the contract says.
    assert request.status == 200
    assert request.headers["content-disposition"].endswith('.p10"')
    assert x509.load_pem_x509_csr(request.body).is_signature_valid
    leaf = Authority("CA").answer(request.body)
    upload = f"{CONFIGURATION}/upload-certificate"
    taken = await served.upload(upload, "certificate", "cs.pem", pem(leaf))
    assert taken.status == 200
    assert taken.json["issuer_common_name"] == "CA"
    assert served.told[2]["certFileName"] == "cs.pem"
    assert len(seen) == 3
    packed = await served.ask("GET", f"{CONFIGURATION}/download-certificate")
    assert packed.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(packed.body)) as archive:
        assert archive.getnames() == ["./management-service.pem", "./management-service.cer"]


@pytest.mark.feature("CI-06")
async def test_what_is_no_certificate_of_the_key_is_refused(served):
    refused = await served.refused("GET", f"{CONFIGURATION}/certificate")
    assert refused == (400, "invalid_certificate")
    await served.central.management_tls.make_if_missing()
    for asked in ({"name": "nothing"}, {}):
        refused = await served.refused("POST", f"{CONFIGURATION}/generate-csr", asked)
        assert refused == (400, "invalid_distinguished_name")
    upload = f"{CONFIGURATION}/upload-certificate"
    for content, code in (
        (b"nothing", "cannot_convert_bytes_to_certificate"),
        (pem(Authority("CA").certificate), "key_not_found"),
    ):
        answer = await served.upload(upload, "certificate", "cs.pem", content)
        assert (answer.status, answer.json["error"]["code"]) == (400, code)


@pytest.mark.feature("CI-07")
async def test_a_parameter_that_an_operator_changed_is_used(served):
    await served.initialize()
    async with served.instance.database.transaction() as connection:
        await connection.exec_driver_sql(
            "UPDATE central_system_parameter SET value = 'owners'"
            " WHERE key = 'securityServerOwnersGroup'"
        )
    found = (await served.ask("GET", CONFIGURATION)).json
    assert found["security_server_owners_global_group_code"] == "owners"


async def test_who_may_not_is_refused(served):
    served.headers = await served.api.key(Role.REGISTRATION_OFFICER)
    for method, path, body in (
        ("POST", "/initialization", INITIAL),
        ("PUT", "/system/server-address", {"central_server_address": "x"}),
        ("GET", CONFIGURATION, None),
        ("PATCH", CONFIGURATION, {"service_provider_id": PROVIDER}),
        ("GET", "/backups", None),
        ("POST", "/backups", None),
        ("PUT", "/backups/x.gpg/restore", None),
    ):
        assert (await served.ask(method, path, body)).status == 403
    served.headers = {}
    assert (await served.ask("GET", "/initialization/status")).status == 401


@pytest.mark.feature("BK-01")
async def test_a_backup_is_made_and_listed(served):
    assert await served.refused("POST", "/backups") == (409, "backup_generation_failed")
    await served.initialize()
    made = await served.ask("POST", "/backups")
    assert made.status == 201
    assert served.told == ("BACKUP", True, {"backupFileName": made.json["filename"]})
    assert (await served.ask("GET", "/backups")).json == [made.json]


@pytest.mark.feature("BK-02")
async def test_backups_are_handed_out_taken_and_deleted(served):
    await served.initialize()
    name = (await served.ask("POST", "/backups")).json["filename"]
    handed = await served.ask("GET", f"/backups/{name}/download")
    assert handed.status == 200
    assert handed.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert handed.headers["content-type"] == "application/octet-stream"
    assert (await served.upload("/backups/upload", "file", "sent.gpg", handed.body)).status == 201
    again = await served.upload("/backups/upload", "file", "sent.gpg", handed.body)
    assert again.status == 400
    assert again.json["warnings"] == [
        {"code": "warning_file_already_exists", "metadata": ["sent.gpg"]}
    ]
    path = "/backups/upload?ignore_warnings=true"
    assert (await served.upload(path, "file", "sent.gpg", handed.body)).status == 201
    for bad in ("incorrect.backup", ".incorrect.gpg", "../x.gpg"):
        answer = await served.upload("/backups/upload", "file", bad, handed.body)
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_filename")
    other = await served.upload("/backups/upload", "other", "x.gpg", handed.body)
    assert (other.status, other.json["error"]["code"]) == (400, "invalid_filename")
    junk = await served.upload("/backups/upload", "file", "junk.gpg", b"junk")
    assert (junk.status, junk.json["error"]["code"]) == (400, "invalid_file_content_type")
    assert (await served.ask("DELETE", "/backups/sent.gpg")).status == 204
    assert await served.refused("DELETE", "/backups/sent.gpg") == (404, "backup_file_not_found")
    for gone in ("gone.gpg", served.encoded("../home/x.gpg")):
        assert (await served.ask("GET", f"/backups/{gone}/download")).status == 404
    assert [each["filename"] for each in (await served.ask("GET", "/backups")).json] == [name]


@pytest.mark.feature("BK-03")
async def test_a_backup_is_restored(served):
    await served.initialize()
    await served.central.management_tls.make_if_missing()
    name = (await served.ask("POST", "/backups")).json["filename"]
    first = (await served.ask("GET", f"{CONFIGURATION}/certificate")).json
    await served.ask("POST", f"{CONFIGURATION}/certificate")
    await served.ask("PUT", "/system/server-address", {"central_server_address": "other"})
    restored = await served.ask("PUT", f"/backups/{name}/restore")
    assert restored.json == {"hsm_tokens_logged_out": False}
    assert served.told == ("RESTORE_BACKUP", True, {"backupFileName": name})
    status = (await served.ask("GET", "/system/status")).json["initialization_status"]
    assert status["central_server_address"] == "cs.example.org"
    assert (await served.ask("GET", f"{CONFIGURATION}/certificate")).json == first
    token = replace(served.instance.tokens.token, id="1", type="hsm")
    served.instance.tokens.token = token
    restored = await served.ask("PUT", f"/backups/{name}/restore")
    assert restored.json == {"hsm_tokens_logged_out": True}


@pytest.mark.feature("BK-03")
async def test_a_backup_that_cannot_be_trusted_is_not_restored(served):
    await served.initialize()
    await served.upload("/backups/upload", "file", "junk.gpg", b"\xa3junk")
    refused = await served.refused("PUT", "/backups/junk.gpg/restore")
    assert refused == (400, "restore_process_failed")
    assert served.told[:2] == ("RESTORE_BACKUP", False)
    refused = await served.refused("PUT", "/backups/gone.gpg/restore")
    assert refused == (404, "backup_file_not_found")


@pytest.mark.feature("CH-02")
async def test_each_node_keeps_its_own_tls_key_and_address(tmp_path, postgres):
    url = postgres.new_database()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    nodes = [Node(name, is_ha=True) for name in ("node_0", "node_1")]
    async with (
        served_system(tmp_path / "one", nodes[0], url) as first,
        served_system(tmp_path / "two", nodes[1], url) as second,
    ):
        await first.initialize()
        asked = INITIAL | {"central_server_address": "cs2.example.org"}
        assert (await second.ask("POST", "/initialization", asked)).status == 200
        for each in (first, second):
            await each.central.management_tls.make_if_missing()
        path = f"{CONFIGURATION}/certificate"
        hashes = [(await each.ask("GET", path)).json["hash"] for each in (first, second)]
        assert hashes[0] != hashes[1]
        statuses = [(await each.ask("GET", "/system/status")).json for each in (first, second)]
        addresses = [each["initialization_status"]["central_server_address"] for each in statuses]
        assert addresses == ["cs.example.org", "cs2.example.org"]
        names = [each["high_availability_status"]["node_name"] for each in statuses]
        assert names == ["node_0", "node_1"]


@pytest.mark.feature("CH-04")
async def test_the_name_of_the_node_is_given_to_who_shows_it(tmp_path):
    async with served_system(tmp_path, Node("node_1", is_ha=True)) as served:
        found = (await served.ask("GET", "/system/status")).json["high_availability_status"]
        assert found == {"is_ha_configured": True, "node_name": "node_1"}


@pytest.mark.feature("CH-01")
async def test_nodes_on_one_database_show_the_same_and_outlive_each_other(tmp_path, postgres):
    url = postgres.new_database()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    path = "/system/high-availability-cluster/status"
    async with served_system(tmp_path / "two", Node("node_1", is_ha=True), url) as second:
        async with served_system(tmp_path / "one", Node("node_0", is_ha=True), url) as first:
            await first.initialize()
            await first.instance.add_provider()
            await first.instance.cluster.succeeded()
            await first.ask("PATCH", CONFIGURATION, {"service_provider_id": PROVIDER})
            asked = INITIAL | {"central_server_address": "cs2.example.org"}
            assert (await second.ask("POST", "/initialization", asked)).status == 200
            seen = [(await each.ask("GET", path)).json["nodes"] for each in (first, second)]
            assert seen[0] == seen[1]
            assert [node["node_name"] for node in seen[0]] == ["node_0", "node_1"]
        found = (await second.ask("GET", CONFIGURATION)).json
        assert found["service_provider_id"] == f"SUBSYSTEM:{PROVIDER}"
        assert found["wsdl_address"] == "http://cs2.example.org/managementservices.wsdl"
        asked = {"security_server_id": SERVER.encoded}
        answer = await second.ask("POST", f"{CONFIGURATION}/register-provider", asked)
        assert answer.json["security_server_id"] == "SERVER:DEV:GOV:M1:SS1"


@pytest.mark.feature("BK-05")
async def test_backups_are_made_at_their_time_and_deleted_when_they_are_old(served):
    await served.initialize()
    backups, clock = served.central.backups, served.instance.clock
    making = Timed(BackupSettings().backup_cron, backups.create_automatic, clock)
    clear = partial(delete_old_backups, backups, served.api.audit)
    clearing = Timed(BackupSettings().backup_cleanup_cron, clear, clock)
    await making.look()
    assert (await served.ask("GET", "/backups")).json == []
    clock.turn(timedelta(days=1))
    await making.look()
    (made,) = (await served.ask("GET", "/backups")).json
    assert made["filename"].startswith("cs-automatic-backup-")
    clock.turn(timedelta(days=31))
    await clearing.look()
    assert (await served.ask("GET", "/backups")).json == []
    record = served.api.audit.records[-1]
    assert (record.event.name, record.user) == ("DELETE_BACKUP", "system")
    assert record.data == {"backupFileName": made["filename"]}
