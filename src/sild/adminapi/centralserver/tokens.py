"""Tokens: listed, opened and closed."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Plain
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.configuration_types import VIEW_SOME
from sild.adminapi.centralserver.source_views import token_body, told_token
from sild.adminapi.centralserver.token_bodies import Token
from sild.adminapi.operations import Operations
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("tokens")

TokenPath = Annotated[str, Path(min_length=1), Plain]


class TokenPassword(Body):
    """The PIN of a token, white space and all."""

    model_config = Body.model_config | {"str_strip_whitespace": False}

    password: Annotated[str, Field(min_length=1)] | None = Field(None, repr=False)


@OPERATIONS.get("/tokens", "getTokens", permission=VIEW_SOME, also=())
async def get_tokens(central: Central) -> list[Token]:
    """List the tokens of this node."""
    return [token_body(view) for view in await central.sources.tokens()]


@OPERATIONS.put(
    "/tokens/{token_id}/login",
    "loginToken",
    permission=Permission.ACTIVATE_TOKEN,
    event=AuditEvent.LOGIN_TOKEN,
)
async def login_token(
    token_id: TokenPath, body: TokenPassword, asked: Asked, central: Central
) -> Token:
    """Open a token."""
    asked.tell(**told_token((await central.sources.get_token(token_id)).token))
    return token_body(await central.sources.login.login(token_id, body.password or ""))


@OPERATIONS.put(
    "/tokens/{token_id}/logout",
    "logoutToken",
    permission=Permission.DEACTIVATE_TOKEN,
    event=AuditEvent.LOGOUT_TOKEN,
)
async def logout_token(token_id: TokenPath, asked: Asked, central: Central) -> Token:
    """Close a token."""
    asked.tell(**told_token((await central.sources.get_token(token_id)).token))
    return token_body(await central.sources.login.logout(token_id))
