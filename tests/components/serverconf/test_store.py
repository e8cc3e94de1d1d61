import pytest

from components.serverconf.builders import CALLER, OWNER, PROVIDER, SERVER, empty_conf, server_conf
from sild.components.serverconf.errors import (
    ClientNotFound,
    DescriptionNotFound,
    EndpointNotFound,
    ServerNotSet,
)
from sild.components.serverconf.rows import Description
from sild.components.serverconf.tables import METADATA
from sild.model.services import (
    AccessRight,
    Client,
    ClientStatus,
    ConnectionType,
    Endpoint,
    LocalGroup,
    Service,
    ServiceType,
)
from sild.protocol.ids import GlobalGroupId, LocalGroupId, ServiceId
from sild.runtime.migrations import find_differences

pytestmark = pytest.mark.anyio

BASE = Endpoint(PROVIDER, "people")


async def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path):
    async with empty_conf(tmp_path) as conf:
        assert await find_differences(conf.database, METADATA) == []


async def test_a_new_server_has_no_identity(tmp_path):
    async with empty_conf(tmp_path) as conf:
        with pytest.raises(ServerNotSet):
            await conf.snapshot()


async def test_everything_comes_out_as_it_went_in(tmp_path):
    group = LocalGroup(PROVIDER, "friends", frozenset({CALLER, PROVIDER}), "Our friends")
    subjects = (CALLER, GlobalGroupId("DEV", "all"), LocalGroupId("friends"))
    soap = Description(
        PROVIDER,
        ServiceType.WSDL,
        "http://x/wsdl",
        (
            Service(
                ServiceId(PROVIDER, "a", "v1"), ServiceType.WSDL, "http://x/1", 5, False, "off"
            ),
            Service(ServiceId(PROVIDER, "a", "v2"), ServiceType.WSDL, "http://x/2", 6, True, "off"),
            Service(ServiceId(PROVIDER, "b"), ServiceType.WSDL, "http://x/3", 7, True, "off"),
        ),
        "off",
    )
    async with server_conf(tmp_path) as conf:
        client = Client(
            CALLER, ClientStatus.DISABLING_IN_PROGRESS, ConnectionType.NOSSL, (b"two", b"one")
        )
        async with conf.store.transaction() as stored:
            await stored.add_client(client)
            await stored.add_group(group, conf.clock.now())
            await stored.add_description(soap)
            await stored.add_endpoint(Endpoint(PROVIDER, "people", "GET", "/x"))
            for subject in subjects:
                await stored.grant(AccessRight(BASE, subject), conf.clock.now())
        snapshot = await conf.snapshot(generation=9)
    assert snapshot.generation == 9
    assert snapshot.server == SERVER
    assert [each.id for each in snapshot.clients] == [OWNER, PROVIDER, CALLER]
    assert snapshot.clients[2] == client
    assert snapshot.services[1:] == soap.services
    assert snapshot.groups == (group,)
    assert set(snapshot.endpoints) == {
        BASE,
        Endpoint(PROVIDER, "people", "GET", "/x"),
        Endpoint(PROVIDER, "a"),
        Endpoint(PROVIDER, "b"),
    }
    assert snapshot.rights == tuple(AccessRight(BASE, subject) for subject in subjects)
    assert snapshot.signing == ()
    assert snapshot.authentication is None


async def add_and_fail(conf):
    async with conf.store.transaction() as stored:
        await stored.add_client(Client(CALLER))
        raise LookupError


async def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    async with server_conf(tmp_path) as conf:
        before = await conf.snapshot()
        with pytest.raises(LookupError):
            await add_and_fail(conf)
        assert await conf.snapshot() == before


async def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    right = AccessRight(Endpoint(PROVIDER, "nothing"), CALLER)
    async with server_conf(tmp_path) as conf, conf.store.transaction() as stored:
        with pytest.raises(ClientNotFound):
            await stored.get_client(CALLER)
        with pytest.raises(EndpointNotFound):
            await stored.grant(right, conf.clock.now())
        with pytest.raises(DescriptionNotFound):
            await stored.get_description(99)


async def test_an_endpoint_is_shared_by_the_versions_of_a_service(tmp_path):
    def description(*versions):
        services = tuple(
            Service(ServiceId(PROVIDER, "a", version), ServiceType.WSDL, "http://x")
            for version in versions
        )
        return Description(PROVIDER, ServiceType.WSDL, f"http://x/{versions[0]}", services)

    async with server_conf(tmp_path) as conf:
        async with conf.store.transaction() as stored:
            first = await stored.add_description(description("v1"))
            second = await stored.add_description(description("v2", "v3"))
            await stored.grant(AccessRight(Endpoint(PROVIDER, "a"), CALLER), conf.clock.now())
        async with conf.store.transaction() as stored:
            await stored.remove_description(await stored.get_description(first))
        assert len((await conf.snapshot()).rights) == 1
        async with conf.store.transaction() as stored:
            await stored.remove_description(await stored.get_description(second))
        snapshot = await conf.snapshot()
        assert snapshot.rights == ()
        assert snapshot.endpoints == (BASE,)
