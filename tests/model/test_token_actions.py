"""What can be done with tokens, keys, requests and certificates, condition by condition."""

from dataclasses import replace
from itertools import product

import pytest

from pki_builder import TestCa
from sild.model.services import InvalidMove
from sild.model.tokens import (
    SOFT_TOKEN_ID,
    TOKEN_MOVES,
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
    PossibleAction,
    RequestEntry,
    Token,
    TokenEvent,
    TokenState,
    TokenStatus,
    possible_actions_of,
    token_after,
)

A = PossibleAction
CA = TestCa.create()
SIGN, AUTH = CA.issue_sign().certificate, CA.issue_auth().certificate


def certificate(of=SIGN, status=CertificateStatus.REGISTERED, *, active=True, saved=True):
    return CertificateEntry(of.sha256.hex(), of.der, status, active, saved=saved)


def key(usage=KeyUsage.SIGNING, certificates=(), requests=()):
    return Key("K", "key", usage, KeyAlgorithm.EC_P256, b"", tuple(certificates), tuple(requests))


SOFT = Token(SOFT_TOKEN_ID, "soft", TokenStatus.OK, logged_in=True)
HARD = replace(SOFT, id="68", type="hsm")
SAVED = key(requests=[RequestEntry("1", "", "")])


def holding(token, *keys, available=True):
    ids = frozenset(each.id for each in keys) if available else frozenset()
    return replace(token, keys=keys, available_keys=ids)


# Tokens.


@pytest.mark.parametrize(
    ("token", "actions"),
    [
        (SOFT, {A.LOGOUT, A.GENERATE_KEY, A.TOKEN_CHANGE_PIN}),
        (
            holding(SOFT, SAVED),
            {A.LOGOUT, A.GENERATE_KEY, A.TOKEN_CHANGE_PIN, A.EDIT_FRIENDLY_NAME},
        ),
        (replace(SOFT, logged_in=False), {A.LOGIN}),
        (replace(SOFT, logged_in=False, available=False), set()),
        (HARD, {A.LOGOUT, A.GENERATE_KEY}),
        (replace(HARD, logged_in=False), {A.LOGIN}),
        (replace(HARD, logged_in=False, available=False), {A.TOKEN_DELETE}),
        (
            replace(holding(HARD, SAVED), logged_in=False, available=False),
            {A.TOKEN_DELETE, A.EDIT_FRIENDLY_NAME},
        ),
    ],
)
def test_what_can_be_done_with_a_token(token, actions):
    assert possible_actions_of(token) == actions


# Keys.


@pytest.mark.parametrize(
    ("logged_in", "read_only", "saved", "possible"),
    [
        (True, False, True, True),
        (True, True, True, True),
        (True, False, False, True),
        (True, True, False, False),
        (False, False, True, False),
        (False, False, False, False),
    ],
)
def test_a_key_is_deleted_while_its_token_is_open_and_holds_it_only_for_us_or_may_be_written(
    logged_in, read_only, saved, possible
):
    of = SAVED if saved else key()
    token = replace(holding(HARD, of), logged_in=logged_in, read_only=read_only)
    assert (A.DELETE in possible_actions_of(token, of)) is possible


@pytest.mark.parametrize("token", [SOFT, HARD], ids=["software", "hardware"])
@pytest.mark.parametrize(
    ("usage", "actions"),
    [
        (KeyUsage.SIGNING, {A.GENERATE_SIGN_CSR}),
        (KeyUsage.AUTHENTICATION, {A.GENERATE_AUTH_CSR}),
        (None, {A.GENERATE_SIGN_CSR, A.GENERATE_AUTH_CSR}),
    ],
)
def test_a_certificate_is_requested_for_what_the_key_is_for(token, usage, actions):
    of = key(usage)
    csr = {A.GENERATE_SIGN_CSR, A.GENERATE_AUTH_CSR}
    assert possible_actions_of(holding(token, of), of) & csr == actions


@pytest.mark.parametrize("allowed", [False, True])
def test_a_key_with_a_certificate_is_asked_for_another_only_if_that_is_allowed(allowed):
    of = key(certificates=[certificate()])
    actions = possible_actions_of(holding(SOFT, of), of, csr_with_certificate=allowed)
    assert (A.GENERATE_SIGN_CSR in actions) is allowed


@pytest.mark.parametrize(("logged_in", "available"), [(False, True), (True, False), (False, False)])
def test_no_certificate_is_requested_for_a_key_that_cannot_be_used(logged_in, available):
    of = key()
    token = replace(holding(SOFT, of, available=available), logged_in=logged_in)
    assert possible_actions_of(token, of) <= {A.EDIT_FRIENDLY_NAME, A.DELETE}


@pytest.mark.parametrize("token", [SOFT, HARD, replace(HARD, available=False, logged_in=False)])
def test_a_key_can_always_be_renamed(token):
    assert A.EDIT_FRIENDLY_NAME in possible_actions_of(holding(token, key()), key())


# Certificates and requests.


def certificate_actions(entry, usage, token=SOFT, **changes):
    of = key(usage, [entry])
    return possible_actions_of(replace(holding(token, of), **changes), entry)


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        (CertificateStatus.SAVED, {A.REGISTER, A.DELETE}),
        (CertificateStatus.REGISTRATION_IN_PROGRESS, {A.UNREGISTER}),
        (CertificateStatus.REGISTERED, {A.UNREGISTER}),
        (CertificateStatus.DELETION_IN_PROGRESS, {A.DELETE}),
        (CertificateStatus.GLOBAL_ERROR, {A.DELETE}),
    ],
)
def test_an_authentication_certificate_by_its_state(status, actions):
    entry = certificate(AUTH, status)
    found = certificate_actions(entry, KeyUsage.AUTHENTICATION)
    assert found == actions | {A.DISABLE}


@pytest.mark.parametrize("status", CertificateStatus)
def test_a_signing_certificate_is_never_registered_by_itself(status):
    entry = certificate(SIGN, status, active=False)
    assert certificate_actions(entry, KeyUsage.SIGNING) == {A.DELETE, A.ACTIVATE}


@pytest.mark.parametrize(
    ("of", "usage", "possible"),
    [(SIGN, KeyUsage.SIGNING, True), (SIGN, None, True), (AUTH, None, False)],
)
def test_only_a_signing_certificate_is_imported_from_its_token(of, usage, possible):
    entry = certificate(of, CertificateStatus.SAVED, active=False, saved=False)
    actions = certificate_actions(entry, usage, HARD)
    assert (A.IMPORT_FROM_TOKEN in actions) is possible
    assert not actions & {A.ACTIVATE, A.DISABLE, A.REGISTER, A.UNREGISTER}


def test_what_is_no_certificate_is_not_imported():
    entry = CertificateEntry("00", b"junk", CertificateStatus.SAVED, active=False, saved=False)
    assert A.IMPORT_FROM_TOKEN not in certificate_actions(entry, None, HARD)


@pytest.mark.parametrize(
    ("logged_in", "read_only", "possible"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_what_is_only_on_a_token_is_deleted_where_the_token_can_be_written(
    logged_in, read_only, possible
):
    entry = certificate(saved=False, active=False)
    actions = certificate_actions(entry, None, HARD, logged_in=logged_in, read_only=read_only)
    assert (A.DELETE in actions) is possible


def test_a_saved_certificate_is_deleted_whatever_its_token_is():
    entry = certificate()
    for logged_in, read_only in product((True, False), repeat=2):
        changes = {"logged_in": logged_in, "read_only": read_only}
        assert A.DELETE in certificate_actions(entry, KeyUsage.SIGNING, HARD, **changes)


def test_a_request_can_always_be_deleted():
    for token in (SOFT, HARD, replace(HARD, available=False, logged_in=False)):
        assert possible_actions_of(token, SAVED.requests[0]) == {A.DELETE}


# States of tokens.


@pytest.mark.parametrize(("state", "event"), list(product(TokenState, TokenEvent)))
def test_a_token_moves_as_the_table_says_and_no_other_way(state, event):
    if (state, event) in TOKEN_MOVES:
        assert token_after(state, event) is TOKEN_MOVES[state, event]
    else:
        with pytest.raises(InvalidMove):
            token_after(state, event)


def test_every_state_of_a_token_can_be_reached_and_left():
    reached = {TokenState.NOT_INITIALIZED}
    while grown := {to for (state, _), to in TOKEN_MOVES.items() if state in reached} - reached:
        reached |= grown
    assert reached == set(TokenState)
    assert {state for state, _ in TOKEN_MOVES} == set(TokenState)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, TokenState.LOGGED_IN),
        ({"logged_in": False}, TokenState.LOGGED_OUT),
        ({"logged_in": False, "status": TokenStatus.NOT_INITIALIZED}, TokenState.NOT_INITIALIZED),
        ({"logged_in": False, "available": False}, TokenState.UNAVAILABLE),
    ],
)
def test_the_state_of_a_token(changes, state):
    assert replace(HARD, **changes).state is state
