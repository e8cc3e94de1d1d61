"""What the signer refuses; the codes are those that signers of the reference answer.

SignerError                     internal_error
├── TokenNotInitialized         token_not_initialized
├── TokenInitialized            token_already_initialized
├── TokenNotActive              token_not_active
├── PinIncorrect                pin_incorrect
│   └── PinAttemptsLimited      pin_incorrect
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

from sild.protocol.errors import ProtocolError


class SignerError(ProtocolError):
    """Something that the signer refuses."""


class TokenNotInitialized(SignerError):
    """The token has no PIN yet."""

    code = "token_not_initialized"


class TokenInitialized(SignerError):
    """The token has a PIN already."""

    code = "token_already_initialized"


class TokenNotActive(SignerError):
    """Nobody has logged in to the token."""

    code = "token_not_active"


class PinIncorrect(SignerError):
    """The PIN is another."""

    code = "pin_incorrect"


class PinAttemptsLimited(PinIncorrect):
    """After several wrong PINs none is tried for a while."""


class PinPolicyFailure(SignerError):
    """The PIN is too easy to guess."""

    code = "token_pin_policy_failure"


class KeyNotFound(SignerError):
    """There is no such key."""

    code = "key_not_found"


class CertificateNotFound(SignerError):
    """There is no such certificate."""

    code = "cert_not_found"


class RequestNotFound(SignerError):
    """There is no such certificate signing request."""

    code = "csr_not_found"


class CertificateExists(SignerError):
    """The certificate was imported before."""

    code = "cert_exists"


class WrongCertificateUsage(SignerError):
    """The certificate is not for what the key is for."""

    code = "wrong_cert_usage"


class CertificateImportFailed(SignerError):
    """The certificate is not valid here."""

    code = "cert_import_failed"


class CannotSign(SignerError):
    """The key may not, or could not, sign this."""

    code = "cannot_sign"


class UnsupportedSignAlgorithm(SignerError):
    """The key does not sign in this way."""

    code = "unsupported_sign_algorithm"


class KeyGenerationFailed(SignerError):
    """The key could not be made or saved."""

    code = "failed_to_generate_private_key"


class ActionNotPossible(SignerError):
    """Not in this state."""

    code = "action_not_possible"


class KeyConfUnreadable(SignerError):
    """The file that lists keys and certificates is damaged or of a newer release."""


ALL: tuple[type[SignerError], ...] = (
    SignerError,
    TokenNotInitialized,
    TokenInitialized,
    TokenNotActive,
    PinIncorrect,
    PinAttemptsLimited,
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
