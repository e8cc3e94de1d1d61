import asyncio

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from components.serverconf.builders import CALLER, OWNER, PROVIDER, SERVER, empty_conf, server_conf
from components.serverconf.client_worlds import MANAGEMENT, certificate, conf_with, key, token
from pki_builder import TestCa
from sild.components.serverconf.client_states import StatusChange
from sild.components.serverconf.clients import NewClient
from sild.components.serverconf.errors import (
    AdditionalMemberExists,
    CertificateExists,
    CertificateNotFound,
    ClientExists,
    ClientNotFound,
    ClientNotReady,
    InvalidInstance,
    InvalidMemberClass,
    InvalidTlsCertificate,
    ManagementServiceNotDisablable,
    OwnerAlready,
    OwnerIsFixed,
    OwnerNotDeletable,
    OwnerNotRegistrable,
    OwnerNotUnregistrable,
    ServerAlreadySet,
    ServerNotSet,
    UnregisteredMember,
)
from sild.model.services import (
    DELETABLE_CLIENTS,
    Client,
    ClientEvent,
    ClientStatus,
    ConnectionType,
    Endpoint,
    InvalidConfiguration,
    InvalidMove,
    LocalGroup,
)
from sild.model.tokens import KeyUsage
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.ids import ClientId, LocalGroupId, SecurityServerId

pytestmark = pytest.mark.anyio

S, E = ClientStatus, ClientEvent
SECOND = CALLER.member
NEW = NewClient("COM", "M2", "portal")

# The state table of clients: what an administrator asks, and what becomes of the client then.
MOVES = {
    (S.SAVED, E.REGISTER): S.REGISTRATION_IN_PROGRESS,
    (S.REGISTERED, E.UNREGISTER): S.DELETION_IN_PROGRESS,
    (S.REGISTRATION_IN_PROGRESS, E.UNREGISTER): S.DELETION_IN_PROGRESS,
    (S.DISABLED, E.UNREGISTER): S.DELETION_IN_PROGRESS,
    (S.REGISTERED, E.DISABLE): S.DISABLING_IN_PROGRESS,
    (S.DISABLED, E.ENABLE): S.ENABLING_IN_PROGRESS,
}
APPEARS = {
    S.SAVED: S.REGISTERED,
    S.REGISTRATION_IN_PROGRESS: S.REGISTERED,
    S.GLOBAL_ERROR: S.REGISTERED,
    S.ENABLING_IN_PROGRESS: S.REGISTERED,
}
VANISHES = {S.REGISTERED: S.GLOBAL_ERROR, S.DISABLING_IN_PROGRESS: S.DISABLED}
DELETABLE = {S.SAVED, S.DELETION_IN_PROGRESS, S.GLOBAL_ERROR}


async def put(conf, client, status):
    async with conf.store.transaction() as kept:
        if await kept.find_client(client) is None:
            await kept.add_client(Client(client, status))
        else:
            await kept.replace_client(Client(client, status))


async def status_of(conf, client):
    async with conf.store.reading() as kept:
        return (await kept.get_client(client)).status


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
            await conf.clients.add(NEW)


async def test_a_client_that_the_central_server_links_is_registered_at_once(tmp_path, database_url):
    async with server_conf(tmp_path, database_url) as conf:
        conf.world.conf = conf_with(CALLER)
        added = await conf.clients.add(NEW)
        assert added == Client(CALLER, S.REGISTERED, ConnectionType.SSLAUTH)
        other = NewClient("COM", "M2", "other", ConnectionType.NOSSL)
        added = await conf.clients.add(other)
        expected = Client(SECOND.subsystem("other"), S.SAVED, ConnectionType.NOSSL)
        assert added == expected
        assert (await conf.snapshot()).clients[-1] == expected


async def test_a_client_is_added_once(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.clients.add(NEW)
        with pytest.raises(ClientExists):
            await conf.clients.add(NEW)


async def test_a_member_class_that_the_instance_does_not_have_is_refused(tmp_path):
    async with server_conf(tmp_path) as conf:
        # The class of another instance is none of this one.
        with pytest.raises(InvalidMemberClass):
            await conf.clients.add(NewClient("NGO", "X1", "portal"), ignore_warnings=True)


async def test_one_member_may_stand_beside_the_owner(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.clients.add(NewClient("COM", "M2"))
        with pytest.raises(AdditionalMemberExists):
            await conf.clients.add(NewClient("COM", "M3"), ignore_warnings=True)
        await conf.clients.add(NewClient("COM", "M3", "sub"), ignore_warnings=True)


async def test_an_unregistered_member_is_a_warning(tmp_path):
    new = NewClient("COM", "M3", "sub")
    async with server_conf(tmp_path) as conf:
        with pytest.raises(UnregisteredMember) as caught:
            await conf.clients.add(new)
        assert caught.value.metadata == ("DEV/COM/M3",)
        assert len((await conf.snapshot()).clients) == 2
        assert (await conf.clients.add(new, ignore_warnings=True)).status is S.SAVED


@pytest.mark.parametrize(
    "new",
    [
        NewClient("COM", "M:2", "portal"),
        NewClient("COM", "M2", "a/b"),
        NewClient("COM", "M2", ""),
        NewClient("COM", " M2"),
        NewClient("COM", "M" * 256),
    ],
)
async def test_a_client_that_could_not_be_written_is_refused(tmp_path, new):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration):
            await conf.clients.add(new, ignore_warnings=True)


async def test_without_a_global_configuration_nobody_is_added_but_own_clients_are_shown(tmp_path):
    async with server_conf(tmp_path) as conf:
        conf.world.conf = None
        with pytest.raises(GlobalConfOutdated):
            await conf.clients.add(NEW)
        shown = await conf.clients.get(PROVIDER)
        assert (shown.id, shown.member_name, shown.status) == (PROVIDER, None, S.REGISTERED)


async def test_the_connection_type_changes(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.clients.set_connection_type(PROVIDER, ConnectionType.NOSSL)
        assert (await conf.snapshot()).clients[1].connection_type is ConnectionType.NOSSL
        with pytest.raises(ClientNotFound):
            await conf.clients.set_connection_type(CALLER, ConnectionType.NOSSL)


async def test_certificates_of_information_systems_come_and_go(tmp_path):
    certificate = TestCa.create().certificate
    name = certificate.sha256.hex().upper()
    async with server_conf(tmp_path) as conf:
        pem = certificate.x509.public_bytes(Encoding.PEM)
        assert await conf.clients.add_certificate(PROVIDER, pem) == certificate
        assert (await conf.snapshot()).clients[1].certificates == (certificate.der,)
        assert await conf.clients.certificates(PROVIDER) == (certificate,)
        assert await conf.clients.get_certificate(PROVIDER, name) == certificate
        with pytest.raises(CertificateNotFound):
            await conf.clients.get_certificate(OWNER, name)
        with pytest.raises(CertificateExists):
            await conf.clients.add_certificate(PROVIDER, certificate.der)
        await conf.clients.remove_certificate(PROVIDER, name)
        with pytest.raises(CertificateNotFound):
            await conf.clients.remove_certificate(PROVIDER, name)
        with pytest.raises(InvalidTlsCertificate):
            await conf.clients.add_certificate(PROVIDER, b"nonsense")
        for act in (conf.clients.add_certificate, conf.clients.get_certificate):
            with pytest.raises(ClientNotFound):
                await act(CALLER, certificate.der if act == conf.clients.add_certificate else name)


async def test_the_members_signing_certificates_are_those_of_its_clients(tmp_path):
    mine, another = certificate(OWNER, b"1"), certificate(SECOND, b"2")
    async with server_conf(tmp_path) as conf:
        held = token(
            key("a", mine), key("b", another), key("c", mine, usage=KeyUsage.AUTHENTICATION)
        )
        conf.tokens.held = (held,)
        assert await conf.clients.sign_certificates(PROVIDER) == ((held, held.keys[0], mine),)
        with pytest.raises(ClientNotFound):
            await conf.clients.sign_certificates(CALLER)


async def test_the_servers_of_a_client_are_those_of_the_global_configuration(tmp_path):
    async with server_conf(tmp_path) as conf:
        conf.world.conf = conf_with(CALLER, elsewhere=(CALLER,))
        servers = conf.clients.servers_of(CALLER)
        assert [each.address for each in servers] == ["ss1.test", "ss2.test"]
        assert conf.clients.servers_of(PROVIDER) == ()


@pytest.mark.parametrize("event", ClientEvent)
@pytest.mark.parametrize("status", ClientStatus)
async def test_each_act_is_allowed_in_its_states_and_in_no_other(tmp_path, status, event):
    async with server_conf(tmp_path) as conf:
        await put(conf, CALLER, status)
        conf.world.conf = conf_with()
        after = MOVES.get((status, event))
        if after is None:
            with pytest.raises(ClientNotReady):
                await conf.clients.check_event(CALLER, event)
            with pytest.raises(InvalidMove):
                await conf.states.move(CALLER, event)
            assert await status_of(conf, CALLER) is status
        else:
            await conf.clients.check_event(CALLER, event)
            assert await conf.states.move(CALLER, event) is after
            assert await status_of(conf, CALLER) is after


async def test_a_client_that_followed_before_it_was_noted_why_is_noted_all_the_same(tmp_path):
    async with server_conf(tmp_path) as conf:
        registered = ClientStatus.REGISTERED
        await put(conf, CALLER, registered)
        await conf.states.follow(())
        assert await status_of(conf, CALLER) is ClientStatus.GLOBAL_ERROR
        noted = await conf.states.move(CALLER, ClientEvent.DISABLE, registered)
        assert noted is await status_of(conf, CALLER) is ClientStatus.DISABLED
        with pytest.raises(InvalidMove, match="meanwhile"):
            await conf.states.move(CALLER, ClientEvent.UNREGISTER, registered)


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("status", ClientStatus)
async def test_each_state_follows_the_global_configuration(tmp_path, status, registered):
    async with server_conf(tmp_path) as conf:
        await put(conf, CALLER, status)
        known = {PROVIDER, OWNER, CALLER} if registered else {PROVIDER, OWNER}
        after = (APPEARS if registered else VANISHES).get(status, status)
        changes = await conf.states.follow(known)
        expected = () if after is status else (StatusChange(CALLER, status, after),)
        assert tuple(each for each in changes if each.client == CALLER) == expected
        assert await status_of(conf, CALLER) is after
        # What has followed stays.
        assert await conf.states.follow(known) == ()


@pytest.mark.parametrize("status", ClientStatus)
async def test_a_client_is_deleted_in_its_states_and_in_no_other(tmp_path, status):
    assert frozenset(DELETABLE) == DELETABLE_CLIENTS
    async with server_conf(tmp_path) as conf:
        await put(conf, CALLER, status)
        if status in DELETABLE:
            await conf.clients.remove(CALLER)
            with pytest.raises(ClientNotFound):
                await conf.clients.remove(CALLER)
        else:
            with pytest.raises(ClientNotReady, match=status.value):
                await conf.clients.remove(CALLER)
            assert await status_of(conf, CALLER) is status


async def test_every_client_follows_the_global_configuration_the_owner_too(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.states.follow({OWNER})
        assert await status_of(conf, OWNER) is S.REGISTERED
        assert await status_of(conf, PROVIDER) is S.GLOBAL_ERROR
        await conf.states.follow({PROVIDER})
        assert await status_of(conf, OWNER) is S.GLOBAL_ERROR
        assert await status_of(conf, PROVIDER) is S.REGISTERED


async def test_the_owner_is_neither_taken_away_nor_asked_about(tmp_path):
    async with server_conf(tmp_path) as conf:
        await put(conf, OWNER, S.SAVED)
        with pytest.raises(OwnerNotDeletable):
            await conf.clients.remove(OWNER)
        with pytest.raises(OwnerNotRegistrable):
            await conf.clients.check_event(OWNER, E.REGISTER)
        await put(conf, OWNER, S.REGISTERED)
        with pytest.raises(OwnerNotUnregistrable):
            await conf.clients.check_event(OWNER, E.UNREGISTER)
        with pytest.raises(ClientNotReady):
            await conf.clients.check_event(OWNER, E.DISABLE)
        for event in ClientEvent:
            with pytest.raises(OwnerIsFixed):
                await conf.states.move(OWNER, event)


async def test_who_cannot_be_registered_is_told_why(tmp_path):
    stranger, unclassed = ClientId("EE", "GOV", "X", "s"), ClientId("DEV", "NGO", "X", "s")
    async with server_conf(tmp_path) as conf:
        for client in (stranger, unclassed):
            await put(conf, client, S.SAVED)
        with pytest.raises(InvalidInstance):
            await conf.clients.check_event(stranger, E.REGISTER)
        with pytest.raises(InvalidMemberClass):
            await conf.clients.check_event(unclassed, E.REGISTER)
        with pytest.raises(ClientNotFound):
            await conf.clients.check_event(CALLER, E.REGISTER)
        await put(conf, CALLER, S.SAVED)
        conf.world.conf = None
        with pytest.raises(GlobalConfOutdated):
            await conf.clients.check_event(CALLER, E.REGISTER)


async def test_who_provides_the_management_services_is_not_disabled(tmp_path):
    async with server_conf(tmp_path) as conf:
        conf.world.conf = conf_with(MANAGEMENT)
        await put(conf, MANAGEMENT, S.REGISTERED)
        with pytest.raises(ManagementServiceNotDisablable):
            await conf.clients.check_event(MANAGEMENT, E.DISABLE)
        await conf.clients.check_event(MANAGEMENT, E.UNREGISTER)
        assert (await conf.clients.get(MANAGEMENT)).provides_management


async def test_only_a_registered_member_can_become_the_owner(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(ClientNotReady):
            await conf.clients.check_owner(PROVIDER)
        with pytest.raises(ClientNotFound):
            await conf.clients.check_owner(SECOND)
        with pytest.raises(OwnerAlready):
            await conf.clients.check_owner(OWNER)
        for status in ClientStatus:
            await put(conf, SECOND, status)
            if status is S.REGISTERED:
                assert await conf.clients.check_owner(SECOND) is status
            else:
                with pytest.raises(ClientNotReady, match=status.value):
                    await conf.clients.check_owner(SECOND)


async def client_with_belongings(conf):
    await conf.add_client(CALLER, registered=False)
    await conf.add_service("own", CALLER)
    await conf.groups.add(LocalGroup(CALLER, "g", frozenset({PROVIDER})))
    await conf.groups.add(LocalGroup(PROVIDER, "friends", frozenset({CALLER, PROVIDER})))
    await conf.rights.grant(Endpoint(PROVIDER, "people"), [CALLER])
    await conf.rights.grant(Endpoint(CALLER, "own"), [PROVIDER, LocalGroupId("g")])


async def test_what_belongs_to_a_client_goes_with_it(tmp_path, database_url):
    async with server_conf(tmp_path, database_url) as conf:
        await client_with_belongings(conf)
        assert len((await conf.snapshot()).rights) == 3
        conf.world.conf = conf_with(CALLER)
        await conf.clients.remove(CALLER)
        snapshot = await conf.snapshot()
    assert [service.id.provider for service in snapshot.services] == [PROVIDER]
    assert [endpoint.provider for endpoint in snapshot.endpoints] == [PROVIDER]
    assert snapshot.groups == (LocalGroup(PROVIDER, "friends", frozenset({PROVIDER})),)
    assert snapshot.rights == ()


async def test_the_rights_of_a_client_of_another_server_stay(tmp_path):
    async with server_conf(tmp_path) as conf:
        await client_with_belongings(conf)
        conf.world.conf = conf_with(elsewhere=(CALLER,))
        await conf.clients.remove(CALLER)
        snapshot = await conf.snapshot()
    assert [right.subject for right in snapshot.rights] == [CALLER]
    assert snapshot.groups[0].members == {CALLER, PROVIDER}


async def test_of_two_members_that_are_added_at_once_one_is(tmp_path, database_url):
    async with server_conf(tmp_path, database_url) as conf:
        added = await asyncio.gather(
            *(conf.clients.add(NewClient("COM", f"M{n}"), ignore_warnings=True) for n in range(4)),
            return_exceptions=True,
        )
        refused = [each for each in added if isinstance(each, AdditionalMemberExists)]
        assert len(refused) == 3
        assert len((await conf.snapshot()).clients) == 3
