import pytest

from components.serverconf.builders import CALLER, OWNER, PROVIDER, empty_conf, server_conf
from components.serverconf.client_worlds import MANAGEMENT, certificate, conf_with, key, token
from components.serverconf.worlds import STRANGER
from sild.components.serverconf.client_search import ClientFilter
from sild.components.serverconf.clients import NewClient
from sild.model.services import ClientStatus, ConnectionType
from sild.model.tokens import CertificateStatus, KeyUsage, OcspStatus
from sild.protocol.errors import GlobalConfOutdated

pytestmark = pytest.mark.anyio

SECOND = CALLER.member
APP = SECOND.subsystem("app")
EVERYWHERE = {"local_only": False}


@pytest.fixture
async def conf(tmp_path):
    async with server_conf(tmp_path) as made:
        yield made


async def found(conf, **wanted):
    return [shown.id for shown in await conf.clients.find(ClientFilter(**wanted))]


async def test_own_clients_come_by_the_names_of_their_members(conf):
    unregistered = NewClient("COM", "A1", "zoo")
    await conf.clients.add(unregistered, ignore_warnings=True)
    await conf.clients.add(NewClient("COM", "M2", "app"))
    assert await found(conf) == [OWNER, PROVIDER, APP, unregistered.id_in("DEV")]
    assert await found(conf, show_members=False) == [PROVIDER, APP, unregistered.id_in("DEV")]


async def test_every_part_of_a_client_is_searched(conf):
    await conf.add_client(APP)
    assert await found(conf, name="FIRST") == [OWNER, PROVIDER]
    assert await found(conf, name="gister") == [PROVIDER]
    assert await found(conf, name="nobody") == []
    assert await found(conf, instance="dev", member_class="om") == [APP]
    assert await found(conf, instance="de") == []
    assert await found(conf, member_code="m2") == [APP]
    assert await found(conf, subsystem_code="REG") == [PROVIDER]


async def test_clients_of_all_instances_are_found_the_own_ones_as_they_are_here(conf):
    strangers = [STRANGER, STRANGER.subsystem("portal")]
    everybody = [OWNER, PROVIDER, SECOND, APP, CALLER, *strangers]
    assert await found(conf, **EVERYWHERE) == everybody
    assert await found(conf, **EVERYWHERE, exclude_local=True) == everybody[2:]
    assert await found(conf, exclude_local=True) == [OWNER, PROVIDER]
    assert await found(conf, **EVERYWHERE, instance="EE") == strangers
    assert await found(conf, **EVERYWHERE, show_members=False, name="second") == [APP, CALLER]
    statuses = {
        each.id: (each.status, each.connection_type)
        for each in await conf.clients.find(ClientFilter(**EVERYWHERE))
    }
    assert statuses[PROVIDER] == (ClientStatus.REGISTERED, ConnectionType.SSLAUTH)
    assert statuses[CALLER] == (None, None)


async def test_who_can_sign_has_a_registered_certificate_that_is_good(conf):
    good, bad, saved, auth = (
        certificate(OWNER, b"good"),
        certificate(SECOND, b"bad"),
        certificate(SECOND, b"saved", CertificateStatus.SAVED),
        certificate(SECOND, b"auth"),
    )
    conf.tokens.held = (
        token(key("a", good), key("b", bad, saved), key("c", auth, usage=KeyUsage.AUTHENTICATION)),
    )
    conf.tokens.statuses = dict.fromkeys((b"good", b"saved", b"auth"), OcspStatus.GOOD)
    conf.tokens.statuses[b"bad"] = OcspStatus.REVOKED
    await conf.add_client(CALLER)
    assert await found(conf, has_valid_sign_certificate=True) == [OWNER, PROVIDER]
    assert await found(conf, has_valid_sign_certificate=False) == [CALLER]
    assert (await conf.clients.get(PROVIDER)).has_valid_sign_certificate
    assert not (await conf.clients.get(CALLER)).has_valid_sign_certificate


async def test_a_client_is_shown_with_all_that_is_known(conf):
    conf.world.conf = conf_with(MANAGEMENT)
    await conf.add_client(MANAGEMENT)
    owner, management = await conf.clients.get(OWNER), await conf.clients.get(MANAGEMENT)
    assert (owner.is_owner, owner.provides_management, owner.member_name) == (True, False, "First")
    assert (management.is_owner, management.provides_management) == (False, True)
    assert (await conf.clients.get(PROVIDER)).subsystem_name == "Register"


async def test_without_a_global_configuration_only_own_clients_are_found(conf):
    conf.world.conf = None
    assert await found(conf) == [OWNER, PROVIDER]
    assert await found(conf, name="First") == []
    with pytest.raises(GlobalConfOutdated):
        await found(conf, **EVERYWHERE)


async def test_a_server_without_identity_has_no_clients(tmp_path):
    async with empty_conf(tmp_path) as conf:
        assert await found(conf) == []
