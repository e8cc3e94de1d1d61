"""Every edge of the state table, and every edge that is none, over the real use cases."""

import pytest

from components.centralserver.request_builders import (
    CENTER,
    MEMBER,
    NEW_CLIENT,
    NEW_SERVER,
    OTHER,
    SERVER,
    SERVERS_OWN,
    requested,
)
from sild.components.centralserver.registry_errors import ClientRegistered
from sild.components.centralserver.request_errors import (
    InvalidState,
    InvalidStateForApproval,
    RegistrationNotFound,
    RequestExists,
)
from sild.model.refusals import Refusal
from sild.model.registration import PENDING, REQUEST_MOVES, RequestEvent, RequestStatus
from sild.protocol.management.requests import (
    AuthCertDeletion,
    AuthCertRegistration,
    ClientDeletion,
    ClientRegistration,
    OwnerChange,
)

pytestmark = pytest.mark.anyio

S, E = RequestStatus, RequestEvent
CLIENT = ClientRegistration(SERVER, NEW_CLIENT, "New")


class ClientLife:
    """A client's registration."""

    def __init__(self, made):
        self.requests = made.requests
        self.wanted = CLIENT
        self.deletion = ClientDeletion(SERVER, NEW_CLIENT)


class CertificateLife:
    """A certificate's registration."""

    def __init__(self, made):
        self.requests = made.requests
        self.wanted = AuthCertRegistration(NEW_SERVER, made.certificate, "ss9.example.org")
        self.deletion = AuthCertDeletion(NEW_SERVER, made.certificate)


LIVES = {"client": ClientLife, "certificate": CertificateLife}


async def reach(life, status):
    """The number of a request in this state; a waiting one is the server's own."""
    if status is S.REVOKED:
        saved = await life.requests.submit(life.wanted, CENTER)
        return (await life.requests.decline(saved.id)).id
    saved = await life.requests.submit(life.wanted, SERVERS_OWN)
    if status is S.SUBMITTED_FOR_APPROVAL:
        await life.requests.submit(life.wanted, CENTER)
    if status is S.APPROVED:
        await life.requests.approve(saved.id)
    if status is S.DECLINED:
        await life.requests.decline(saved.id)
    saved = await life.requests.get(saved.id)
    assert saved.status is status
    return saved.id


async def cause(life, event, request_id):
    """Let the event happen to the request; another submission is not of its own life."""
    match event:
        case E.COMPLEMENT:
            await life.requests.submit(life.wanted, CENTER)
        case E.APPROVE:
            await life.requests.approve(request_id)
        case E.DECLINE | E.WITHDRAW:
            await life.requests.decline(request_id)
        case E.REVOKE:
            await life.requests.submit(life.deletion, SERVERS_OWN)


ALLOWED = [
    (before, event, after)
    for (before, event), after in REQUEST_MOVES.items()
    if before is not None and event is not E.WITHDRAW
]


@pytest.mark.parametrize("kind", LIVES)
@pytest.mark.parametrize(("before", "event", "after"), ALLOWED)
async def test_an_allowed_move_is_made(database, kind, before, event, after):
    life = LIVES[kind](await requested(database))
    request_id = await reach(life, before)
    await cause(life, event, request_id)
    assert (await life.requests.get(request_id)).status is after


FORBIDDEN = [
    (status, event)
    for status in S
    for event in (E.APPROVE, E.DECLINE)
    if (status, event) not in REQUEST_MOVES
]
REFUSED = {E.APPROVE: InvalidStateForApproval, E.DECLINE: InvalidState}


@pytest.mark.parametrize("kind", LIVES)
@pytest.mark.parametrize(("status", "event"), FORBIDDEN)
async def test_a_forbidden_decision_is_refused_and_changes_nothing(database, kind, status, event):
    life = LIVES[kind](await requested(database))
    request_id = await reach(life, status)
    with pytest.raises(REFUSED[event]):
        await cause(life, event, request_id)
    assert (await life.requests.get(request_id)).status is status


@pytest.mark.parametrize("kind", LIVES)
@pytest.mark.parametrize("status", [s for s in S if (s, E.REVOKE) not in REQUEST_MOVES])
async def test_a_deletion_revokes_nothing_but_what_waits(database, kind, status):
    life = LIVES[kind](await requested(database))
    request_id = await reach(life, status)
    try:
        await cause(life, E.REVOKE, request_id)
    except Refusal:
        assert status is not S.APPROVED
    assert (await life.requests.get(request_id)).status is status


@pytest.mark.parametrize("kind", LIVES)
@pytest.mark.parametrize("status", [s for s in S if (s, E.COMPLEMENT) not in REQUEST_MOVES])
async def test_what_is_not_waiting_is_not_complemented(database, kind, status):
    life = LIVES[kind](await requested(database))
    request_id = await reach(life, status)
    expected = Refusal if status in {S.APPROVED, S.SUBMITTED_FOR_APPROVAL} else None
    if expected is None:
        # What was declined or revoked may be asked for again, in a life of its own.
        assert (await life.requests.submit(life.wanted, CENTER)).status is S.WAITING
    else:
        with pytest.raises(expected):
            await cause(life, E.COMPLEMENT, request_id)
    assert (await life.requests.get(request_id)).status is status


@pytest.mark.parametrize("kind", LIVES)
@pytest.mark.parametrize("origin", [CENTER, SERVERS_OWN])
async def test_the_same_may_not_be_asked_for_twice_while_it_waits(database, kind, origin):
    life = LIVES[kind](await requested(database))
    first = await life.requests.submit(life.wanted, origin)
    with pytest.raises(RequestExists) as refused:
        await life.requests.submit(life.wanted, origin)
    assert refused.value.code == "management_request_exists"
    assert refused.value.metadata == (str(first.id),)


@pytest.mark.parametrize("kind", LIVES)
async def test_the_central_server_withdraws_what_only_it_asked_for(database, kind):
    life = LIVES[kind](await requested(database))
    saved = await life.requests.submit(life.wanted, CENTER)
    assert (await life.requests.decline(saved.id)).status is S.REVOKED


@pytest.mark.parametrize("kind", LIVES)
async def test_what_both_asked_for_is_declined_for_both(database, kind):
    life = LIVES[kind](await requested(database))
    first = await life.requests.submit(life.wanted, SERVERS_OWN)
    second = await life.requests.submit(life.wanted, CENTER)
    assert second.status is S.SUBMITTED_FOR_APPROVAL
    assert (await life.requests.decline(second.id)).status is S.DECLINED
    assert (await life.requests.get(first.id)).status is S.DECLINED


@pytest.mark.parametrize("kind", LIVES)
async def test_the_server_completes_what_the_central_server_began(database, kind):
    life = LIVES[kind](await requested(database))
    first = await life.requests.submit(life.wanted, CENTER)
    second = await life.requests.submit(life.wanted, SERVERS_OWN)
    assert second.status is S.APPROVED
    assert (await life.requests.get(first.id)).status is S.APPROVED


async def test_a_deletion_after_a_decline_is_taken(database):
    life = ClientLife(await requested(database))
    await reach(life, S.DECLINED)
    saved = await life.requests.submit(life.deletion, SERVERS_OWN)
    assert saved.status is None


async def test_a_deletion_of_what_never_was_is_refused(database):
    made = await requested(database)
    with pytest.raises(RegistrationNotFound):
        await made.submit(ClientDeletion(SERVER, NEW_CLIENT))


async def test_another_owner_is_waited_for_once_whoever_it_is(database):
    made = await requested(database)
    await made.change(lambda rows: rows.add_client(SERVER, OTHER))
    saved = await made.submit(OwnerChange(SERVER, OTHER))
    assert saved.status is S.WAITING
    for origin in (CENTER, SERVERS_OWN):
        with pytest.raises(RequestExists):
            await made.submit(OwnerChange(SERVER, OTHER), origin)
    assert (await made.requests.decline(saved.id)).status is S.DECLINED
    assert (await made.read(lambda rows: rows.get_server(SERVER))).id.owner == MEMBER


async def test_what_is_decided_at_once_is_neither_approved_nor_declined(database):
    made = await requested(database)
    saved = await made.submit(ClientDeletion(SERVER, OTHER.subsystem("portal")))
    with pytest.raises(InvalidStateForApproval):
        await made.requests.approve(saved.id)
    with pytest.raises(InvalidState):
        await made.requests.decline(saved.id)


async def test_a_client_that_was_approved_is_not_registered_again(database):
    life = ClientLife(await requested(database))
    await reach(life, S.APPROVED)
    with pytest.raises(ClientRegistered):
        await life.requests.submit(life.wanted, SERVERS_OWN)


def test_only_what_is_pending_can_be_decided():
    decisions = {E.APPROVE, E.DECLINE, E.WITHDRAW, E.COMPLEMENT, E.REVOKE}
    decided = {status for status, event in REQUEST_MOVES if event in decisions}
    assert decided == PENDING
