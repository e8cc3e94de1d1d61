import pytest

from adminapi.centralserver.registry_served import served_registry
from components.centralserver.registry_builder import CERTIFICATE, OTHER, PORTAL, SERVER, SUBSYSTEM
from pki_builder import TestCa
from sild.protocol.ids import SecurityServerId

pytestmark = pytest.mark.anyio

SERVER_ID = {
    "instance_id": "DEV",
    "type": "SERVER",
    "member_class": "GOV",
    "member_code": "M1",
    "server_code": "SS1",
    "encoded_id": "DEV:GOV:M1:SS1",
}


@pytest.fixture
async def api(tmp_path):
    async with served_registry(tmp_path) as served:
        yield served


@pytest.mark.feature("CV-01")
@pytest.mark.feature("MM-04")
async def test_a_server_is_shown_with_its_maintenance(api):
    status, server = await api("GET", "/security-servers/DEV:GOV:M1:SS1")
    moments = {name: server.pop(name) for name in ("created_at", "updated_at")}
    assert all(moment.endswith("Z") for moment in moments.values())
    shown = {
        "server_id": SERVER_ID,
        "owner_name": "First member",
        "server_address": "ss1.example.org",
        "in_maintenance_mode": False,
    }
    assert (status, server) == (200, shown)
    await api.made.change(lambda rows: rows.set_maintenance(SERVER, "until noon", on=True))
    _, server = await api("GET", "/security-servers/DEV:GOV:M1:SS1")
    assert server["in_maintenance_mode"]
    assert server["maintenance_mode_message"] == "until noon"
    assert await api.refused("GET", "/security-servers/DEV:GOV:M1:SS9") == (
        404,
        "security_server_not_found",
        ["SERVER:DEV/GOV/M1/SS9"],
    )


@pytest.mark.feature("CV-01")
async def test_servers_are_searched_sorted_and_paged(api):
    for code in ("alpha", "BETA"):
        server = SecurityServerId(OTHER, code)
        await api.made.change(lambda rows, server=server: rows.add_server(server, "x"))

    async def found(**query):
        status, answer = await api("GET", "/security-servers", **query)
        codes = [server["server_id"]["server_code"] for server in answer["items"]]
        assert answer["paging_metadata"]["items"] == len(codes)
        return status, codes, answer["paging_metadata"]["total_items"]

    assert await found() == (200, ["SS1", "alpha", "BETA"], 3)
    assert await found(q="second") == (200, ["alpha", "BETA"], 2)
    by_code = {"sort": "server_id.server_code", "desc": "true"}
    assert await found(**by_code, limit=2) == (200, ["SS1", "BETA"], 3)
    assert await found(**by_code, limit=2, offset=1) == (200, ["alpha"], 3)
    assert (await api.refused("GET", "/security-servers", sort="address"))[:2] == (
        400,
        "invalid_sort_properties",
    )


@pytest.mark.feature("CV-02")
async def test_a_server_moves(api):
    path = "/security-servers/DEV:GOV:M1:SS1"
    status, server = await api("PATCH", path, {"server_address": "192.0.2.7"})
    assert (status, server["server_address"]) == (200, "192.0.2.7")
    assert api.audit.last == (
        "Edit security server address",
        {"serverCode": "SS1", "ownerClass": "GOV", "ownerCode": "M1", "address": "192.0.2.7"},
        None,
    )
    for address in ("", "no address", "http://ss1", "a" * 256):
        assert await api.invalid("PATCH", path, {"server_address": address})
    moved = {"server_address": "ss9.example.org"}
    assert (await api.refused("PATCH", "/security-servers/DEV:GOV:M1:SS9", moved))[0] == 404
    assert (await api("GET", path))[1]["server_address"] == "192.0.2.7"


@pytest.mark.feature("CV-03")
async def test_a_deleted_server_leaves_deletion_requests(api):
    path = "/security-servers/DEV:GOV:M1:SS1"
    assert await api("DELETE", path) == (204, None)
    comments = "SERVER:DEV/GOV/M1/SS1 deletion"
    assert api.made.deletions.left == [
        (SERVER, SUBSYSTEM, comments),
        (SERVER, PORTAL, comments),
        (SERVER, CERTIFICATE, comments),
    ]
    assert api.audit.last == (
        "Delete security server",
        {"serverCode": "SS1", "ownerClass": "GOV", "ownerCode": "M1"},
        None,
    )
    assert (await api("GET", "/global-groups/security-server-owners"))[1]["member_count"] == 0
    assert (await api.refused("DELETE", path))[:2] == (404, "security_server_not_found")


@pytest.mark.feature("CV-04")
async def test_an_authentication_certificate_is_shown_and_deleted_by_a_request(api):
    certificate = TestCa.create().issue_auth(instance="EE").certificate
    der = certificate.der
    await api.made.change(lambda rows: rows.remove_auth_certificate(SERVER, CERTIFICATE))
    await api.made.change(lambda rows: rows.add_auth_certificate(SERVER, der))
    path = "/security-servers/DEV:GOV:M1:SS1/authentication-certificates"
    status, (shown,) = await api("GET", path)
    assert (status, shown["subject_common_name"]) == (200, "SS1")
    assert shown["hash"] == certificate.sha256.hex().upper()
    assert await api.refused("DELETE", f"{path}/{shown['id'] + 1}") == (
        404,
        "ss_auth_certificate_not_found",
        [],
    )
    assert (await api("DELETE", f"{path}/0"))[0] == 400
    assert await api("DELETE", f"{path}/{shown['id']}") == (204, None)
    assert api.made.deletions.left == [(SERVER, der, None)]
    event, data, _ = api.audit.last
    assert event == "Delete authentication certificate of security server"
    assert data["certHash"] == certificate.sha256.hex(":").upper()
    assert await api("GET", path) == (200, [])
    nowhere = "/security-servers/DEV:GOV:M1:SS9/authentication-certificates"
    assert (await api.refused("GET", nowhere))[:2] == (404, "security_server_not_found")


@pytest.mark.feature("CV-05")
async def test_a_servers_clients_are_shown(api):
    status, clients = await api("GET", "/security-servers/DEV:GOV:M1:SS1/clients")
    assert status == 200
    assert [(each["client_id"]["encoded_id"], each["member_name"]) for each in clients] == [
        ("DEV:GOV:M1:register", "First member"),
        ("DEV:COM:M2:portal", "Second member"),
    ]
    assert (await api.refused("GET", "/security-servers/DEV:GOV:M1:SS9/clients"))[0] == 404
