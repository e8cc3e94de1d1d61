"""The life of a management request at the Central Server: its states and the allowed moves.

    none ──submit──► WAITING ──complement──► SUBMITTED FOR APPROVAL
                        │ └──revoke──► REVOKED ◄──withdraw──┐
                        ├──approve──► APPROVED ◄──approve───┤
                        └──decline──► DECLINED ◄──decline───┘

Only three types of requests live; the others have their effect at once, and no state. Two requests
for the same thing, one of the server and one of the Central Server, share one life.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sild.protocol.management.requests import RequestType


class Origin(Enum):
    """Who asks: the Central Server's own officers, or a security server."""

    CENTER = "CENTER"
    SECURITY_SERVER = "SECURITY_SERVER"


class RequestStatus(Enum):
    """Where a request stands."""

    WAITING = "WAITING"
    SUBMITTED_FOR_APPROVAL = "SUBMITTED FOR APPROVAL"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    REVOKED = "REVOKED"


class RequestEvent(Enum):
    """What happens to a request."""

    SUBMIT = "submit"
    COMPLEMENT = "complement"
    APPROVE = "approve"
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    """The Central Server takes back a request of its own that nobody complemented."""
    REVOKE = "revoke"
    """A deletion request for the same thing came."""


_S, _E = RequestStatus, RequestEvent

REQUEST_MOVES: Mapping[tuple[RequestStatus | None, RequestEvent], RequestStatus] = {
    (None, _E.SUBMIT): _S.WAITING,
    (_S.WAITING, _E.COMPLEMENT): _S.SUBMITTED_FOR_APPROVAL,
    (_S.WAITING, _E.APPROVE): _S.APPROVED,
    (_S.SUBMITTED_FOR_APPROVAL, _E.APPROVE): _S.APPROVED,
    (_S.WAITING, _E.DECLINE): _S.DECLINED,
    (_S.SUBMITTED_FOR_APPROVAL, _E.DECLINE): _S.DECLINED,
    (_S.WAITING, _E.WITHDRAW): _S.REVOKED,
    (_S.WAITING, _E.REVOKE): _S.REVOKED,
}

PENDING = frozenset({_S.WAITING, _S.SUBMITTED_FOR_APPROVAL})
"""The states in which a request is still to be decided."""


def find_status_after(status: RequestStatus | None, event: RequestEvent) -> RequestStatus | None:
    """The state of a request after an event; None where the event may not happen."""
    return REQUEST_MOVES.get((status, event))


TYPES_TO_APPROVE = frozenset(
    {
        RequestType.AUTH_CERT_REGISTRATION,
        RequestType.CLIENT_REGISTRATION,
        RequestType.OWNER_CHANGE,
    }
)
"""Requests that somebody must approve; all others have their effect at once."""

COMPLEMENTED_TYPES = frozenset(
    {RequestType.AUTH_CERT_REGISTRATION, RequestType.CLIENT_REGISTRATION}
)
"""Requests that the other origin may complement with one of its own."""


@dataclass(frozen=True, slots=True)
class AutomaticApproval:
    """Which requests need nobody to approve them."""

    auth_cert_registrations: bool = False
    client_registrations: bool = False
    owner_changes: bool = False

    def applies_to(self, kind: RequestType) -> bool:
        """Whether requests of this type are approved by themselves."""
        match kind:
            case RequestType.AUTH_CERT_REGISTRATION:
                return self.auth_cert_registrations
            case RequestType.CLIENT_REGISTRATION:
                return self.client_registrations
            case RequestType.OWNER_CHANGE:
                return self.owner_changes
            case _:
                return False


def is_approved_at_once(
    kind: RequestType, origin: Origin, status: RequestStatus, automatic: AutomaticApproval
) -> bool:
    """Whether a request that was just stored needs nobody, if those whom it names are known.

    What a security server asks for and the Central Server asked for before, both have agreed on.
    """
    if kind is RequestType.OWNER_CHANGE:
        return automatic.owner_changes
    agreed = status is RequestStatus.SUBMITTED_FOR_APPROVAL
    return origin is Origin.SECURITY_SERVER and (agreed or automatic.applies_to(kind))


def decline_event(origin: Origin, *, alone: bool) -> RequestEvent:
    """What declining a request means: a single one of the Central Server's own is withdrawn."""
    withdrawn = alone and origin is Origin.CENTER
    return RequestEvent.WITHDRAW if withdrawn else RequestEvent.DECLINE
