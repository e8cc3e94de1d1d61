"""Tokens and configuration signing keys as bodies, and as data of the audit record."""

from collections.abc import Mapping

from sild.adminapi.centralserver.configuration_types import TYPES
from sild.adminapi.centralserver.token_bodies import (
    ConfigurationSigningKey,
    KeyAlgorithm,
    KeyLabel,
    PossibleKeyAction,
    PossibleTokenAction,
    Token,
    TokenStatus,
)
from sild.components.centralserver.source_tokens import SigningKeyView, TokenView
from sild.model import tokens as model


def token_body(view: TokenView) -> Token:
    """Lay out a token with its signing keys."""
    token = view.token
    return Token(
        id=token.id,
        name=token.label,
        status=TokenStatus(token.status.value),
        active=token.logged_in,
        available=token.available,
        logged_in=token.logged_in,
        serial_number=token.serial_number,
        possible_actions=[PossibleTokenAction(action.value) for action in view.actions],
        configuration_signing_keys=[signing_key_body(key) for key in view.keys],
    )


def signing_key_body(view: SigningKeyView) -> ConfigurationSigningKey:
    """Lay out a signing key."""
    is_ec = view.key.algorithm is model.KeyAlgorithm.EC_P256
    return ConfigurationSigningKey(
        id=view.key.id,
        token_id=view.signing_key.token_id,
        label=KeyLabel(label=view.key.label or None),
        created_at=view.signing_key.generated_at,
        active=view.signing_key.active,
        available=view.available,
        key_algorithm=KeyAlgorithm.EC if is_ec else KeyAlgorithm.RSA,
        source_type=TYPES[view.signing_key.kind],
        possible_actions=[PossibleKeyAction(action.value) for action in view.actions],
    )


def told_token(token: model.Token) -> Mapping[str, object]:
    """What the audit record tells of a token."""
    return {
        "tokenId": token.id,
        "tokenSerialNumber": token.serial_number,
        "tokenFriendlyName": token.label,
    }
