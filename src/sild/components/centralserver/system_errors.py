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
│   ├── ProviderRegistered              subsystem_already_registered_to_security_server
│   ├── InvalidDistinguishedName        invalid_distinguished_name
│   ├── NotCertificates                 cannot_convert_bytes_to_certificate
│   ├── ChainNotValid                   certificate_import_failed
│   ├── CertificateOfOtherKey           key_not_found
│   ├── CertificateInUse                certificate_already_exists
│   └── NoCertificate                   invalid_certificate
├── NotFound
│   ├── ProviderNotFound                subsystem_not_found
│   └── ProviderMemberNotFound          member_not_found
├── Conflict
│   ├── AlreadyInitialized              init_already_initialized
│   └── TokenNotMade                    init_software_token_failed
└── Failed
    ├── ParameterUnusable               system_parameter_unusable
    ├── KeyNotMade                      key_and_cert_generation_failed
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


class InvalidDistinguishedName(BadRequest):
    """Not a distinguished name."""

    code = "invalid_distinguished_name"


class NotCertificates(BadRequest):
    """Not a certificate, nor several."""

    code = "cannot_convert_bytes_to_certificate"


class ChainNotValid(BadRequest):
    """Certificates of which one did not sign the one before it."""

    code = "certificate_import_failed"


class CertificateOfOtherKey(BadRequest):
    """A certificate of another key than the one in use."""

    code = "key_not_found"


class CertificateInUse(BadRequest):
    """The certificate that is in use already."""

    code = "certificate_already_exists"


class NoCertificate(BadRequest):
    """There is no certificate yet."""

    code = "invalid_certificate"


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


class KeyNotMade(Failed):
    """A key or its certificate could not be made or kept."""

    code = "key_and_cert_generation_failed"
