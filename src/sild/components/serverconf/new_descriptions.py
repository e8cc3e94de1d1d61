"""Service descriptions that are not stored yet, checked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sild.components.serverconf.described import DescribedApi, DescribedService
from sild.components.serverconf.rows import Description
from sild.components.serverconf.service_errors import InvalidServiceUrl
from sild.model.services import (
    DEFAULT_TIMEOUT_SECONDS,
    InvalidConfiguration,
    Service,
    ServiceType,
    check_base_path,
    check_code,
    check_service_code,
    check_timeout,
    check_url,
)
from sild.protocol.ids import ClientId, ServiceId

_MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class ServiceParameters:
    """How a service is called."""

    url: str
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    verify_tls: bool = True


def rest_description(provider: ClientId, code: str, parameters: ServiceParameters) -> Description:
    """A checked description of a REST service by its base path."""
    if not provider.is_subsystem:
        raise InvalidConfiguration(f"{provider} offers no services: it is no subsystem")
    check_service_code(code)
    check_base_path(parameters.url)
    check_timeout(parameters.timeout_seconds)
    service = Service(
        ServiceId(provider, code),
        ServiceType.REST,
        parameters.url,
        parameters.timeout_seconds,
        parameters.verify_tls,
    )
    return Description(provider, ServiceType.REST, parameters.url, (service,))


def openapi_description(provider: ClientId, code: str, url: str, api: DescribedApi) -> Description:
    """A checked description of the REST service that the OpenAPI description there offers."""
    made = rest_description(provider, code, ServiceParameters(api.base_url))
    services = tuple(replace(each, type=ServiceType.OPENAPI3) for each in made.services)
    return replace(made, type=ServiceType.OPENAPI3, url=url, services=services)


def soap_description(service: ServiceId, parameters: ServiceParameters) -> Description:
    """A checked description of one SOAP service; members offer such services too."""
    check_service_code(service.service_code)
    check_url(parameters.url)
    check_timeout(parameters.timeout_seconds)
    if service.service_version is not None:
        check_code("the service version", service.service_version)
    described = Service(
        service,
        ServiceType.WSDL,
        parameters.url,
        parameters.timeout_seconds,
        parameters.verify_tls,
    )
    return Description(service.provider, ServiceType.WSDL, parameters.url, (described,))


def wsdl_services(
    provider: ClientId, described: Iterable[DescribedService], known: Iterable[Service] = ()
) -> tuple[Service, ...]:
    """The services that a WSDL offers; those that are known already keep how they are called.

    Raises InvalidServiceUrl where another cannot be called.
    """
    kept = {service.id: service for service in known}
    services: list[Service] = []
    uncallable: list[str] = []
    for each in described:
        service_id = ServiceId(provider, each.code, each.version)
        before = kept.get(service_id)
        if before is not None:
            services.append(replace(before, title=each.title))
        elif _is_callable(each.url):
            url = each.url or ""
            services.append(Service(service_id, ServiceType.WSDL, url, title=each.title))
        else:
            uncallable.append(each.url or "")
    if uncallable:
        told = tuple(dict.fromkeys(uncallable))[:_MOST_TOLD]
        message = f"services cannot be called at {', '.join(map(repr, told))}"
        raise InvalidServiceUrl(message, *told)
    return tuple(services)


def _is_callable(url: str | None) -> bool:
    try:
        check_url(url or "")
    except InvalidConfiguration:
        return False
    return True
