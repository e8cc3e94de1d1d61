"""Operations: a path and method with the permission that it demands and the event that it is.

    operations = Operations("members")

    @operations.post("/members", "addMember", permission=Permission.ADD_NEW_MEMBER,
                     event=AuditEvent.ADD_MEMBER, status=201)
    async def add_member(body: MemberAdd, asked: Asked, central: Central) -> ClientBody: ...

Nothing can be asked for without such a declaration.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict, TypeVar, Unpack

from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

Needed: TypeAlias = Permission | tuple[Permission, ...] | None
"""A permission, any of several, or None: of everyone who is logged in."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as it is declared."""

    method: str
    path: str
    operation_id: str
    needs: tuple[Permission, ...]
    """Any of these; empty: everyone who is logged in."""
    event: AuditEvent | None
    status: int
    also: tuple[int, ...]
    """What else it may answer, besides what all may."""
    blank: tuple[int, ...]
    """What it may answer without a body."""
    gives: str | None
    """The media type of its answers, where they are no JSON."""
    is_open: bool
    """Whether anyone may ask, logged in or not."""
    tag: str
    endpoint: Callable[..., Any]


class How(TypedDict, total=False):
    """What else a declaration says."""

    event: AuditEvent | None
    status: int
    also: tuple[int, ...]
    blank: tuple[int, ...]
    gives: str


class Operations:
    """The operations of one area."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._operations: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def get(
        self, path: str, operation_id: str, *, permission: Needed, **how: Unpack[How]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare what reads."""
        return self._declare("GET", path, operation_id, permission, how)

    def post(
        self, path: str, operation_id: str, *, permission: Needed, **how: Unpack[How]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare what makes or does something."""
        return self._declare("POST", path, operation_id, permission, how)

    def put(
        self, path: str, operation_id: str, *, permission: Needed, **how: Unpack[How]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare what sets something."""
        return self._declare("PUT", path, operation_id, permission, how)

    def patch(
        self, path: str, operation_id: str, *, permission: Needed, **how: Unpack[How]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare what changes something."""
        return self._declare("PATCH", path, operation_id, permission, how)

    def delete(
        self, path: str, operation_id: str, *, permission: Needed, **how: Unpack[How]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare what deletes something."""
        return self._declare("DELETE", path, operation_id, permission, how)

    def get_openly(
        self, path: str, operation_id: str, **how: Unpack[How]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare what anyone may read, without being logged in."""
        return self._declare("GET", path, operation_id, None, how, is_open=True)

    def _declare(
        self,
        method: str,
        path: str,
        operation_id: str,
        permission: Needed,
        how: How,
        *,
        is_open: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        needs = permission if isinstance(permission, tuple) else (permission,)
        if not needs:
            raise ValueError(f"{operation_id} says of nobody that they may")

        def declare(endpoint: Endpoint) -> Endpoint:
            self._operations.append(
                Operation(
                    method=method,
                    path=path,
                    operation_id=operation_id,
                    needs=tuple(one for one in needs if one is not None),
                    event=how.get("event"),
                    status=how.get("status", 200),
                    also=how.get("also", (400, 404)),
                    blank=how.get("blank", ()),
                    gives=how.get("gives"),
                    is_open=is_open,
                    tag=self._tag,
                    endpoint=endpoint,
                )
            )
            return endpoint

        return declare
