"""Clients and their groups as the contract lays them out."""

from enum import Enum
from typing import Annotated, Self

from fastapi import Path, Query
from pydantic import Field

from sild.adminapi.bodies import (
    Body,
    EncodedIdText,
    Identifier,
    Instant,
    Plain,
    ShortText,
    Text,
)
from sild.components.serverconf.client_search import RenameStatus, ShownClient
from sild.components.serverconf.clients import NewClient
from sild.components.serverconf.group_rows import GroupMember, KeptGroup
from sild.components.serverconf.groups import LocalGroups
from sild.model import services
from sild.protocol import ids
from sild.protocol.pki.certificate import Certificate

_LONGEST = 255

ClientPath = Annotated[EncodedIdText, Path(alias="id")]
"""A parameter of an operation: the client in the path."""
SearchText = Annotated[str, Query(max_length=_LONGEST), Plain]
"""A parameter of an operation: what to search for; blank is everything."""
GroupDescription = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_LONGEST,
        pattern=r"^[a-zA-Z0-9\-_,.;:!? ]*$",
        # As published; what is checked is the same in another notation.
        json_schema_extra={"pattern": "^[a-zA-Z0-9-_,.;:!? ]*$"},
    ),
]
"""What a local group is for."""


class ConnectionType(Enum):
    """How information systems connect."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    HTTPS_NO_AUTH = "HTTPS_NO_AUTH"

    @classmethod
    def of(cls, kept: services.ConnectionType) -> Self:
        """Give the published name."""
        return cls(_CONNECTION_TYPES[kept])

    def to_kept(self) -> services.ConnectionType:
        """Give what the server keeps."""
        return next(kept for kept, name in _CONNECTION_TYPES.items() if name == self.value)

    @property
    def told(self) -> str:
        """Give what the audit log says."""
        return self.value.replace("_", " ")


_CONNECTION_TYPES = {
    services.ConnectionType.NOSSL: "HTTP",
    services.ConnectionType.SSLAUTH: "HTTPS",
    services.ConnectionType.SSLNOAUTH: "HTTPS_NO_AUTH",
}


class ClientStatus(Enum):
    """Where a client stands between this server and the Central Server."""

    SAVED = "SAVED"
    REGISTRATION_IN_PROGRESS = "REGISTRATION_IN_PROGRESS"
    REGISTERED = "REGISTERED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"
    GLOBAL_ERROR = "GLOBAL_ERROR"
    DISABLED = "DISABLED"
    DISABLING_IN_PROGRESS = "DISABLING_IN_PROGRESS"
    ENABLING_IN_PROGRESS = "ENABLING_IN_PROGRESS"


class Client(Body):
    """A member or subsystem; one without status is none of this server."""

    id: str
    instance_id: str
    member_name: str | None = None
    member_class: str
    member_code: str
    subsystem_code: str | None = None
    subsystem_name: str | None = None
    owner: bool
    has_valid_local_sign_cert: bool
    is_management_services_provider: bool | None = None
    rename_status: RenameStatus | None = None
    connection_type: ConnectionType | None = None
    status: ClientStatus | None = None

    @classmethod
    def of(cls, client: ShownClient, *, with_provider: bool = False) -> Self:
        """Lay out a client, with whether it provides the management services if wanted."""
        names, connection = client.id, client.connection_type
        return cls(
            id=names.encoded,
            instance_id=names.instance,
            member_name=client.member_name,
            member_class=names.member_class,
            member_code=names.member_code,
            subsystem_code=names.subsystem_code,
            subsystem_name=client.subsystem_name,
            owner=client.is_owner,
            has_valid_local_sign_cert=client.has_valid_sign_certificate,
            is_management_services_provider=client.provides_management if with_provider else None,
            rename_status=client.rename,
            connection_type=connection and ConnectionType.of(connection),
            status=client.status and ClientStatus[client.status.name],
        )


class NewClientBody(Body):
    """A member or subsystem of this instance."""

    member_class: Identifier
    member_code: Identifier
    subsystem_code: Identifier | None = None
    subsystem_name: Annotated[str, Field(max_length=_LONGEST), Plain] | None = None
    connection_type: ConnectionType = ConnectionType.HTTPS

    def to_new(self) -> NewClient:
        """Give the client to be added."""
        return NewClient(
            self.member_class,
            self.member_code,
            self.subsystem_code,
            self.connection_type.to_kept(),
            self.subsystem_name,
        )


class ClientAdd(Body):
    """A new client."""

    client: NewClientBody
    ignore_warnings: bool = False


class ConnectionTypeWrapper(Body):
    """How a client's information systems connect."""

    connection_type: ConnectionType | None = None


class ClientName(Body):
    """What a subsystem is to be called."""

    client_name: ShortText


class OrphanInformation(Body):
    """Whether something is left of a client."""

    orphans_exist: bool


class LocalGroupDescription(Body):
    """What a local group is for."""

    description: GroupDescription


class LocalGroupAdd(LocalGroupDescription):
    """A new local group."""

    code: Identifier


class Members(Body):
    """Clients by their encoded identifiers."""

    items: list[EncodedIdText] | None = None


class GroupMemberBody(Body):
    """A member of a local group; who is called nothing goes by the identifier."""

    id: str
    member_name: str
    subsystem_name: str | None = None
    created_at: Instant


class LocalGroup(Body):
    """A local group."""

    id: str
    code: str
    description: str
    member_count: int
    updated_at: Instant
    members: list[GroupMemberBody]

    @classmethod
    def of(cls, group: KeptGroup, groups: LocalGroups) -> Self:
        """Lay out a group; the use cases know what its members are called."""

        def member_of(member: GroupMember) -> GroupMemberBody:
            named = groups.name_of(member.client)
            return GroupMemberBody(
                id=member.client.encoded,
                member_name=named.member or member.client.member.encoded,
                subsystem_name=named.subsystem,
                created_at=member.added,
            )

        return cls(
            id=str(group.id),
            code=group.code,
            description=group.description,
            member_count=len(group.members),
            updated_at=group.updated,
            members=[member_of(member) for member in group.members],
        )


GroupPath = Annotated[Text, Field(min_length=1), Path(alias="group_id")]
"""A parameter of an operation: the number of a local group in the path."""


def told_client(client: ids.ClientId) -> dict[str, str]:
    """Give what an audit record says of a client."""
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    return dict(zip(names, client.parts, strict=False))


def told_certificate(certificate: Certificate) -> dict[str, str]:
    """Give what an audit record says of a certificate."""
    return {
        "certHash": certificate.sha256.hex(":").upper(),
        "certHashAlgorithm": "SHA-256",
    }
