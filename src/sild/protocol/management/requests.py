"""The eleven management requests as values (PR-MSERV, section 2)."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from sild.protocol.ids import ClientId, SecurityServerId


class RequestType(Enum):
    """What is asked for, by service code; the management API calls it NAME_REQUEST."""

    AUTH_CERT_REGISTRATION = "authCertReg"
    CLIENT_REGISTRATION = "clientReg"
    OWNER_CHANGE = "ownerChange"
    CLIENT_DELETION = "clientDeletion"
    CLIENT_DISABLE = "clientDisable"
    CLIENT_ENABLE = "clientEnable"
    CLIENT_RENAME = "clientRename"
    AUTH_CERT_DELETION = "authCertDeletion"
    ADDRESS_CHANGE = "addressChange"
    MAINTENANCE_MODE_ENABLE = "maintenanceModeEnable"
    MAINTENANCE_MODE_DISABLE = "maintenanceModeDisable"

    @property
    def service_code(self) -> str:
        """The service that takes it, which is also the name of the element in the body."""
        return self.value


@dataclass(frozen=True, slots=True)
class AuthCertRegistration:
    """Register an authentication certificate (DER), and with the first one the server itself.

    A dry run is verified like any other and leaves nothing behind.
    """

    type: ClassVar[RequestType] = RequestType.AUTH_CERT_REGISTRATION
    server: SecurityServerId
    certificate: bytes
    address: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class AuthCertDeletion:
    """Remove an authentication certificate (DER), or take its registration back."""

    type: ClassVar[RequestType] = RequestType.AUTH_CERT_DELETION
    server: SecurityServerId
    certificate: bytes


@dataclass(frozen=True, slots=True)
class ClientRegistration:
    """Make a member or subsystem a client of a server; a new subsystem may bring its name."""

    type: ClassVar[RequestType] = RequestType.CLIENT_REGISTRATION
    server: SecurityServerId
    client: ClientId
    subsystem_name: str | None = None


@dataclass(frozen=True, slots=True)
class ClientDeletion:
    """Take a client from a server, or its registration back."""

    type: ClassVar[RequestType] = RequestType.CLIENT_DELETION
    server: SecurityServerId
    client: ClientId


@dataclass(frozen=True, slots=True)
class ClientDisable:
    """Let a client of a server rest."""

    type: ClassVar[RequestType] = RequestType.CLIENT_DISABLE
    server: SecurityServerId
    client: ClientId


@dataclass(frozen=True, slots=True)
class ClientEnable:
    """End a client's rest."""

    type: ClassVar[RequestType] = RequestType.CLIENT_ENABLE
    server: SecurityServerId
    client: ClientId


@dataclass(frozen=True, slots=True)
class ClientRename:
    """Give a subsystem another name."""

    type: ClassVar[RequestType] = RequestType.CLIENT_RENAME
    server: SecurityServerId
    client: ClientId
    subsystem_name: str


@dataclass(frozen=True, slots=True)
class OwnerChange:
    """Make a client of a server, who is a member, its owner."""

    type: ClassVar[RequestType] = RequestType.OWNER_CHANGE
    server: SecurityServerId
    client: ClientId


@dataclass(frozen=True, slots=True)
class AddressChange:
    """Give a server another address."""

    type: ClassVar[RequestType] = RequestType.ADDRESS_CHANGE
    server: SecurityServerId
    address: str


@dataclass(frozen=True, slots=True)
class MaintenanceEnable:
    """Put a server into maintenance; the message is for those who call it meanwhile."""

    type: ClassVar[RequestType] = RequestType.MAINTENANCE_MODE_ENABLE
    server: SecurityServerId
    message: str | None = None


@dataclass(frozen=True, slots=True)
class MaintenanceDisable:
    """End a server's maintenance."""

    type: ClassVar[RequestType] = RequestType.MAINTENANCE_MODE_DISABLE
    server: SecurityServerId


ClientRequest = (
    ClientRegistration | ClientDeletion | ClientDisable | ClientEnable | ClientRename | OwnerChange
)
"""Requests about a client; all of them name it."""

CertificateRequest = AuthCertRegistration | AuthCertDeletion
"""Requests about an authentication certificate."""

ManagementRequest = (
    ClientRequest | CertificateRequest | AddressChange | MaintenanceEnable | MaintenanceDisable
)

REQUEST_CLASSES: dict[RequestType, type[ManagementRequest]] = {
    each.type: each
    for each in (
        AuthCertRegistration,
        AuthCertDeletion,
        ClientRegistration,
        ClientDeletion,
        ClientDisable,
        ClientEnable,
        ClientRename,
        OwnerChange,
        AddressChange,
        MaintenanceEnable,
        MaintenanceDisable,
    )
}

UNSIGNED_TYPES = frozenset({RequestType.CLIENT_DELETION, RequestType.AUTH_CERT_DELETION})
"""Requests that come as a plain SOAP message: what brings them vouches for them."""


def client_of(request: ManagementRequest) -> ClientId | None:
    """The client that a request is about."""
    return request.client if isinstance(request, ClientRequest) else None


def certificate_of(request: ManagementRequest) -> bytes | None:
    """The authentication certificate that a request is about."""
    return request.certificate if isinstance(request, CertificateRequest) else None
