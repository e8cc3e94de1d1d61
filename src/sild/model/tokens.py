"""Tokens, keys, certificate requests and certificates, and a certificate's states."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sild.model.services import InvalidMove
from sild.protocol.ids import ClientId

SOFT_TOKEN_ID = "0"  # noqa: S105 - a name, no secret


class KeyUsage(Enum):
    """What a key is for; a key never changes its purpose."""

    SIGNING = "SIGNING"
    AUTHENTICATION = "AUTHENTICATION"


class KeyAlgorithm(Enum):
    """The keys that can be made."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
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


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """A certificate of a key; `member` is whom a signing certificate signs for.

    `sha256` is of the DER, in lowercase hexadecimal: the name by which it is spoken of.
    """

    sha256: str
    certificate: bytes
    status: CertificateStatus
    active: bool
    member: ClientId | None = None


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """A certificate signing request that was made with a key."""

    id: str
    subject: str
    profile: str
    member: ClientId | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key with its requests and certificates; `public_key` is SubjectPublicKeyInfo in DER."""

    id: str
    label: str
    usage: KeyUsage
    algorithm: KeyAlgorithm
    public_key: bytes
    certificates: tuple[CertificateEntry, ...] = ()
    requests: tuple[RequestEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """A device that holds keys; `available_keys` can be used now."""

    id: str
    label: str
    initialized: bool
    logged_in: bool
    keys: tuple[Key, ...] = ()
    available_keys: frozenset[str] = frozenset()


class OcspStatus(Enum):
    """What is known of a certificate's revocation."""

    GOOD = "good"
    REVOKED = "revoked"
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
