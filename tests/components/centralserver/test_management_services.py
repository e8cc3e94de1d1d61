import pytest

from components.centralserver.nodes import OWNER, PROVIDER, SERVER, WANTED, Instance
from sild.components.centralserver.registry_errors import ServerNotFound
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.system import Parameter, set_parameter
from sild.components.centralserver.system_errors import (
    ProviderMemberNotFound,
    ProviderNotFound,
    ProviderNotSet,
    ProviderNotSubsystem,
    ProviderRegistered,
)
from sild.protocol.ids import ClientId, SecurityServerId

pytestmark = pytest.mark.anyio


@pytest.fixture
async def instance(database):
    made = Instance(database)
    await made.initialization.initialize(WANTED)
    await made.add_provider()
    return made


async def test_before_anybody_is_appointed_the_addresses_are_known(instance):
    found = await instance.management.configuration()
    assert (found.provider, found.provider_name, found.servers) == (None, "", ())
    assert found.services_address == "https://cs.example.org:4002/managementservice/manage/"
    assert found.wsdl_address == "http://cs.example.org/managementservices.wsdl"
    assert found.owners_group == "security-server-owners"


async def test_a_provider_is_appointed_and_registered(instance):
    appointed = await instance.management.appoint(PROVIDER)
    assert (appointed.provider, appointed.provider_name) == (PROVIDER, "First member")
    assert appointed.servers == ()
    registered = await instance.management.register(SERVER)
    assert registered.servers == (SERVER,)
    with pytest.raises(ProviderRegistered):
        await instance.management.register(SERVER)


async def test_a_disabled_client_is_not_told_but_stays_registered(instance):
    await instance.management.appoint(PROVIDER)
    await instance.management.register(SERVER)
    async with instance.database.transaction() as connection:
        rows = RegistryRows(connection, instance.clock.now())
        await rows.set_client_enabled(SERVER, PROVIDER, False)
    assert (await instance.management.configuration()).servers == ()
    with pytest.raises(ProviderRegistered):
        await instance.management.register(SERVER)


@pytest.mark.parametrize(
    ("provider", "refusal"),
    [
        (OWNER, ProviderNotSubsystem),
        (OWNER.subsystem("other"), ProviderNotFound),
        (ClientId("OTHER", "GOV", "M1", "management"), ProviderNotFound),
    ],
)
async def test_who_is_no_subsystem_of_the_instance_is_not_appointed(instance, provider, refusal):
    with pytest.raises(refusal):
        await instance.management.appoint(provider)
    assert (await instance.management.configuration()).provider is None


async def test_nobody_is_registered_before_somebody_is_appointed(instance):
    with pytest.raises(ProviderNotSet):
        await instance.management.register(SERVER)


async def test_a_provider_is_not_registered_on_a_server_that_is_not_there(instance):
    await instance.management.appoint(PROVIDER)
    with pytest.raises(ServerNotFound):
        await instance.management.register(SecurityServerId(OWNER, "SS9"))


async def test_a_provider_that_was_removed_is_refused(instance):
    await instance.management.appoint(PROVIDER)
    async with instance.database.transaction() as connection:
        await RegistryRows(connection, instance.clock.now()).remove_subsystem(PROVIDER)
    with pytest.raises(ProviderNotFound):
        await instance.management.register(SERVER)
    async with instance.database.transaction() as connection:
        await RegistryRows(connection, instance.clock.now()).remove_member(OWNER)
    with pytest.raises(ProviderMemberNotFound):
        await instance.management.configuration()


async def test_a_member_that_an_operator_appointed_is_on_its_own_servers(instance):
    async with instance.database.transaction() as connection:
        for parameter, value in (
            (Parameter.PROVIDER_CLASS, "GOV"),
            (Parameter.PROVIDER_CODE, "M1"),
        ):
            await set_parameter(connection, instance.node, parameter, value)
    found = await instance.management.configuration()
    assert (found.provider, found.servers) == (OWNER, (SERVER,))
