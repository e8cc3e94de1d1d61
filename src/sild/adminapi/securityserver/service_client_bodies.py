"""Service clients and access rights as the contract lays them out."""

from typing import Annotated, Self

from fastapi import Path
from pydantic import Field

from sild.adminapi.bodies import Body, EncodedIdText, Instant, Plain, ShortText
from sild.components.serverconf import service_clients
from sild.components.serverconf.service_clients import ServiceRight, SubjectKind
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId

_LONGEST_SERVICE = 1279

ServiceIdText = Annotated[str, Field(min_length=1, max_length=_LONGEST_SERVICE), Plain]
"""The identifier of a service, or of who may use it."""
ClientPath = Annotated[EncodedIdText, Path(alias="id")]
"""A parameter of an operation: a client in the path."""
ServicePath = Annotated[ServiceIdText, Path(alias="id")]
"""A parameter of an operation: a service in the path."""
EndpointPath = Annotated[str, Path(alias="id", min_length=1)]
"""A parameter of an operation: an endpoint in the path."""


class NamedServiceClient(Body):
    """Who is to have a right or to lose it; what else is said of them does not count."""

    id: ServiceIdText


class ServiceClients(Body):
    """Some of them."""

    items: list[NamedServiceClient] = Field(default_factory=list)


class ServiceClient(Body):
    """Who has rights, since when, or could have some."""

    id: str
    name: str | None = None
    local_group_code: str | None = None
    service_client_type: SubjectKind
    rights_given_at: Instant | None = None

    @classmethod
    def of(cls, client: service_clients.ServiceClient) -> Self:
        """Lay out a service client."""
        encoded, group_code = "", None
        match client.subject:
            case ClientId():
                encoded = client.subject.encoded
            case GlobalGroupId():
                encoded = f"{client.subject.instance}:{client.subject.group_code}"
            case LocalGroupId():
                encoded, group_code = str(client.group_id), client.subject.group_code
        return cls(
            id=encoded,
            name=client.name,
            local_group_code=group_code,
            service_client_type=client.kind,
            rights_given_at=client.given,
        )


class NamedService(Body):
    """A service to give or take rights to."""

    service_code: ShortText


class AccessRights(Body):
    """Some of them."""

    items: list[NamedService] = Field(default_factory=list)


class AccessRight(Body):
    """A right to a service, and since when."""

    service_code: str
    service_title: str | None = None
    rights_given_at: Instant | None = None

    @classmethod
    def of(cls, right: ServiceRight) -> Self:
        """Lay out a right."""
        return cls(service_code=right.code, service_title=right.title, rights_given_at=right.given)


def in_order(clients: tuple[service_clients.ServiceClient, ...]) -> list[ServiceClient]:
    """Lay out service clients by their names, those without one last."""
    laid_out = map(ServiceClient.of, clients)
    return sorted(
        laid_out,
        key=lambda each: (each.name is None, (each.name or "").casefold(), each.id.casefold()),
    )
