import json
from dataclasses import replace

import pytest

from adminapi.securityserver.clients_served import AREAS, served_clients
from components.serverconf.builders import CALLER, OWNER, PROVIDER
from components.serverconf.client_worlds import MANAGEMENT, certificate, conf_with, key, token
from pki_builder import TestCa
from sild.adminapi.application import describe
from sild.adminapi.contract import differences, read_description
from sild.adminapi.document import Description
from sild.adminapi.securityserver.additions import ADDITIONS
from sild.model.permissions import Role
from sild.model.services import Client, ClientStatus
from sild.protocol.management.requests import (
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    OwnerChange,
)

pytestmark = pytest.mark.anyio

SECOND = CALLER.member
SAVED = "DEV:COM:M2:portal"
REGISTRY = "DEV:GOV:M1:registry"
TOLD = {
    "xRoadInstance": "DEV",
    "memberClass": "COM",
    "memberCode": "M2",
    "subsystemCode": "portal",
}
PORTAL = {"member_class": "COM", "member_code": "M2", "subsystem_code": "portal"}


@pytest.fixture
async def api(tmp_path):
    async with served_clients(tmp_path) as served:
        yield served


async def put(api, client, status):
    async with api.conf.store.transaction() as kept:
        if await kept.find_client(client) is None:
            await kept.add_client(Client(client, status))
        else:
            await kept.replace_client(Client(client, status))
    await api.changed()


@pytest.mark.feature("CL-02")
async def test_a_client_is_added(api):
    body = {"client": PORTAL | {"connection_type": "HTTP"}}
    status, added = await api("POST", "/clients", body)
    assert (status, added) == (
        201,
        {
            "id": SAVED,
            "instance_id": "DEV",
            "member_name": "Second Ltd",
            "member_class": "COM",
            "member_code": "M2",
            "subsystem_code": "portal",
            "subsystem_name": "Portal",
            "owner": False,
            "has_valid_local_sign_cert": False,
            "connection_type": "HTTP",
            "status": "SAVED",
        },
    )
    told = {"clientIdentifier": TOLD, "isAuthentication": "HTTP", "clientStatus": "saved"}
    assert api.last == ("Add client", told, True)
    assert await api.get(f"/clients/{SAVED}") == added | {"is_management_services_provider": False}
    assert await api.refused("POST", "/clients", body) == (409, "client_already_exists")
    assert api.last[::2] == ("Add client", False)


@pytest.mark.feature("CL-02")
async def test_a_client_that_the_central_server_links_is_registered_and_takes_https(api):
    api.conf.world.conf = conf_with(CALLER)
    _, added = await api("POST", "/clients", {"client": PORTAL})
    assert (added["status"], added["connection_type"]) == ("REGISTERED", "HTTPS")


@pytest.mark.feature("CL-02")
async def test_an_unregistered_member_is_warned_of(api):
    body = {"client": {"member_class": "COM", "member_code": "M9", "subsystem_code": "x"}}
    status, told = await api("POST", "/clients", body)
    assert (status, told["error"]["code"]) == (400, "warnings_detected")
    assert told["warnings"] == [{"code": "unregistered_member", "metadata": ["DEV/COM/M9"]}]
    status, added = await api("POST", "/clients", body | {"ignore_warnings": True})
    assert (status, added["status"]) == (201, "SAVED")
    assert "member_name" not in added


@pytest.mark.feature("CL-02")
async def test_what_cannot_be_a_client_is_refused(api):
    other = {"client": PORTAL | {"member_class": "ORG"}}
    assert await api.refused("POST", "/clients", other) == (400, "invalid_member_class")
    for code in ("aa:bb", "aa;bb", "aa%bb", "aa/../bb", "aa\\bb", "aa\u200bbb"):
        body = {"client": PORTAL | {"member_code": code}}
        assert await api.invalid("POST", "/clients", body) == {
            "clientAddDto.client.memberCode": ["IdentifierChars"]
        }
    body = {"client": PORTAL | {"connection_type": "FTP"}}
    assert await api.invalid("POST", "/clients", body) == {
        "clientAddDto.client.connectionType": ["InvalidValue"]
    }
    role = Role.SERVICE_ADMINISTRATOR
    assert (await api("POST", "/clients", {"client": PORTAL}, role=role))[0] == 403


@pytest.mark.feature("CL-03")
async def test_a_subsystem_of_a_member_is_added_with_a_name_and_registered_by_it(api):
    names = {"member_class": "COM", "member_code": "M2", "subsystem_code": "app"}
    _, added = await api("POST", "/clients", {"client": names | {"subsystem_name": "Application"}})
    assert (added["rename_status"], added["status"]) == ("NAME_SET", "SAVED")
    assert (await api("PUT", "/clients/DEV:COM:M2:app/register"))[0] == 204
    (sent,) = api.sender.sent
    assert (sent.client, sent.subsystem_name) == (SECOND.subsystem("app"), "Application")
    shown = await api.get("/clients/DEV:COM:M2:app")
    assert (shown["rename_status"], shown["status"]) == (
        "NAME_SUBMITTED",
        "REGISTRATION_IN_PROGRESS",
    )
    assert api.last[1]["memberSubsystemName"] == "Application"


@pytest.mark.feature("CL-04")
async def test_one_member_is_added_beside_the_owner(api):
    first = {"client": {"member_class": "COM", "member_code": "M2"}}
    status, added = await api("POST", "/clients", first)
    assert (status, added["id"]) == (201, "DEV:COM:M2")
    second = {"client": {"member_class": "COM", "member_code": "M3"}, "ignore_warnings": True}
    refused = await api.refused("POST", "/clients", second)
    assert refused == (409, "additional_member_already_exists")


@pytest.mark.feature("CL-01")
async def test_clients_are_searched_by_every_parameter(api):
    async def found(**query):
        return [each["id"] for each in await api.get("/clients", **query)]

    await put(api, CALLER, ClientStatus.SAVED)
    assert await found() == ["DEV:GOV:M1", REGISTRY, SAVED]
    assert await found(name="second") == [SAVED]
    assert await found(instance="dev", member_class="gov", member_code="m1") == [
        "DEV:GOV:M1",
        REGISTRY,
    ]
    assert await found(subsystem_code="reg", show_members="false") == [REGISTRY]
    assert await found(local_valid_sign_cert="true") == []
    assert len(await found(local_valid_sign_cert="false")) == 3
    everywhere = {"internal_search": "false"}
    assert await found(**everywhere, member_code="M2") == ["DEV:COM:M2", "DEV:COM:M2:app", SAVED]
    assert await found(**everywhere, exclude_local="true") == ["DEV:COM:M2", "DEV:COM:M2:app"]
    assert "is_management_services_provider" not in (await api.get("/clients"))[0]
    checked = await api.get("/clients", include_management_service_check="true")
    assert checked[0]["is_management_services_provider"] is False


@pytest.mark.feature("CL-01")
async def test_observers_read_clients_and_change_none(api):
    role = Role.SECURITYSERVER_OBSERVER
    assert len(await api.get("/clients", role=role)) == 2
    assert (await api("DELETE", f"/clients/{REGISTRY}", role=role))[0] == 403


@pytest.mark.feature("CL-01")
async def test_a_search_that_cannot_be_is_refused(api):
    assert await api.invalid("GET", "/clients", name="a" * 256) == {"findClients.name": ["Size"]}
    assert (await api("GET", "/clients", show_members="maybe"))[0] == 400
    api.conf.world.conf = None
    assert len(await api.get("/clients")) == 2
    assert await api.refused("GET", "/clients", internal_search="false") == (
        409,
        "global_conf_outdated",
    )


@pytest.mark.feature("CL-11")
async def test_a_client_is_shown_with_names_servers_and_signing_certificates(api):
    signing = TestCa.create().issue_sign(OWNER).certificate
    entry = replace(certificate(OWNER, signing.der), sha256=signing.sha256.hex())
    api.keys.held = (token(key("a", entry)),)
    api.conf.world.conf = conf_with(PROVIDER, MANAGEMENT, elsewhere=(PROVIDER,))
    await put(api, MANAGEMENT, ClientStatus.REGISTERED)
    shown = await api.get(f"/clients/{MANAGEMENT.encoded}")
    assert shown["is_management_services_provider"] is True
    owner = await api.get("/clients/DEV:GOV:M1")
    assert (owner["owner"], owner["member_name"], owner.get("subsystem_code")) == (
        True,
        "First",
        None,
    )
    servers = await api.get(f"/clients/{REGISTRY}/security-servers")
    assert [each["id"] for each in servers] == ["DEV:GOV:M1:SS1", "DEV:COM:M2:SS2"]
    (shown,) = await api.get(f"/clients/{REGISTRY}/sign-certificates")
    assert shown["certificate_details"]["serial"] == str(signing.serial)
    assert (shown["status"], shown["active"], shown["owner_id"]) == (
        "REGISTERED",
        True,
        "DEV:GOV:M1",
    )


@pytest.mark.feature("CL-11")
async def test_who_is_no_client_is_not_found(api):
    for path in ("", "/sign-certificates", "/tls-certificates", "/local-groups"):
        status, told = await api("GET", f"/clients/{SAVED}{path}")
        assert (status, told["error"]) == (404, {"code": "client_not_found", "metadata": [SAVED]})
    for text in ("M1", "DEV:GOV", "DEV:GOV:M1:a:b", "DEV::M1"):
        assert await api.refused("GET", f"/clients/{text}") == (400, "invalid_encoded_id")


@pytest.mark.feature("IS-01")
async def test_the_connection_type_is_chosen(api):
    for name, told in (("HTTP", "HTTP"), ("HTTPS_NO_AUTH", "HTTPS NO AUTH"), ("HTTPS", "HTTPS")):
        body = {"connection_type": name}
        status, changed = await api("PATCH", f"/clients/{REGISTRY}", body)
        assert (status, changed["connection_type"]) == (200, name)
        assert api.last[1]["isAuthentication"] == told
    refused = await api.refused("PATCH", f"/clients/{REGISTRY}", {})
    assert refused == (400, "connection_type_required")
    assert (await api("PATCH", f"/clients/{REGISTRY}", {"connection_type": "X"}))[0] == 400
    body = {"connection_type": "HTTP"}
    assert (await api.refused("PATCH", f"/clients/{SAVED}", body))[0] == 404


@pytest.mark.feature("IS-02")
async def test_certificates_of_information_systems_are_uploaded_viewed_and_deleted(api):
    made = TestCa.create().certificate
    name, path = made.sha256.hex().upper(), f"/clients/{REGISTRY}/tls-certificates"
    status, added = await api("POST", path, content=made.der)
    assert (status, added["hash"]) == (201, name)
    event, data, _ = api.last
    assert event == "Add internal TLS certificate"
    assert data["certHash"] == made.sha256.hex(":").upper()
    assert data["certHashAlgorithm"] == "SHA-256"
    assert await api.get(path) == [added]
    assert await api.get(f"{path}/{name.lower()}") == added
    refused = await api.refused("POST", path, content=made.der)
    assert refused == (409, "certificate_already_exists")
    assert await api.refused("POST", path, content=b"nonsense") == (400, "invalid_certificate")
    assert (await api("POST", path, {}))[0] == 415
    assert (await api("POST", path, content=b""))[0] == 400
    assert (await api("DELETE", f"{path}/{name}"))[0] == 204
    assert await api.refused("DELETE", f"{path}/{name}") == (404, "certificate_not_found")
    assert await api.refused("GET", f"{path}/{name}") == (404, "certificate_not_found")
    assert (await api("GET", f"{path}/xyz"))[0] == 400


@pytest.mark.feature("CL-05")
async def test_a_client_is_registered(api):
    await put(api, CALLER, ClientStatus.SAVED)
    path = f"/clients/{SAVED}/register"
    assert await api("PUT", path) == (204, None)
    (sent,) = api.sender.sent
    assert isinstance(sent, ClientRegistration)
    assert (sent.client, sent.subsystem_name) == (CALLER, None)
    status = "registration in progress"
    told = {"clientIdentifier": TOLD, "managementRequestId": 41, "clientStatus": status}
    assert api.last == ("Register client", told, True)
    assert (await api.get(f"/clients/{SAVED}"))["status"] == "REGISTRATION_IN_PROGRESS"
    assert await api.refused("PUT", path) == (409, "action_not_possible")
    owner = await api.refused("PUT", "/clients/DEV:GOV:M1/register")
    assert owner == (400, "cannot_register_owner")
    assert len(api.sender.sent) == 1


@pytest.mark.feature("CL-05")
async def test_what_the_central_server_does_not_take_leaves_everything_as_it_was(api):
    await put(api, CALLER, ClientStatus.SAVED)
    api.sender.refuses = "nobody answers"
    status, told = await api("PUT", f"/clients/{SAVED}/register")
    assert (status, told["error"]["code"]) == (500, "management_request_sending_failed")
    assert told["error"]["metadata"] == ["nobody answers"]
    assert (await api.get(f"/clients/{SAVED}"))["status"] == "SAVED"
    api.conf.world.conf = None
    assert await api.refused("PUT", f"/clients/{SAVED}/register") == (409, "global_conf_outdated")


ACTS = {
    "register": ({"SAVED"}, "REGISTRATION_IN_PROGRESS", ClientRegistration),
    "unregister": (
        {"REGISTERED", "REGISTRATION_IN_PROGRESS", "DISABLED"},
        "DELETION_IN_PROGRESS",
        ClientDeletion,
    ),
    "disable": ({"REGISTERED"}, "DISABLING_IN_PROGRESS", ClientDisable),
    "enable": ({"DISABLED"}, "ENABLING_IN_PROGRESS", ClientEnable),
}


@pytest.mark.feature("CL-12")
async def test_every_state_allows_its_acts_and_no_others(api):
    for act, (allowed, after, request) in ACTS.items():
        for before in ClientStatus:
            await put(api, CALLER, before)
            api.sender.sent.clear()
            answered = await api("PUT", f"/clients/{SAVED}/{act}")
            shown = (await api.get(f"/clients/{SAVED}"))["status"]
            if before.name in allowed:
                assert (answered, shown) == ((204, None), after), (act, before)
                assert [type(each) for each in api.sender.sent] == [request]
            else:
                assert answered[0] == 409, (act, before)
                assert answered[1]["error"]["code"] == "action_not_possible"
                assert (shown, api.sender.sent) == (before.name, [])


@pytest.mark.feature("CL-06")
async def test_a_client_is_unregistered_but_not_the_owner(api):
    assert await api("PUT", f"/clients/{REGISTRY}/unregister") == (204, None)
    assert api.last[0] == "Unregister client"
    assert api.last[1]["clientStatus"] == "deletion in progress"
    await put(api, OWNER, ClientStatus.REGISTERED)
    refused = await api.refused("PUT", "/clients/DEV:GOV:M1/unregister")
    assert refused == (409, "cannot_unregister_owner")


@pytest.mark.feature("CL-08")
async def test_a_client_rests_and_works_again_but_not_the_management_service(api):
    assert await api("PUT", f"/clients/{REGISTRY}/disable") == (204, None)
    assert api.last[0] == "Disable client"
    await put(api, PROVIDER, ClientStatus.DISABLED)
    assert await api("PUT", f"/clients/{REGISTRY}/enable") == (204, None)
    assert api.last[0] == "Enable client"
    await put(api, MANAGEMENT, ClientStatus.REGISTERED)
    refused = await api.refused("PUT", f"/clients/{MANAGEMENT.encoded}/disable")
    assert refused == (409, "forbidden_disable_management_service_client")


@pytest.mark.feature("CL-09")
async def test_a_registered_subsystem_is_renamed_once_at_a_time(api):
    path = f"/clients/{REGISTRY}/rename"
    assert await api("PUT", path, {"client_name": "Registry"}) == (204, None)
    (sent,) = api.sender.sent
    assert isinstance(sent, ClientRename)
    assert (sent.client, sent.subsystem_name) == (PROVIDER, "Registry")
    assert api.last[0] == "Rename subsystem"
    assert api.last[1]["memberSubsystemName"] == "Registry"
    assert api.last[1]["managementRequestId"] == 41
    shown = await api.get(f"/clients/{REGISTRY}")
    assert (shown["rename_status"], shown["subsystem_name"]) == ("NAME_SUBMITTED", "Register")
    refused = await api.refused("PUT", path, {"client_name": "Other"})
    assert refused == (409, "client_rename_already_submitted")
    refused = await api.refused("PUT", path, {"client_name": "Register"})
    assert refused == (409, "invalid_client_name")
    new = conf_with(PROVIDER, names={PROVIDER: "Registry"})
    api.conf.world.conf = new
    assert await api.server.renaming.follow(new) == (PROVIDER,)
    shown = await api.get(f"/clients/{REGISTRY}")
    assert (shown.get("rename_status"), shown["subsystem_name"]) == (None, "Registry")


@pytest.mark.feature("CL-09")
async def test_a_name_that_was_not_sent_is_not_waited_for(api):
    api.sender.refuses = "nobody answers"
    body = {"client_name": "Registry"}
    refused = await api.refused("PUT", f"/clients/{REGISTRY}/rename", body)
    assert refused == (500, "management_request_sending_failed")
    assert "rename_status" not in await api.get(f"/clients/{REGISTRY}")


@pytest.mark.feature("CL-09")
async def test_what_is_not_registered_is_renamed_without_the_central_server(api):
    await put(api, CALLER, ClientStatus.SAVED)
    path = f"/clients/{SAVED}/rename"
    assert await api("PUT", path, {"client_name": "Door"}) == (204, None)
    assert api.sender.sent == []
    assert (await api.get(f"/clients/{SAVED}"))["rename_status"] == "NAME_SET"
    for body in ({}, {"client_name": ""}, {"client_name": "x" * 256}, {"client_name": "a\u0007b"}):
        assert list(await api.invalid("PUT", path, body)) == ["clientNameDto.clientName"]
    owner = await api.refused("PUT", "/clients/DEV:GOV:M1/rename", {"client_name": "x"})
    assert owner == (409, "action_not_possible")


@pytest.mark.feature("CL-10")
async def test_a_registered_member_is_made_the_owner(api):
    await put(api, SECOND, ClientStatus.SAVED)
    path = "/clients/DEV:COM:M2/make-owner"
    assert await api.refused("PUT", path) == (409, "action_not_possible")
    await put(api, SECOND, ClientStatus.REGISTERED)
    assert await api("PUT", path) == (204, None)
    (sent,) = api.sender.sent
    assert isinstance(sent, OwnerChange)
    assert api.last[0] == "Change owner"
    assert api.last[1]["managementRequestId"] == 41
    refused = await api.refused("PUT", "/clients/DEV:GOV:M1/make-owner")
    assert refused == (400, "member_already_owner")
    refused = await api.refused("PUT", f"/clients/{REGISTRY}/make-owner")
    assert refused == (409, "action_not_possible")


@pytest.mark.feature("CL-07")
async def test_a_client_is_deleted_and_what_is_left_of_it(api):
    await put(api, CALLER, ClientStatus.SAVED)
    api.keys.held = (token(key("a", certificate(SECOND))),)
    path = f"/clients/{SAVED}"
    assert await api.refused("GET", f"{path}/orphans") == (404, "orphans_not_found")
    assert await api("DELETE", path) == (204, None)
    assert api.last == ("Delete client", {"clientIdentifier": TOLD}, True)
    assert (await api.refused("DELETE", path))[0] == 404
    assert await api.get(f"{path}/orphans") == {"orphans_exist": True}
    assert await api("DELETE", f"{path}/orphans") == (204, None)
    assert api.keys.deleted == ["a"]
    event, told, _ = api.last
    assert event == "Delete orphaned client keys, certs and certificates"
    (entry,) = api.keys.held[0].keys[0].certificates
    assert told["certHashes"] == [bytes.fromhex(entry.sha256).hex(":").upper()]
    assert (told["clientIdentifier"], told["keyId"]) == (TOLD, "a")
    assert (told["tokenId"], told["certRequestIds"]) == (api.keys.held[0].id, [])
    api.keys.held = ()
    assert await api.refused("DELETE", f"{path}/orphans") == (404, "orphans_not_found")


@pytest.mark.feature("CL-07")
async def test_who_cannot_be_deleted_stays(api):
    assert await api.refused("DELETE", f"/clients/{REGISTRY}") == (409, "action_not_possible")
    assert await api.refused("DELETE", "/clients/DEV:GOV:M1") == (409, "cannot_delete_owner")


def test_the_operations_are_those_of_the_contract(contracts):
    published = read_description(contracts / "security-server.openapi.json")
    ours = json.loads(json.dumps(describe(Description("x", "1"), [a.OPERATIONS for a in AREAS])))
    mine = {operation.operation_id for area in AREAS for operation in area.OPERATIONS}
    found = [
        str(each)
        for each in differences(published, ours, ADDITIONS)
        if not each.is_addition and each.what != "is missing"
    ]
    assert found == []
    assert len(mine) == 26
