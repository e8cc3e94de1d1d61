"""What the initialisation of a security server is refused for.

BadRequest
├── InvalidInitParameters       invalid_init_params
├── WeakPin                     token_weak_pin
└── PinCharacters               invalid_characters_pin
Conflict
├── AnchorNotImported           anchor_not_found
└── AlreadyInitialized          server_already_fully_initialized
Failed
└── TokenNotMade                software_token_init_failed
"""

from sild.model.refusals import BadRequest, Conflict, Failed


class InvalidInitParameters(BadRequest):
    """Something is missing, or is there already; the metadata say what."""

    code = "invalid_init_params"


class WeakPin(BadRequest):
    """The PIN is too easy to guess."""

    code = "token_weak_pin"


class PinCharacters(BadRequest):
    """The PIN has characters that it may not have."""

    code = "invalid_characters_pin"


class AnchorNotImported(Conflict):
    """The configuration anchor comes first."""

    code = "anchor_not_found"


class AlreadyInitialized(Conflict):
    """Everything is initialised already."""

    code = "server_already_fully_initialized"


class TokenNotMade(Failed):
    """The signer did not initialise its software token."""

    code = "software_token_init_failed"
