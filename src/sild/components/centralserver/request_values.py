"""Management requests as they are kept, and the columns that hold them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sild.model.registration import Origin, RequestStatus
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import (
    REQUEST_CLASSES,
    ManagementRequest,
    OwnerChange,
    RequestType,
    certificate_of,
    client_of,
)

_CLIENT_COLUMNS = (
    "client_instance",
    "client_member_class",
    "client_member_code",
    "client_subsystem_code",
)


@dataclass(frozen=True, slots=True)
class SavedRequest:
    """A request with its life; `status` is None for a type that needs nobody's approval."""

    id: int
    request: ManagementRequest
    origin: Origin
    status: RequestStatus | None
    comments: str | None
    created: datetime
    updated: datetime
    life: int | None
    owner_name: str | None
    """What the owner of the server is called, as far as the registry knows."""
    client_owner_name: str | None
    """What the client's member is called, likewise."""
    new_member: ClientId | None = None
    """The member that was made when it was approved just now."""

    @property
    def type(self) -> RequestType:
        """What is asked for."""
        return self.request.type


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are wanted; what says nothing wants all."""

    query: str = ""
    origin: Origin | None = None
    types: frozenset[RequestType] = frozenset()
    status: RequestStatus | None = None
    server: SecurityServerId | None = None


def thing_of(request: ManagementRequest) -> str:
    """The name of what a request is about; one request for it can be pending, not two."""
    certificate, client = certificate_of(request), client_of(request)
    parts: tuple[str, ...] = (request.type.value,)
    if certificate is not None:
        parts = (*parts, hashlib.sha256(certificate).hexdigest())
    else:
        parts = (*parts, *request.server.parts)
        if client is not None and not isinstance(request, OwnerChange):
            parts = (*parts, *client.parts)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def server_values(server: SecurityServerId) -> dict[str, str]:
    """The columns that name a server."""
    return {
        "instance": server.owner.instance,
        "member_class": server.owner.member_class,
        "member_code": server.owner.member_code,
        "server_code": server.server_code,
    }


def client_columns(client: ClientId | None) -> dict[str, str | None]:
    """The columns that name a client."""
    if client is None:
        return dict.fromkeys(_CLIENT_COLUMNS)
    parts = (client.instance, client.member_class, client.member_code, client.subsystem_code or "")
    return dict(zip(_CLIENT_COLUMNS, parts, strict=True))


def request_values(request: ManagementRequest) -> dict[str, Any]:
    """The columns that hold a request."""
    certificate = certificate_of(request)
    return {
        "type": request.type.value,
        **server_values(request.server),
        **client_columns(client_of(request)),
        "certificate": certificate,
        "certificate_sha256": certificate and hashlib.sha256(certificate).hexdigest(),
        **{name: getattr(request, name, None) for name in _TEXTS},
    }


_TEXTS = ("subsystem_name", "address", "message")
_FIELDS = ("client", "certificate", *_TEXTS)


def request_of(row: Any) -> ManagementRequest:
    """The request that a row holds."""
    kind = REQUEST_CLASSES[RequestType(row.type)]
    owner = ClientId(row.instance, row.member_class, row.member_code)
    values: dict[str, Any] = {
        "client": _client_of(row),
        "certificate": row.certificate,
        **{name: getattr(row, name) for name in _TEXTS},
    }
    known = {name: values[name] for name in _FIELDS if name in kind.__dataclass_fields__}
    return kind(server=SecurityServerId(owner, row.server_code), **known)


def _client_of(row: Any) -> ClientId | None:
    if row.client_instance is None:
        return None
    return ClientId(
        row.client_instance,
        row.client_member_class,
        row.client_member_code,
        row.client_subsystem_code or None,
    )


def saved_of(row: Any) -> SavedRequest:
    """The kept request of a row with its status and names."""
    return SavedRequest(
        id=row.id,
        request=request_of(row),
        origin=Origin(row.origin),
        status=None if row.status is None else RequestStatus(row.status),
        comments=row.comments,
        created=row.created,
        updated=row.updated,
        life=row.life_id,
        owner_name=row.owner_name,
        client_owner_name=row.client_owner_name,
    )
