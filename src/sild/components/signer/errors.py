"""What the signer refuses; the codes are those that signers of the reference answer.

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
├── KeyNotFound                 key_not_found
├── CertificateNotFound         cert_not_found
├── RequestNotFound             csr_not_found
├── CertificateExists           cert_exists
├── WrongCertificateUsage       wrong_cert_usage
├── CertificateImportFailed     cert_import_failed
├── CannotSign                  cannot_sign
├── UnsupportedSignAlgorithm    unsupported_sign_algorithm
├── KeyGenerationFailed         failed_to_generate_private_key
├── ActionNotPossible           action_not_possible
└── KeyConfUnreadable           internal_error
"""

from sild.model.refusals import BadRequest, Conflict, Failed, NotFound, Refusal, Unavailable


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


class KeyNotFound(SignerError, NotFound):
    """There is no such key."""

    code = "key_not_found"


class CertificateNotFound(SignerError, NotFound):
    """There is no such certificate."""

    code = "cert_not_found"


class RequestNotFound(SignerError, NotFound):
    """There is no such certificate signing request."""

    code = "csr_not_found"


class CertificateExists(SignerError, Conflict):
    """The certificate was imported before."""

    code = "cert_exists"


class WrongCertificateUsage(SignerError, BadRequest):
    """The certificate is not for what the key is for."""

    code = "wrong_cert_usage"


class CertificateImportFailed(SignerError, BadRequest):
    """The certificate is not valid here."""

    code = "cert_import_failed"


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
    KeyNotFound,
    CertificateNotFound,
    RequestNotFound,
    CertificateExists,
    WrongCertificateUsage,
    CertificateImportFailed,
    CannotSign,
    UnsupportedSignAlgorithm,
    KeyGenerationFailed,
    ActionNotPossible,
    KeyConfUnreadable,
)
