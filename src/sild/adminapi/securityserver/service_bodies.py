"""Service descriptions, services and endpoints as the contract lays them out."""

from enum import Enum
from typing import Annotated, Self

from fastapi import Path
from pydantic import Field

from sild.adminapi.bodies import Body, Identifier, Instant, Plain, ShortText, Text
from sild.components.serverconf.descriptions import ShownDescription
from sild.components.serverconf.endpoint_rows import EndpointRow
from sild.components.serverconf.rows import Description
from sild.components.serverconf.services import ServiceChange, is_https
from sild.model import services

_LONGEST = 255
_LONGEST_SERVICE = 1279
_LONGEST_TIMEOUT = 1000

ServicePath = Annotated[
    str, Field(min_length=1, max_length=_LONGEST_SERVICE), Plain, Path(alias="id")
]
"""A parameter of an operation: a service in the path."""
NumberPath = Annotated[Text, Field(min_length=1), Path(alias="id")]
"""A parameter of an operation: the number of a description or endpoint in the path."""

Notice = Annotated[str, Field(max_length=_LONGEST), Plain]
"""What callers are told of a service that is switched off."""
Timeout = Annotated[int, Field(ge=0, le=_LONGEST_TIMEOUT)]
"""Seconds."""


class ServiceType(Enum):
    """What describes a service."""

    WSDL = "WSDL"
    REST = "REST"
    OPENAPI3 = "OPENAPI3"


class EndpointMethod(Enum):
    """A method, or any."""

    ANY = "*"
    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    PATCH = "PATCH"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"


class Endpoint(Body):
    """A method and path of a service; a new one has no id yet."""

    id: str | None = None
    service_code: str
    method: EndpointMethod
    path: str
    generated: bool | None = None

    @classmethod
    def of(cls, row: EndpointRow) -> Self:
        """Lay out an endpoint."""
        return cls(
            id=str(row.id),
            service_code=row.endpoint.service_code,
            method=EndpointMethod(row.endpoint.method),
            path=row.endpoint.path,
            generated=row.generated,
        )


class EndpointUpdate(Body):
    """What an endpoint is to be."""

    method: EndpointMethod
    path: str


class Service(Body):
    """A service, in one of its versions."""

    id: str
    full_service_code: str | None = None
    service_code: str
    timeout: int
    title: str | None = None
    ssl_auth: bool | None = None
    subjects_count: int | None = None
    """How many have a right to all of it, in whichever version."""
    url: str
    endpoints: list[Endpoint] | None = None

    @classmethod
    def of(cls, service: services.Service, endpoints: tuple[EndpointRow, ...]) -> Self:
        """Lay out a service."""
        return cls(
            id=f"{service.id.provider.encoded}:{service.full_code}",
            full_service_code=service.full_code,
            service_code=service.id.service_code,
            timeout=service.timeout_seconds,
            title=service.title,
            ssl_auth=service.verify_tls and is_https(service.url),
            subjects_count=sum(row.subjects for row in endpoints if row.endpoint.is_base),
            url=service.url,
            endpoints=[Endpoint.of(row) for row in endpoints],
        )


class ServiceUpdate(Body):
    """How a service is to be called, and what of it goes for all of its description."""

    url: ShortText
    timeout: Timeout
    ssl_auth: bool
    url_all: bool = False
    timeout_all: bool = False
    ssl_auth_all: bool = False
    ignore_warnings: bool = False

    def to_change(self) -> ServiceChange:
        """Give what is to be changed."""
        return ServiceChange(
            self.url,
            self.timeout,
            self.ssl_auth,
            self.url_all,
            self.timeout_all,
            self.ssl_auth_all,
        )


class ServiceDescription(Body):
    """A service description with its services; one that is enabled has no notice."""

    id: str
    url: str
    type: ServiceType
    disabled: bool
    disabled_notice: str
    refreshed_at: Instant
    services: list[Service]
    client_id: str

    @classmethod
    def of(cls, shown: ShownDescription) -> Self:
        """Lay out a description."""
        description = shown.description
        return cls(
            id=str(description.id),
            url=description.url,
            type=ServiceType(description.type.value),
            disabled=description.disabled_notice is not None,
            disabled_notice=description.disabled_notice or "",
            refreshed_at=description.refreshed,
            services=services_of(shown),
            client_id=description.provider.encoded,
        )


class ServiceDescriptionAdd(Body):
    """A new description; one of a REST service says the code."""

    url: ShortText
    rest_service_code: Identifier | None = None
    ignore_warnings: bool = False
    type: ServiceType


class ServiceDescriptionUpdate(Body):
    """What a description is to be; that of a REST service says the code, and may say a new one."""

    url: ShortText
    rest_service_code: ShortText | None = None
    new_rest_service_code: Identifier | None = None
    ignore_warnings: bool = False
    type: ServiceType


class ServiceDescriptionDisabledNotice(Body):
    """What callers are to be told."""

    disabled_notice: Notice | None = None


class IgnoreWarnings(Body):
    """Whether it is to be done in spite of warnings."""

    ignore_warnings: bool = False


def services_of(shown: ShownDescription) -> list[Service]:
    """Lay out the services of a description."""
    return [Service.of(each, shown.endpoints_of(each)) for each in shown.description.services]


def told_description(description: Description) -> dict[str, str]:
    """Give what an audit record says of a description, besides whose it is."""
    return {"url": description.url, "serviceType": description.type.value}


def told_service(service: services.Service) -> dict[str, object]:
    """Give what an audit record says of a service whose parameters changed."""
    return {
        "id": service.full_code,
        "url": service.url,
        "timeout": service.timeout_seconds,
        "tlsAuth": service.verify_tls and is_https(service.url),
    }
