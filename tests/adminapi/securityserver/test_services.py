import json
from datetime import datetime

import pytest

from adminapi.securityserver.services_served import CLIENT, served_services
from components.serverconf.described import api as openapi
from components.serverconf.described import wsdl
from components.serverconf.stored import PROVIDER
from runtime.http_ends import pki
from sild.components.serverconf.service_settings import ServiceSettings
from sild.model.permissions import Role
from sild.model.services import AccessRight, Client, ClientStatus, Endpoint
from sild.protocol.management.wsdl import write_wsdl
from sild.runtime.tls import TlsPolicy, server_context

pytestmark = pytest.mark.anyio

DESCRIPTIONS = f"/clients/{CLIENT}/service-descriptions"
TOLD = {
    "xRoadInstance": "DEV",
    "memberClass": "GOV",
    "memberCode": "M1",
    "subsystemCode": "registry",
}


@pytest.fixture
async def api(tmp_path):
    async with served_services(tmp_path) as served:
        yield served


def endpoints_of(service):
    return [(each["method"], each["path"], each["generated"]) for each in service["endpoints"]]


@pytest.mark.feature("SV-01")
async def test_a_wsdl_is_added_with_the_services_that_it_describes(api):
    api.system.documents["/s?wsdl"] = wsdl("getData", ("getData", "v1"), address="https://is/x")
    added = await api.add("WSDL", "/s?wsdl")
    refreshed = datetime.fromisoformat(added.pop("refreshed_at"))
    services = added.pop("services")
    assert added == {
        "id": "3",
        "url": api.system.url("/s?wsdl"),
        "type": "WSDL",
        "disabled": True,
        "disabled_notice": "Out of order",
        "client_id": CLIENT,
    }
    assert [each["id"] for each in services] == [f"{CLIENT}:getData", f"{CLIENT}:getData.v1"]
    (base,) = services[0].pop("endpoints")
    assert services[0] == {
        "id": f"{CLIENT}:getData",
        "service_code": "getData",
        "full_service_code": "getData",
        "title": "The getData",
        "timeout": 60,
        "ssl_auth": True,
        "subjects_count": 0,
        "url": "https://is/x",
    }
    assert base == {
        "id": base["id"],
        "service_code": "getData",
        "method": "*",
        "path": "**",
        "generated": True,
    }
    event, data, well = api.last
    assert (event, well) == ("Add service description", True)
    assert data.pop("refreshedDate").replace(microsecond=0) == refreshed.replace(microsecond=0)
    assert data == {
        "clientIdentifier": TOLD,
        "url": api.system.url("/s?wsdl"),
        "serviceType": "WSDL",
        "disabled": True,
    }


@pytest.mark.feature("SV-01")
async def test_the_management_services_of_a_central_server_are_added(api):
    api.system.documents["/managementservices.wsdl"] = write_wsdl("https://cs:4002/x")
    added = await api.add("WSDL", "/managementservices.wsdl", ignore_warnings=True)
    assert len(added["services"]) == 10


@pytest.mark.feature("SV-02")
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
async def test_an_openapi_description_is_added_with_its_endpoints(api, version):
    api.system.documents["/api"] = openapi("GET /a/{id}", "POST /a", version=version, server="/v1")
    added = await api.add("OPENAPI3", "/api", rest_service_code="rest")
    (service,) = added["services"]
    assert (added["type"], added["disabled"]) == ("OPENAPI3", True)
    assert (service["id"], service["url"]) == (f"{CLIENT}:rest", api.system.url("/v1"))
    assert service["ssl_auth"] is False
    assert "title" not in service
    assert endpoints_of(service) == [
        ("*", "**", True),
        ("GET", "/a/*", True),
        ("POST", "/a", True),
    ]


@pytest.mark.feature("SV-02")
async def test_a_base_path_is_added_and_everything_is_listed(api):
    added = await api.add("REST", "/base", rest_service_code="rest")
    assert added["services"][0]["url"] == added["url"] == api.system.url("/base")
    listed = await api.done("GET", DESCRIPTIONS)
    assert [each["id"] for each in listed] == ["1", "2", "3"]
    assert listed[2] == added
    assert await api.done("GET", "/service-descriptions/3") == added
    assert await api.done("GET", "/service-descriptions/3/services") == added["services"]
    assert await api.done("GET", f"/services/{CLIENT}:rest") == added["services"][0]
    assert await api.done("GET", f"/services/{CLIENT.replace(':', '%3A')}%3Arest")


@pytest.mark.feature("SV-03")
async def test_services_are_switched_on_and_off_with_a_notice(api):
    await api.done("PUT", "/service-descriptions/1/disable", {"disabled_notice": "Back soon"})
    assert api.last == (
        "Disable service description",
        {
            "clientIdentifier": TOLD,
            "url": "http://service.test/people/v1",
            "serviceType": "WSDL",
            "disabledNotice": "Back soon",
        },
        True,
    )
    shown = await api.done("GET", "/service-descriptions/1")
    assert (shown["disabled"], shown["disabled_notice"]) == (True, "Back soon")
    assert await api.done("PUT", "/service-descriptions/1/enable") is None
    assert api.last[0] == "Enable service description"
    shown = await api.done("GET", "/service-descriptions/1")
    assert (shown["disabled"], shown["disabled_notice"]) == (False, "")
    await api.done("PUT", "/service-descriptions/1/disable")
    assert (await api.done("GET", "/service-descriptions/1"))["disabled"]


@pytest.mark.feature("SV-04")
async def test_what_a_refresh_would_change_is_shown_first(api):
    api.system.documents["/s"] = wsdl("stays", "goes")
    added = await api.add("WSDL", "/s")
    path = f"/service-descriptions/{added['id']}/refresh"
    await api.done(
        "PATCH",
        f"/services/{CLIENT}:stays",
        {"url": "http://mine/", "timeout": 7, "ssl_auth": False},
    )
    api.system.documents["/s"] = wsdl("stays", "comes")
    changes = {"adding_services": ["comes"], "deleting_services": ["goes"]}
    assert await api.warned("PUT", path, {"ignore_warnings": False}) == changes
    told = {"servicesAdded": ["comes"], "servicesDeleted": ["goes"]}
    event, data, well = api.last
    assert (event, data["wsdl"], well) == ("Refresh service description", told, False)
    changed = await api.done("PUT", path, {"ignore_warnings": True})
    assert api.last[1] == data
    assert api.last[2]
    by_code = {each["service_code"]: each for each in changed["services"]}
    assert set(by_code) == {"stays", "comes"}
    assert (by_code["stays"]["url"], by_code["stays"]["timeout"]) == ("http://mine/", 7)
    assert changed["refreshed_at"] >= added["refreshed_at"]
    assert await api.done("PUT", path)


@pytest.mark.feature("SV-04")
async def test_endpoints_come_and_go_with_a_refresh(api):
    api.system.documents["/api"] = openapi("GET /a", "GET /b")
    added = await api.add("OPENAPI3", "/api", rest_service_code="rest")
    api.system.documents["/api"] = openapi("GET /a", "PUT /c", info={"title": "T"})
    path = f"/service-descriptions/{added['id']}/refresh"
    warned = await api.warned("PUT", path)
    assert warned.pop("openapi_validation_warnings") == ["info: 'version' is a required property"]
    assert warned == {"adding_endpoints": ["PUT /c"], "deleting_endpoints": ["GET /b"]}
    changed = await api.done("PUT", path, {"ignore_warnings": True})
    assert endpoints_of(changed["services"][0]) == [
        ("*", "**", True),
        ("GET", "/a", True),
        ("PUT", "/c", True),
    ]
    assert "wsdl" not in api.last[1]


@pytest.mark.feature("SV-05")
async def test_a_description_gets_another_address_and_a_rest_service_another_code(api):
    api.system.documents |= {"/s": wsdl("a"), "/t": wsdl("b"), "/api": openapi("GET /a")}
    first = await api.add("WSDL", "/s")
    body = {"type": "WSDL", "url": api.system.url("/t")}
    path = f"/service-descriptions/{first['id']}"
    assert set(await api.warned("PATCH", path, body)) == {"adding_services", "deleting_services"}
    changed = await api.done("PATCH", path, {**body, "ignore_warnings": True})
    assert (changed["url"], changed["services"][0]["service_code"]) == (body["url"], "b")
    assert api.last == (
        "Edit service description",
        {
            "clientIdentifier": TOLD,
            "url": api.system.url("/s"),
            "urlNew": body["url"],
            "serviceType": "WSDL",
            "wsdl": {"servicesAdded": ["b"], "servicesDeleted": ["a"]},
        },
        True,
    )
    second = await api.add("REST", "/rest", rest_service_code="rest")
    change = {
        "type": "REST",
        "url": api.system.url("/other"),
        "rest_service_code": "rest",
        "new_rest_service_code": "better",
    }
    path = f"/service-descriptions/{second['id']}"
    changed = await api.done("PATCH", path, change)
    assert changed["services"][0]["id"] == f"{CLIENT}:better"
    assert changed["services"][0]["url"] == api.system.url("/other")
    assert (await api.refused("PATCH", path, change))[:2] == (404, "service_not_found")
    wrong = {"type": "OPENAPI3", "url": api.system.url("/api"), "rest_service_code": "better"}
    refused = await api.refused("PATCH", path, wrong)
    assert refused == (400, "wrong_servicedescription_type", [])
    del change["rest_service_code"]
    assert await api.refused("PATCH", path, change) == (400, "missing_parameter", [])


@pytest.mark.feature("SV-06")
async def test_a_description_is_deleted_with_its_services(api):
    assert await api.done("DELETE", "/service-descriptions/1", status=204) is None
    assert api.last[0] == "Delete service description"
    assert api.last[1]["url"] == "http://service.test/people/v1"
    assert (await api.refused("GET", f"/services/{CLIENT}:people.v1"))[:2] == (
        404,
        "service_not_found",
    )
    for method, path in (
        ("GET", "/service-descriptions/1"),
        ("GET", "/service-descriptions/1/services"),
        ("DELETE", "/service-descriptions/1"),
        ("PUT", "/service-descriptions/1/enable"),
        ("PUT", "/service-descriptions/1/disable"),
        ("PUT", "/service-descriptions/1/refresh"),
    ):
        refused = await api.refused(method, path)
        assert refused[:2] == (404, "service_description_not_found")
    assert (await api.refused("GET", "/service-descriptions/x"))[:2] == (404, "id_not_a_number")


@pytest.mark.feature("SV-07")
async def test_parameters_change_for_one_service_or_all(api):
    api.system.documents["/s"] = wsdl("a", "b")
    await api.add("WSDL", "/s")
    body = {"url": "https://new/", "timeout": 5, "ssl_auth": False, "timeout_all": True}
    changed = await api.done("PATCH", f"/services/{CLIENT}:a", body)
    assert (changed["url"], changed["timeout"], changed["ssl_auth"]) == ("https://new/", 5, False)
    other = await api.done("GET", f"/services/{CLIENT}:b")
    assert (other["url"], other["timeout"]) == ("http://is.test/soap", 5)
    assert api.last == (
        "Edit service parameters",
        {
            "clientIdentifier": TOLD,
            "url": api.system.url("/s"),
            "serviceType": "WSDL",
            "services": [
                {"id": "a", "url": "https://new/", "timeout": 5, "tlsAuth": False},
                {"id": "b", "url": "http://is.test/soap", "timeout": 5, "tlsAuth": False},
            ],
        },
        True,
    )
    for wrong, refused in (
        ({"url": "ftp://x/"}, (400, "malformed_url", [])),
        ({"url": "http://x/", "ssl_auth": True}, (400, "invalid_https_url", [])),
    ):
        assert await api.refused("PATCH", f"/services/{CLIENT}:a", body | wrong) == refused
    for field, value in (("timeout", 1001), ("timeout", -1), ("url", ""), ("ssl_auth", None)):
        refused = await api.refused("PATCH", f"/services/{CLIENT}:a", body | {field: value})
        assert refused[:2] == (400, "validation_failure")


@pytest.mark.feature("IS-03")
async def test_a_service_that_is_to_prove_itself_is_connected_to(tmp_path):
    server = pki().server
    tls = server_context(TlsPolicy(), server.identity, None)
    async with served_services(tmp_path, tls=tls) as api:
        url = api.system.url("/", "https")
        body = {"url": url, "timeout": 60, "ssl_auth": True}
        path = f"/services/{CLIENT}:people.v1"
        untrusted = {"internal_server_ssl_handshake_error": [url]}
        assert await api.warned("PATCH", path, body) == untrusted
        async with api.stored.store.transaction() as conf:
            client = Client(PROVIDER, ClientStatus.REGISTERED, certificates=(server.der,))
            await conf.replace_client(client)
        changed = await api.done("PATCH", path, body)
        assert (changed["url"], changed["ssl_auth"]) == (url, True)
        nobody = {**body, "url": "https://localhost:1/"}
        assert await api.warned("PATCH", path, nobody) == {
            "internal_server_ssl_error": ["https://localhost:1/"]
        }
        assert (await api.done("PATCH", path, nobody | {"ignore_warnings": True}))["ssl_auth"]
        plain = await api.done("PATCH", path, body | {"url": "http://x/", "ssl_auth": False})
        assert plain["ssl_auth"] is False


async def test_a_service_tells_how_many_may_call_all_of_it(api):
    whole = Endpoint(PROVIDER, "people")
    part = Endpoint(PROVIDER, "people", "GET", "/part")
    await api.stored.add_endpoint(part)
    one, other = PROVIDER.member.subsystem("one"), PROVIDER.member.subsystem("other")
    async with api.stored.store.transaction() as conf:
        for endpoint, subject in ((whole, one), (whole, other), (part, one)):
            await conf.grant(AccessRight(endpoint, subject), api.stored.clock.now())
    for version in ("v1", "V2"):
        told = await api.done("GET", f"/services/{CLIENT}:people.{version}")
        assert told["subjects_count"] == 2


@pytest.mark.feature("SV-08")
async def test_endpoints_are_added_by_hand_and_generated_ones_are_fixed(api):
    api.system.documents["/api"] = openapi("GET /a")
    added = await api.add("OPENAPI3", "/api", rest_service_code="rest")
    path = f"/services/{CLIENT}:rest/endpoints"
    new = {"service_code": "rest", "method": "GET", "path": "/mine/*"}
    made = await api.done("POST", path, new, 201)
    assert made == {**new, "id": made["id"], "generated": False}
    told = {"clientIdentifier": TOLD, "serviceCode": "rest", "method": "GET", "path": "/mine/*"}
    assert api.last == ("Add rest endpoint", told, True)
    assert await api.refused("POST", path, new) == (409, "endpoint_already_exists", [])
    given = await api.refused("POST", path, {**new, "id": "9"})
    assert given == (400, "endpoint_id_should_not_be_provided", [])
    soap = await api.refused("POST", f"/services/{CLIENT}:people.v1/endpoints", new)
    assert soap == (400, "wrong_servicedescription_type", [])
    own = f"/endpoints/{made['id']}"
    assert await api.done("GET", own) == made
    changed = await api.done("PATCH", own, {"method": "*", "path": "/ours"})
    assert changed == {**made, "method": "*", "path": "/ours"}
    assert api.last[:2] == ("Edit rest endpoint", {**told, "method": "*", "path": "/ours"})
    assert await api.refused("PATCH", own, {"method": "GET", "path": "/a"}) == (
        409,
        "endpoint_already_exists",
        [],
    )
    await api.done("DELETE", own, status=204)
    assert api.last[0] == "Delete rest endpoint"
    assert (await api.refused("GET", own))[:2] == (404, "endpoint_not_found")
    for generated in added["services"][0]["endpoints"]:
        number = generated["id"]
        fixed = await api.refused("PATCH", f"/endpoints/{number}", {"method": "GET", "path": "/x"})
        assert fixed == (400, "illegal_generated_endpoint_update", [number])
        fixed = await api.refused("DELETE", f"/endpoints/{number}")
        assert fixed == (400, "illegal_generated_endpoint_remove", [number])
    for wrong in ({"method": "CONNECT"}, {"path": None}):
        refused = await api.refused("POST", path, new | wrong)
        assert refused[:2] == (400, "validation_failure")
    assert (await api.refused("POST", path, {**new, "path": "x"}))[0] == 400
    assert (await api.refused("GET", "/endpoints/x"))[:2] == (404, "id_not_a_number")


@pytest.mark.feature("SV-09")
async def test_the_administrators_validator_judges_wsdls(tmp_path):
    program = tmp_path / "validator"
    program.write_text(
        '#!/bin/sh\ncase "$1" in */bad*) echo "ERROR: bad"; exit 1;; esac\necho hm\n'
    )
    program.chmod(0o700)
    settings = ServiceSettings(wsdl_validator_command=str(program))
    async with served_services(tmp_path, settings=settings) as api:
        api.system.documents |= {"/s": wsdl("a"), "/bad": wsdl("b")}
        body = {"type": "WSDL", "url": api.system.url("/s")}
        assert await api.warned("POST", DESCRIPTIONS, body) == {"wsdl_validation_warnings": ["hm"]}
        await api.add("WSDL", "/s", ignore_warnings=True)
        bad = {"type": "WSDL", "url": api.system.url("/bad"), "ignore_warnings": True}
        assert await api.refused("POST", DESCRIPTIONS, bad) == (400, "invalid_wsdl", ["ERROR: bad"])
        program.unlink()
        gone = await api.refused("POST", DESCRIPTIONS, bad)
        assert gone == (500, "wsdl_validator_not_executable", [])


@pytest.mark.feature("SV-10")
async def test_codes_of_metaservices_and_reserved_ones_are_refused(tmp_path):
    settings = ServiceSettings(reserved_service_codes=("mine",))
    async with served_services(tmp_path, settings=settings) as api:
        api.system.documents |= {"/s": wsdl("getWsdl"), "/api": openapi("GET /a")}
        for kind, path, code in (
            ("WSDL", "/s", None),
            ("REST", "/r", "getWsdl"),
            ("REST", "/r", "mine"),
            ("OPENAPI3", "/api", "listMethods"),
        ):
            body = {"type": kind, "url": api.system.url(path), "ignore_warnings": True}
            if code:
                body["rest_service_code"] = code
            refused = await api.refused("POST", DESCRIPTIONS, body)
            assert refused == (400, "service_code_reserved", [code or "getWsdl"])


@pytest.mark.feature("SV-11")
async def test_the_versions_of_a_service_share_its_endpoint(api):
    api.system.documents["/s"] = wsdl("a", ("a", "v1"), ("a", "v2"))
    services = (await api.add("WSDL", "/s"))["services"]
    assert [each["full_service_code"] for each in services] == ["a", "a.v1", "a.v2"]
    assert {each["service_code"] for each in services} == {"a"}
    assert len({each["endpoints"][0]["id"] for each in services}) == 1


@pytest.mark.feature("SV-12")
async def test_what_another_description_has_is_refused(api):
    api.system.documents |= {"/s": wsdl("a"), "/t": wsdl("a"), "/api": openapi("GET /a")}
    await api.add("WSDL", "/s")
    await api.add("REST", "/r", rest_service_code="rest")
    url = api.system.url
    for body, refused in (
        ({"type": "WSDL", "url": url("/s")}, ("wsdl_exists", [])),
        ({"type": "WSDL", "url": url("/t")}, ("service_already_exists", ["a", url("/s")])),
        (
            {"type": "REST", "url": url("/r"), "rest_service_code": "new"},
            ("url_already_exists", [url("/r")]),
        ),
        (
            {"type": "REST", "url": url("/x"), "rest_service_code": "REST"},
            ("service_code_already_exists", ["REST", url("/x")]),
        ),
        (
            {"type": "OPENAPI3", "url": url("/api"), "rest_service_code": "rest"},
            ("service_code_already_exists", ["rest", url("/api")]),
        ),
    ):
        assert await api.refused("POST", DESCRIPTIONS, body) == (409, *refused)
    taken = {"url": url("/r"), "timeout": 60, "ssl_auth": False}
    await api.add("REST", "/q", rest_service_code="more")
    assert await api.refused("PATCH", f"/services/{CLIENT}:more", taken) == (
        409,
        "url_already_exists",
        [url("/r")],
    )


async def test_documents_that_are_missing_wrong_or_elsewhere(api):
    api.system.documents |= {"/no": b"FooBar!", "/moved": "/s", "/s": wsdl("a"), "/loop": "/loop"}
    url = api.system.url
    for body, status, code in (
        ({"type": "WSDL", "url": url("/gone")}, 400, "wsdl_download_failed"),
        ({"type": "WSDL", "url": url("/loop")}, 400, "wsdl_download_failed"),
        ({"type": "WSDL", "url": "http://localhost:1/"}, 400, "wsdl_download_failed"),
        ({"type": "WSDL", "url": url("/no")}, 400, "invalid_wsdl"),
        ({"type": "WSDL", "url": "ftp://x/"}, 400, "malformed_url"),
        ({"type": "REST", "url": url("/r")}, 400, "missing_parameter"),
        ({"type": "WSDL", "url": "x" * 256}, 400, "validation_failure"),
        ({"type": "SOAP", "url": url("/s")}, 400, "validation_failure"),
        ({"type": "REST", "url": url("/r"), "rest_service_code": "a:b"}, 400, "validation_failure"),
        (
            {"type": "OPENAPI3", "url": url("/gone"), "rest_service_code": "x"},
            400,
            "openapi_parsing_error",
        ),
    ):
        assert (await api.refused("POST", DESCRIPTIONS, body))[:2] == (status, code)
        assert api.last[2] is False
    added = await api.add("WSDL", "/moved")
    assert added["url"] == url("/moved")
    api.system.documents["/s"] = b"no"
    refresh = await api.refused("PUT", f"/service-descriptions/{added['id']}/refresh")
    assert refresh[:2] == (409, "invalid_wsdl")


async def test_a_document_that_is_too_large_is_not_read(tmp_path):
    settings = ServiceSettings(largest_description=2000)
    async with served_services(tmp_path, settings=settings) as api:
        large = wsdl("a") + b" " * 2000
        api.system.documents |= {"/s": large, "/api": large}
        url = api.system.url
        body = {"type": "WSDL", "url": url("/s")}
        assert (await api.refused("POST", DESCRIPTIONS, body))[:2] == (400, "invalid_wsdl")
        body = {"type": "OPENAPI3", "url": url("/api"), "rest_service_code": "x"}
        status, code, told = await api.refused("POST", DESCRIPTIONS, body)
        assert (status, code) == (400, "openapi_parsing_error")
        assert "more than 2000 bytes" in told[0]


async def test_a_server_of_descriptions_need_not_prove_itself(tmp_path):
    tls = server_context(TlsPolicy(), pki().stranger.identity, None)
    async with served_services(tmp_path, tls=tls) as api:
        api.system.documents["/s"] = wsdl("a")
        body = {"type": "WSDL", "url": api.system.url("/s", "https")}
        assert await api.done("POST", DESCRIPTIONS, body, 201)


async def test_clients_and_services_that_are_not_there(api):
    for path, refused in (
        ("/clients/DEV:GOV:NO:x/service-descriptions", (404, "client_not_found")),
        ("/clients/x/service-descriptions", (400, "invalid_encoded_id")),
        ("/services/DEV:GOV:M1:registry", (400, "invalid_encoded_id")),
        (f"/services/{CLIENT}:none", (404, "service_not_found")),
        ("/services/DEV:GOV:NO:x:y", (404, "client_not_found")),
    ):
        assert (await api.refused("GET", path))[:2] == refused


async def test_only_service_administrators_change_services_and_observers_see_them(api):
    rest = {"type": "REST", "url": api.system.url("/r"), "rest_service_code": "rest"}
    changes = (
        ("POST", DESCRIPTIONS, rest),
        ("PATCH", "/service-descriptions/1", rest),
        ("DELETE", "/service-descriptions/1", None),
        ("PUT", "/service-descriptions/1/enable", None),
        ("PUT", "/service-descriptions/1/disable", {}),
        ("PUT", "/service-descriptions/1/refresh", {}),
        ("PATCH", f"/services/{CLIENT}:people.v1", {}),
        ("POST", f"/services/{CLIENT}:people.v1/endpoints", {}),
        ("PATCH", "/endpoints/1", {}),
        ("DELETE", "/endpoints/1", None),
    )
    questions = (
        DESCRIPTIONS,
        "/service-descriptions/1",
        "/service-descriptions/1/services",
        f"/services/{CLIENT}:people.v1",
        "/endpoints/1",
    )
    for role in (Role.SECURITYSERVER_OBSERVER, Role.SYSTEM_ADMINISTRATOR):
        for method, path, body in changes:
            assert (await api.refused(method, path, body, role=role))[0] == 403
    for path in questions:
        assert (await api("GET", path, role=Role.SECURITYSERVER_OBSERVER))[0] == 200
        assert (await api("GET", path, role=Role.SERVICE_ADMINISTRATOR))[0] == 200
        assert (await api("GET", path, role=Role.SECURITY_OFFICER))[0] == 403
    assert json.dumps(await api.done("GET", DESCRIPTIONS))
