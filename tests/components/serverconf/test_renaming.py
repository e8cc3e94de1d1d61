import pytest

from components.serverconf.builders import CALLER, OWNER, PROVIDER, server_conf
from components.serverconf.client_worlds import conf_with
from sild.components.serverconf.client_search import RenameStatus
from sild.components.serverconf.clients import NewClient
from sild.components.serverconf.errors import (
    ClientNotFound,
    ClientNotReady,
    NameUnchanged,
    RenameSubmitted,
)
from sild.components.serverconf.renaming import Renaming
from sild.model.services import Client, ClientEvent, ClientStatus
from sild.protocol.errors import GlobalConfOutdated

pytestmark = pytest.mark.anyio


@pytest.fixture
async def conf(tmp_path, database_url):
    async with server_conf(tmp_path, database_url) as made:
        made.world.conf = conf_with(PROVIDER)
        made.renaming = Renaming(made.store, made.world)
        yield made


async def status_of(conf, client):
    return (await conf.clients.get(client)).rename


async def test_a_client_is_added_with_a_name_that_goes_out_with_its_registration(conf):
    await conf.clients.add(NewClient("COM", "M2", "app", subsystem_name="Application"))
    client = CALLER.member.subsystem("app")
    assert await status_of(conf, client) is RenameStatus.SET
    assert await conf.renaming.name_to_register(client) == "Application"
    await conf.states.move(client, ClientEvent.REGISTER)
    await conf.renaming.note_registration(client)
    assert await status_of(conf, client) is RenameStatus.SUBMITTED
    # While no other name has come, it is waited for.
    assert await conf.renaming.follow(conf.world.conf) == ()
    conf.world.conf = conf_with(PROVIDER, client, names={client: "Application"})
    assert await conf.renaming.follow(conf.world.conf) == (client,)
    assert await status_of(conf, client) is None
    assert await conf.renaming.name_to_register(client) is None


async def test_a_name_that_the_subsystem_has_is_not_kept(conf):
    await conf.clients.add(NewClient("COM", "M2", "portal", subsystem_name="Portal"))
    assert await status_of(conf, CALLER) is None
    await conf.renaming.note_registration(CALLER)
    assert await status_of(conf, CALLER) is None


async def test_a_client_that_is_not_registered_gets_another_name_to_be_registered_with(conf):
    await conf.clients.add(NewClient("COM", "M2", "portal"))
    assert await conf.renaming.name_to_register(CALLER) is None
    for name in ("Door", "Gate"):
        assert await conf.renaming.prepare(CALLER, name) is None
        assert await conf.renaming.name_to_register(CALLER) == name
    assert await status_of(conf, CALLER) is RenameStatus.SET


async def test_of_a_registered_client_one_name_at_a_time_is_asked_for(conf):
    rename = await conf.renaming.prepare(PROVIDER, "Registry")
    assert (rename.client, rename.old_name, rename.new_name) == (PROVIDER, "Register", "Registry")
    assert await status_of(conf, PROVIDER) is None
    await conf.renaming.note_submitted(rename)
    assert await status_of(conf, PROVIDER) is RenameStatus.SUBMITTED
    with pytest.raises(RenameSubmitted):
        await conf.renaming.prepare(PROVIDER, "Other")
    # Any other name than before ends the waiting.
    conf.world.conf = conf_with(PROVIDER, names={PROVIDER: "Third"})
    assert await conf.renaming.follow(conf.world.conf) == (PROVIDER,)
    assert await conf.renaming.prepare(PROVIDER, "Other") is not None


async def test_what_cannot_be_renamed_is_refused(conf):
    with pytest.raises(NameUnchanged):
        await conf.renaming.prepare(PROVIDER, "Register")
    with pytest.raises(ClientNotReady):
        await conf.renaming.prepare(OWNER, "Owner")
    with pytest.raises(ClientNotFound):
        await conf.renaming.prepare(CALLER, "Door")
    conf.world.conf = conf_with(PROVIDER, version=4)
    with pytest.raises(ClientNotReady, match="version 5"):
        await conf.renaming.prepare(PROVIDER, "Registry")
    assert await conf.renaming.name_to_register(PROVIDER) is None
    conf.world.conf = None
    with pytest.raises(GlobalConfOutdated):
        await conf.renaming.prepare(PROVIDER, "Registry")


@pytest.mark.parametrize(
    "status",
    [each for each in ClientStatus if each.value not in ("saved", "registered")],
)
async def test_a_client_in_another_state_is_not_renamed(conf, status):
    async with conf.store.transaction() as kept:
        await kept.replace_client(Client(PROVIDER, status))
    with pytest.raises(ClientNotReady, match=status.value):
        await conf.renaming.prepare(PROVIDER, "Registry")


async def test_a_name_goes_with_its_client(conf):
    await conf.clients.add(NewClient("COM", "M2", "app", subsystem_name="Application"))
    client = CALLER.member.subsystem("app")
    rename = await conf.renaming.prepare(PROVIDER, "Registry")
    await conf.clients.remove(client)
    assert await conf.renaming.name_to_register(client) is None
    async with conf.store.transaction() as kept:
        await kept.remove_client(PROVIDER)
    # It was sent when the client went.
    await conf.renaming.note_submitted(rename)
    assert await conf.renaming.follow(conf_with(names={PROVIDER: "X"})) == ()
