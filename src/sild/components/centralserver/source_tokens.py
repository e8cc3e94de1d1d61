"""Tokens as the Central Server shows them, and what may be done to each and to its keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from sild.components.centralserver.source_errors import TokenActionNotPossible
from sild.components.centralserver.source_rows import SigningKey, SourceKind
from sild.model.tokens import Key, KeyAlgorithm, KeyUsage, Token
from sild.protocol.pki.certificate import read_certificate

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
    if not token.logged_in or key.active:
        return ()
    return (KeyAction.DELETE,) if _find_key(token, key) is None else tuple(KeyAction)


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
    """A key of a token as it is shown, even one that the token has lost."""
    key = _find_key(token, signing_key) or _lost(signing_key)
    available = key.id in token.available_keys
    return SigningKeyView(signing_key, key, available, key_actions(token, signing_key))


def on_token(token: Token, signing_keys: Iterable[SigningKey]) -> Iterable[SigningKey]:
    """Those of this node's keys that are on the token, or were."""
    return (key for key in signing_keys if key.token_id == token.id)


def _find_key(token: Token, signing_key: SigningKey) -> Key | None:
    return next((key for key in token.keys if key.id == signing_key.key_id), None)


def _lost(signing_key: SigningKey) -> Key:
    certificate = read_certificate(signing_key.certificate)
    is_ec = isinstance(certificate.public_key, EllipticCurvePublicKey)
    return Key(
        id=signing_key.key_id,
        label="",
        usage=KeyUsage.SIGNING,
        algorithm=KeyAlgorithm.EC_P256 if is_ec else KeyAlgorithm.RSA_2048,
        public_key=certificate.public_key_der,
        token_id=signing_key.token_id,
    )
