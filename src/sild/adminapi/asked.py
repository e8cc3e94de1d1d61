"""Who asks for an operation, what they may, and what the audit log is told of it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.permissions import Permission, Role
from sild.model.refusals import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose identity was proved."""

    user: str
    roles: frozenset[Role]
    permissions: frozenset[Permission]
    auth: str
    """How: Session, ApiKey or HttpBasicPam."""
    session: str | None = None
    """The name of the session, if that is how."""


class Act:
    """An operation under way: who asked for it, and its audit record as it grows."""

    def __init__(self, caller: Caller | None, address: str, url: str, correlation_id: str) -> None:
        self._caller = caller
        self.address = address
        """The IP address that asks."""
        self.correlation_id = correlation_id
        """What the answer's header, the log and error bodies call this request."""
        self._url = url
        self._event: AuditEvent | None = None
        self._data: dict[str, object] = {}

    @property
    def caller(self) -> Caller:
        """Who asks; raises Forbidden where nobody proved who they are."""
        if self._caller is None:
            raise Forbidden("nobody is logged in")
        return self._caller

    @property
    def user(self) -> str:
        """The name of who asks."""
        return self.caller.user

    @property
    def roles(self) -> frozenset[Role]:
        """The roles of who asks."""
        return self.caller.roles

    @property
    def permissions(self) -> frozenset[Permission]:
        """What who asks may do."""
        return self.caller.permissions

    def require(self, *permissions: Permission) -> None:
        """Refuse who has none of these permissions."""
        if self.permissions.isdisjoint(permissions):
            raise Forbidden("Access Denied")

    def tell(self, **data: object) -> None:
        """Add data to the audit record; never a secret."""
        self._data.update(data)

    def begin(self, event: AuditEvent | None) -> None:
        """Say which event this is, if any."""
        self._event = event

    def becomes_if_none(self, event: AuditEvent) -> None:
        """Say which event this is where the operation itself is none."""
        self._event = self._event or event

    def becomes(self, event: AuditEvent) -> None:
        """Say which event this is, once that is known better."""
        self._event = event

    def record(self, audit: Audit, reason: str | None = None, *, warning: bool = False) -> None:
        """Write the record, of a failure where there is a reason; nothing if there is no event."""
        if self._event is None:
            return
        caller = self._caller
        audit.record(
            AuditRecord(
                self._event,
                self._data,
                user=caller.user if caller else None,
                address=self.address,
                auth=caller.auth if caller else None,
                url=self._url,
                reason=reason,
                warning=warning,
                correlation_id=self.correlation_id,
            )
        )


def act_of(request: Request) -> Act:
    """The operation that a request asks for."""
    act = request.state.act
    if not isinstance(act, Act):
        raise TypeError("a request came past the gate")
    return act


Asked = Annotated[Act, Depends(act_of)]
"""A parameter of an operation: who asks, and the record under way."""
