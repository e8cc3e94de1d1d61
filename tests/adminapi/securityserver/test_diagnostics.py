"""How a server fares, as an administrator is told over the API."""

from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from adminapi.securityserver.diagnostics_served import served_diagnostics
from pki_builder import NOON
from servers.survey_builder import MEASURES
from sild.components.backup.settings import BackupSettings
from sild.components.diagnostics.settings import DiagnosticsSettings
from sild.components.messagelog.archivegroups import Grouping
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.settings import MessageLogSettings
from sild.model.permissions import Role
from sild.model.services import Client, ClientStatus
from sild.model.tokens import CertificateStatus, KeyUsage
from sild.protocol.errors import HttpError, TimestampRefused
from sild.protocol.ids import ClientId
from sild.protocol.rest.error import write_rest_error
from sild.protocol.soap.fault import write_fault
from sild.protocol.soap.message import read_soap
from sild.runtime.http_server import Response
from sild.servers.settings import SecurityServerSettings

pytestmark = pytest.mark.anyio

NOW = "2026-07-01T12:00:00.000Z"
QUESTION = {
    "client_id": "DEV:GOV:M1",
    "target_client_id": "DEV:COM:M2:S2",
    "security_server_id": "DEV:COM:M2:SS2",
}
GIB = 1024**3


@pytest.fixture
async def api(tmp_path):
    async with served_diagnostics(tmp_path) as api:
        yield api


# The global configuration.


@pytest.mark.feature("DG-01")
async def test_a_configuration_that_was_not_downloaded_yet_is_waited_for(api):
    told = await api.get("/diagnostics/globalconf")
    assert told["status_class"] == "WAITING"
    assert set(told) == {"status_class", "prev_update_at", "next_update_at"}
    assert len(told["prev_update_at"]) == len(told["next_update_at"]) == 24


@pytest.mark.feature("DG-01")
async def test_a_configuration_that_was_downloaded_tells_from_where(api):
    await api.made.download()
    told = await api.get("/diagnostics/globalconf")
    assert told["status_class"] == "OK"
    assert told["last_successful_url"] == api.made.publisher.url
    assert "error" not in told


@pytest.mark.feature("DG-01")
async def test_a_download_that_fails_says_what_failed_and_what_to_do(api):
    await api.made.download()
    api.made.publisher.silent = ("http:",)
    await api.made.download()
    told = await api.get("/diagnostics/globalconf")
    assert (told["status_class"], told["error"]["code"]) == (
        "FAIL",
        "global_conf_get_version_failed",
    )
    message, advice = told["error"]["metadata"]
    assert "status 503" in message
    assert "ask the operator of the Central Server" in advice
    assert told["last_successful_url"] == api.made.publisher.url
    api.made.survey.layout.anchor_file.unlink()
    await api.made.download()
    told = await api.get("/diagnostics/globalconf")
    assert told["error"]["code"] == "anchor_file_not_found"


@pytest.mark.feature("DG-01")
async def test_a_configuration_that_has_expired_is_no_good(api):
    await api.made.download()
    api.made.clock.turn(timedelta(days=2))
    told = await api.get("/diagnostics/globalconf")
    assert (told["status_class"], told["error"]["code"]) == ("FAIL", "global_conf_outdated")


# OCSP responders and time-stamping services.


@pytest.mark.feature("DG-01")
async def test_responders_are_told_by_ca_and_by_their_last_answer(api):
    ((ca,), url) = (await api.get("/diagnostics/ocsp-responders"), "http://ocsp.test/")
    assert "DEV CA" in ca["distinguished_name"]
    (responder,) = ca["ocsp_responders"]
    assert (responder["url"], responder["cost_type"]) == (url, "UNDEFINED")
    assert responder["status_class"] == "WAITING"
    assert "prev_update_at" not in responder

    api.made.noted.responders.note(url, None)
    ((ca,)) = await api.get("/diagnostics/ocsp-responders")
    (responder,) = ca["ocsp_responders"]
    assert responder["status_class"] == "OK"
    before, after = responder["prev_update_at"], responder["next_update_at"]
    assert before[:16] < after[:16]

    api.made.noted.responders.note(url, HttpError("it answered with HTTP status 500"))
    ((ca,)) = await api.get("/diagnostics/ocsp-responders")
    (responder,) = ca["ocsp_responders"]
    assert (responder["status_class"], responder["error"]["code"]) == ("FAIL", "http_error")
    assert responder["error"]["metadata"][0] == "it answered with HTTP status 500"


@pytest.mark.feature("DG-01")
async def test_an_authority_that_can_be_reached_waits_for_its_first_request(api):
    (told,) = await api.get("/diagnostics/timestamping-services")
    assert told["status_class"] == "WAITING"
    assert told["cost_type"] == "UNDEFINED"
    assert "error" not in told
    ((request, body),) = api.made.authority.asked
    assert (request.method, body) == (b"POST", b"")


@pytest.mark.feature("DG-01")
async def test_where_no_authority_was_chosen_none_is_told(api):
    await api.made.survey.messages.choose_services(())
    assert await api.get("/diagnostics/timestamping-services") == []
    assert api.made.authority.asked == []


@pytest.mark.feature("DG-01")
async def test_an_authority_is_told_by_its_last_answer(api):
    (told,) = await api.get("/diagnostics/timestamping-services")
    api.made.noted.authorities.note(told["url"], None)
    (told,) = await api.get("/diagnostics/timestamping-services")
    assert told["status_class"] == "OK"
    api.made.noted.authorities.note(told["url"], TimestampRefused("the status is rejection"))
    (told,) = await api.get("/diagnostics/timestamping-services")
    assert (told["status_class"], told["error"]["code"]) == ("FAIL", "mlog.timestamper_failed")


@pytest.mark.feature("DG-01")
async def test_an_authority_that_cannot_be_reached_now_is_no_good(api):
    conf = api.made.knowledge.conf
    services = conf.timestamping_services
    unknown = replace(services[0], url="http://nowhere.invalid/tsa")
    silent = replace(services[0], url="http://127.0.0.1:1/tsa")
    messages = api.made.survey.messages
    messages._timestamping._authorities = lambda: (unknown, silent)
    used = tuple(ChosenService(each.name, each.url) for each in (unknown, silent))
    await messages.choose_services(used)
    first, second = await api.get("/diagnostics/timestamping-services")
    assert (first["status_class"], first["error"]["code"]) == ("FAIL", "unknown_host")
    assert (second["status_class"], second["error"]["code"]) == ("FAIL", "network_error")
    api.made.noted.authorities.note(silent.url, TimestampRefused("the status is rejection"))
    _, second = await api.get("/diagnostics/timestamping-services")
    assert second["error"]["code"] == "mlog.timestamper_failed"


@pytest.mark.feature("DG-01")
async def test_without_a_configuration_nobody_is_known_to_be_asked(api):
    api.made.knowledge.has_conf = False
    assert await api.get("/diagnostics/ocsp-responders") == []
    assert await api.get("/diagnostics/timestamping-services") == []


@pytest.mark.feature("DG-01")
async def test_authorities_of_an_expired_configuration_cannot_be_told(api):
    api.made.clock.turn(timedelta(days=2))
    refused = await api.refused("GET", "/diagnostics/timestamping-services")
    assert refused == (500, "diagnostic_request_failed")


# What the settings say.


@pytest.mark.feature("DG-01")
async def test_parts_and_encryption_are_as_they_are_set(api):
    assert await api.get("/diagnostics/addon-status") == {
        "messagelog_enabled": True,
        "opmonitoring_enabled": False,
    }
    assert await api.get("/diagnostics/backup-encryption-status") == {
        "backup_encryption_status": False,
        "backup_encryption_keys": [],
    }
    assert await api.get("/diagnostics/message-log-encryption-status") == {
        "message_log_archive_encryption_status": False,
        "message_log_database_encryption_status": False,
        "message_log_grouping_rule": "NONE",
        "members": [],
    }


@pytest.mark.feature("DG-01")
async def test_the_keys_of_members_are_told_where_archives_are_encrypted_by_member(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("DEV/GOV/M1 = A\nDEV/GOV/M1 = B\n")
    settings = SecurityServerSettings(
        backup=BackupSettings(
            backup_encryption_enabled=True, backup_encryption_keyids=("K1", "K2")
        ),
        message_log=MessageLogSettings(
            archive_grouping=Grouping.MEMBER,
            archive_encryption_enabled=True,
            archive_gpg_home_directory=tmp_path,
            archive_encryption_keys_config=keys,
            archive_default_encryption_key="D",
        ),
    )
    async with served_diagnostics(tmp_path, settings=settings) as api:
        known = api.made.knowledge.known
        clients = [ClientId("DEV", "GOV", "M1", "S"), ClientId("DEV", "COM", "M2")]
        api.made.knowledge.known = replace(
            known, clients=tuple(Client(each, ClientStatus.REGISTERED) for each in clients)
        )
        told = await api.get("/diagnostics/message-log-encryption-status")
        assert told["message_log_archive_encryption_status"] is True
        assert told["message_log_grouping_rule"] == "MEMBER"
        assert told["members"] == [
            {"member_id": "DEV/GOV/M1", "keys": ["A", "B"], "default_key_used": False},
            {"member_id": "DEV/COM/M2", "keys": ["D"], "default_key_used": True},
        ]
        told = await api.get("/diagnostics/backup-encryption-status")
        assert told["backup_encryption_keys"] == ["K1", "K2"]
        keys.write_text("nonsense")
        refused = await api.refused("GET", "/diagnostics/message-log-encryption-status")
        assert refused == (500, "diagnostic_request_failed")


@pytest.mark.feature("DG-02")
async def test_the_memory_of_the_message_path_is_told(api):
    told = await api.get("/diagnostics/proxy-memory-usage-status")
    assert told["used_memory"] == 200 * 1024**2
    assert told["total_memory"] == 400 * 1024**2
    assert told["max_memory"] > told["used_memory"]
    assert told["is_used_over_threshold"] is False
    assert "threshold" not in told
    api.made.workers[1].is_away = True
    told = await api.get("/diagnostics/proxy-memory-usage-status")
    assert told["used_memory"] == 100 * 1024**2


@pytest.mark.feature("DG-02")
async def test_memory_above_the_threshold_is_told(tmp_path):
    limits = DiagnosticsSettings(memory_usage_threshold=50)
    async with served_diagnostics(tmp_path, limits=limits) as api:
        api.made.workers[0].counted = replace(MEASURES, resident_bytes=100_000 * GIB)
        told = await api.get("/diagnostics/proxy-memory-usage-status")
        assert (told["threshold"], told["is_used_over_threshold"]) == (50, True)
        assert told["usage_percent"] > 50


# The report.


@pytest.mark.feature("DG-03")
async def test_the_report_tells_everything_but_what_settings_say(tmp_path):
    settings = SecurityServerSettings(
        message_log=MessageLogSettings(database="postgresql://sild:canary@db/log")
    )
    async with served_diagnostics(tmp_path, settings=settings) as api:
        answer = await api.ask("GET", "/diagnostics/info/download")
        assert answer.headers["content-type"].startswith("application/json")
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith('attachment; filename="diagnostic-report-20')
        assert "canary" not in answer.text
        report = {each["name"]: each for each in answer.json()}
    assert not [each for each in report.values() if "errorMessage" in each]
    value = {name: each["value"] for name, each in report.items()}
    assert value["Settings that are not the default"] == ["message-log.database"]
    assert set(value["Version"]) == {"sild", "python"}
    assert "Linux" in value["OS version"]
    assert [each["process"] for each in value["Processes"]] == ["control", "worker-0", "worker-1"]
    (certificate,) = value["Authentication certificates"]
    assert (certificate["status"], certificate["active"]) == ("saved", False)
    assert value["Global configuration"]["standing"] == "WAITING"
    assert value["Disk space"]["free"] > 0
    packages = {each["name"]: each["version"] for each in value["Installed packages"]}
    assert packages["cryptography"] == version("cryptography")


@pytest.mark.feature("DG-03")
async def test_the_report_tells_of_authentication_certificates_and_no_others(api):
    token = api.made.signer.found[0]
    signing = replace(token.keys[0], id="signing", usage=KeyUsage.SIGNING)
    api.made.signer.found = (replace(token, keys=(*token.keys, signing)),)
    report = {each["name"]: each for each in await api.get("/diagnostics/info/download")}
    (told,) = report["Authentication certificates"]["value"]
    assert told["sha256"] == token.keys[0].certificates[0].sha256


@pytest.mark.feature("DG-03")
async def test_what_cannot_be_found_out_is_told_with_the_reason(api):
    api.made.signer.is_away = True
    api.made.clock.turn(timedelta(days=2))
    for worker in api.made.workers:
        worker.is_away = True
    report = {each["name"]: each for each in await api.get("/diagnostics/info/download")}
    assert report["Authentication certificates"]["errorMessage"] == "RpcUnavailable"
    assert "expired" in report["Timestamping"]["errorMessage"]
    assert report["Processes"]["value"][1]["status"] == "does not answer"


# Traffic.

PERIOD = {
    "records_from": "2026-07-01T00:00:00Z",
    "records_to": "2026-07-02T00:00:00Z",
    "interval": 60,
}


@pytest.mark.feature("DG-04")
async def test_there_is_no_traffic_where_nobody_counts_it(api):
    assert await api.get("/diagnostics/operational-monitoring", **PERIOD) == []
    more = {
        "security_server_type": "client",
        "member_id": "DEV:GOV:M1",
        "service_id": "DEV:GOV:M1:S:getData.v1",
    }
    assert await api.get("/diagnostics/operational-monitoring", **PERIOD, **more) == []


@pytest.mark.feature("DG-04")
async def test_traffic_that_cannot_be_asked_for_is_refused(api):
    for wrong, code in (
        ({"interval": 0}, "invalid_parameters"),
        ({"records_to": "2026-06-30T00:00:00Z"}, "invalid_parameters"),
        ({"security_server_type": "both"}, "invalid_parameters"),
        ({"member_id": "DEV"}, "invalid_encoded_id"),
        ({"service_id": "DEV:GOV:M1:S"}, "invalid_encoded_id"),
        ({"records_from": "yesterday"}, "validation_failure"),
        ({"interval": 2**31}, "validation_failure"),
    ):
        query = PERIOD | wrong
        refused = await api.refused("GET", "/diagnostics/operational-monitoring", **query)
        assert refused == (400, code)


# Tests of connections.


@pytest.mark.feature("DG-05")
async def test_every_source_is_tried_over_both_protocols(api):
    plain, secure = sorted(
        await api.get("/diagnostics/global-conf-status"), key=lambda each: each["download_url"]
    )
    assert plain == {
        "download_url": api.made.publisher.url,
        "connection_status": {"status_class": "OK"},
    }
    assert secure["download_url"] == api.made.publisher.url.replace("http:", "https:")
    status = secure["connection_status"]
    assert (status["status_class"], status["error"]["code"]) == ("FAIL", "network_error")
    assert "firewall" in status["error"]["metadata"][1]


@pytest.mark.feature("DG-05")
async def test_a_source_that_gives_something_else_is_told_from_one_that_is_unknown(api):
    api.made.publisher.versions = (99,)
    found = await api.get("/diagnostics/global-conf-status")
    told = {each["download_url"]: each["connection_status"] for each in found}
    assert told[api.made.publisher.url]["error"]["code"] == "global_conf_get_version_failed"
    api.made.publisher.address = "nowhere.invalid"
    anchor = api.made.survey.layout.anchor_file
    anchor.write_bytes(anchor.read_bytes().replace(b"127.0.0.1", b"nowhere.invalid"))
    found = await api.get("/diagnostics/global-conf-status")
    assert [each["connection_status"]["error"]["code"] for each in found] == ["unknown_host"] * 2


@pytest.mark.feature("DG-05")
async def test_a_source_that_is_signed_by_another_is_told(api):
    api.made.publisher.spoil_directory = lambda data: data.replace(b"DEV", b"DEX")
    found = await api.get("/diagnostics/global-conf-status")
    told = {each["download_url"]: each["connection_status"] for each in found}
    error = told[api.made.publisher.url]["error"]
    assert error["code"] == "global_conf_signature_verification_failure"
    assert "compare its hash" in error["metadata"][1]


@pytest.mark.feature("DG-05")
async def test_without_an_anchor_there_is_nothing_to_try(api):
    api.made.survey.layout.anchor_file.unlink()
    refused = await api.refused("GET", "/diagnostics/global-conf-status")
    assert refused == (400, "anchor_file_not_found")


@pytest.mark.feature("DG-06")
async def test_the_refusal_of_the_registration_service_proves_the_connection(api):
    assert await api.get("/diagnostics/auth-cert-req-status") == {"status_class": "OK"}
    assert api.made.center.paths == [b"/managementservice/"]
    assert api.made.center.taken == []


@pytest.mark.feature("DG-06")
async def test_without_an_authentication_certificate_there_is_nothing_to_register(api):
    api.made.signer.found = ()
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert (told["status_class"], told["error"]["code"]) == ("FAIL", "certificate_not_found")
    message, advice = told["error"]["metadata"]
    assert message == "No auth cert found"
    assert advice.startswith("Generate an authentication key")


@pytest.mark.feature("DG-06")
async def test_a_certificate_that_is_for_signing_cannot_be_registered(api):
    token, signing = api.made.signer.found[0], api.made.survey.registration.keys.signers
    der = next(iter(signing.values())).certificate.der
    key = token.keys[0]
    entry = replace(key.certificates[0], certificate=der)
    api.made.signer.found = (replace(token, keys=(replace(key, certificates=(entry,)),)),)
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert told["error"]["code"] == "sign_certificate_not_supported"


@pytest.mark.feature("DG-06")
async def test_a_certificate_that_is_registered_does_not_stand_for_one_that_is_to_be(api):
    token, signing = api.made.signer.found[0], api.made.survey.registration.keys.signers
    der = next(iter(signing.values())).certificate.der
    known = replace(token.keys[0].certificates[0], status=CertificateStatus.REGISTERED)
    saved = replace(known, certificate=der, status=CertificateStatus.SAVED)
    key = replace(token.keys[0], certificates=(known, saved))
    api.made.signer.found = (replace(token, keys=(key,)),)
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert told["error"]["code"] == "sign_certificate_not_supported"
    key = replace(key, certificates=(known,))
    api.made.signer.found = (replace(token, keys=(key,)),)
    assert await api.get("/diagnostics/auth-cert-req-status") == {"status_class": "OK"}


@pytest.mark.feature("DG-06")
@pytest.mark.parametrize("missing", ["usage", "saved"])
async def test_certificates_of_other_keys_and_those_not_kept_cannot_be_registered(api, missing):
    token = api.made.signer.found[0]
    key = token.keys[0]
    if missing == "usage":
        key = replace(key, usage=KeyUsage.SIGNING)
    else:
        key = replace(key, certificates=(replace(key.certificates[0], saved=False),))
    api.made.signer.found = (replace(token, keys=(key,)),)
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert told["error"]["code"] == "certificate_not_found"


@pytest.mark.feature("DG-06")
async def test_another_answer_of_the_registration_service_is_told_and_what_is_missing_too(api):
    fault = write_fault("Server.InternalError", "the center has a bug", "1")
    api.made.center.answer = Response(500, b"Error", [(b"Content-Type", b"text/xml")], fault)
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert told["error"]["code"] == "management_request_sending_failed"
    assert "the center has a bug" in told["error"]["metadata"][0]
    assert "validation_errors" not in told["error"]
    api.made.signer.found = ()
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert told["error"]["code"] == "management_request_sending_failed"
    assert told["error"]["validation_errors"]["certificate_not_found"][0] == "No auth cert found"


@pytest.mark.feature("DG-06")
async def test_a_signer_that_is_away_is_told(api):
    api.made.signer.is_away = True
    told = await api.get("/diagnostics/auth-cert-req-status")
    assert told["error"]["code"] == "signer_unavailable"


@pytest.mark.feature("DG-06")
async def test_a_registration_service_that_says_nothing_is_not_waited_for(tmp_path):
    limits = DiagnosticsSettings(connection_test_seconds=0.2)
    async with served_diagnostics(tmp_path, limits=limits) as api:
        api.made.center.is_silent = True
        told = await api.get("/diagnostics/auth-cert-req-status")
        assert (told["status_class"], told["error"]["code"]) == ("FAIL", "io_error")


@pytest.mark.feature("DG-07")
async def test_a_provider_is_asked_by_rest_through_the_own_proxy(api):
    told = await api.get(
        "/diagnostics/other-security-server-status", protocol_type="REST", **QUESTION
    )
    assert told == {"status_class": "OK"}
    ((request, _),) = api.made.proxy.asked
    assert (request.method, request.target) == (b"GET", b"/r1/DEV/COM/M2/S2/listMethods")
    assert request.header(b"x-road-client") == b"DEV/GOV/M1"
    assert request.header(b"x-road-security-server") == b"DEV/COM/M2/SS2"


@pytest.mark.feature("DG-08")
async def test_the_management_server_is_asked_by_soap(api):
    api.made.proxy.answer = Response(
        200, b"OK", [(b"Content-Type", b"text/xml")], b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><a/></e:Body></e:Envelope>"
    )  # fmt: skip
    odd = QUESTION | {"client_id": "DEV:GOV:M1:A & <B>"}
    told = await api.get("/diagnostics/other-security-server-status", protocol_type="SOAP", **odd)
    assert told == {"status_class": "OK"}
    ((request, body),) = api.made.proxy.asked
    assert (request.method, request.target) == (b"POST", b"/")
    header = read_soap(body, "text/xml").header
    assert header.client == ClientId("DEV", "GOV", "M1", "A & <B>")
    assert header.service.encoded == "DEV:COM:M2:S2:listMethods"
    assert header.security_server.encoded == "DEV:COM:M2:SS2"


async def failed(api, protocol, **ways):
    told = await api.get(
        "/diagnostics/other-security-server-status", protocol_type=protocol, **(QUESTION | ways)
    )
    assert told["status_class"] == "FAIL"
    return told["error"]["code"], told["error"]["metadata"]


@pytest.mark.feature("DG-07")
async def test_what_the_proxy_refuses_is_told_with_what_to_do(api):
    code, message = "server.serverproxy.access_denied", "the call is not allowed"
    content_type, body = write_rest_error(code, message, "id", None)
    headers = [(b"Content-Type", content_type.encode())]
    api.made.proxy.answer = Response(500, b"Error", headers, body)
    told = await failed(api, "REST")
    assert told == (
        code,
        [message, "Ask the provider for the right to make this call with this client."],
    )
    fault = write_fault("Server.ClientProxy.IoError", message, "1")
    api.made.proxy.answer = Response(200, b"OK", [(b"Content-Type", b"text/xml")], fault)
    code, details = await failed(api, "SOAP")
    assert code == "server.clientproxy.io_error"
    assert details[0] == message


@pytest.mark.feature("DG-07")
async def test_an_answer_that_nobody_understands_is_told(api):
    for protocol, body, code in (
        ("REST", b"<html>", "http_error"),
        ("REST", b"[]", "http_error"),
        ("REST", b'{"type": "a"}', "http_error"),
        ("REST", b"[" * 100_000, "http_error"),
        ("SOAP", b"<html>", "invalid_content_type"),
    ):
        api.made.proxy.answer = Response(502, b"Bad", [(b"Content-Type", b"text/html")], body)
        assert (await failed(api, protocol))[0] == code


@pytest.mark.feature("DG-07")
async def test_a_message_that_is_no_xml_is_told(api):
    headers = [(b"Content-Type", b"text/xml")]
    api.made.proxy.answer = Response(200, b"OK", headers, b"<a")
    assert (await failed(api, "SOAP"))[0] == "invalid_soap"


@pytest.mark.feature("DG-07")
async def test_a_member_has_no_rest_services(api):
    told = await failed(api, "REST", target_client_id="DEV:COM:M2")
    assert "no subsystem" in told[1][0]
    assert api.made.proxy.asked == []


@pytest.mark.feature("DG-07")
async def test_an_own_proxy_that_is_away_is_told(api):
    api.made.proxy.target = replace(api.made.proxy.target, port=1)
    assert (await failed(api, "REST"))[0] == "network_error"


@pytest.mark.feature("DG-07")
async def test_a_test_of_nobody_is_refused(api):
    for wrong, code in (
        ({"protocol_type": "GRPC"}, "validation_failure"),
        ({"client_id": "DEV"}, "invalid_encoded_id"),
        ({"target_client_id": "DEV:COM:M2:S:T:U"}, "invalid_encoded_id"),
        ({"security_server_id": "DEV:COM:M2"}, "invalid_encoded_id"),
        ({"security_server_id": "DEV:COM:M2:S2:SS2"}, "invalid_encoded_id"),
    ):
        query = {"protocol_type": "REST", **QUESTION, **wrong}
        refused = await api.refused("GET", "/diagnostics/other-security-server-status", **query)
        assert refused == (400, code)


# Alerts.


@pytest.mark.feature("DG-09")
async def test_there_is_nothing_to_tell_of_a_server_that_fares_well(api):
    assert await api.get("/notifications/alerts") == {
        "global_conf_valid": True,
        "global_conf_valid_check_success": True,
        "soft_token_pin_entered": True,
        "soft_token_pin_entered_check_success": True,
        "certificate_renewal_job_success": True,
    }


@pytest.mark.feature("DG-09")
async def test_a_missing_pin_and_an_expired_configuration_are_told(api):
    token = api.made.signer.found[0]
    api.made.signer.found = (replace(token, logged_in=False),)
    api.made.clock.turn(timedelta(days=2))
    told = await api.get("/notifications/alerts")
    assert (told["soft_token_pin_entered"], told["global_conf_valid"]) == (False, False)
    assert told["soft_token_pin_entered_check_success"] is True
    api.made.signer.is_away = True
    told = await api.get("/notifications/alerts")
    assert told["soft_token_pin_entered_check_success"] is False


@pytest.mark.feature("DG-09")
async def test_a_backup_is_told_of_until_somebody_has_heard_enough(api):
    api.made.backups.running = SimpleNamespace(since=NOON)
    told = await api.get("/notifications/alerts")
    assert told["backup_restore_running_since"] == NOON.isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    assert len(told["current_time"]) == 24
    assert told["soft_token_pin_entered_check_success"] is False
    answer = await api.ask("PUT", "/notifications/alerts/reset")
    assert (answer.status_code, answer.content) == (204, b"")
    told = await api.get("/notifications/alerts")
    assert "backup_restore_running_since" not in told
    assert told["soft_token_pin_entered"] is True
    api.made.backups.running = SimpleNamespace(since=NOON + timedelta(hours=1))
    assert "backup_restore_running_since" in await api.get("/notifications/alerts")


# Who may ask.


async def test_who_may_not_see_diagnostics_sees_none(api):
    officer, observer = Role.REGISTRATION_OFFICER, Role.SECURITYSERVER_OBSERVER
    for path in ("globalconf", "ocsp-responders", "auth-cert-req-status", "info/download"):
        refused = await api.refused("GET", f"/diagnostics/{path}", officer)
        assert refused == (403, "access_denied")
    assert (await api.ask("GET", "/diagnostics/globalconf", observer)).status_code == 200
    assert (await api.refused("GET", "/diagnostics/info/download", observer))[0] == 403
    security = Role.SECURITY_OFFICER
    assert (await api.ask("GET", "/diagnostics/addon-status", security)).status_code == 200
    assert (await api.refused("GET", "/diagnostics/globalconf", security))[0] == 403
    assert (await api.refused("PUT", "/notifications/alerts/reset", officer))[0] == 403
    assert (await api.ask("GET", "/notifications/alerts", officer)).status_code == 200
