"""Tokens, keys, certificate requests and certificates, and the states of some of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from sild.model.services import InvalidMove
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate

SOFT_TOKEN_ID = "0"  # noqa: S105 - a name, no secret
SOFT_TOKEN_TYPE = "softToken"  # noqa: S105 - a name, no secret


class KeyUsage(Enum):
    """What a key is for; a key never changes its purpose."""

    SIGNING = "SIGNING"
    AUTHENTICATION = "AUTHENTICATION"


class KeyAlgorithm(Enum):
    """The keys that can be made."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    EC_P256 = "EC-P256"


class CertificateStatus(Enum):
    """Where a certificate stands between this server and the Central Server."""

    SAVED = "saved"
    REGISTRATION_IN_PROGRESS = "registration in progress"
    REGISTERED = "registered"
    DELETION_IN_PROGRESS = "deletion in progress"
    GLOBAL_ERROR = "global error"


class CertificateEvent(Enum):
    """What an administrator does to an authentication certificate."""

    REGISTER = "register"
    UNREGISTER = "unregister"


_S, _E = CertificateStatus, CertificateEvent

CERTIFICATE_MOVES: Mapping[tuple[CertificateStatus, CertificateEvent], CertificateStatus] = {
    (_S.SAVED, _E.REGISTER): _S.REGISTRATION_IN_PROGRESS,
    (_S.REGISTERED, _E.UNREGISTER): _S.DELETION_IN_PROGRESS,
    (_S.REGISTRATION_IN_PROGRESS, _E.UNREGISTER): _S.DELETION_IN_PROGRESS,
}

CERTIFICATE_APPEARS: Mapping[CertificateStatus, CertificateStatus] = {
    _S.SAVED: _S.REGISTERED,
    _S.REGISTRATION_IN_PROGRESS: _S.REGISTERED,
    _S.GLOBAL_ERROR: _S.REGISTERED,
}

CERTIFICATE_VANISHES: Mapping[CertificateStatus, CertificateStatus] = {
    _S.REGISTERED: _S.GLOBAL_ERROR,
}

DELETABLE_CERTIFICATES = frozenset({_S.SAVED, _S.GLOBAL_ERROR, _S.DELETION_IN_PROGRESS})


def certificate_after(status: CertificateStatus, event: CertificateEvent) -> CertificateStatus:
    """The state of an authentication certificate after an administrator's act.

    Raises InvalidMove where the act is not allowed.
    """
    try:
        return CERTIFICATE_MOVES[status, event]
    except KeyError:
        raise InvalidMove(f"a certificate that is {status.value} cannot {event.value}") from None


def next_certificate_status(
    status: CertificateStatus, *, in_global_conf: bool
) -> CertificateStatus:
    """The state of an authentication certificate once the global configuration has it, or not."""
    moves = CERTIFICATE_APPEARS if in_global_conf else CERTIFICATE_VANISHES
    return moves.get(status, status)


def certificate_once_taken(
    before: CertificateStatus, now: CertificateStatus, event: CertificateEvent
) -> CertificateStatus:
    """As `client_once_taken`, for an authentication certificate."""
    after = certificate_after(before, event)
    if now is before:
        return after
    for listed in (True, False):
        if now is next_certificate_status(before, in_global_conf=listed):
            return next_certificate_status(after, in_global_conf=listed)
    raise InvalidMove(f"a certificate that became {now.value} meanwhile cannot {event.value}")


class TokenStatus(Enum):
    """What the device last said of its PIN."""

    OK = "OK"
    NOT_INITIALIZED = "NOT_INITIALIZED"
    USER_PIN_INCORRECT = "USER_PIN_INCORRECT"
    USER_PIN_COUNT_LOW = "USER_PIN_COUNT_LOW"
    USER_PIN_FINAL_TRY = "USER_PIN_FINAL_TRY"
    USER_PIN_LOCKED = "USER_PIN_LOCKED"
    USER_PIN_INVALID = "USER_PIN_INVALID"
    USER_PIN_EXPIRED = "USER_PIN_EXPIRED"


class TokenState(Enum):
    """Whether a token can be used, and by whom it was made so."""

    NOT_INITIALIZED = "not initialized"
    UNAVAILABLE = "unavailable"
    LOGGED_OUT = "logged out"
    LOGGED_IN = "logged in"


class TokenEvent(Enum):
    """What happens to a token."""

    INITIALIZE = "be initialized"
    LOG_IN = "be logged in"
    LOG_OUT = "be logged out"
    CHANGE_PIN = "get another PIN"
    VANISH = "vanish"
    APPEAR = "appear"


_T, _TE = TokenState, TokenEvent

# A token that comes back is logged out; a new PIN is entered once more.
TOKEN_MOVES: Mapping[tuple[TokenState, TokenEvent], TokenState] = {
    (_T.NOT_INITIALIZED, _TE.INITIALIZE): _T.LOGGED_OUT,
    (_T.LOGGED_OUT, _TE.LOG_IN): _T.LOGGED_IN,
    (_T.LOGGED_IN, _TE.LOG_IN): _T.LOGGED_IN,
    (_T.LOGGED_IN, _TE.LOG_OUT): _T.LOGGED_OUT,
    (_T.LOGGED_OUT, _TE.LOG_OUT): _T.LOGGED_OUT,
    (_T.LOGGED_IN, _TE.CHANGE_PIN): _T.LOGGED_OUT,
    (_T.LOGGED_IN, _TE.VANISH): _T.UNAVAILABLE,
    (_T.LOGGED_OUT, _TE.VANISH): _T.UNAVAILABLE,
    (_T.NOT_INITIALIZED, _TE.VANISH): _T.UNAVAILABLE,
    (_T.UNAVAILABLE, _TE.APPEAR): _T.LOGGED_OUT,
}


def token_after(state: TokenState, event: TokenEvent) -> TokenState:
    """The state of a token after an event; raises InvalidMove where it cannot happen."""
    try:
        return TOKEN_MOVES[state, event]
    except KeyError:
        raise InvalidMove(f"a token that is {state.value} cannot {event.value}") from None


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """A certificate of a key; `member` is whom a signing certificate signs for.

    `sha256` is of the DER, in lowercase hexadecimal: the name by which it is spoken of. One that
    is not `saved` was found on a device and is of no use before it is imported from there.
    """

    sha256: str
    certificate: bytes
    status: CertificateStatus
    active: bool
    member: ClientId | None = None
    saved: bool = True


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """A certificate signing request that was made with a key; `der` is the request itself."""

    id: str
    subject: str
    profile: str
    member: ClientId | None = None
    der: bytes = b""


@dataclass(frozen=True, slots=True)
class Key:
    """A key with its requests and certificates; `public_key` is SubjectPublicKeyInfo in DER.

    A key that was found on a device is for nothing (`usage` is None) before a certificate is
    asked for or imported. `device_label` is what the device calls it.
    """

    id: str
    label: str
    usage: KeyUsage | None
    algorithm: KeyAlgorithm
    public_key: bytes
    certificates: tuple[CertificateEntry, ...] = ()
    requests: tuple[RequestEntry, ...] = ()
    token_id: str = SOFT_TOKEN_ID
    device_label: str = ""

    @property
    def saved_to_configuration(self) -> bool:
        """Whether it would be missed: it has a request, or a certificate that is used."""
        return bool(self.requests) or any(entry.saved for entry in self.certificates)


@dataclass(frozen=True, slots=True)
class Token:
    """A device that holds keys; `available_keys` can be used now.

    `type` is the name of the device in the settings, `softToken` for software. `label` is what
    people call it, `device_label`, `serial_number` and `details` are what the device says. With
    `rsa_pss` its RSA keys sign messages by RSA-PSS.
    """

    id: str
    label: str
    status: TokenStatus
    logged_in: bool
    keys: tuple[Key, ...] = ()
    available_keys: frozenset[str] = frozenset()
    type: str = SOFT_TOKEN_TYPE
    available: bool = True
    read_only: bool = False
    batch_signing: bool = True
    rsa_pss: bool = False
    serial_number: str | None = None
    device_label: str | None = None
    slot_index: int = 0
    details: tuple[tuple[str, str], ...] = ()

    @property
    def initialized(self) -> bool:
        """Whether it has a PIN."""
        return self.status is not TokenStatus.NOT_INITIALIZED

    @property
    def is_software(self) -> bool:
        """Whether its keys are files."""
        return self.type == SOFT_TOKEN_TYPE

    @property
    def saved_to_configuration(self) -> bool:
        """Whether it holds a key that would be missed."""
        return any(key.saved_to_configuration for key in self.keys)

    @property
    def state(self) -> TokenState:
        """Where it stands between being there and being used."""
        if not self.available:
            return TokenState.UNAVAILABLE
        if not self.initialized:
            return TokenState.NOT_INITIALIZED
        return TokenState.LOGGED_IN if self.logged_in else TokenState.LOGGED_OUT


class OcspStatus(Enum):
    """What is known of a certificate's revocation."""

    GOOD = "good"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class OcspKnowledge:
    """The last verified response for a certificate, and when it goes stale."""

    status: OcspStatus
    response: bytes | None = None
    this_update: datetime | None = None
    stale_at: datetime | None = None


class PossibleAction(Enum):
    """What people may be offered to do with a token, key, request or certificate."""

    LOGIN = "LOGIN"
    LOGOUT = "LOGOUT"
    TOKEN_CHANGE_PIN = "TOKEN_CHANGE_PIN"  # noqa: S105 - a name, no secret
    TOKEN_DELETE = "TOKEN_DELETE"  # noqa: S105 - a name, no secret
    GENERATE_KEY = "GENERATE_KEY"
    EDIT_FRIENDLY_NAME = "EDIT_FRIENDLY_NAME"
    DELETE = "DELETE"
    GENERATE_AUTH_CSR = "GENERATE_AUTH_CSR"
    GENERATE_SIGN_CSR = "GENERATE_SIGN_CSR"
    REGISTER = "REGISTER"
    UNREGISTER = "UNREGISTER"
    ACTIVATE = "ACTIVATE"
    DISABLE = "DISABLE"
    IMPORT_FROM_TOKEN = "IMPORT_FROM_TOKEN"  # noqa: S105 - a name, no secret


@dataclass(frozen=True, slots=True)
class _Case:
    """What an action is asked about: a token, and what on it."""

    token: Token
    key: Key | None = None
    certificate: CertificateEntry | None = None
    csr_with_certificate: bool = False

    @property
    def saved(self) -> bool:
        if self.certificate is not None:
            return self.certificate.saved
        return (self.key or self.token).saved_to_configuration

    @property
    def can_unregister(self) -> bool:
        return (
            self.is_for(KeyUsage.AUTHENTICATION)
            and self.certificate is not None
            and self.certificate.saved
            and (self.certificate.status, _E.UNREGISTER) in CERTIFICATE_MOVES
        )

    @property
    def can_have_csr(self) -> bool:
        key, token = self.key, self.token
        if key is None or not token.logged_in or key.id not in token.available_keys:
            return False
        return self.csr_with_certificate or not key.certificates

    @property
    def may_be_written(self) -> bool:
        return self.saved or (self.token.logged_in and not self.token.read_only)

    def is_for(self, *usages: KeyUsage | None) -> bool:
        return self.key is not None and self.key.usage in usages

    def is_certificate(self, status: CertificateStatus) -> bool:
        return self.certificate is not None and self.certificate.status is status


def _always(_: _Case) -> bool:
    return True


_Conditions = Mapping[PossibleAction, Callable[[_Case], bool]]
_A = PossibleAction

# What has to be so for an action. An authentication key may be on any token, which is where this
# table allows more than that of the reference; a device's PIN is changed with the device's tools.
_TOKEN_ACTIONS: _Conditions = {
    _A.LOGIN: lambda case: not case.token.logged_in and case.token.available,
    _A.LOGOUT: lambda case: case.token.logged_in,
    _A.GENERATE_KEY: lambda case: case.token.logged_in,
    _A.TOKEN_CHANGE_PIN: lambda case: case.token.logged_in and case.token.is_software,
    _A.TOKEN_DELETE: lambda case: not case.token.available and not case.token.is_software,
    _A.EDIT_FRIENDLY_NAME: lambda case: case.saved,
}
_KEY_ACTIONS: _Conditions = {
    _A.EDIT_FRIENDLY_NAME: _always,
    _A.DELETE: lambda case: case.token.logged_in and case.may_be_written,
    _A.GENERATE_AUTH_CSR: lambda case: (
        case.can_have_csr and case.is_for(None, KeyUsage.AUTHENTICATION)
    ),
    _A.GENERATE_SIGN_CSR: lambda case: case.can_have_csr and case.is_for(None, KeyUsage.SIGNING),
}
_CERTIFICATE_ACTIONS: _Conditions = {
    _A.REGISTER: lambda case: (
        case.saved and case.is_for(KeyUsage.AUTHENTICATION) and case.is_certificate(_S.SAVED)
    ),
    _A.UNREGISTER: lambda case: case.can_unregister,
    _A.ACTIVATE: lambda case: case.saved and not _is_active(case),
    _A.DISABLE: lambda case: case.saved and _is_active(case),
    _A.DELETE: lambda case: not case.can_unregister and case.may_be_written,
    _A.IMPORT_FROM_TOKEN: lambda case: not case.saved and _is_for_signing(case),
}
_REQUEST_ACTIONS: _Conditions = {_A.DELETE: _always}


def possible_actions_of(
    token: Token,
    item: Key | CertificateEntry | RequestEntry | None = None,
    *,
    csr_with_certificate: bool = False,
) -> frozenset[PossibleAction]:
    """What can be done now with a token, or with what is on it.

    `csr_with_certificate` says whether a key that has a certificate may be used for a request.
    """
    conditions = _TOKEN_ACTIONS
    case = _Case(token, csr_with_certificate=csr_with_certificate)
    match item:
        case Key():
            conditions, case = _KEY_ACTIONS, replace(case, key=item)
        case CertificateEntry():
            key = next((key for key in token.keys if item in key.certificates), None)
            conditions, case = _CERTIFICATE_ACTIONS, replace(case, key=key, certificate=item)
        case RequestEntry():
            conditions = _REQUEST_ACTIONS
        case None:
            pass
    return frozenset(action for action, holds in conditions.items() if holds(case))


def _is_active(case: _Case) -> bool:
    return case.certificate is not None and case.certificate.active


def _is_for_signing(case: _Case) -> bool:
    try:
        return (
            case.certificate is not None
            and read_certificate(case.certificate.certificate).is_signing
        )
    except IncorrectCertificate:
        return False
