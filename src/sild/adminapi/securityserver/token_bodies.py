"""Tokens, keys, requests and certificates as the contract lays them out."""

from enum import Enum
from typing import Annotated

from pydantic import Field

from sild.adminapi.bodies import Body, Instant, Plain, ShortText
from sild.adminapi.certificates import CertificateDetails
from sild.model.tokens import KeyUsage, PossibleAction
from sild.protocol.globalconf.shared_parameters import CsrFormat

_LONGEST_MEMBER = 767
_LONGEST_CSR_ID = 40

Secret = Annotated[str, Field(min_length=1, max_length=255, repr=False)]


class KeyUsageType(Enum):
    """What a key is for."""

    AUTHENTICATION = "AUTHENTICATION"
    SIGNING = "SIGNING"

    @property
    def usage(self) -> KeyUsage:
        """Give the same as the signer has it."""
        return KeyUsage[self.name]


class KeyAlgorithm(Enum):
    """The kind of a key."""

    RSA = "RSA"
    EC = "EC"


class TokenType(Enum):
    """Where the keys of a token are."""

    SOFTWARE = "SOFTWARE"
    HARDWARE = "HARDWARE"


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


class CertificateStatus(Enum):
    """Where a certificate stands between this server and the Central Server."""

    SAVED = "SAVED"
    REGISTRATION_IN_PROGRESS = "REGISTRATION_IN_PROGRESS"
    REGISTERED = "REGISTERED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"
    GLOBAL_ERROR = "GLOBAL_ERROR"


class CertificateOcspStatus(Enum):
    """Whether a certificate can be used, as far as validity and revocation go."""

    DISABLED = "DISABLED"
    EXPIRED = "EXPIRED"
    OCSP_RESPONSE_UNKNOWN = "OCSP_RESPONSE_UNKNOWN"
    OCSP_RESPONSE_GOOD = "OCSP_RESPONSE_GOOD"
    OCSP_RESPONSE_SUSPENDED = "OCSP_RESPONSE_SUSPENDED"
    OCSP_RESPONSE_REVOKED = "OCSP_RESPONSE_REVOKED"


class KeyValuePair(Body):
    """Something that a device says of itself."""

    key: str
    value: str


class TokenCertificate(Body):
    """A certificate of a key."""

    ocsp_status: CertificateOcspStatus
    owner_id: str | None = None
    active: bool
    saved_to_configuration: bool
    renewed_cert_hash: str | None = None
    renewal_error: str | None = None
    ocsp_verify_before_activation_error: str | None = None
    next_automatic_renewal_time: Instant | None = None
    certificate_details: CertificateDetails
    status: CertificateStatus
    possible_actions: list[PossibleAction] | None = None


class TokenCertificateSigningRequest(Body):
    """A certificate signing request of a key."""

    id: str
    owner_id: str | None = None
    certificate_profile: str | None = None
    possible_actions: list[PossibleAction]


class Key(Body):
    """A key with its requests and certificates."""

    id: str
    name: str
    label: str
    certificates: list[TokenCertificate]
    certificate_signing_requests: list[TokenCertificateSigningRequest]
    usage: KeyUsageType | None = None
    available: bool
    saved_to_configuration: bool
    possible_actions: list[PossibleAction] | None = None
    key_algorithm: KeyAlgorithm


class Token(Body):
    """A token with its keys."""

    id: str
    name: str
    type: TokenType
    keys: list[Key]
    status: TokenStatus
    logged_in: bool
    available: bool
    saved_to_configuration: bool
    read_only: bool
    serial_number: str | None = None
    token_infos: list[KeyValuePair] | None = None
    possible_actions: list[PossibleAction] | None = None


class TokenName(Body):
    """What people call a token."""

    name: ShortText


class TokenPassword(Body):
    """The PIN of a token, white space and all."""

    model_config = Body.model_config | {"str_strip_whitespace": False}

    password: Annotated[str, Field(min_length=1)] | None = Field(None, repr=False)


class TokenPinUpdate(Body):
    """The PIN that a token has, and the one that it is to have."""

    model_config = Body.model_config | {"str_strip_whitespace": False}

    old_pin: Secret
    new_pin: Secret


class KeyName(Body):
    """What people call a key."""

    name: ShortText


class KeyLabel(Body):
    """What a new key is to be called."""

    label: ShortText | None = None


class CsrGenerate(Body):
    """What a certificate is asked for."""

    key_usage_type: KeyUsageType
    ca_name: ShortText
    csr_format: CsrFormat
    member_id: Annotated[str, Field(min_length=1, max_length=_LONGEST_MEMBER), Plain] | None = None
    subject_field_values: dict[str, Annotated[str, Plain]]
    acme_order: bool = False


class KeyLabelWithCsrGenerate(Body):
    """What a new key is to be called, and what its certificate is asked for."""

    key_label: Annotated[str, Field(min_length=0, max_length=255), Plain]
    csr_generate_request: CsrGenerate


class KeyWithCertificateSigningRequestId(Body):
    """A new key, and the request that was made with it."""

    key: Key
    csr_id: str


class AcmeOrder(Body):
    """Which request is to be sent to an ACME server."""

    csr_id: Annotated[str, Field(min_length=1, max_length=_LONGEST_CSR_ID), Plain]
    key_usage_type: KeyUsageType
