"""Tokens: listed, named, opened, closed and forgotten; keys are made on them."""

from typing import Annotated

from fastapi import Path

from sild.adminapi.asked import Act, Asked
from sild.adminapi.bodies import Plain
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.csr_orders import check_csr_permission, order_of, told_order
from sild.adminapi.securityserver.server import SecurityServer, Served
from sild.adminapi.securityserver.token_bodies import (
    Key,
    KeyLabel,
    KeyLabelWithCsrGenerate,
    KeyWithCertificateSigningRequestId,
    Token,
    TokenName,
    TokenPassword,
    TokenPinUpdate,
)
from sild.adminapi.securityserver.token_views import TokenViews, told_token
from sild.model import tokens as model
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import BadRequest
from sild.model.tokens import PossibleAction

OPERATIONS = Operations("tokens")

_LONGEST_ID = 1023

TokenPath = Annotated[str, Path(alias="id", min_length=1), Plain]
ShortTokenPath = Annotated[str, Path(alias="id", min_length=1, max_length=_LONGEST_ID), Plain]


class MissingPassword(BadRequest):
    """A token is opened by its PIN, and none was sent."""

    code = "missing_token_password"


@OPERATIONS.get("/tokens", "getTokens", permission=Permission.VIEW_KEYS, also=(400, 404, 406))
async def get_tokens(server: Served) -> list[Token]:
    """List the tokens with all that is on them."""
    views = TokenViews(server)
    return [views.token(token) for token in await server.tokens.tokens()]


@OPERATIONS.get("/tokens/{id}", "getToken", permission=Permission.VIEW_KEYS, also=(400, 404, 406))
async def get_token(token_id: ShortTokenPath, server: Served) -> Token:
    """Show a token."""
    return await _shown(server, token_id)


@OPERATIONS.patch(
    "/tokens/{id}",
    "updateToken",
    permission=Permission.EDIT_TOKEN_FRIENDLY_NAME,
    event=AuditEvent.UPDATE_TOKEN_NAME,
    also=(400, 404, 406, 409),
)
async def update_token(token_id: TokenPath, body: TokenName, asked: Asked, server: Served) -> Token:
    """Call a token otherwise."""
    token = await _named(server, asked, token_id)
    asked.tell(tokenFriendlyName=body.name)
    server.certificates.check_possible(PossibleAction.EDIT_FRIENDLY_NAME, token)
    await server.tokens.rename_token(token_id, body.name)
    return await _shown(server, token_id)


@OPERATIONS.delete(
    "/tokens/{id}",
    "deleteToken",
    permission=Permission.DELETE_TOKEN,
    event=AuditEvent.DELETE_TOKEN,
    status=204,
    also=(400, 404, 406, 409),
)
async def delete_token(token_id: ShortTokenPath, asked: Asked, server: Served) -> None:
    """Forget a token that is not there any more."""
    token = await _named(server, asked, token_id)
    server.certificates.check_possible(PossibleAction.TOKEN_DELETE, token)
    await server.tokens.delete_token(token_id)


@OPERATIONS.put(
    "/tokens/{id}/login",
    "loginToken",
    permission=Permission.ACTIVATE_DEACTIVATE_TOKEN,
    event=AuditEvent.LOGIN_TOKEN,
    also=(400, 404, 406, 409),
)
async def login_token(
    token_id: TokenPath, body: TokenPassword, asked: Asked, server: Served
) -> Token:
    """Open a token."""
    if not body.password:
        raise MissingPassword("the PIN of the token is missing")
    token = await _named(server, asked, token_id)
    server.certificates.check_possible(PossibleAction.LOGIN, token)
    await server.tokens.login(token_id, body.password)
    return await _shown(server, token_id)


@OPERATIONS.put(
    "/tokens/{id}/logout",
    "logoutToken",
    permission=Permission.ACTIVATE_DEACTIVATE_TOKEN,
    event=AuditEvent.LOGOUT_TOKEN,
    also=(400, 404, 406, 409),
)
async def logout_token(token_id: TokenPath, asked: Asked, server: Served) -> Token:
    """Close a token."""
    token = await _named(server, asked, token_id)
    server.certificates.check_possible(PossibleAction.LOGOUT, token)
    await server.tokens.logout(token_id)
    return await _shown(server, token_id)


@OPERATIONS.put(
    "/tokens/{id}/pin",
    "updateTokenPin",
    permission=Permission.UPDATE_TOKEN_PIN,
    event=AuditEvent.CHANGE_PIN_TOKEN,
    status=204,
    also=(400, 404, 406, 409),
)
async def update_token_pin(
    token_id: TokenPath, body: TokenPinUpdate, asked: Asked, server: Served
) -> None:
    """Let the software token be opened by another PIN."""
    token = await _named(server, asked, token_id)
    server.certificates.check_possible(PossibleAction.TOKEN_CHANGE_PIN, token)
    await server.tokens.change_pin(token_id, body.old_pin, body.new_pin)


@OPERATIONS.post(
    "/tokens/{id}/keys",
    "addKey",
    permission=Permission.GENERATE_KEY,
    event=AuditEvent.GENERATE_KEY,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_key(token_id: TokenPath, body: KeyLabel, asked: Asked, server: Served) -> Key:
    """Make a key whose purpose its first request says."""
    token = await _named(server, asked, token_id)
    server.certificates.check_possible(PossibleAction.GENERATE_KEY, token)
    key = await server.tokens.generate_key(token_id, body.label or "")
    _tell_new_key(asked, key, body.label)
    held = await server.certificates.get_key(key.id)
    return TokenViews(server).key(held.token, held.key)


@OPERATIONS.post(
    "/tokens/{id}/keys-with-csrs",
    "addKeyAndCsr",
    permission=Permission.GENERATE_KEY,
    event=AuditEvent.GENERATE_KEY_AND_CSR,
    also=(400, 404, 406, 409),
)
async def add_key_and_csr(
    token_id: TokenPath, body: KeyLabelWithCsrGenerate, asked: Asked, server: Served
) -> KeyWithCertificateSigningRequestId:
    """Make a key and a request for its certificate, both or neither."""
    wanted = body.csr_generate_request
    check_csr_permission(asked, wanted)
    token = await _named(server, asked, token_id)
    asked.tell(keyLabel=body.key_label, **told_order(wanted))
    server.certificates.check_possible(PossibleAction.GENERATE_KEY, token)
    order = order_of(wanted, server)
    held, request = await server.certificates.generate_key_with_request(
        token_id, body.key_label, order
    )
    asked.tell(subjectName=held.get_request(request.id).subject)
    _tell_new_key(asked, held.key, body.key_label)
    key = TokenViews(server).key(held.token, held.key)
    return KeyWithCertificateSigningRequestId(key=key, csr_id=request.id)


async def _named(server: SecurityServer, asked: Act, token_id: str) -> model.Token:
    """Find the token that is asked about, and tell the audit record of it."""
    token = await server.tokens.token(token_id)
    asked.tell(**told_token(token))
    return token


async def _shown(server: SecurityServer, token_id: str) -> Token:
    return TokenViews(server).token(await server.tokens.token(token_id))


def _tell_new_key(asked: Act, key: model.Key, label: str | None) -> None:
    asked.tell(keyId=key.id, keyLabel=label, keyFriendlyName=key.label)
