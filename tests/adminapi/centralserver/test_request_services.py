"""Requests of security servers over sockets: who is answered, and what is said."""

import asyncio

import pytest
from zeep import Client as ZeepClient
from zeep.transports import Transport

from adminapi.centralserver.request_served import (
    MANAGEMENT,
    REGISTRATION,
    request_services,
    say_where,
)
from components.centralserver.request_builders import PORTAL, SERVER, SUBSYSTEM
from management_builder import OTHER, TestSender
from pki_builder import MEMBER, TestCa
from sild.components.centralserver.management_callers import ListedCallers, ProviderServers
from sild.components.centralserver.management_services import ManagementServices
from sild.components.centralserver.paging import Page
from sild.components.centralserver.request_values import RequestFilter
from sild.components.centralserver.schema import MIGRATIONS
from sild.components.centralserver.system import Node
from sild.model.registration import Origin, RequestStatus
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.ids import SecurityServerId
from sild.protocol.management.codec import read_response
from sild.protocol.management.requests import (
    AddressChange,
    AuthCertDeletion,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    MaintenanceDisable,
    MaintenanceEnable,
    OwnerChange,
    RequestType,
)
from sild.protocol.soap.fault import read_fault
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database
from sild.runtime.migrations import migrate

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path}/central.db") as opened:
        await migrate(opened, MIGRATIONS)
        yield opened


def fault_of(answer):
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "text/xml;charset=UTF-8"
    assert answer.headers["cache-control"] == "no-store"
    fault = read_fault(answer.content)
    assert len(fault.detail) == 16
    return fault.fault, fault.message


@pytest.mark.feature("CR-04")
async def test_a_server_registers_its_certificate(database):
    async with request_services(database) as served:
        request = served.sender.registration()
        body, content_type = served.sender.send(request)
        answer = await served.post(served.registration, REGISTRATION, body, content_type)
        assert answer.status_code == 200
        number = read_response(
            answer.content, answer.headers["content-type"], served.sender.soap(request)
        )
        saved = await served.made.requests.get(number)
        assert saved.status is RequestStatus.WAITING
        assert (saved.origin, saved.request) == (Origin.SECURITY_SERVER, request)
        (line,) = served.audit.lines()
        assert line["event"] == "Add management request"
        assert line["data"]["requestId"] == number
        assert line["user"] == str(MEMBER)


async def test_the_last_slash_may_be_missing(database):
    async with request_services(database) as served:
        body, content_type = served.sender.send(served.sender.registration())
        path = REGISTRATION.rstrip("/")
        answer = await served.post(served.registration, path, body, content_type)
        assert answer.status_code == 200


async def test_a_dry_run_leaves_nothing_behind(database):
    async with request_services(database) as served:
        request = served.sender.registration(dry_run=True)
        answer = await served.register(request)
        assert read_response(answer.content, "text/xml", served.sender.soap(request)) == 0
        assert await served.made.count() == 0


def all_requests(certificate):
    return [
        ClientRegistration(SERVER, OTHER.subsystem("new"), "New"),
        ClientDisable(SERVER, PORTAL),
        ClientEnable(SERVER, PORTAL),
        ClientRename(SERVER, PORTAL, "Portal"),
        ClientDeletion(SERVER, PORTAL),
        AddressChange(SERVER, "new.example.org"),
        MaintenanceEnable(SERVER, "later"),
        MaintenanceDisable(SERVER),
        AuthCertDeletion(SERVER, certificate),
        OwnerChange(SERVER, OTHER),
    ]


@pytest.mark.feature("CR-05")
async def test_the_management_service_takes_ten_types(database):
    async with request_services(database) as served:
        await served.made.change(lambda rows: rows.add_client(SERVER, OTHER))
        await served.made.change(lambda rows: rows.add_auth_certificate(SERVER, b"old"))
        for number, request in enumerate(all_requests(b"old"), 1):
            answer = await served.manage(request)
            assert answer.status_code == 200, answer.text
            soap = served.sender.soap(request)
            assert read_response(answer.content, "text/xml", soap) == number


@pytest.mark.feature("CR-02")
async def test_all_eleven_types_are_taken_and_three_wait(database):
    async with request_services(database) as served:
        await served.made.change(lambda rows: rows.add_client(SERVER, OTHER))
        await served.made.change(lambda rows: rows.add_auth_certificate(SERVER, b"old"))
        await served.register()
        for request in all_requests(b"old"):
            assert (await served.manage(request)).status_code == 200
        found = (await served.made.requests.find(RequestFilter(), Page())).items
        assert {each.type for each in found} == set(RequestType)
        waiting = {each.type for each in found if each.status is RequestStatus.WAITING}
        assert waiting == {
            RequestType.AUTH_CERT_REGISTRATION,
            RequestType.CLIENT_REGISTRATION,
            RequestType.OWNER_CHANGE,
        }


@pytest.mark.feature("CR-08")
async def test_a_deletion_revokes_the_registration_that_waits(database):
    async with request_services(database) as served:
        client = OTHER.subsystem("new")
        await served.manage(ClientRegistration(SERVER, client))
        await served.manage(ClientDeletion(SERVER, client))
        assert (await served.made.requests.get(1)).status is RequestStatus.REVOKED


REFUSED = [
    (ClientRegistration(SERVER, PORTAL), "management_request_client_already_registered", 409),
    (ClientRegistration(SERVER, MEMBER), "management_request_cannot_register_owner", 400),
    (OwnerChange(SERVER, OTHER), "management_request_owner_must_be_client", 400),
    (
        ClientDeletion(SERVER, OTHER.subsystem("none")),
        "management_request_client_registration_not_found",
        404,
    ),
    (
        MaintenanceDisable(SERVER),
        "management_request_server_not_in_maintenance_mode",
        409,
    ),
]


@pytest.mark.feature("CR-09")
@pytest.mark.parametrize(("request_", "code", "status"), REFUSED)
async def test_what_stands_against_a_request_is_told_as_peers_tell_it(
    database, request_, code, status
):
    async with request_services(database) as served:
        answer = await served.manage(request_)
        assert fault_of(answer) == ("internal_error", f"{code} with statusCode {status}")
        (line,) = served.audit.lines()
        assert line["event"] == "Add management request failed"


async def test_a_second_request_for_the_same_is_told_so(database):
    async with request_services(database) as served:
        await served.register()
        code, message = fault_of(await served.register())
        assert (code, message) == (
            "internal_error",
            "management_request_exists with statusCode 409",
        )


async def test_who_does_not_prove_who_they_are_is_refused_and_not_audited(database):
    async with request_services(database) as served:
        body, content_type = served.sender.send(ClientDisable(SERVER, PORTAL))
        changed = body.replace(b"message-1", b"message-2")
        answer = await served.post(served.management, MANAGEMENT, changed, content_type)
        assert fault_of(answer)[0] == "invalid_signature_value"
        stranger = TestSender.create(TestCa.create("Stranger"))
        body, content_type = stranger.send(stranger.registration())
        answer = await served.post(served.registration, REGISTRATION, body, content_type)
        assert fault_of(answer)[0] in {"internal_error", "cert_validation"}
        assert await served.made.count() == 0
        assert served.audit.records == []


async def test_each_service_takes_only_its_own(database):
    async with request_services(database) as served:
        body, content_type = served.sender.send(served.sender.registration())
        answer = await served.post(served.management, MANAGEMENT, body, content_type)
        assert fault_of(answer)[0] == "invalid_request"
        body, content_type = served.sender.send(ClientDisable(SERVER, PORTAL))
        answer = await served.post(served.registration, REGISTRATION, body, content_type)
        assert fault_of(answer)[0] == "invalid_request"
        assert await served.made.count() == 0


async def test_a_server_of_somebody_else_is_not_disabled(database):
    async with request_services(database) as served:
        other = SecurityServerId(OTHER, "SS1")
        answer = await served.manage(ClientDisable(other, PORTAL))
        assert fault_of(answer) == ("invalid_request", "Sender does not match server owner.")


async def test_nothing_is_taken_while_nothing_valid_is_published(database):
    class Outdated:
        async def ecosystem(self):
            raise GlobalConfOutdated("Global configuration is not valid")

    async with request_services(database, Outdated()) as served:
        for answer in (await served.register(), await served.manage(MaintenanceDisable(SERVER))):
            assert fault_of(answer)[0] == "global_conf_outdated"


async def test_other_methods_paths_and_types_are_not_taken(database):
    async with request_services(database) as served:
        registration, management = served.registration, served.management
        assert (await registration.get(REGISTRATION)).status_code == 405
        assert (await management.get(MANAGEMENT)).status_code == 405
        assert (await management.post("/managementservice/")).status_code == 404
        for content_type in ("application/json", "text/xml", "", "nonsense"):
            answer = await served.post(registration, REGISTRATION, b"x", content_type)
            assert answer.status_code == 415
        answer = await served.post(management, MANAGEMENT, b"x", "application/json")
        assert answer.status_code == 415


async def test_a_large_body_is_not_read(database):
    async with request_services(database, body=1000) as served:
        answer = await served.post(
            served.management, MANAGEMENT, b" " * 1001, "text/xml; charset=UTF-8"
        )
        assert answer.status_code == 413
        answer = await served.post(served.management, MANAGEMENT, b" " * 1000, "text/xml")
        assert fault_of(answer)[0] == "invalid_soap"


async def test_a_slow_body_is_not_waited_for(database):
    async with request_services(database, seconds=0.05) as served:

        async def slowly():
            yield b"<"
            await asyncio.sleep(0.5)
            yield b">"

        answer = await served.post(served.management, MANAGEMENT, slowly(), "text/xml")
        assert answer.status_code == 408


async def test_ten_requests_a_minute_are_answered_and_then_one_each_six_seconds(database):
    async with request_services(database, requests_per_minute=10) as served:
        for _ in range(10):
            answer = await served.post(served.management, MANAGEMENT, b"x", "text/xml")
            assert answer.status_code == 500
        answer = await served.post(served.management, MANAGEMENT, b"x", "text/xml")
        assert (answer.status_code, answer.json()) == (429, {"status": 429})
        # The other service counts for itself.
        assert (await served.register()).status_code == 200
        served.made.later()
        answer = await served.post(served.management, MANAGEMENT, b"x", "text/xml")
        assert answer.status_code == 500


THIS_MACHINE = "127.0.0.1"
PROVIDERS, STRANGERS = "127.0.0.2", "127.0.0.3"


def automatic(database, clock, always=(THIS_MACHINE,), **how):
    services = ManagementServices(database, Node(), None, clock)
    return ProviderServers(services, clock, always=always, **how)


@pytest.mark.feature("CR-05")
async def test_only_the_providers_servers_call_the_management_service(database, caplog):
    clock = TurnedClock()
    async with request_services(database, callers=automatic(database, clock)) as served:
        await served.made.provide(PORTAL)
        await served.made.change(lambda rows: rows.set_address(SERVER, PROVIDERS))
        async with served.at(PROVIDERS) as provider, served.at(STRANGERS) as stranger:
            assert (await provider.manage(ClientDisable(SERVER, SUBSYSTEM))).status_code == 200
            answer = await stranger.manage(ClientDeletion(SERVER, SUBSYSTEM))
            assert (answer.status_code, answer.content) == (403, b"")
            # Whoever has a certificate to register may do so from anywhere.
            assert (await stranger.register()).status_code == 200
        assert SUBSYSTEM in await served.made.clients_of(SERVER)
        (refused,) = [each for each in served.audit.lines() if each["user"] is None]
        assert refused["event"] == "Access check failed"
        assert refused["ipaddress"] == STRANGERS
        assert "management-service-callers in [listeners]" in caplog.text


async def test_who_no_longer_carries_the_provider_no_longer_calls(database):
    clock = TurnedClock()
    async with request_services(database, callers=automatic(database, clock)) as served:
        await served.made.change(lambda rows: rows.set_address(SERVER, PROVIDERS))
        async with served.at(PROVIDERS) as provider:
            assert (await provider.manage(ClientDisable(SERVER, SUBSYSTEM))).status_code == 403
            await served.made.provide(PORTAL)
            assert (await provider.manage(ClientDisable(SERVER, SUBSYSTEM))).status_code == 200
            await served.made.change(lambda rows: rows.set_client_enabled(SERVER, PORTAL, False))
            assert (await provider.manage(ClientEnable(SERVER, SUBSYSTEM))).status_code == 403
            await served.made.provide(MEMBER)
            assert (await provider.manage(ClientEnable(SERVER, SUBSYSTEM))).status_code == 200


async def test_of_those_who_are_listed_each_may_call_and_nobody_else(database):
    listed = ListedCallers((f"{STRANGERS}/32",))
    async with request_services(database, callers=listed) as served:
        assert (await served.manage(MaintenanceEnable(SERVER))).status_code == 403
        async with served.at(STRANGERS) as allowed:
            assert (await allowed.manage(MaintenanceEnable(SERVER))).status_code == 200


async def test_who_may_not_call_fills_no_audit_log(database):
    nobody = ListedCallers(("10.0.0.0/8",))
    async with request_services(database, callers=nobody, requests_per_minute=3) as served:
        answers = [await served.manage(MaintenanceEnable(SERVER)) for _ in range(9)]
        assert [answer.status_code for answer in answers] == [403] * 3 + [429] * 6
        assert len(served.audit.records) == 3


async def test_what_is_not_ours_tells_nothing(database):
    class Broken:
        async def ecosystem(self):
            raise RuntimeError("a secret")

    async with request_services(database, Broken()) as served:
        assert fault_of(await served.register()) == ("internal_error", "Internal error")


@pytest.mark.parametrize("slash", ["", "/"])
async def test_services_are_found_with_a_last_slash_and_without(database, slash):
    async with request_services(database) as served:
        for client, path in ((served.registration, REGISTRATION), (served.management, MANAGEMENT)):
            answer = await client.post(path.rstrip("/") + slash, headers={"content-type": "x/y"})
            assert answer.status_code == 415


@pytest.mark.feature("CR-05")
async def test_the_description_lists_ten_operations_and_where_they_are(database, tmp_path):
    async with request_services(database) as served:
        await say_where(database, served.made.requests.node, "cs.example.org")
        answer = await served.management.get("/managementservices.wsdl")
        assert answer.headers["content-type"].startswith("text/xml")
        path = tmp_path / "services.wsdl"
        path.write_bytes(answer.content)
    client = ZeepClient(str(path), transport=Transport())
    (binding,) = client.wsdl.bindings.values()
    described = {each for each in RequestType if each is not RequestType.AUTH_CERT_REGISTRATION}
    assert set(binding.all()) == {each.service_code for each in described}
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert port.binding_options["address"] == (
        "https://cs.example.org:4002/managementservice/manage/"
    )
