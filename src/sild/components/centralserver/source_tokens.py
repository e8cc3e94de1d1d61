"""Tokens as the Central Server shows them, and what may be done to each and to its keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from sild.components.centralserver.source_errors import TokenActionNotPossible
from sild.components.centralserver.source_rows import SigningKey, SourceKind
from sild.model.tokens import Key, Token

KEYS_ON_A_TOKEN = 2


class TokenAction(Enum):
    """What may be done to a token."""

    LOGIN = "LOGIN"
    LOGOUT = "LOGOUT"
    GENERATE_INTERNAL_KEY = "GENERATE_INTERNAL_KEY"
    GENERATE_EXTERNAL_KEY = "GENERATE_EXTERNAL_KEY"
    CHANGE_PIN = "CHANGE_PIN"
    EDIT_FRIENDLY_NAME = "EDIT_FRIENDLY_NAME"


class KeyAction(Enum):
    """What may be done to a configuration signing key."""

    ACTIVATE = "ACTIVATE"
    DELETE = "DELETE"


GENERATE_ACTIONS: Mapping[SourceKind, TokenAction] = {
    SourceKind.INTERNAL: TokenAction.GENERATE_INTERNAL_KEY,
    SourceKind.EXTERNAL: TokenAction.GENERATE_EXTERNAL_KEY,
}


@dataclass(frozen=True, slots=True)
class SigningKeyView:
    """A configuration signing key with what its token says of it."""

    signing_key: SigningKey
    key: Key
    available: bool
    actions: tuple[KeyAction, ...]


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token with its configuration signing keys."""

    token: Token
    actions: tuple[TokenAction, ...]
    keys: tuple[SigningKeyView, ...]


def token_actions(token: Token, signing_keys: Iterable[SigningKey]) -> tuple[TokenAction, ...]:
    """What may be done to a token that holds these keys."""
    held = list(on_token(token, signing_keys))
    actions: list[TokenAction] = []
    if token.logged_in:
        actions += [TokenAction.LOGOUT, TokenAction.CHANGE_PIN]
        actions += [
            action
            for kind, action in GENERATE_ACTIONS.items()
            if sum(key.kind is kind for key in held) < KEYS_ON_A_TOKEN
        ]
    elif token.available:
        actions.append(TokenAction.LOGIN)
    if held or token.saved_to_configuration:
        actions.append(TokenAction.EDIT_FRIENDLY_NAME)
    return tuple(actions)


def key_actions(token: Token, key: SigningKey) -> tuple[KeyAction, ...]:
    """What may be done to a key of a token: nothing to the one that signs."""
    return tuple(KeyAction) if token.logged_in and not key.active else ()


def require_token_action(
    action: TokenAction, token: Token, signing_keys: Iterable[SigningKey]
) -> None:
    """Raise TokenActionNotPossible unless the action is possible now."""
    if action not in token_actions(token, signing_keys):
        raise TokenActionNotPossible(f"the token {token.id} does not allow {action.value} now")


def view_token(token: Token, signing_keys: Iterable[SigningKey]) -> TokenView:
    """A token as it is shown."""
    held = tuple(on_token(token, signing_keys))
    return TokenView(token, token_actions(token, held), tuple(view_key(token, key) for key in held))


def view_key(token: Token, signing_key: SigningKey) -> SigningKeyView:
    """A key of a token as it is shown."""
    key = next(key for key in token.keys if key.id == signing_key.key_id)
    available = key.id in token.available_keys
    return SigningKeyView(signing_key, key, available, key_actions(token, signing_key))


def on_token(token: Token, signing_keys: Iterable[SigningKey]) -> Iterable[SigningKey]:
    """Those of the keys that the token holds."""
    ids = {key.id for key in token.keys}
    return (key for key in signing_keys if key.key_id in ids)
