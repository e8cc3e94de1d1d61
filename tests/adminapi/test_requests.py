import asyncio
import http.client
import json
import re
import ssl

import pytest

from adminapi.api_builder import some_api
from adminapi.operations_of_tests import THINGS
from sild.adminapi.problems import problem_of
from sild.adminapi.settings import AdminApiSettings
from sild.components.backup.errors import BackupKeyNotMade
from sild.model.permissions import Role
from sild.runtime.clock import SystemClock
from sild.runtime.tls import AnyCertificate, TlsPolicy, server_context
from sild.servers.internal_tls import make_internal_tls, read_internal_tls

pytestmark = pytest.mark.anyio

ID = {"member_class": "GOV", "member_code": "1"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def api(tmp_path):
    async with some_api(tmp_path, [THINGS]) as made:
        made.key_header = await made.key(Role.SYSTEM_ADMINISTRATOR, Role.REGISTRATION_OFFICER)
        yield made


async def ask(api, method, path, body=None, headers=None):
    return await api.ask(method, f"/api/v1{path}", body, api.key_header | (headers or {}))


@pytest.mark.feature("AP-04")
@pytest.mark.parametrize(
    ("body", "field", "codes"),
    [
        ({"member_id": ID}, "memberAddDto.memberName", ["NotNull"]),
        ({"member_name": "", "member_id": ID}, "memberAddDto.memberName", ["Size"]),
        ({"member_name": " \t ", "member_id": ID}, "memberAddDto.memberName", ["Size"]),
        ({"member_name": "x" * 256, "member_id": ID}, "memberAddDto.memberName", ["Size"]),
        (
            {"member_name": "a\u0007b", "member_id": ID},
            "memberAddDto.memberName",
            ["NoControlChars"],
        ),
        (
            {"member_name": "a\u200bb", "member_id": ID},
            "memberAddDto.memberName",
            ["NoControlChars"],
        ),
        ({"member_name": ["a"], "member_id": ID}, "memberAddDto.memberName", ["TypeMismatch"]),
        ({"member_name": "a", "member_id": "x"}, "memberAddDto.memberId", ["TypeMismatch"]),
        (
            {"member_name": "a", "member_id": ID | {"member_code": "1:2"}},
            "memberAddDto.memberId.memberCode",
            ["IdentifierChars"],
        ),
        (
            {"member_name": "a", "member_id": ID | {"member_code": "õ"}},
            "memberAddDto.memberId.memberCode",
            ["IdentifierChars"],
        ),
        (
            {"member_name": "a", "member_id": ID, "address": "not valid"},
            "memberAddDto.address",
            ["OnlyAddressChars"],
        ),
        (
            {"member_name": "a", "member_id": ID, "address": "a..b"},
            "memberAddDto.address",
            ["ValidHostAddress"],
        ),
        ([], "memberAddDto", ["TypeMismatch"]),
    ],
)
async def test_a_field_that_is_wrong_is_told_by_name_and_code(api, body, field, codes):
    answer = await ask(api, "POST", "/things", body)
    assert answer.status == 400
    assert answer.json == {
        "status": 400,
        "error": {"code": "validation_failure", "validation_errors": {field: codes}},
    }


async def test_every_wrong_field_is_told(api):
    answer = await ask(api, "POST", "/things", {"member_id": {"member_class": "a b"}})
    assert answer.json["error"]["validation_errors"] == {
        "memberAddDto.memberName": ["NotNull"],
        "memberAddDto.memberId.memberClass": ["IdentifierChars"],
        "memberAddDto.memberId.memberCode": ["NotNull"],
    }
    line = api.audit.lines()[-1]
    assert line["event"] == "Add member failed"
    assert line["reason"].startswith("Validation failed: ")


async def test_texts_are_trimmed_numbers_are_texts_and_unknown_fields_do_not_matter(api):
    body = {"member_name": " a ", "member_id": ID | {"member_code": 17}, "unknown": {"x": 1}}
    answer = await ask(api, "POST", "/things", body)
    assert (answer.status, answer.json) == (201, {"name": "a"})


@pytest.mark.parametrize("text", ["{", "", "null", "{'a': 1}", "[" * 20_000, '{"a":1' + "1" * 9000])
async def test_what_is_no_json_is_refused(api, text):
    answer = await ask(api, "POST", "/things", text, JSON)
    assert answer.status == 400
    assert answer.json["status"] == 400


async def test_legacy_identifiers_are_accepted_where_the_setting_says_so(tmp_path):
    settings = AdminApiSettings(rate_limit_enabled=False, strict_identifier_checks=False)
    async with some_api(tmp_path, [THINGS], settings) as api:
        api.key_header = await api.key(Role.REGISTRATION_OFFICER)
        for code, status in (("õ & x", 201), ("a:b", 400), ("a\u0001", 400), ("a%b", 400)):
            body = {"member_name": "a", "member_id": ID | {"member_code": code}}
            assert (await ask(api, "POST", "/things", body)).status == status


@pytest.mark.feature("AP-08")
async def test_lists_are_asked_for_by_pages(api):
    assert (await ask(api, "GET", "/things")).json == ["25 from 0"]
    assert (await ask(api, "GET", "/things?limit=10&offset=3&desc=true&sort=a.b")).json == [
        "10 from 30"
    ]
    for query, code in (("limit=0", "Page size"), ("offset=-1", "Page index")):
        answer = await ask(api, "GET", f"/things?{query}")
        assert answer.status == 400
        assert answer.json["error"]["code"] == "invalid_pagination_properties", code


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=x", "TypeMismatch"),
        (f"limit={2**31}", "Max"),
        ("sort=1", "Size"),
        ("sort=a1b", "Pattern"),
        ("desc=maybe", "TypeMismatch"),
    ],
)
async def test_a_parameter_that_is_wrong_is_told_by_name_and_code(api, query, code):
    answer = await ask(api, "GET", f"/things?{query}")
    name = query.partition("=")[0]
    assert answer.json["error"]["validation_errors"] == {f"findThings.{name}": [code]}


@pytest.mark.feature("AP-03")
async def test_what_warns_is_done_when_it_is_asked_for_again(api):
    answer = await ask(api, "POST", "/warnings")
    assert answer.status == 400
    assert answer.json == {
        "status": 400,
        "error": {"code": "warnings_detected"},
        "warnings": [{"code": "warning_file_already_exists", "metadata": ["a.gpg"]}],
    }
    line = api.audit.lines()[-1]
    assert (line["event"], line["warning"]) == ("Upload backup file failed", True)
    answer = await ask(api, "POST", "/warnings?ignore_warnings=true")
    assert answer.json == {"name": "done"}


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("missing", 404, {"code": "not_found", "metadata": ["x"]}),
        ("failed", 500, {"code": "internal_error"}),
        ("unavailable", 503, {"code": "service_unavailable"}),
        ("malformed", 400, {"code": "internal_error", "metadata": ["that is no identifier"]}),
    ],
)
async def test_a_refusal_is_answered_by_its_kind_and_code(api, kind, status, error):
    answer = await ask(api, "PUT", f"/failures/{kind}")
    assert answer.status == status
    assert answer.json == {"status": status, "error": error}


async def test_a_conflict_says_what_is_there(api):
    body = {"member_name": "taken", "member_id": ID}
    answer = await ask(api, "POST", "/things", body)
    assert answer.status == 409
    assert answer.json["error"] == {"code": "thing_exists", "metadata": ["1"]}
    assert api.audit.lines()[-1] == {
        "event": "Add member failed",
        "user": "api-key-1",
        "ipaddress": "127.0.0.1",
        "reason": "there is such a thing already",
        "warning": False,
        "auth": "ApiKey",
        "url": "/api/v1/things",
        "data": {"memberName": "taken"},
    }


def test_why_a_server_could_not_is_logged_for_who_runs_it(caplog):
    problem = problem_of(BackupKeyNotMade("gpg cannot be run"), "a-log-id")
    assert problem.to_json() == {"status": 500, "error": {"code": "gpg_key_generation_failed"}}
    assert "gpg_key_generation_failed [a-log-id]: gpg cannot be run" in caplog.text


@pytest.mark.feature("AP-05")
async def test_what_nobody_foresaw_is_told_by_its_correlation_id_alone(api, caplog):
    answer = await ask(api, "PUT", "/failures/unforeseen")
    assert answer.status == 500
    correlation_id = answer.headers["x-road-ui-correlation-id"]
    assert re.fullmatch("[0-9a-f]{16}", correlation_id)
    assert answer.json["error"] == {"code": "internal_error", "metadata": [correlation_id]}
    assert b"secret" not in answer.body
    assert correlation_id in caplog.text
    assert "a secret detail" in caplog.text
    assert api.audit.records[-1].correlation_id == correlation_id


@pytest.mark.parametrize("path", ["/", "/login", "/api/v1/things", "/api/v1/openapi.yaml", "/x"])
async def test_every_answer_has_an_id_of_its_own_and_the_headers_that_protect(api, path):
    first, second = [await api.ask("GET", path) for _ in range(2)]
    name = "x-road-ui-correlation-id"
    assert first.headers[name] != second.headers[name]
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in first.headers["content-security-policy"]
    assert "no-store" in first.headers["cache-control"]
    assert first.headers["strict-transport-security"].startswith("max-age=")
    assert "access-control-allow-origin" not in first.headers


@pytest.mark.feature("AP-06")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("cs.example.org", 200),
        ("CS.example.org:4000", 200),
        ("[::1]:4000", 200),
        ("evil.example", 400),
        ("cs.example.org.evil.example", 400),
        ("", 400),
    ],
)
async def test_requests_for_other_hosts_are_refused(tmp_path, host, status):
    settings = AdminApiSettings(
        rate_limit_enabled=False, allowed_hostnames=("cs.example.org", "[::1]")
    )
    async with some_api(tmp_path, [THINGS], settings) as api:
        assert (await api.ask("GET", "/", headers={"host": host})).status == status


@pytest.mark.parametrize("path", ["/things/", "/things/special/"])
async def test_a_slash_at_the_end_does_not_matter(api, path):
    assert (await ask(api, "GET", path)).status in {200, 403}


async def test_a_path_that_names_what_it_means_goes_first(api):
    assert (await ask(api, "GET", "/things/special")).json == {"name": "special"}
    assert (await ask(api, "GET", "/things/7")).json == {"name": "7"}


@pytest.mark.parametrize("path", ["/things/a/b", "/things//", "/things/%2e%2e/x", "/nothing"])
async def test_a_path_that_leads_nowhere_is_not_found(api, path):
    answer = await ask(api, "GET", path)
    assert answer.json == {"status": 404, "error": {"code": "not_found"}}


async def test_a_method_that_a_path_does_not_have_is_refused(api):
    answer = await ask(api, "PATCH", "/things")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"
    assert answer.json == {"status": 405, "error": {"code": "method_not_allowed"}}
    assert (await ask(api, "OPTIONS", "/things")).status == 405
    assert (await api.ask("GET", "/login")).status == 405


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data", ""]
)
async def test_a_body_of_another_type_is_refused(api, content_type):
    body = json.dumps({"member_name": "a", "member_id": ID})
    answer = await ask(api, "POST", "/things", body, {"content-type": content_type})
    assert answer.status == 415
    assert answer.json["error"]["code"] == "unsupported_media_type"


async def test_a_json_body_may_name_its_characters(api):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    body = json.dumps({"member_name": "õ", "member_id": ID})
    assert (await ask(api, "POST", "/things", body, headers)).json == {"name": "õ"}


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"--b--",
        b"--b\r\n",
        b"x" * 100,
        b"--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b--",
    ],
)
async def test_a_form_that_is_none_is_refused(api, form):
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert (await ask(api, "POST", "/uploads", form, headers)).status == 400


@pytest.mark.feature("AP-07")
async def test_the_api_is_served_over_tls_of_today(tmp_path):
    make_internal_tls(tmp_path / "tls.p12", "localhost", SystemClock().now())
    identity = read_internal_tls(tmp_path / "tls.p12")
    context = server_context(TlsPolicy(), identity, AnyCertificate.WANTED)
    async with some_api(tmp_path, [THINGS], tls=context) as api:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert await asyncio.to_thread(_asked_over_tls, api.port, version) == 200


def _asked_over_tls(port, version):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = version
    context.maximum_version = version
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()
