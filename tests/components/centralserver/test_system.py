import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.centralserver.nodes import WANTED, Instance
from sild.components.centralserver.system import (
    Node,
    Parameter,
    check_address,
    check_instance,
    read_parameters,
    set_parameter,
)
from sild.components.centralserver.system_errors import (
    InvalidAddress,
    InvalidInstance,
    NotInitialized,
    ParameterUnusable,
)
from sild.components.centralserver.system_tables import PARAMETER
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.ids import ClientId

pytestmark = pytest.mark.anyio


async def test_what_the_table_does_not_say_is_as_the_reference_has_it(database):
    parameters = await Instance(database).system.parameters()
    assert not parameters.is_set
    assert parameters.wsdl_address == parameters.services_address == ""
    assert parameters.management(None) is None
    assert (
        parameters.conf_expire_seconds,
        parameters.ocsp_freshness_seconds,
        parameters.timestamping_interval_seconds,
    ) == (600, 3600, 60)
    digests = (parameters.sign_digest, parameters.hash_digest, parameters.certificate_digest)
    assert digests == (DigestAlgorithm.SHA512,) * 3
    assert parameters.owners_group == "security-server-owners"


async def test_an_operator_changes_parameters_in_the_table(database):
    node = Node()
    async with database.transaction() as connection:
        for parameter, value in (
            (Parameter.INSTANCE, "DEV"),
            (Parameter.ADDRESS, "cs"),
            (Parameter.PROVIDER_CLASS, "GOV"),
            (Parameter.PROVIDER_CODE, "1"),
            (Parameter.CONF_EXPIRE, "1200"),
            (Parameter.HASH, DigestAlgorithm.SHA256.uri),
            (Parameter.SIGN_DIGEST, "sha-384"),
        ):
            await set_parameter(connection, node, parameter, "x")
            await set_parameter(connection, node, parameter, value)
        parameters = await read_parameters(connection, node)
    assert parameters.conf_expire_seconds == 1200
    assert parameters.hash_digest is DigestAlgorithm.SHA256
    assert parameters.sign_digest is DigestAlgorithm.SHA384
    management = parameters.management(None)
    assert management.address == "https://cs:4001/managementservice/"
    assert management.provider == ClientId("DEV", "GOV", "1")
    assert parameters.services_address == "https://cs:4002/managementservice/manage/"
    assert parameters.wsdl_address == "http://cs/managementservices.wsdl"


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Parameter.CONF_EXPIRE, "ten"),
        (Parameter.CONF_EXPIRE, "0"),
        (Parameter.OCSP_FRESHNESS, "-1"),
        (Parameter.TIMESTAMPING, "9" * 20),
        (Parameter.HASH, "http://example.org/sha9"),
        (Parameter.SIGN_DIGEST, "SHA-1"),
        (Parameter.SIGN_DIGEST, "MD5"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(database, parameter, value):
    async with database.transaction() as connection:
        await set_parameter(connection, Node(), parameter, value)
        with pytest.raises(ParameterUnusable) as refused:
            await read_parameters(connection, Node())
    assert refused.value.metadata == (parameter.value,)


async def test_a_provider_without_an_instance_is_refused(database):
    async with database.transaction() as connection:
        await set_parameter(connection, Node(), Parameter.PROVIDER_CLASS, "GOV")
        await set_parameter(connection, Node(), Parameter.PROVIDER_CODE, "1")
        with pytest.raises(ParameterUnusable):
            await read_parameters(connection, Node())


async def test_a_parameter_stands_in_the_table_once(database):
    async with database.transaction() as connection:
        for value in ("one", "two"):
            await set_parameter(connection, Node(), Parameter.INSTANCE, value)
        rows = (await connection.execute(PARAMETER.select())).all()
    assert [(row.key, row.value) for row in rows] == [("instanceIdentifier", "two")]


async def test_each_node_has_an_address_of_its_own_and_sees_all(database):
    first, second = Instance(database), Instance(database, Node("node_1", is_ha=True))
    await first.initialization.initialize(WANTED)
    await second.system.change_address("cs2.example.org")
    parameters = await second.system.parameters()
    assert parameters.address == "cs2.example.org"
    assert parameters.addresses == {"node_0": "cs.example.org", "node_1": "cs2.example.org"}
    assert parameters.auth_cert_reg_url == "https://cs2.example.org:4001/managementservice/"
    assert (await first.system.parameters()).address == "cs.example.org"


async def test_anchors_follow_the_address(database):
    instance = Instance(database)
    changed = await instance.system.change_address("other.example.org")
    assert changed.address == "other.example.org"
    assert instance.anchors.made == 1


async def test_an_address_whose_anchors_cannot_be_made_does_not_change(database):
    instance = Instance(database)
    await instance.initialization.initialize(WANTED)
    instance.anchors.broken = ParameterUnusable("no")
    with pytest.raises(ParameterUnusable):
        await instance.system.change_address("other.example.org")
    assert (await instance.system.parameters()).address == "cs.example.org"


async def test_an_address_that_is_none_is_refused(database):
    with pytest.raises(InvalidAddress):
        await Instance(database).system.change_address("invalid...address.c")


async def test_before_the_initialisation_no_instance_is_given(database):
    async with database.reading() as connection:
        with pytest.raises(NotInitialized):
            await Instance(database).system.get_instance(connection)


@pytest.mark.parametrize(
    "address", ["cs", "cs.example.org", "cs-1.example.org.", "192.0.2.1", "a" * 63, "1cs.x1"]
)
def test_host_names_and_ip_addresses_are_addresses(address):
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ".",
        "123.123..invalid..123.x",
        "123.123_invalid_123.x",
        "-cs",
        "cs-",
        "cs:4000",
        "::1",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "192.0.2.256",
        "cs\n",
        "č.example.org",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidAddress):
        check_address(address)


@pytest.mark.parametrize("instance", ["", " ", "INSTANCE::::%INVALID", "a/b", "x" * 256, "DEV\n"])
def test_what_is_no_instance_identifier_is_refused(instance):
    with pytest.raises(InvalidInstance):
        check_instance(instance)


@pytest.mark.parametrize("instance", ["DEV", "ee-test", "x" * 255, "a'()+,-.=?9"])
def test_instance_identifiers_have_the_reference_s_characters(instance):
    check_instance(instance)


async def test_backups_are_told_apart_by_instance_and_node(database):
    first, second = Instance(database), Instance(database, Node("node_1", is_ha=True))
    assert (await first.system.identity(), await second.system.identity()) == ("", "")
    await first.initialization.initialize(WANTED)
    assert await first.system.identity() == "DEV"
    assert await second.system.identity() == "DEV/node_1"


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_refused(text):
    try:
        check_address(text)
    except InvalidAddress:
        return
    assert text.isascii()
    assert text.isprintable()
