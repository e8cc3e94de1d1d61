"""What configuration sources refuse.

Refusal
├── BadRequest
│   ├── InstanceNotSet              instance_identifier_not_set
│   ├── NoSigningKeys               no_configuration_signing_keys_configured
│   ├── TokenActionNotPossible      token_action_not_possible
│   ├── PinFormatIncorrect          token_incorrect_pin_format
│   ├── TokenPinFinalTry            token_pin_final_try
│   ├── TokenPinLocked              token_pin_locked
│   ├── PinIncorrect                token_activation_failed
│   ├── KeyActionNotPossible        signing_key_action_not_possible
│   ├── UnknownPart                 unknown_configuration_part
│   ├── PartRefused                 configuration_part_validation_failed
│   ├── AnchorMalformed             malformed_anchor
│   ├── AnchorNotVerified           trusted_anchor_verification_failed
│   ├── FileExtensionRefused        invalid_file_extension
│   ├── DoubleFileExtension         double_file_extension
│   └── FileContentRefused          invalid_file_content_type
├── NotFound
│   ├── ConfigurationNotFound       configuration_not_found
│   ├── PartNotFound                configuration_part_file_not_found
│   ├── SigningKeyNotFound          signing_key_not_found
│   ├── UnknownToken                token_not_found
│   └── TrustedAnchorNotFound       trusted_anchor_not_found
├── Forbidden
│   └── FederationForbidden         trusted_anchors_not_allowed
└── Failed
    ├── TokensNotFetched            token_fetch_failed
    ├── KeyNotGenerated             key_generation_failed
    ├── KeyNotDeleted               error_deleting_signing_key
    ├── LoginFailed                 token_activation_failed
    ├── LogoutFailed                token_deactivation_failed
    └── NotPublished                configuration_not_published
"""

from sild.model.refusals import BadRequest, Failed, Forbidden, NotFound


class TokenActionNotPossible(BadRequest):
    """The token's state does not allow it."""

    code = "token_action_not_possible"


class PinFormatIncorrect(BadRequest):
    """The token takes no PIN of this form."""

    code = "token_incorrect_pin_format"


class TokenPinFinalTry(BadRequest):
    """Another wrong PIN locks the token."""

    code = "token_pin_final_try"


class TokenPinLocked(BadRequest):
    """The token has been locked by wrong PINs."""

    code = "token_pin_locked"


class PinIncorrect(BadRequest):
    """The PIN is another."""

    code = "token_activation_failed"


class KeyActionNotPossible(BadRequest):
    """The state of a signing key, or of its token, does not allow it."""

    code = "signing_key_action_not_possible"


class PartRefused(BadRequest):
    """An optional part does not say what a part of its kind says."""

    code = "configuration_part_validation_failed"


class AnchorMalformed(BadRequest):
    """A file is no configuration anchor."""

    code = "malformed_anchor"


class AnchorNotVerified(BadRequest):
    """An anchor does not lead to another instance's external configuration."""

    code = "trusted_anchor_verification_failed"


class FileExtensionRefused(BadRequest):
    """A file is not named as XML files are."""

    code = "invalid_file_extension"


class DoubleFileExtension(BadRequest):
    """A file's name has two extensions."""

    code = "double_file_extension"


class FileContentRefused(BadRequest):
    """A file's content is no XML."""

    code = "invalid_file_content_type"


class ConfigurationNotFound(NotFound):
    """There is no anchor yet."""

    code = "configuration_not_found"


class PartNotFound(NotFound):
    """There is no such part in this version."""

    code = "configuration_part_file_not_found"


class SigningKeyNotFound(NotFound):
    """No signing key has this identifier."""

    code = "signing_key_not_found"


class UnknownToken(NotFound):
    """No token has this identifier."""

    code = "token_not_found"


class TrustedAnchorNotFound(NotFound):
    """No trusted anchor has this hash."""

    code = "trusted_anchor_not_found"


class FederationForbidden(Forbidden):
    """This instance's settings allow no federation."""

    code = "trusted_anchors_not_allowed"


class InstanceNotSet(BadRequest):
    """The Central Server has not been initialised."""

    code = "instance_identifier_not_set"


class NoSigningKeys(BadRequest):
    """A source without signing keys has no anchor, and publishes nothing."""

    code = "no_configuration_signing_keys_configured"


class UnknownPart(BadRequest):
    """The source has no part of this name that could be uploaded."""

    code = "unknown_configuration_part"


class TokensNotFetched(Failed):
    """The signer does not tell its tokens."""

    code = "token_fetch_failed"


class KeyNotGenerated(Failed):
    """The signer did not make a key, or not its certificate."""

    code = "key_generation_failed"


class KeyNotDeleted(Failed):
    """The signer did not delete a key."""

    code = "error_deleting_signing_key"


class LoginFailed(Failed):
    """The signer did not open a token."""

    code = "token_activation_failed"


class LogoutFailed(Failed):
    """The signer did not close a token."""

    code = "token_deactivation_failed"


class NotPublished(Failed):
    """Configuration cannot be generated as things stand."""

    code = "configuration_not_published"
