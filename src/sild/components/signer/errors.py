"""What the signer refuses; the codes are those that administrators of the reference are answered.

SignerError                     internal_error
├── TokenNotFound               token_not_found
├── TokenUnavailable            token_not_available
├── TokenReadOnly               token_readonly
├── TokenNotInitialized         token_not_initialized
├── TokenInitialized            token_already_initialized
├── TokenNotActive              token_not_active
├── PinIncorrect                pin_incorrect
│   └── PinAttemptsLimited      pin_incorrect
├── PinLocked                   pin_locked
├── PinPolicyFailure            token_pin_policy_failure
│   ├── WeakPin                 token_weak_pin
│   └── InvalidPinCharacters    invalid_characters_pin
├── KeyNotFound                 key_not_found
├── KeyOfCertificateNotFound    key_not_found
├── WrongKeyUsage               wrong_key_usage
├── CertificateNotFound         certificate_not_found
├── RequestNotFound             csr_not_found
├── CertificateExists           certificate_already_exists
├── WrongCertificateUsage       cert_wrong_usage
├── CertificateImportFailed     cert_import_failed
├── InvalidCertificate          invalid_certificate
├── ClientOfCertificateNotFound client_not_found
├── OcspNotVerified             ocsp_response_verification_failure
├── CannotSign                  cannot_sign
├── UnsupportedSignAlgorithm    unsupported_sign_algorithm
├── KeyGenerationFailed         failed_to_generate_private_key
├── ActionNotPossible           action_not_possible
└── KeyConfUnreadable           internal_error
"""

from sild.model.refusals import BadRequest, Conflict, Failed, NotFound, Refusal, Unavailable

PIN_LENGTH = 10
"""How many characters a PIN has at least, where the policy is enforced."""
PIN_KINDS = 3
"""Of how many kinds."""


class SignerError(Refusal):
    """Something that the signer refuses."""


class TokenNotFound(SignerError, NotFound):
    """There is no such token."""

    code = "token_not_found"


class TokenUnavailable(SignerError, Unavailable):
    """The device is not there, or does not answer."""

    code = "token_not_available"


class TokenReadOnly(SignerError, Conflict):
    """Nothing is written to the device."""

    code = "token_readonly"


class TokenNotInitialized(SignerError, Conflict):
    """The token has no PIN yet."""

    code = "token_not_initialized"


class TokenInitialized(SignerError, Conflict):
    """The token has a PIN already."""

    code = "token_already_initialized"


class TokenNotActive(SignerError, Conflict):
    """Nobody has logged in to the token."""

    code = "token_not_active"


class PinIncorrect(SignerError, BadRequest):
    """The PIN is another."""

    code = "pin_incorrect"


class PinAttemptsLimited(PinIncorrect):
    """After several wrong PINs none is tried for a while."""


class PinLocked(SignerError, Conflict):
    """The device takes no PIN any more: its administrator must unblock it."""

    code = "pin_locked"


class PinPolicyFailure(SignerError, BadRequest):
    """The PIN is too easy to guess."""

    code = "token_pin_policy_failure"


class WeakPin(PinPolicyFailure):
    """The PIN is too short, or of too few kinds of characters."""

    code = "token_weak_pin"

    def __init__(self, message: str) -> None:
        # As existing clients read it: what is wanted, by name.
        super().__init__(
            message,
            "pin_min_length",
            str(PIN_LENGTH),
            "pin_min_char_classes_count",
            str(PIN_KINDS),
        )


class InvalidPinCharacters(PinPolicyFailure):
    """The PIN has other characters than printable ASCII ones."""

    code = "invalid_characters_pin"


class KeyNotFound(SignerError, NotFound):
    """There is no such key."""

    code = "key_not_found"


class KeyOfCertificateNotFound(SignerError, BadRequest):
    """No key here belongs to a certificate."""

    code = "key_not_found"


class WrongKeyUsage(SignerError, BadRequest):
    """The key, or the certification service, is for something else."""

    code = "wrong_key_usage"


class CertificateNotFound(SignerError, NotFound):
    """There is no such certificate."""

    code = "certificate_not_found"


class RequestNotFound(SignerError, NotFound):
    """There is no such certificate signing request."""

    code = "csr_not_found"


class CertificateExists(SignerError, Conflict):
    """The certificate was imported before."""

    code = "certificate_already_exists"


class WrongCertificateUsage(SignerError, BadRequest):
    """The certificate is not for what the key is for."""

    code = "cert_wrong_usage"


class CertificateImportFailed(SignerError, BadRequest):
    """The certificate is not valid here."""

    code = "cert_import_failed"


class InvalidCertificate(SignerError, BadRequest):
    """What was sent is no certificate, or names no member."""

    code = "invalid_certificate"


class ClientOfCertificateNotFound(SignerError, BadRequest):
    """The member that a certificate signs for is no client here."""

    code = "client_not_found"


class OcspNotVerified(SignerError, Failed):
    """No OCSP response says that a certificate is good."""

    code = "ocsp_response_verification_failure"


class CannotSign(SignerError, Failed):
    """The key may not, or could not, sign this."""

    code = "cannot_sign"


class UnsupportedSignAlgorithm(SignerError, BadRequest):
    """The key does not sign in this way."""

    code = "unsupported_sign_algorithm"


class KeyGenerationFailed(SignerError, Failed):
    """The key could not be made or saved."""

    code = "failed_to_generate_private_key"


class ActionNotPossible(SignerError, Conflict):
    """Not in this state."""

    code = "action_not_possible"


class KeyConfUnreadable(SignerError, Failed):
    """The file that lists keys and certificates is damaged or of a newer release."""


ALL: tuple[type[SignerError], ...] = (
    SignerError,
    TokenNotFound,
    TokenUnavailable,
    TokenReadOnly,
    TokenNotInitialized,
    TokenInitialized,
    TokenNotActive,
    PinIncorrect,
    PinAttemptsLimited,
    PinLocked,
    PinPolicyFailure,
    WeakPin,
    InvalidPinCharacters,
    KeyNotFound,
    KeyOfCertificateNotFound,
    WrongKeyUsage,
    CertificateNotFound,
    RequestNotFound,
    CertificateExists,
    WrongCertificateUsage,
    CertificateImportFailed,
    InvalidCertificate,
    ClientOfCertificateNotFound,
    OcspNotVerified,
    CannotSign,
    UnsupportedSignAlgorithm,
    KeyGenerationFailed,
    ActionNotPossible,
    KeyConfUnreadable,
)
