"""Use cases on service descriptions, services and endpoints."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sild.components.serverconf.errors import (
    EndpointExists,
    EndpointIsFixed,
    ServiceExists,
    ServiceNotFound,
)
from sild.components.serverconf.rows import Description
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import (
    DEFAULT_TIMEOUT_SECONDS,
    Endpoint,
    InvalidConfiguration,
    Service,
    ServiceType,
    check_base_path,
    check_code,
    check_endpoint,
    check_service_code,
    check_timeout,
    check_url,
)
from sild.protocol.ids import ClientId, ServiceId

_NEW = "Not enabled yet"
_LONGEST_NOTICE = 255


@dataclass(frozen=True, slots=True)
class ServiceParameters:
    """How a service is called."""

    url: str
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    verify_tls: bool = True


class Descriptions:
    """What the clients of this security server offer."""

    def __init__(self, store: ConfigurationStore) -> None:
        self._store = store

    async def add_rest(self, provider: ClientId, code: str, url: str) -> Description:
        """Add a REST service by its base path; it is switched off at first."""
        description = rest_description(provider, code, ServiceParameters(url))
        async with self._store.transaction() as conf:
            await _check_code_free(conf, provider, code)
            added = replace(description, disabled_notice=_NEW)
            return await conf.get_description(await conf.add_description(added))

    async def enable(self, description_id: int) -> None:
        """Let the services of a description be called."""
        await self._replace(description_id, lambda found: replace(found, disabled_notice=None))

    async def disable(self, description_id: int, notice: str) -> None:
        """Let callers have the notice instead of an answer."""
        if len(notice) > _LONGEST_NOTICE:
            raise InvalidConfiguration(f"a notice has at most {_LONGEST_NOTICE} characters")
        await self._replace(description_id, lambda found: replace(found, disabled_notice=notice))

    async def change_rest(self, description_id: int, code: str, url: str) -> None:
        """Give a REST service another code or base path; its rights stay."""
        async with self._store.transaction() as conf:
            found = await conf.get_description(description_id)
            if found.type is not ServiceType.REST:
                raise InvalidConfiguration(
                    f"service description {description_id} is a {found.type.value}, not a REST one"
                )
            (service,) = found.services
            known = ServiceParameters(url, service.timeout_seconds, service.verify_tls)
            changed = rest_description(found.provider, code, known)
            if code != service.id.service_code:
                await _check_code_free(conf, found.provider, code)
                await conf.rename_service(found.provider, service.id.service_code, code)
            await conf.replace_description(
                replace(changed, id=found.id, disabled_notice=found.disabled_notice)
            )

    async def change_service(self, service: ServiceId, parameters: ServiceParameters) -> None:
        """Say how a service is called."""
        async with self._store.transaction() as conf:
            found = await _get_description_of(conf, service)
            if found.type is ServiceType.REST:
                changed = rest_description(found.provider, service.service_code, parameters)
                changed = replace(changed, id=found.id, disabled_notice=found.disabled_notice)
            else:
                check_url(parameters.url)
                check_timeout(parameters.timeout_seconds)
                changed = _with_parameters(found, service, parameters)
            await conf.replace_description(changed)

    async def remove(self, description_id: int) -> None:
        """Remove a description with its services, their endpoints and rights."""
        async with self._store.transaction() as conf:
            await conf.remove_description(await conf.get_description(description_id))

    async def add_endpoint(self, endpoint: Endpoint) -> None:
        """Add a method and path pattern of a REST service."""
        check_endpoint(endpoint.method, endpoint.path)
        async with self._store.transaction() as conf:
            service = ServiceId(endpoint.provider, endpoint.service_code)
            found = await _get_description_of(conf, service)
            if found.type is ServiceType.WSDL:
                raise InvalidConfiguration(f"{service} is a SOAP service and has no endpoints")
            if endpoint in await conf.endpoints(endpoint.provider):
                raise EndpointExists(f"{service} has {endpoint.method} {endpoint.path} already")
            await conf.add_endpoint(endpoint)

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Remove an endpoint and the rights to it."""
        if endpoint.is_base:
            raise EndpointIsFixed("the base endpoint stays as long as its service")
        async with self._store.transaction() as conf:
            await conf.remove_endpoint(endpoint)

    async def _replace(
        self, description_id: int, change: Callable[[Description], Description]
    ) -> None:
        async with self._store.transaction() as conf:
            await conf.replace_description(change(await conf.get_description(description_id)))


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


def _with_parameters(
    description: Description, service: ServiceId, parameters: ServiceParameters
) -> Description:
    services = tuple(
        replace(
            known,
            url=parameters.url,
            timeout_seconds=parameters.timeout_seconds,
            verify_tls=parameters.verify_tls,
        )
        if known.id == service
        else known
        for known in description.services
    )
    return replace(description, services=services)


async def _get_description_of(conf: Configuration, service: ServiceId) -> Description:
    for description in await conf.descriptions(service.provider):
        if any(known.id == service for known in description.services):
            return description
    raise ServiceNotFound(f"{service} is not offered here")


async def _check_code_free(conf: Configuration, provider: ClientId, code: str) -> None:
    for description in await conf.descriptions(provider):
        for service in description.services:
            if service.id.service_code == code:
                raise ServiceExists(f"{provider} has a service {code!r} already")
