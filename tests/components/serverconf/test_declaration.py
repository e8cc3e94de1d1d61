from dataclasses import replace

import pytest

from components.serverconf.builders import CALLER, OWNER, PROVIDER, SERVER, empty_conf, server_conf
from pki_builder import TestCa
from sild.components.serverconf.declaration import (
    DeclaredClient,
    DeclaredGroup,
    DeclaredRight,
    DeclaredService,
    ServerDeclaration,
    apply_declaration,
)
from sild.components.serverconf.errors import GroupNotFound, ServerAlreadySet
from sild.components.serverconf.rows import Description
from sild.model.services import (
    AccessRight,
    ClientStatus,
    ConnectionType,
    Endpoint,
    InvalidConfiguration,
    LocalGroup,
    Service,
    ServiceType,
)
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.ids import GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId
from sild.runtime.packing import decode, encode

pytestmark = pytest.mark.anyio

GROUP = GlobalGroupId("DEV", "all")
PEOPLE = DeclaredService(
    "people",
    "https://service.test/api",
    rights=(
        DeclaredRight(GROUP),
        DeclaredRight(CALLER, "GET", "/names/*"),
        DeclaredRight(LocalGroupId("friends"), "POST", "/names"),
    ),
    endpoints=(("GET", "/free"),),
    timeout_seconds=7,
    verify_tls=False,
)


@pytest.fixture(scope="module")
def certificate():
    return TestCa.create().certificate.der


def declared(certificate, **changes):
    provider = {
        "id": PROVIDER,
        "connection_type": ConnectionType.NOSSL,
        "certificates": (certificate, certificate),
        "services": (PEOPLE, DeclaredService("off", "http://x", disabled_notice="Closed")),
        "groups": (DeclaredGroup("friends", (CALLER,), "Friends"), DeclaredGroup("empty")),
    }
    return ServerDeclaration(
        SERVER, (DeclaredClient(**(provider | changes)), DeclaredClient(CALLER))
    )


async def apply(conf, declaration):
    await apply_declaration(conf.store, declaration, conf.clock)
    return await conf.snapshot()


async def test_an_empty_server_becomes_what_is_declared(tmp_path, certificate):
    async with empty_conf(tmp_path) as conf:
        snapshot = await apply(conf, declared(certificate))
    assert snapshot.server == SERVER
    clients = {client.id: client for client in snapshot.clients}
    assert set(clients) == {OWNER, PROVIDER, CALLER}
    assert clients[PROVIDER].certificates == (certificate,)
    assert clients[PROVIDER].connection_type is ConnectionType.NOSSL
    assert clients[PROVIDER].status is ClientStatus.SAVED
    assert snapshot.services == (
        Service(ServiceId(PROVIDER, "people"), ServiceType.REST, PEOPLE.url, 7, False, None),
        Service(ServiceId(PROVIDER, "off"), ServiceType.REST, "http://x", 60, True, "Closed"),
    )
    assert set(snapshot.groups) == {
        LocalGroup(PROVIDER, "friends", frozenset({CALLER}), "Friends"),
        LocalGroup(PROVIDER, "empty"),
    }
    base = Endpoint(PROVIDER, "people")
    get, post = (
        Endpoint(PROVIDER, "people", "GET", "/names/*"),
        Endpoint(PROVIDER, "people", "POST", "/names"),
    )
    free = Endpoint(PROVIDER, "people", "GET", "/free")
    assert set(snapshot.endpoints) == {base, get, post, free, Endpoint(PROVIDER, "off")}
    assert set(snapshot.rights) == {
        AccessRight(base, GROUP),
        AccessRight(get, CALLER),
        AccessRight(post, LocalGroupId("friends")),
    }


async def test_applying_twice_is_applying_once(tmp_path, certificate):
    async with empty_conf(tmp_path) as conf:
        first = await apply(conf, declared(certificate))
        rows = await dump(conf)
        assert await apply(conf, declared(certificate)) == first
        assert await dump(conf) == rows


async def dump(conf):
    """Every row as it stands, numbers and times included."""
    async with conf.database.reading() as connection:
        tables = (await connection.exec_driver_sql("SELECT name FROM sqlite_master")).scalars()
        names = sorted(name for name in tables if not name.startswith(("ix_", "sqlite_")))
        return {
            name: (await connection.exec_driver_sql(f"SELECT * FROM {name}")).all()
            for name in names
        }


async def test_statuses_are_left_as_they_are(tmp_path, certificate):
    async with empty_conf(tmp_path) as conf:
        await apply(conf, declared(certificate))
        await conf.states.follow({OWNER, PROVIDER})
        snapshot = await apply(
            conf, declared(certificate, connection_type=ConnectionType.SSLNOAUTH)
        )
        clients = {client.id: client for client in snapshot.clients}
        assert clients[PROVIDER].status is ClientStatus.REGISTERED
        assert clients[PROVIDER].connection_type is ConnectionType.SSLNOAUTH
        assert clients[OWNER].status is ClientStatus.REGISTERED


async def test_what_is_declared_no_longer_goes(tmp_path, certificate):
    async with empty_conf(tmp_path) as conf:
        await apply(conf, declared(certificate))
        await conf.states.follow({OWNER, PROVIDER, CALLER})
        fewer = DeclaredService("people", PEOPLE.url, rights=(DeclaredRight(GROUP, "GET", "/x"),))
        snapshot = await apply(
            conf,
            ServerDeclaration(SERVER, (DeclaredClient(PROVIDER, services=(fewer,)),)),
        )
    assert {client.id for client in snapshot.clients} == {OWNER, PROVIDER}
    assert [service.id.service_code for service in snapshot.services] == ["people"]
    assert snapshot.groups == ()
    assert set(snapshot.endpoints) == {
        Endpoint(PROVIDER, "people"),
        Endpoint(PROVIDER, "people", "GET", "/x"),
    }
    assert [right.subject for right in snapshot.rights] == [GROUP]
    assert all(client.certificates == () for client in snapshot.clients)


async def test_what_was_there_before_is_replaced(tmp_path, certificate):
    async with server_conf(tmp_path) as conf:
        await conf.add_service("old")
        services = (Service(ServiceId(PROVIDER, "soap"), ServiceType.WSDL, "http://x"),)
        async with conf.store.transaction() as stored:
            await stored.add_description(Description(PROVIDER, ServiceType.WSDL, "u", services))
        await conf.rights.grant(Endpoint(PROVIDER, "people"), [CALLER])
        snapshot = await apply(conf, declared(certificate))
        again = await apply(conf, declared(certificate))
    async with empty_conf(tmp_path / "fresh") as conf:
        fresh = await apply(conf, declared(certificate))
    assert again == snapshot
    for part in ("services", "endpoints", "groups", "rights"):
        assert set(getattr(snapshot, part)) == set(getattr(fresh, part))


def soap(code, version=None, **more):
    return DeclaredService(code, "http://x", type=ServiceType.WSDL, version=version, **more)


async def test_soap_services_are_told_apart_by_their_versions(tmp_path, certificate):
    services = (soap("s"), soap("s", "v1", rights=(DeclaredRight(GROUP),)), soap("t", "v1"))
    async with empty_conf(tmp_path) as conf:
        snapshot = await apply(conf, declared(certificate, services=services))
        rows = await dump(conf)
        assert await apply(conf, declared(certificate, services=services)) == snapshot
        assert await dump(conf) == rows
        fewer = await apply(conf, declared(certificate, services=services[1:]))
    assert [service.id for service in snapshot.services] == [
        ServiceId(PROVIDER, "s"),
        ServiceId(PROVIDER, "s", "v1"),
        ServiceId(PROVIDER, "t", "v1"),
    ]
    assert {service.type for service in snapshot.services} == {ServiceType.WSDL}
    assert [service.id.service_version for service in fewer.services] == ["v1", "v1"]
    assert snapshot.rights == fewer.rights == (AccessRight(Endpoint(PROVIDER, "s"), GROUP),)


async def test_a_member_may_offer_soap_services(tmp_path):
    owner = DeclaredClient(OWNER, services=(soap("s", rights=(DeclaredRight(GROUP),)),))
    async with empty_conf(tmp_path) as conf:
        snapshot = await apply(conf, ServerDeclaration(SERVER, (owner,)))
    assert [service.id for service in snapshot.services] == [ServiceId(OWNER, "s")]
    assert [right.subject for right in snapshot.rights] == [GROUP]


async def test_a_service_may_become_one_of_the_other_protocol(tmp_path, certificate):
    rest = DeclaredService("s", "http://x")
    async with empty_conf(tmp_path) as conf:
        for service in (rest, soap("s"), rest):
            snapshot = await apply(conf, declared(certificate, services=(service,)))
            assert [each.type for each in snapshot.services] == [service.type]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"services": (PEOPLE, PEOPLE)}, InvalidConfiguration),
        ({"services": (soap("s"), soap("s"))}, InvalidConfiguration),
        ({"services": (soap("getWsdl"),)}, InvalidConfiguration),
        ({"services": (soap("s", "v/1"),)}, InvalidConfiguration),
        ({"services": (replace(soap("s"), url="ftp://x"),)}, InvalidConfiguration),
        ({"services": (soap("s", timeout_seconds=0),)}, InvalidConfiguration),
        ({"services": (replace(PEOPLE, version="v1"),)}, InvalidConfiguration),
        ({"services": (replace(PEOPLE, type=ServiceType.OPENAPI3),)}, InvalidConfiguration),
        ({"services": (DeclaredService("getWsdl", "http://x"),)}, InvalidConfiguration),
        ({"services": (DeclaredService("x", "ftp://x"),)}, InvalidConfiguration),
        (
            {"services": (DeclaredService("x", "http://x", timeout_seconds=0),)},
            InvalidConfiguration,
        ),
        (
            {"services": (DeclaredService("x", "http://x", endpoints=(("GET", "x"),)),)},
            InvalidConfiguration,
        ),
        (
            {"services": (DeclaredService("x", "http://x", (DeclaredRight(OWNER),)),)},
            InvalidConfiguration,
        ),
        ({"groups": ()}, GroupNotFound),
        ({"groups": (DeclaredGroup("friends"), DeclaredGroup("friends"))}, InvalidConfiguration),
        ({"groups": (DeclaredGroup("friends", (OWNER,)),)}, InvalidConfiguration),
        ({"certificates": (b"nonsense",)}, IncorrectCertificate),
        ({"id": CALLER}, InvalidConfiguration),
        ({"id": OWNER}, InvalidConfiguration),
    ],
)
async def test_a_declaration_that_cannot_be_changes_nothing(tmp_path, certificate, changes, error):
    async with empty_conf(tmp_path) as conf:
        before = await apply(conf, ServerDeclaration(SERVER, (DeclaredClient(CALLER),)))
        with pytest.raises(error):
            await apply(conf, declared(certificate, **changes))
        assert await conf.snapshot() == before


async def test_a_declaration_of_another_server_is_refused(tmp_path):
    async with server_conf(tmp_path) as conf:
        before = await conf.snapshot()
        with pytest.raises(ServerAlreadySet):
            await apply(conf, ServerDeclaration(SecurityServerId(OWNER, "SS9")))
        assert await conf.snapshot() == before


async def test_the_owner_may_be_declared_to_say_how_it_connects(tmp_path):
    owner = DeclaredClient(OWNER, ConnectionType.NOSSL)
    async with empty_conf(tmp_path) as conf:
        snapshot = await apply(conf, ServerDeclaration(SERVER, (owner,)))
    assert [client.connection_type for client in snapshot.clients] == [ConnectionType.NOSSL]


def test_a_declaration_travels_between_processes(certificate):
    declaration = declared(certificate)
    assert decode(ServerDeclaration, encode(declaration)) == declaration
