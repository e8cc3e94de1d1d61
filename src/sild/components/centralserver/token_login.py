"""Logging in to tokens and out of them, with the codes that existing clients know."""

from collections.abc import Awaitable, Callable

from sild.components.centralserver.ports import Keys
from sild.components.centralserver.source_errors import (
    LoginFailed,
    LogoutFailed,
    PinFormatIncorrect,
    PinIncorrect,
    TokenActionNotPossible,
    TokenPinFinalTry,
    TokenPinLocked,
)
from sild.components.centralserver.source_tokens import TokenAction, TokenView
from sild.model.refusals import Refusal
from sild.model.tokens import Token, TokenStatus
from sild.protocol.errors import ProtocolError
from sild.runtime.rpc import RpcError

_SHORTEST, _LONGEST = "Min PIN length", "Max PIN length"
_PIN_INCORRECT = "pin_incorrect"


class TokenLogin:
    """Opens and closes the tokens of this node."""

    def __init__(self, get_token: Callable[[str], Awaitable[TokenView]], keys: Keys) -> None:
        self._get_token = get_token
        self._keys = keys

    async def login(self, token_id: str, pin: str) -> TokenView:
        """Open a token.

        Raises UnknownToken, TokenActionNotPossible, PinFormatIncorrect, PinIncorrect,
        TokenPinFinalTry, TokenPinLocked and LoginFailed.
        """
        view = await self._get_token(token_id)
        if view.token.status is TokenStatus.USER_PIN_LOCKED:
            raise TokenPinLocked(f"the token {token_id} is locked")
        _require(TokenAction.LOGIN, view)
        if view.token.status is TokenStatus.NOT_INITIALIZED:
            raise TokenActionNotPossible(f"the token {token_id} has no PIN yet")
        _check_format(view.token, pin)
        try:
            await self._keys.login(token_id, pin)
        except (ProtocolError, RpcError) as error:
            raise await self._why_not(token_id, error) from error
        return await self._get_token(token_id)

    async def logout(self, token_id: str) -> TokenView:
        """Close a token; raises UnknownToken, TokenActionNotPossible, LogoutFailed."""
        _require(TokenAction.LOGOUT, await self._get_token(token_id))
        try:
            await self._keys.logout(token_id)
        except (ProtocolError, RpcError) as error:
            raise LogoutFailed(f"the token {token_id} stays open: {error}", _code(error)) from error
        return await self._get_token(token_id)

    async def _why_not(self, token_id: str, error: ProtocolError | RpcError) -> Refusal:
        status = (await self._get_token(token_id)).token.status
        if status is TokenStatus.USER_PIN_LOCKED:
            return TokenPinLocked(f"the token {token_id} has been locked")
        if status is TokenStatus.USER_PIN_FINAL_TRY:
            return TokenPinFinalTry(f"another wrong PIN locks the token {token_id}")
        kind = PinIncorrect if _code(error) == _PIN_INCORRECT else LoginFailed
        return kind(f"the token {token_id} was not opened: {error}", _code(error))


def _require(action: TokenAction, view: TokenView) -> None:
    if action not in view.actions:
        raise TokenActionNotPossible(f"the token {view.token.id} does not allow {action.value} now")


def _check_format(token: Token, pin: str) -> None:
    said = dict(token.details)
    shortest, longest = said.get(_SHORTEST, ""), said.get(_LONGEST, "")
    if len(pin) < max(1, int(shortest) if shortest.isdecimal() else 0) or (
        longest.isdecimal() and len(pin) > int(longest)
    ):
        raise PinFormatIncorrect(f"a PIN of {len(pin)} characters is none of the token {token.id}")


def _code(error: ProtocolError | RpcError) -> str:
    return error.code if isinstance(error, ProtocolError) else "signer_proxy_error"
