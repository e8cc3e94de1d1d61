from dataclasses import replace

import pytest

from components.centralserver.nodes import PIN, SILENT, WANTED, Instance
from sild.components.centralserver.initialization import TokenInitStatus, Wanted
from sild.components.centralserver.registry_group_rows import GroupRows
from sild.components.centralserver.system import Node, Parameter, set_parameter
from sild.components.centralserver.system_errors import (
    AlreadyInitialized,
    InvalidAddress,
    InvalidInstance,
    PinCharacters,
    TokenNotMade,
    WeakPin,
)
from sild.components.centralserver.system_tables import PARAMETER

pytestmark = pytest.mark.anyio


async def test_an_instance_is_made(database):
    instance = Instance(database)
    assert await instance.initialization.status() == replace(
        await instance.initialization.status(), instance="", address=""
    )
    await instance.initialization.initialize(WANTED)
    status = await instance.initialization.status()
    assert (status.instance, status.address) == ("DEV", "cs.example.org")
    assert status.token is TokenInitStatus.INITIALIZED
    assert instance.backup_keys.names == ["DEV"]
    async with database.transaction() as connection:
        group = await GroupRows(connection, instance.clock.now()).get("security-server-owners")
        rows = (await connection.execute(PARAMETER.select())).all()
    assert group.description == "Security server owners"
    assert {row.key: row.value for row in rows}["authCertRegUrl"] == (
        "https://%{centralServerAddress}:4001/managementservice/"
    )


async def test_an_instance_is_made_once(database):
    instance = Instance(database)
    await instance.initialization.initialize(WANTED)
    with pytest.raises(AlreadyInitialized):
        await instance.initialization.initialize(Wanted("OTHER", "other", PIN))
    assert (await instance.initialization.status()).instance == "DEV"


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (Wanted("DEV", "cs", "12"), WeakPin),
        (Wanted("DEV", "cs", "Sécret-1234"), PinCharacters),
        (Wanted("INSTANCE::::%INVALID", "cs", PIN), InvalidInstance),
        (Wanted("DEV", "123.123_invalid_123.x", PIN), InvalidAddress),
    ],
)
async def test_what_is_refused_leaves_nothing_behind(database, wanted, refusal):
    instance = Instance(database)
    with pytest.raises(refusal):
        await instance.initialization.initialize(wanted)
    status = await instance.initialization.status()
    assert (status.instance, status.address) == ("", "")
    assert status.token is TokenInitStatus.NOT_INITIALIZED
    assert instance.backup_keys.names == []


async def test_a_weak_pin_is_told_what_it_lacks(database):
    with pytest.raises(WeakPin) as refused:
        await Instance(database).initialization.initialize(replace(WANTED, pin="12"))
    assert refused.value.metadata == (
        "tr.pin_min_length",
        "10",
        "tr.pin_min_char_classes_count",
        "3",
    )


async def test_a_silent_signer_leaves_the_token_s_state_unknown(database):
    instance = Instance(database)
    instance.tokens.broken = SILENT
    assert (await instance.initialization.status()).token is TokenInitStatus.UNKNOWN
    with pytest.raises(TokenNotMade):
        await instance.initialization.initialize(WANTED)
    assert (await instance.initialization.status()).instance == ""


async def test_what_was_interrupted_can_be_asked_for_again(database):
    instance = Instance(database)
    instance.backup_keys.broken = RuntimeError("killed")
    with pytest.raises(RuntimeError):
        await instance.initialization.initialize(WANTED)
    status = await instance.initialization.status()
    assert status.token is TokenInitStatus.INITIALIZED
    assert not status.is_complete
    instance.backup_keys.broken = None
    await instance.initialization.initialize(replace(WANTED, pin="not looked at"))
    assert (await instance.initialization.status()).is_complete


async def test_a_node_joins_an_instance_that_keeps_its_identifier_and_settings(database):
    await Instance(database).initialization.initialize(WANTED)
    async with database.transaction() as connection:
        await set_parameter(connection, Node(), Parameter.SIGN_DIGEST, "SHA-256")
    second = Instance(database, Node("node_1", is_ha=True))
    assert not (await second.initialization.status()).is_complete
    await second.initialization.initialize(Wanted("OTHER", "cs2.example.org", PIN))
    parameters = await second.system.parameters()
    assert parameters.instance == "DEV"
    assert parameters.address == "cs2.example.org"
    assert parameters.sign_digest.text == "SHA-256"
    assert second.backup_keys.names == ["DEV"]
