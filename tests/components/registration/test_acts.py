"""Each act over sockets: what is sent, what the Central Server verifies, what is noted here."""

import pytest

from components.registration.builders import Sending, sending
from management_builder import CLIENT, OTHER, SERVER
from pki_builder import MEMBER, TestCa
from sild.components.registration.errors import (
    AuthCertificateUnknown,
    CertificateNotMovable,
    ClientNotMovable,
    LocalClientNotFound,
    NoSigningCertificate,
    OwnerStays,
    SendingFailed,
)
from sild.model.services import (
    CLIENT_MOVES,
    ClientEvent,
    ClientStatus,
    InvalidMove,
    next_status,
)
from sild.model.tokens import (
    CERTIFICATE_MOVES,
    CertificateEvent,
    CertificateStatus,
    next_certificate_status,
)
from sild.protocol.management.requests import (
    AddressChange,
    AuthCertDeletion,
    AuthCertRegistration,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    MaintenanceDisable,
    MaintenanceEnable,
    OwnerChange,
)
from sild.protocol.soap.fault import write_fault
from sild.runtime.http_server import Response

pytestmark = pytest.mark.anyio

XML = [(b"Content-Type", b"text/xml")]


@pytest.mark.parametrize(("kind", "pss"), [("ec", False), ("rsa", False), ("rsa", True)])
async def test_a_certificate_is_registered_with_both_signatures(kind, pss):
    async with sending(kind, pss=pss) as made:
        assert await made.acts.register_certificate(made.keys.sha256, "ss1.example.org") == 1
        certificate = made.keys.auth.certificate.der
        assert made.center.taken == [AuthCertRegistration(SERVER, certificate, "ss1.example.org")]
        assert made.center.paths == [b"/managementservice/"]
        assert made.keys.status is CertificateStatus.REGISTRATION_IN_PROGRESS


@pytest.mark.feature("CR-02")
async def test_every_other_request_goes_through_the_own_proxy():
    async with sending() as made:
        acts = made.acts
        made.clients.clients[CLIENT] = ClientStatus.SAVED
        numbers = [
            await acts.register_client(CLIENT, "Portal"),
            await acts.unregister_client(CLIENT),
            await acts.disable_client(OTHER),
            await acts.change_address("new.example.org"),
            await acts.enable_maintenance("later"),
            await acts.disable_maintenance(),
        ]
        made.clients.clients |= {OTHER: ClientStatus.DISABLED, CLIENT: ClientStatus.REGISTERED}
        made.keys.status = CertificateStatus.REGISTERED
        numbers += [
            await acts.enable_client(OTHER),
            await acts.rename_client(CLIENT, "Other"),
            await acts.unregister_certificate(made.keys.sha256),
        ]
        made.clients.clients[OTHER] = ClientStatus.REGISTERED
        numbers.append(await acts.change_owner(OTHER))
        assert numbers == list(range(1, 11))
        assert made.center.taken == [
            ClientRegistration(SERVER, CLIENT, "Portal"),
            ClientDeletion(SERVER, CLIENT),
            ClientDisable(SERVER, OTHER),
            AddressChange(SERVER, "new.example.org"),
            MaintenanceEnable(SERVER, "later"),
            MaintenanceDisable(SERVER),
            ClientEnable(SERVER, OTHER),
            ClientRename(SERVER, CLIENT, "Other"),
            AuthCertDeletion(SERVER, made.keys.auth.certificate.der),
            OwnerChange(SERVER, OTHER),
        ]
        assert set(made.center.paths) == {b"/"}


CLIENT_ACTS = {
    ClientEvent.REGISTER: "register_client",
    ClientEvent.UNREGISTER: "unregister_client",
    ClientEvent.DISABLE: "disable_client",
    ClientEvent.ENABLE: "enable_client",
}


@pytest.mark.parametrize("event", ClientEvent)
@pytest.mark.parametrize("status", ClientStatus)
async def test_a_client_is_asked_about_exactly_where_the_table_allows_it(status, event):
    async with sending() as made:
        made.clients.clients[CLIENT] = status
        act = getattr(made.acts, CLIENT_ACTS[event])
        after = CLIENT_MOVES.get((status, event))
        if after is None:
            with pytest.raises(ClientNotMovable):
                await act(CLIENT)
            assert made.center.taken == []
        else:
            await act(CLIENT)
            assert len(made.center.taken) == 1
        assert made.clients.clients[CLIENT] is (after or status)


@pytest.mark.parametrize("event", CertificateEvent)
@pytest.mark.parametrize("status", CertificateStatus)
async def test_a_certificate_is_asked_about_exactly_where_the_table_allows_it(status, event):
    async with sending() as made:
        made.keys.status = status
        after = CERTIFICATE_MOVES.get((status, event))

        async def act():
            if event is CertificateEvent.REGISTER:
                return await made.acts.register_certificate(made.keys.sha256, "ss1.org")
            return await made.acts.unregister_certificate(made.keys.sha256)

        if after is None:
            with pytest.raises(CertificateNotMovable):
                await act()
            assert made.center.taken == []
        else:
            await act()
        assert made.keys.status is (after or status)


def sees_while_sending(made, look):
    """Let control follow what the Central Server has carried out before its answer is there."""
    send = made.sender.send

    async def send_slowly(request):
        number = await send(request)
        look()
        return number

    made.sender.send = send_slowly


@pytest.mark.parametrize(
    ("event", "before", "listed", "after"),
    [
        (ClientEvent.REGISTER, ClientStatus.SAVED, True, ClientStatus.REGISTERED),
        (ClientEvent.DISABLE, ClientStatus.REGISTERED, False, ClientStatus.DISABLED),
        (ClientEvent.UNREGISTER, ClientStatus.REGISTERED, False, ClientStatus.DELETION_IN_PROGRESS),
    ],
)
async def test_an_answer_may_come_after_the_configuration_that_says_the_same(
    event, before, listed, after
):
    async with sending() as made:
        clients = made.clients.clients
        clients[CLIENT] = before

        def look():
            clients[CLIENT] = next_status(clients[CLIENT], in_global_conf=listed)
            assert clients[CLIENT] is not before

        sees_while_sending(made, look)
        await getattr(made.acts, CLIENT_ACTS[event])(CLIENT)
        assert clients[CLIENT] is after


async def test_what_became_of_a_client_otherwise_stands():
    async with sending() as made:
        clients = made.clients.clients
        clients[CLIENT] = ClientStatus.REGISTERED

        def look():
            clients[CLIENT] = ClientStatus.DELETION_IN_PROGRESS

        sees_while_sending(made, look)
        with pytest.raises(InvalidMove, match="deletion in progress meanwhile"):
            await made.acts.disable_client(CLIENT)
        assert clients[CLIENT] is ClientStatus.DELETION_IN_PROGRESS


@pytest.mark.parametrize(
    ("event", "before", "listed", "after"),
    [
        (
            CertificateEvent.REGISTER,
            CertificateStatus.SAVED,
            True,
            CertificateStatus.REGISTERED,
        ),
        (
            CertificateEvent.UNREGISTER,
            CertificateStatus.REGISTERED,
            False,
            CertificateStatus.DELETION_IN_PROGRESS,
        ),
    ],
)
async def test_so_may_one_about_a_certificate(event, before, listed, after):
    async with sending() as made:
        made.keys.status = before

        def look():
            made.keys.status = next_certificate_status(made.keys.status, in_global_conf=listed)
            assert made.keys.status is not before

        sees_while_sending(made, look)
        if event is CertificateEvent.REGISTER:
            await made.acts.register_certificate(made.keys.sha256, "ss1.org")
        else:
            await made.acts.unregister_certificate(made.keys.sha256)
        assert made.keys.status is after


@pytest.mark.parametrize("status", ClientStatus)
async def test_only_what_is_registered_is_renamed_or_made_owner(status):
    async with sending() as made:
        made.clients.clients[OTHER] = made.clients.clients[CLIENT] = status
        for act in (
            lambda: made.acts.rename_client(CLIENT, "x"),
            lambda: made.acts.change_owner(OTHER),
        ):
            if status is ClientStatus.REGISTERED:
                await act()
            else:
                with pytest.raises(ClientNotMovable):
                    await act()


async def test_the_owner_is_never_asked_about_and_strangers_neither():
    async with sending() as made:
        for name in CLIENT_ACTS.values():
            with pytest.raises(OwnerStays):
                await getattr(made.acts, name)(MEMBER)
            with pytest.raises(LocalClientNotFound):
                await getattr(made.acts, name)(OTHER.subsystem("unknown"))
        with pytest.raises(OwnerStays):
            await made.acts.change_owner(MEMBER)
        with pytest.raises(AuthCertificateUnknown):
            await made.acts.register_certificate("00" * 32, "ss1.org")
        assert made.center.paths == []


async def nothing_is_noted(made: Sending, error=SendingFailed):
    """Neither of both ways goes, and everything is as it was."""
    with pytest.raises(error) as certificate:
        await made.acts.register_certificate(made.keys.sha256, "ss1.example.org")
    with pytest.raises(error):
        await made.acts.register_client(CLIENT)
    assert made.keys.status is CertificateStatus.SAVED
    assert made.clients.clients[CLIENT] is ClientStatus.SAVED
    return certificate.value


async def test_a_refusal_of_the_central_server_is_told_and_nothing_noted():
    async with sending() as made:
        told = "management_request_exists with statusCode 409"
        made.center.answer = Response(500, b"", XML, write_fault("internal_error", told, "t"))
        error = await nothing_is_noted(made)
        assert error.code == "management_request_sending_failed"
        assert error.metadata == (f"internal_error: {told}",)


@pytest.mark.parametrize(
    "answer",
    [
        Response(404, b"Not Found", [(b"Content-Type", b"text/html")], b"<html/>"),
        Response(200, b"OK", [], b""),
        Response(200, b"OK", XML, b"nonsense"),
        Response(200, b"OK", XML, b" " * 1_000_001),
        Response(429, b"", [(b"Content-Type", b"application/json")], b'{"status":429}'),
    ],
)
async def test_what_is_no_answer_is_a_failure_and_nothing_noted(answer):
    async with sending() as made:
        made.center.answer = answer
        await nothing_is_noted(made)


async def test_a_certificate_stays_registered_while_nobody_takes_its_deletion():
    async with sending() as made:
        made.keys.status = CertificateStatus.REGISTERED
        made.center.answer = Response(200, b"OK", [], b"")
        with pytest.raises(SendingFailed):
            await made.acts.unregister_certificate(made.keys.sha256)
        assert made.keys.status is CertificateStatus.REGISTERED


async def test_who_does_not_answer_in_time_has_not():
    async with sending(seconds=0.2) as made:
        made.center.is_silent = True
        error = await nothing_is_noted(made)
        assert "no answer came" in error.message


async def test_the_central_server_is_known_by_its_certificate_alone():
    async with sending() as made:
        made.trust_instead(TestCa.create().issue_auth("CENTER", number=12).certificate)
        with pytest.raises(SendingFailed, match="not the one"):
            await made.acts.register_certificate(made.keys.sha256, "ss1.example.org")
        # Nothing was sent to whoever answered instead.
        assert made.center.paths == []


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:1/x", "https://", "ftp://cs/", "nonsense", "https://[::1/", "https://õ/"],
)
async def test_an_address_that_proves_nothing_is_not_used(address):
    async with sending() as made:
        service = made.standing.service
        made.standing.service = type(service)(address, service.certificate, service.provider)
        with pytest.raises(SendingFailed, match="begins with https"):
            await made.acts.register_certificate(made.keys.sha256, "ss1.example.org")


async def test_without_its_certificate_the_central_server_is_not_asked():
    async with sending() as made:
        made.trust_instead(None)
        with pytest.raises(SendingFailed, match="not in the configuration"):
            await made.acts.register_certificate(made.keys.sha256, "ss1.example.org")


async def test_nobody_signs_without_a_usable_certificate():
    async with sending() as made:
        made.standing.can_sign = False
        await nothing_is_noted(made, NoSigningCertificate)


async def test_nobody_signs_without_an_ocsp_response_to_send_along():
    async with sending() as made:
        made.standing.has_ocsp = False
        await nothing_is_noted(made, NoSigningCertificate)


async def test_a_registration_can_be_tried():
    async with sending() as made:
        assert await made.acts.try_registration(made.keys.sha256, "ss1.example.org") == 1
        assert made.center.taken[0].dry_run
        assert made.keys.status is CertificateStatus.SAVED
        # Without a certificate, the refusal shows that the Central Server was reached.
        with pytest.raises(SendingFailed) as refused:
            await made.acts.try_registration(None, "ss1.example.org")
        assert "invalid_request" in refused.value.metadata[0]


async def test_a_certificate_is_given_up_where_nobody_can_be_asked():
    async with sending() as made:
        made.keys.status = CertificateStatus.REGISTERED
        await made.acts.mark_certificate_deleted(made.keys.sha256)
        assert made.keys.status is CertificateStatus.DELETION_IN_PROGRESS
        with pytest.raises(CertificateNotMovable):
            await made.acts.mark_certificate_deleted(made.keys.sha256)
        assert made.center.paths == []
