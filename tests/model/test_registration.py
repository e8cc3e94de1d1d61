import pytest

from sild.model.registration import (
    PENDING,
    REQUEST_MOVES,
    TYPES_TO_APPROVE,
    AutomaticApproval,
    Origin,
    RequestEvent,
    RequestStatus,
    decline_event,
    find_status_after,
    is_approved_at_once,
)
from sild.protocol.management.requests import RequestType

S, E = RequestStatus, RequestEvent


def test_every_state_is_reached_and_what_is_decided_stays_so():
    assert set(REQUEST_MOVES.values()) == set(S)
    decided = set(S) - PENDING
    assert not [move for move in REQUEST_MOVES if move[0] in decided]


@pytest.mark.parametrize("status", [None, *S])
@pytest.mark.parametrize("event", E)
def test_what_is_not_in_the_table_does_not_happen(status, event):
    expected = REQUEST_MOVES.get((status, event))
    assert find_status_after(status, event) is expected


def test_three_types_live_and_each_has_its_setting():
    names = ("auth_cert_registrations", "client_registrations", "owner_changes")
    applies = {
        name: {kind for kind in RequestType if AutomaticApproval(**{name: True}).applies_to(kind)}
        for name in names
    }
    assert all(len(kinds) == 1 for kinds in applies.values())
    assert set().union(*applies.values()) == TYPES_TO_APPROVE


@pytest.mark.parametrize(
    ("kind", "origin", "status", "automatic", "expected"),
    [
        (RequestType.CLIENT_REGISTRATION, Origin.SECURITY_SERVER, S.WAITING, False, False),
        (RequestType.CLIENT_REGISTRATION, Origin.SECURITY_SERVER, S.WAITING, True, True),
        (RequestType.CLIENT_REGISTRATION, Origin.CENTER, S.WAITING, True, False),
        (RequestType.CLIENT_REGISTRATION, Origin.CENTER, S.SUBMITTED_FOR_APPROVAL, True, False),
        (
            RequestType.AUTH_CERT_REGISTRATION,
            Origin.SECURITY_SERVER,
            S.SUBMITTED_FOR_APPROVAL,
            False,
            True,
        ),
        (RequestType.OWNER_CHANGE, Origin.SECURITY_SERVER, S.WAITING, False, False),
        (RequestType.OWNER_CHANGE, Origin.SECURITY_SERVER, S.WAITING, True, True),
    ],
)
def test_what_needs_nobody(kind, origin, status, automatic, expected):
    settings = AutomaticApproval(automatic, automatic, automatic)
    assert is_approved_at_once(kind, origin, status, settings) is expected


def test_only_the_central_server_withdraws_and_only_what_is_its_own_alone():
    assert decline_event(Origin.CENTER, alone=True) is E.WITHDRAW
    assert decline_event(Origin.CENTER, alone=False) is E.DECLINE
    assert decline_event(Origin.SECURITY_SERVER, alone=True) is E.DECLINE
