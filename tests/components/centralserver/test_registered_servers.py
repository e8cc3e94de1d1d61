import pytest

from components.centralserver.registry_builder import (
    CERTIFICATE,
    MEMBER,
    OTHER,
    PORTAL,
    SERVER,
    SUBSYSTEM,
    registered,
)
from sild.components.centralserver.paging import InvalidSorting, Page
from sild.components.centralserver.registry_errors import AuthCertificateNotFound, ServerNotFound
from sild.components.centralserver.system_errors import InvalidAddress
from sild.protocol.ids import SecurityServerId

pytestmark = pytest.mark.anyio

NOWHERE = SecurityServerId(OTHER, "SS1")


async def test_a_server_moves_to_another_address(database):
    made = await registered(database)
    for address in ("ss9.example.org", "192.0.2.1"):
        assert (await made.servers.set_address(SERVER, address)).address == address
    for address in ("", "no address", "http://x", "a" * 254):
        with pytest.raises(InvalidAddress):
            await made.servers.set_address(SERVER, address)
    assert (await made.servers.get(SERVER)).address == "192.0.2.1"


async def test_a_removed_server_leaves_requests_for_each_client_and_certificate(database):
    made = await registered(database)
    await made.change(lambda rows: rows.set_client_enabled(SERVER, PORTAL, False))
    await made.change(lambda rows: rows.add_auth_certificate(SERVER, b"another"))
    await made.servers.remove(SERVER)
    comments = "SERVER:DEV/GOV/M1/SS1 deletion"
    assert made.deletions.left == [
        (SERVER, SUBSYSTEM, comments),
        (SERVER, PORTAL, comments),
        (SERVER, CERTIFICATE, comments),
        (SERVER, b"another", comments),
    ]
    assert (await made.contents()).servers == ()
    assert await made.owners() == set()


async def test_a_certificate_is_removed_by_a_request(database):
    made = await registered(database)
    await made.change(lambda rows: rows.add_auth_certificate(SERVER, b"another"))
    first, second = await made.servers.auth_certificates_of(SERVER)
    assert (first.der, second.der) == (CERTIFICATE, b"another")
    assert await made.servers.remove_auth_certificate(SERVER, first.id) == first
    assert made.deletions.left == [(SERVER, CERTIFICATE, None)]
    assert await made.servers.auth_certificates_of(SERVER) == (second,)
    with pytest.raises(AuthCertificateNotFound):
        await made.servers.remove_auth_certificate(SERVER, first.id)


async def test_another_servers_certificate_is_not_removed(database):
    made = await registered(database)
    await made.change(lambda rows: rows.add_server(NOWHERE, "ss2"))
    (certificate,) = await made.servers.auth_certificates_of(SERVER)
    with pytest.raises(AuthCertificateNotFound):
        await made.servers.remove_auth_certificate(NOWHERE, certificate.id)


async def test_a_server_that_is_not_there_refuses_everything(database):
    made = await registered(database)
    for refused in (
        made.servers.get(NOWHERE),
        made.servers.set_address(NOWHERE, "ss9.example.org"),
        made.servers.remove(NOWHERE),
        made.servers.auth_certificates_of(NOWHERE),
        made.servers.remove_auth_certificate(NOWHERE, 1),
        made.servers.clients_of(NOWHERE),
    ):
        with pytest.raises(ServerNotFound) as raised:
            await refused
        assert raised.value.metadata == ("SERVER:DEV/COM/M2/SS1",)


async def test_a_servers_clients_are_told_by_their_members_names(database):
    made = await registered(database)
    await made.change(lambda rows: rows.set_client_enabled(SERVER, PORTAL, False))
    clients = await made.servers.clients_of(SERVER)
    assert [(client.id, client.member_name) for client in clients] == [
        (SUBSYSTEM, "First member"),
        (PORTAL, "Second member"),
    ]


async def test_servers_are_searched_sorted_and_paged(database):
    made = await registered(database)
    for owner, code in ((OTHER, "alpha"), (OTHER, "BETA"), (MEMBER, "gamma")):
        server = SecurityServerId(owner, code)
        await made.change(lambda rows, server=server: rows.add_server(server, "x"))

    async def codes(text="", **page):
        found = await made.servers.search(text, Page(**page))
        return [server.id.server_code for server in found.items], found.total

    assert await codes() == (["SS1", "alpha", "BETA", "gamma"], 4)
    assert await codes("ETA") == (["BETA"], 1)
    assert await codes("second") == (["alpha", "BETA"], 2)
    assert await codes("m1") == (["SS1", "gamma"], 2)
    assert await codes("com") == (["alpha", "BETA"], 2)
    assert await codes("%") == ([], 0)
    by_code = {"sort": "server_id.server_code"}
    assert await codes(**by_code) == (["alpha", "BETA", "gamma", "SS1"], 4)
    assert await codes(**by_code, descending=True, limit=2, first=2) == (["BETA", "alpha"], 4)
    assert await codes(sort="owner_name", descending=True) == (["alpha", "BETA", "SS1", "gamma"], 4)
    assert await codes(sort="server_id.member_code") == (["SS1", "gamma", "alpha", "BETA"], 4)
    assert await codes(sort="server_id.member_class") == (["alpha", "BETA", "SS1", "gamma"], 4)
    with pytest.raises(InvalidSorting) as raised:
        await codes(sort="server_address")
    assert (raised.value.code, raised.value.metadata) == (
        "invalid_sort_properties",
        ("server_address",),
    )
