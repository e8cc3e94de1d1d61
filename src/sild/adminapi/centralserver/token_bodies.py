"""Tokens and configuration signing keys as the Central Server's contract lays them out."""

from enum import Enum

from sild.adminapi.bodies import Body, Instant, ShortText


class ConfigurationType(Enum):
    """Whose configuration: that of this instance, or what others get of it."""

    INTERNAL = "INTERNAL"
    EXTERNAL = "EXTERNAL"


class KeyAlgorithm(Enum):
    """The kind of a key."""

    RSA = "RSA"
    EC = "EC"


class TokenStatus(Enum):
    """What a token says of itself."""

    OK = "OK"
    USER_PIN_LOCKED = "USER_PIN_LOCKED"
    USER_PIN_INCORRECT = "USER_PIN_INCORRECT"
    USER_PIN_INVALID = "USER_PIN_INVALID"
    USER_PIN_EXPIRED = "USER_PIN_EXPIRED"
    USER_PIN_COUNT_LOW = "USER_PIN_COUNT_LOW"
    USER_PIN_FINAL_TRY = "USER_PIN_FINAL_TRY"
    NOT_INITIALIZED = "NOT_INITIALIZED"


class PossibleTokenAction(Enum):
    """What can be done with a token as it is."""

    LOGIN = "LOGIN"
    LOGOUT = "LOGOUT"
    GENERATE_INTERNAL_KEY = "GENERATE_INTERNAL_KEY"
    GENERATE_EXTERNAL_KEY = "GENERATE_EXTERNAL_KEY"
    CHANGE_PIN = "CHANGE_PIN"
    EDIT_FRIENDLY_NAME = "EDIT_FRIENDLY_NAME"


class PossibleKeyAction(Enum):
    """What can be done with a configuration signing key as it is."""

    DELETE = "DELETE"
    ACTIVATE = "ACTIVATE"


class KeyLabel(Body):
    """What people call a key."""

    label: ShortText | None = None


class ConfigurationSigningKey(Body):
    """A key that signs configuration."""

    id: str
    token_id: str | None = None
    label: KeyLabel
    created_at: Instant
    active: bool
    available: bool
    key_hash: str | None = None
    key_algorithm: KeyAlgorithm | None = None
    source_type: ConfigurationType | None = None
    possible_actions: list[PossibleKeyAction]


class Token(Body):
    """A token with its configuration signing keys."""

    id: str
    name: str
    status: TokenStatus
    active: bool
    available: bool
    logged_in: bool
    serial_number: str | None = None
    possible_actions: list[PossibleTokenAction] | None = None
    configuration_signing_keys: list[ConfigurationSigningKey] | None = None
