"""Management requests: listed, made, approved and declined (CS-97 to CS-101)."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query, Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import EncodedIdText, Paging, Plain
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.management_request_bodies import (
    AnyManagementRequest,
    ManagementRequestDetailedView,
    ManagementRequestListView,
    ManagementRequestType,
    PagedManagementRequests,
    body_of,
    request_of,
)
from sild.adminapi.centralserver.registry_bodies import page_asked
from sild.adminapi.operations import Operations
from sild.components.centralserver.registry_texts import server_from_encoded
from sild.components.centralserver.request_values import RequestFilter
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import Forbidden
from sild.model.registration import TYPES_TO_APPROVE, Origin, RequestStatus
from sild.protocol.management.requests import RequestType

OPERATIONS = Operations("management-requests")

_LONGEST = 255
_LARGEST_ID = 2**31 - 1

RequestId = Annotated[int, Path(ge=1, le=_LARGEST_ID)]
Searched = Annotated[str | None, Query(max_length=_LONGEST), Plain]


def _permissions(verb: str, kinds: frozenset[RequestType]) -> dict[RequestType, Permission]:
    return {kind: Permission[f"{verb}_{kind.name}_REQUEST"] for kind in kinds}


_ADD = _permissions("ADD", frozenset(RequestType))
_APPROVE = _permissions("APPROVE", TYPES_TO_APPROVE)
_REVOKE = _permissions("REVOKE", TYPES_TO_APPROVE)


def wanted_of(
    query: Searched = None,
    origin: Annotated[Origin | None, Query()] = None,
    types: Annotated[list[ManagementRequestType] | None, Query()] = None,
    status: Annotated[RequestStatus | None, Query()] = None,
    server_id: Annotated[EncodedIdText | None, Query()] = None,
) -> RequestFilter:
    """Read which requests are asked for; raises InvalidEncodedId."""
    return RequestFilter(
        query=query or "",
        origin=origin,
        types=frozenset(each.request_type for each in types or ()),
        status=status,
        server=None if server_id is None else server_from_encoded(server_id),
    )


Wanted = Annotated[RequestFilter, Depends(wanted_of)]


@OPERATIONS.get(
    "/management-requests",
    "findManagementRequests",
    permission=Permission.VIEW_MANAGEMENT_REQUESTS,
    also=(400, 404, 406),
)
async def find_management_requests(
    wanted: Wanted, paging: Paging, central: Central
) -> PagedManagementRequests:
    """Search for requests."""
    found = await central.requests.find(wanted, page_asked(paging))
    return PagedManagementRequests(
        items=[ManagementRequestListView.of(each) for each in found.items],
        paging_metadata=paging.metadata(found.total, len(found.items)),
    )


@OPERATIONS.post(
    "/management-requests",
    "addManagementRequest",
    permission=tuple(_ADD.values()),
    event=AuditEvent.ADD_MANAGEMENT_REQUEST,
    status=201,
    also=(202, 400, 404, 406, 409),
)
async def add_management_request(
    body: AnyManagementRequest, asked: Asked, central: Central, response: Response
) -> AnyManagementRequest:
    """Make a request; who speaks for security servers does nothing else, and nobody else does."""
    asked.require(_ADD[body.type.request_type])
    impersonates = Permission.IMPERSONATE_SECURITY_SERVER in asked.permissions
    if impersonates != (body.origin is Origin.SECURITY_SERVER):
        raise Forbidden("Access Denied")
    saved = await central.requests.submit(request_of(body), body.origin)
    asked.tell(requestId=saved.id)
    if saved.status is not RequestStatus.APPROVED:
        response.status_code = HTTPStatus.ACCEPTED
    return body_of(saved)


@OPERATIONS.get(
    "/management-requests/{management_request_id}",
    "getManagementRequest",
    permission=Permission.VIEW_MANAGEMENT_REQUEST_DETAILS,
    also=(400, 404),
)
async def get_management_request(
    management_request_id: RequestId, central: Central
) -> ManagementRequestDetailedView:
    """Show a request."""
    saved = await central.requests.get(management_request_id)
    return ManagementRequestDetailedView.of_saved(saved)


@OPERATIONS.delete(
    "/management-requests/{management_request_id}",
    "revokeManagementRequest",
    permission=tuple(_REVOKE.values()),
    event=AuditEvent.REVOKE_MANAGEMENT_REQUEST,
    status=204,
    also=(400, 404, 406),
)
async def revoke_management_request(
    management_request_id: RequestId, asked: Asked, central: Central
) -> None:
    """Decline a request, or take the Central Server's own back."""
    asked.tell(requestId=management_request_id)
    saved = await central.requests.get(management_request_id)
    asked.require(*_permission_of(saved.type, _REVOKE))
    if (await central.requests.decline(management_request_id)).status is RequestStatus.DECLINED:
        asked.becomes(AuditEvent.DECLINE_MANAGEMENT_REQUEST)


@OPERATIONS.post(
    "/management-requests/{management_request_id}/approval",
    "approveManagementRequest",
    permission=tuple(_APPROVE.values()),
    event=AuditEvent.APPROVE_MANAGEMENT_REQUEST,
    also=(400, 404, 409),
)
async def approve_management_request(
    management_request_id: RequestId, asked: Asked, central: Central
) -> AnyManagementRequest:
    """Carry a request out."""
    asked.tell(requestId=management_request_id)
    saved = await central.requests.get(management_request_id)
    asked.require(*_permission_of(saved.type, _APPROVE))
    approved = await central.requests.approve(management_request_id)
    if approved.new_member is not None:
        member = approved.new_member
        asked.tell(
            memberName=member.member_code,
            memberClass=member.member_class,
            memberCode=member.member_code,
        )
    return body_of(approved)


def _permission_of(
    kind: RequestType, permissions: dict[RequestType, Permission]
) -> tuple[Permission, ...]:
    """The permission for a type; none, which nobody has, for one that is not decided on."""
    permission = permissions.get(kind)
    return () if permission is None else (permission,)
