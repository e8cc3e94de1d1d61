import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from components.serverconf.builders import CALLER, OWNER, PROVIDER, SERVER, empty_conf, server_conf
from pki_builder import TestCa
from sild.components.serverconf.clients import StatusChange
from sild.components.serverconf.errors import (
    CertificateExists,
    CertificateNotFound,
    ClientExists,
    ClientNotFound,
    GroupExists,
    GroupNotFound,
    OwnerIsFixed,
    ServerAlreadySet,
    ServerNotSet,
)
from sild.model.services import (
    ClientEvent,
    ClientStatus,
    ConnectionType,
    Endpoint,
    InvalidConfiguration,
    InvalidMove,
    LocalGroup,
)
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.ids import ClientId, LocalGroupId, SecurityServerId

pytestmark = pytest.mark.anyio

REGISTERED, SAVED = ClientStatus.REGISTERED, ClientStatus.SAVED
GLOBAL_ERROR = ClientStatus.GLOBAL_ERROR


async def status(conf, client):
    (found,) = [each for each in (await conf.snapshot()).clients if each.id == client]
    return found.status


async def test_the_owner_of_the_server_is_its_first_client(tmp_path):
    async with empty_conf(tmp_path) as conf:
        await conf.clients.set_server(SERVER)
        await conf.clients.set_server(SERVER)
        snapshot = await conf.snapshot()
        assert snapshot.server == SERVER
        assert [client.id for client in snapshot.clients] == [OWNER]


async def test_a_server_does_not_become_another(tmp_path):
    async with empty_conf(tmp_path) as conf:
        await conf.clients.set_server(SERVER)
        with pytest.raises(ServerAlreadySet):
            await conf.clients.set_server(SecurityServerId(OWNER, "SS2"))


async def test_a_client_needs_a_server(tmp_path):
    async with empty_conf(tmp_path) as conf:
        with pytest.raises(ServerNotSet):
            await conf.add_client()


async def test_a_client_that_is_known_to_the_central_server_is_registered_at_once(tmp_path):
    async with server_conf(tmp_path) as conf:
        assert (await conf.add_client(CALLER)).status is REGISTERED
        other = CALLER.member.subsystem("other")
        assert (await conf.add_client(other, registered=False)).status is SAVED


async def test_a_client_is_added_once(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(ClientExists):
            await conf.add_client()


@pytest.mark.parametrize(
    "client",
    [
        ClientId("FI", "COM", "M2", "portal"),
        ClientId("DEV", "COM", "M:2", "portal"),
        ClientId("DEV", "COM", "M2", "a/b"),
        ClientId("DEV", "C%M", "M2"),
    ],
)
async def test_a_client_that_could_not_be_written_is_refused(tmp_path, client):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration):
            await conf.add_client(client)


async def test_the_connection_type_changes(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.clients.set_connection_type(PROVIDER, ConnectionType.NOSSL)
        assert (await conf.snapshot()).clients[1].connection_type is ConnectionType.NOSSL
        with pytest.raises(ClientNotFound):
            await conf.clients.set_connection_type(CALLER, ConnectionType.NOSSL)


async def test_certificates_of_information_systems_come_and_go(tmp_path):
    certificate = TestCa.create().certificate
    async with server_conf(tmp_path) as conf:
        pem = certificate.x509.public_bytes(Encoding.PEM)
        name = await conf.clients.add_certificate(PROVIDER, pem)
        assert name == certificate.sha256.hex()
        assert (await conf.snapshot()).clients[1].certificates == (certificate.der,)
        with pytest.raises(CertificateExists):
            await conf.clients.add_certificate(PROVIDER, certificate.der)
        await conf.clients.remove_certificate(PROVIDER, name)
        with pytest.raises(CertificateNotFound):
            await conf.clients.remove_certificate(PROVIDER, name)
        with pytest.raises(IncorrectCertificate):
            await conf.clients.add_certificate(PROVIDER, b"nonsense")


async def test_a_client_goes_through_its_states(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.add_client(CALLER, registered=False)
        move = conf.clients.move
        assert await move(CALLER, ClientEvent.REGISTER) is ClientStatus.REGISTRATION_IN_PROGRESS
        with pytest.raises(InvalidMove):
            await move(CALLER, ClientEvent.DISABLE)
        changes = await conf.clients.follow({PROVIDER, CALLER, OWNER})
        assert StatusChange(CALLER, ClientStatus.REGISTRATION_IN_PROGRESS, REGISTERED) in changes
        assert await conf.clients.follow({PROVIDER, CALLER, OWNER}) == ()
        with pytest.raises(InvalidMove, match="registered"):
            await conf.clients.remove(CALLER)
        await move(CALLER, ClientEvent.UNREGISTER)
        await conf.clients.remove(CALLER)
        with pytest.raises(ClientNotFound):
            await conf.clients.remove(CALLER)


async def test_every_client_follows_the_global_configuration_the_owner_too(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.clients.follow({OWNER})
        assert await status(conf, OWNER) is REGISTERED
        assert await status(conf, PROVIDER) is GLOBAL_ERROR
        await conf.clients.follow({PROVIDER})
        assert await status(conf, OWNER) is GLOBAL_ERROR
        assert await status(conf, PROVIDER) is REGISTERED


async def test_the_owner_is_not_taken_away(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(OwnerIsFixed):
            await conf.clients.remove(OWNER)
        for event in ClientEvent:
            with pytest.raises(OwnerIsFixed):
                await conf.clients.move(OWNER, event)


async def test_what_belongs_to_a_client_goes_with_it(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.add_client(CALLER, registered=False)
        await conf.add_service("own", CALLER)
        await conf.clients.add_group(LocalGroup(CALLER, "g", frozenset({PROVIDER})))
        await conf.rights.grant(Endpoint(PROVIDER, "people"), [CALLER])
        await conf.rights.grant(Endpoint(CALLER, "own"), [PROVIDER, LocalGroupId("g")])
        assert len((await conf.snapshot()).rights) == 3
        await conf.clients.remove(CALLER)
        snapshot = await conf.snapshot()
    assert [service.id.provider for service in snapshot.services] == [PROVIDER]
    assert [endpoint.provider for endpoint in snapshot.endpoints] == [PROVIDER]
    assert (snapshot.groups, snapshot.rights) == ((), ())


async def test_local_groups_come_change_and_go(tmp_path):
    group = LocalGroup(PROVIDER, "friends", frozenset({CALLER}), "Friends")
    async with server_conf(tmp_path) as conf:
        await conf.clients.add_group(group)
        with pytest.raises(GroupExists):
            await conf.clients.add_group(group)
        await conf.rights.grant(Endpoint(PROVIDER, "people"), [LocalGroupId("friends")])
        await conf.clients.describe_group(PROVIDER, "friends", "Old friends")
        await conf.clients.set_group_members(PROVIDER, "friends", [CALLER, PROVIDER])
        snapshot = await conf.snapshot()
        assert snapshot.groups == (
            LocalGroup(PROVIDER, "friends", frozenset({CALLER, PROVIDER}), "Old friends"),
        )
        assert len(snapshot.rights) == 1
        await conf.clients.remove_group(PROVIDER, "friends")
        snapshot = await conf.snapshot()
        assert (snapshot.groups, snapshot.rights) == ((), ())
        with pytest.raises(GroupNotFound):
            await conf.clients.remove_group(PROVIDER, "friends")


@pytest.mark.parametrize(
    "group",
    [
        LocalGroup(PROVIDER, ""),
        LocalGroup(PROVIDER, "a/b"),
        LocalGroup(PROVIDER, "g", frozenset({OWNER})),
        LocalGroup(PROVIDER, "g", description="x" * 256),
    ],
)
async def test_a_group_that_could_not_be_is_refused(tmp_path, group):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration):
            await conf.clients.add_group(group)


async def test_removing_a_group_leaves_the_rights_of_another_clients_group(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.add_client(CALLER)
        await conf.add_service("own", CALLER)
        for owner, code in ((PROVIDER, "people"), (CALLER, "own")):
            await conf.clients.add_group(LocalGroup(owner, "g"))
            await conf.rights.grant(Endpoint(owner, code), [LocalGroupId("g")])
        await conf.clients.remove_group(PROVIDER, "g")
        (right,) = (await conf.snapshot()).rights
        assert right.endpoint.provider == CALLER
