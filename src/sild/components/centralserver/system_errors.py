"""What the Central Server's own settings are refused for.

Refusal
├── BadRequest
│   ├── InvalidAddress                  validation_failure
│   ├── InvalidInstance                 validation_failure
│   ├── WeakPin                         token_weak_pin
│   ├── PinCharacters                   token_invalid_characters
│   ├── PinRefused                      init_signer_pin_policy_failed
│   ├── ProviderNotSubsystem            invalid_service_provider_id
│   ├── ProviderNotSet                  management_service_provider_not_set
│   └── ProviderRegistered              subsystem_already_registered_to_security_server
├── NotFound
│   ├── ProviderNotFound                subsystem_not_found
│   └── ProviderMemberNotFound          member_not_found
├── Conflict
│   ├── AlreadyInitialized              init_already_initialized
│   └── TokenNotMade                    init_software_token_failed
└── Failed
    ├── ParameterUnusable               system_parameter_unusable
    └── BackupKeyNotMade                gpg_key_generation_failed
"""

from sild.model.refusals import BadRequest, Conflict, Failed, NotFound


class InvalidAddress(BadRequest):
    """Not a host name or IP address."""

    code = "validation_failure"


class InvalidInstance(BadRequest):
    """Not an instance identifier."""

    code = "validation_failure"


class WeakPin(BadRequest):
    """The PIN is too easy to guess."""

    code = "token_weak_pin"


class PinCharacters(BadRequest):
    """The PIN has characters that it may not have."""

    code = "token_invalid_characters"


class ProviderNotSubsystem(BadRequest):
    """Only a subsystem can provide the management services."""

    code = "invalid_service_provider_id"


class ProviderNotSet(BadRequest):
    """Nobody was appointed to provide the management services."""

    code = "management_service_provider_not_set"


class ProviderRegistered(BadRequest):
    """The provider is a client of a Security Server already."""

    code = "subsystem_already_registered_to_security_server"


class ProviderNotFound(NotFound):
    """No such subsystem."""

    code = "subsystem_not_found"


class ProviderMemberNotFound(NotFound):
    """The appointed provider's member is no longer there."""

    code = "member_not_found"


class NotInitialized(Conflict):
    """The instance has no identifier yet."""

    code = "not_initialized"


class AlreadyInitialized(Conflict):
    """Everything is initialised already."""

    code = "init_already_initialized"


class TokenNotMade(Conflict):
    """The signer did not initialise its software token."""

    code = "init_software_token_failed"


class ParameterUnusable(Failed):
    """A system parameter holds what cannot be used."""

    code = "system_parameter_unusable"
