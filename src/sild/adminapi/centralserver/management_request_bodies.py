"""Management requests as the contract lays them out: one body a type, told apart by `type`."""

import base64
from binascii import Error as Base64Error
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter, WithJsonSchema

from sild.adminapi.bodies import (
    Body,
    ClientId,
    EncodedIdText,
    Instant,
    PagingMetadata,
    Plain,
    SecurityServerId,
    ShortText,
)
from sild.adminapi.certificates import CertificateDetails, certificate_details
from sild.components.centralserver.registry_texts import client_from_encoded, server_from_encoded
from sild.components.centralserver.request_values import SavedRequest
from sild.model.registration import Origin, RequestStatus
from sild.protocol.management import requests
from sild.protocol.management.requests import certificate_of, client_of

_LONGEST = 255
_LARGEST_CERTIFICATE = 90_000


class ManagementRequestType(StrEnum):
    """What is asked for; bodies are told apart by the text itself."""

    AUTH_CERT_REGISTRATION_REQUEST = "AUTH_CERT_REGISTRATION_REQUEST"
    CLIENT_REGISTRATION_REQUEST = "CLIENT_REGISTRATION_REQUEST"
    OWNER_CHANGE_REQUEST = "OWNER_CHANGE_REQUEST"
    CLIENT_DELETION_REQUEST = "CLIENT_DELETION_REQUEST"
    CLIENT_DISABLE_REQUEST = "CLIENT_DISABLE_REQUEST"
    CLIENT_ENABLE_REQUEST = "CLIENT_ENABLE_REQUEST"
    CLIENT_RENAME_REQUEST = "CLIENT_RENAME_REQUEST"
    AUTH_CERT_DELETION_REQUEST = "AUTH_CERT_DELETION_REQUEST"
    ADDRESS_CHANGE_REQUEST = "ADDRESS_CHANGE_REQUEST"
    MAINTENANCE_MODE_ENABLE_REQUEST = "MAINTENANCE_MODE_ENABLE_REQUEST"
    MAINTENANCE_MODE_DISABLE_REQUEST = "MAINTENANCE_MODE_DISABLE_REQUEST"

    @property
    def request_type(self) -> requests.RequestType:
        """The same type as the protocol knows it."""
        return requests.RequestType[self.value.removesuffix("_REQUEST")]

    @classmethod
    def of(cls, kind: requests.RequestType) -> Self:
        """The same type as the API names it."""
        return cls(f"{kind.name}_REQUEST")


def _decoded(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or len(value) > _LARGEST_CERTIFICATE:
        raise ValueError("not a base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (Base64Error, ValueError):
        raise ValueError("not a base64 text") from None


Certificate = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(lambda value: base64.b64encode(value).decode("ascii"), return_type=str),
    WithJsonSchema({"type": "string", "format": "byte"}),
]
"""A certificate in DER, in base64."""
Name = Annotated[str, Field(max_length=_LONGEST), Plain]
"""A name or message that may be blank."""


class ManagementRequest(Body):
    """What all requests have; what the Central Server says of one is ignored where it is asked."""

    id: int | None = None
    origin: Origin
    security_server_owner: str | None = None
    security_server_id: EncodedIdText
    status: RequestStatus | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class AuthenticationCertificateRegistrationRequest(ManagementRequest):
    """Register an authentication certificate."""

    type: Literal[ManagementRequestType.AUTH_CERT_REGISTRATION_REQUEST]
    server_address: ShortText
    authentication_certificate: Certificate


class AuthenticationCertificateDeletionRequest(ManagementRequest):
    """Remove an authentication certificate."""

    type: Literal[ManagementRequestType.AUTH_CERT_DELETION_REQUEST]
    authentication_certificate: Certificate


class ClientRegistrationRequest(ManagementRequest):
    """Make a client of a server."""

    type: Literal[ManagementRequestType.CLIENT_REGISTRATION_REQUEST]
    client_id: EncodedIdText
    subsystem_name: Name | None = None


class ClientDeletionRequest(ManagementRequest):
    """Take a client from a server."""

    type: Literal[ManagementRequestType.CLIENT_DELETION_REQUEST]
    client_id: EncodedIdText | None = None


class ClientDisableRequest(ManagementRequest):
    """Let a client rest."""

    type: Literal[ManagementRequestType.CLIENT_DISABLE_REQUEST]
    client_id: EncodedIdText | None = None


class ClientEnableRequest(ManagementRequest):
    """End a client's rest."""

    type: Literal[ManagementRequestType.CLIENT_ENABLE_REQUEST]
    client_id: EncodedIdText


class ClientRenameRequest(ManagementRequest):
    """Give a subsystem another name."""

    type: Literal[ManagementRequestType.CLIENT_RENAME_REQUEST]
    client_id: EncodedIdText
    subsystem_name: Name | None = None


class OwnerChangeRequest(ManagementRequest):
    """Give a server to another owner."""

    type: Literal[ManagementRequestType.OWNER_CHANGE_REQUEST]
    client_id: EncodedIdText


class AddressChangeRequest(ManagementRequest):
    """Give a server another address."""

    type: Literal[ManagementRequestType.ADDRESS_CHANGE_REQUEST]
    server_address: Name


class MaintenanceModeEnableRequest(ManagementRequest):
    """Put a server into maintenance."""

    type: Literal[ManagementRequestType.MAINTENANCE_MODE_ENABLE_REQUEST]
    message: Name | None = None


class MaintenanceModeDisableRequest(ManagementRequest):
    """Take a server out of maintenance."""

    type: Literal[ManagementRequestType.MAINTENANCE_MODE_DISABLE_REQUEST]


AnyManagementRequest = Annotated[
    AuthenticationCertificateRegistrationRequest
    | AuthenticationCertificateDeletionRequest
    | ClientRegistrationRequest
    | ClientDeletionRequest
    | ClientDisableRequest
    | ClientEnableRequest
    | ClientRenameRequest
    | OwnerChangeRequest
    | AddressChangeRequest
    | MaintenanceModeEnableRequest
    | MaintenanceModeDisableRequest,
    Field(discriminator="type"),
]
_ANY: TypeAdapter[AnyManagementRequest] = TypeAdapter(AnyManagementRequest)


# What bodies call otherwise than the values of the protocol.
_FIELDS = {
    "client_id": "client",
    "server_address": "address",
    "authentication_certificate": "certificate",
    "subsystem_name": "subsystem_name",
    "message": "message",
}


def request_of(body: AnyManagementRequest) -> requests.ManagementRequest:
    """The request that a body asks for; raises InvalidEncodedId."""
    given = type(body).model_fields
    values = {field: getattr(body, name) for name, field in _FIELDS.items() if name in given}
    if "client" in values:
        # The contract does not demand it of every type, but there is no such request without.
        values["client"] = client_from_encoded(values["client"] or "")
    if isinstance(body, ClientRenameRequest):
        values["subsystem_name"] = body.subsystem_name or ""
    server = server_from_encoded(body.security_server_id)
    return requests.REQUEST_CLASSES[body.type.request_type](server=server, **values)


def body_of(saved: SavedRequest) -> AnyManagementRequest:
    """Lay out a request."""
    request, client = saved.request, client_of(saved.request)
    values = {
        "id": saved.id,
        "type": ManagementRequestType.of(request.type),
        "origin": saved.origin,
        "security_server_id": request.server.encoded,
        "status": saved.status,
        "created_at": saved.created,
        "updated_at": saved.updated,
        "client_id": client and client.encoded,
        "server_address": getattr(request, "address", None),
        "authentication_certificate": certificate_of(request),
        "subsystem_name": getattr(request, "subsystem_name", None),
        "message": getattr(request, "message", None),
    }
    return _ANY.validate_python({key: each for key, each in values.items() if each is not None})


class ManagementRequestListView(Body):
    """A request in a list."""

    id: int | None = None
    type: ManagementRequestType
    origin: Origin
    security_server_owner: str | None = None
    security_server_id: SecurityServerId
    address: str | None = None
    status: RequestStatus | None = None
    client_id: ClientId | None = None
    client_owner_name: str | None = None
    client_subsystem_name: str | None = None
    created_at: Instant | None = None

    @classmethod
    def of(cls, saved: SavedRequest, **more: Any) -> Self:
        """Lay out a request."""
        client = client_of(saved.request)
        return cls(
            id=saved.id,
            type=ManagementRequestType.of(saved.type),
            origin=saved.origin,
            security_server_owner=saved.owner_name,
            security_server_id=SecurityServerId.of(saved.request.server),
            address=getattr(saved.request, "address", None),
            status=saved.status,
            client_id=None if client is None else ClientId.of(client),
            client_owner_name=saved.client_owner_name,
            client_subsystem_name=getattr(saved.request, "subsystem_name", None),
            created_at=saved.created,
            **more,
        )


class ManagementRequestDetailedView(ManagementRequestListView):
    """A request with all that is known of it."""

    comments: str | None = None
    certificate_details: CertificateDetails | None = None

    @classmethod
    def of_saved(cls, saved: SavedRequest) -> Self:
        """Lay out a request."""
        certificate = certificate_of(saved.request)
        details = None if certificate is None else certificate_details(certificate)
        return cls.of(saved, comments=saved.comments, certificate_details=details)


class PagedManagementRequests(Body):
    """A page of requests."""

    items: list[ManagementRequestListView]
    paging_metadata: PagingMetadata
