"""Use cases on service descriptions.

What a description says is read before a transaction begins, and compared with what is stored
within one.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sild.components.serverconf.described import DescribedApi, DescribedService
from sild.components.serverconf.description_checks import (
    check_address,
    check_code_free,
    check_identifiers,
    check_not_reserved,
    check_services_free,
    check_url_free,
)
from sild.components.serverconf.description_reader import DescriptionReader
from sild.components.serverconf.endpoint_rows import (
    EndpointRow,
    add_generated,
    read_endpoints,
    remove_endpoints,
    set_generated,
)
from sild.components.serverconf.errors import ServiceNotFound
from sild.components.serverconf.new_descriptions import (
    ServiceParameters,
    openapi_description,
    rest_description,
    wsdl_services,
)
from sild.components.serverconf.rows import Description
from sild.components.serverconf.service_errors import (
    IdentifierIsInvalidNow,
    InvalidWsdl,
    InvalidWsdlIdentifier,
    MissingParameter,
    Warned,
    WarningsFound,
    WrongDescriptionType,
    WsdlIsInvalidNow,
)
from sild.components.serverconf.service_settings import ServiceSettings
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import Endpoint, InvalidConfiguration, Service, ServiceType
from sild.protocol.ids import ClientId
from sild.runtime.clock import Clock

_NEW = "Out of order"
_LONGEST_NOTICE = 255


@dataclass(frozen=True, slots=True)
class ShownDescription:
    """A service description with the endpoints of its services."""

    description: Description
    endpoints: tuple[EndpointRow, ...]

    def endpoints_of(self, service: Service) -> tuple[EndpointRow, ...]:
        """The endpoints of a service, whatever its version."""
        code = service.id.service_code
        return tuple(row for row in self.endpoints if row.endpoint.service_code == code)


@dataclass(frozen=True, slots=True)
class DescriptionChange:
    """What is to become of a description of a type.

    A REST service is named by its code, and may get a new one.
    """

    type: ServiceType
    url: str
    code: str | None = None
    new_code: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedDescription:
    """A description that was read again, with the codes of services that came and went."""

    description: Description
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Descriptions:
    """What the clients of this security server offer."""

    def __init__(
        self,
        store: ConfigurationStore,
        reader: DescriptionReader,
        clock: Clock,
        settings: ServiceSettings,
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._settings = settings

    async def of_client(self, provider: ClientId) -> tuple[ShownDescription, ...]:
        """The descriptions of a client; raises ClientNotFound."""
        async with self._store.reading() as conf:
            await conf.get_client(provider)
            endpoints = await read_endpoints(conf, provider)
            found = await conf.descriptions(provider)
        return tuple(ShownDescription(each, endpoints) for each in found)

    async def get(self, description_id: int) -> ShownDescription:
        """One description; raises DescriptionNotFound."""
        async with self._store.reading() as conf:
            found = await conf.get_description(description_id)
            return ShownDescription(found, await read_endpoints(conf, found.provider))

    async def add_wsdl(
        self, provider: ClientId, url: str, *, ignore_warnings: bool = False
    ) -> Description:
        """Add the services of a WSDL; they are switched off at first.

        Raises ClientNotFound, MalformedUrl, WsdlExists, WsdlNotFetched, InvalidWsdl,
        ServiceExists, ReservedServiceCode, InvalidServiceUrl, ValidatorNotRun, WarningsFound.
        """
        async with self._store.reading() as conf:
            await conf.get_client(provider)
            check_address(ServiceType.WSDL, url)
            check_url_free(ServiceType.WSDL, url, await conf.descriptions(provider))
        described, warnings = await self._read_wsdl(url)
        services = wsdl_services(provider, described)
        added = Description(provider, ServiceType.WSDL, url, services)
        async with self._store.transaction() as conf:
            others = await conf.descriptions(provider)
            check_url_free(ServiceType.WSDL, url, others)
            check_services_free(services, others)
            _check_ignored(warnings, ignore_warnings=ignore_warnings)
            return await self._add(conf, added)

    async def add_openapi(
        self, provider: ClientId, code: str | None, url: str, *, ignore_warnings: bool = False
    ) -> Description:
        """Add the REST service of an OpenAPI description; it is switched off at first.

        Raises ClientNotFound, MissingParameter, MalformedUrl, InvalidOpenApi, UnsupportedOpenApi,
        DescriptionUrlExists, ServiceCodeExists, ReservedServiceCode, WarningsFound.
        """
        code = await self._check_new(provider, ServiceType.OPENAPI3, code, url)
        api = await self._reader.openapi(url)
        added = openapi_description(provider, code, url, api)
        async with self._store.transaction() as conf:
            await _check_free(conf, added)
            _check_ignored(_warnings_of(api), ignore_warnings=ignore_warnings)
            stored = await self._add(conf, added)
            generated = _endpoints_of(provider, code, api)
            await add_generated(conf, provider, (each for each in generated if not each.is_base))
            return stored

    async def add_rest(self, provider: ClientId, code: str | None, url: str) -> Description:
        """Add a REST service by its base path; it is switched off at first.

        Raises ClientNotFound, MissingParameter, MalformedUrl, DescriptionUrlExists,
        ServiceCodeExists, ReservedServiceCode.
        """
        code = await self._check_new(provider, ServiceType.REST, code, url)
        added = rest_description(provider, code, ServiceParameters(url))
        async with self._store.transaction() as conf:
            await _check_free(conf, added)
            return await self._add(conf, added)

    async def enable(self, description_id: int) -> Description:
        """Let the services of a description be called."""
        return await self._replace(
            description_id, lambda found: replace(found, disabled_notice=None)
        )

    async def disable(self, description_id: int, notice: str) -> Description:
        """Let callers have the notice instead of an answer."""
        if len(notice) > _LONGEST_NOTICE:
            raise InvalidConfiguration(f"a notice has at most {_LONGEST_NOTICE} characters")
        return await self._replace(
            description_id, lambda found: replace(found, disabled_notice=notice)
        )

    async def remove(self, description_id: int) -> None:
        """Remove a description with its services, their endpoints and rights."""
        async with self._store.transaction() as conf:
            await conf.remove_description(await conf.get_description(description_id))

    async def refresh(
        self, description_id: int, *, ignore_warnings: bool = False
    ) -> ChangedDescription:
        """Read a description again; there is nothing to be read of a REST service's base path.

        Raises DescriptionNotFound and what `change` raises.
        """
        found = (await self.get(description_id)).description
        if found.type is ServiceType.REST:
            return ChangedDescription(found)
        code = found.services[0].id.service_code if found.services else None
        change = DescriptionChange(found.type, found.url, code)
        return await self.change(description_id, change, ignore_warnings=ignore_warnings)

    async def change(
        self, description_id: int, change: DescriptionChange, *, ignore_warnings: bool = False
    ) -> ChangedDescription:
        """Give a description another address, read what is there, and a service another code.

        How services are called, and rights to what is still there, stay. Raises
        WrongDescriptionType, MissingParameter, ServiceNotFound, and as adding does, but
        WsdlIsInvalidNow or IdentifierIsInvalidNow for InvalidWsdl.
        """
        found = (await self.get(description_id)).description
        if found.type is not change.type:
            raise WrongDescriptionType(
                f"service description {description_id} is {found.type.value}, not "
                f"{change.type.value}"
            )
        check_address(change.type, change.url)
        if change.type is ServiceType.WSDL:
            return await self._change_wsdl(found, change.url, ignore_warnings=ignore_warnings)
        if change.code is None:
            raise MissingParameter("a REST service is named by its code")
        check_not_reserved([change.new_code or change.code], self._settings.reserved_service_codes)
        api = None
        if change.type is ServiceType.OPENAPI3:
            api = await self._reader.openapi(change.url)
        async with self._store.transaction() as conf:
            changed = await self._change_rest(conf, description_id, change)
            if api is None:
                return changed
            return await _change_endpoints(conf, changed, api, ignore_warnings=ignore_warnings)

    async def _check_new(
        self, provider: ClientId, kind: ServiceType, code: str | None, url: str
    ) -> str:
        if code is None:
            raise MissingParameter("a REST service has a code")
        check_not_reserved([code], self._settings.reserved_service_codes)
        check_address(kind, url)
        async with self._store.reading() as conf:
            await conf.get_client(provider)
        return code

    async def _read_wsdl(self, url: str) -> tuple[tuple[DescribedService, ...], tuple[Warned, ...]]:
        described = await self._reader.wsdl(url)
        check_identifiers(described)
        check_not_reserved((each.code for each in described), self._settings.reserved_service_codes)
        told = await self._reader.warnings_of_wsdl(url)
        return described, (Warned("wsdl_validation_warnings", told),) if told else ()

    async def _add(self, conf: Configuration, description: Description) -> Description:
        added = replace(description, disabled_notice=_NEW, refreshed=self._clock.now())
        return await conf.get_description(await conf.add_description(added))

    async def _change_wsdl(
        self, found: Description, url: str, *, ignore_warnings: bool
    ) -> ChangedDescription:
        async with self._store.reading() as conf:
            check_url_free(ServiceType.WSDL, url, await _others(conf, found))
        with _as_conflicts():
            described, warnings = await self._read_wsdl(url)
        async with self._store.transaction() as conf:
            # Again, as others may have changed it meanwhile.
            before = await conf.get_description(_id_of(found))
            services = wsdl_services(found.provider, described, before.services)
            others = await _others(conf, found)
            check_url_free(ServiceType.WSDL, url, others)
            check_services_free(services, others)
            now = {each.full_code: None for each in services}
            then = {each.full_code: None for each in before.services}
            added = tuple(code for code in now if code not in then)
            removed = tuple(code for code in then if code not in now)
            changes = _changes("services", added, removed)
            _check_ignored((*warnings, *changes), ignore_warnings=ignore_warnings)
            after = replace(before, url=url, services=services, refreshed=self._clock.now())
            await conf.replace_description(after)
            stored = await conf.get_description(_id_of(found))
            return ChangedDescription(stored, added, removed)

    async def _change_rest(
        self, conf: Configuration, description_id: int, change: DescriptionChange
    ) -> ChangedDescription:
        found = await conf.get_description(description_id)
        (service,) = found.services
        if change.code != service.id.service_code:
            raise ServiceNotFound(
                f"service description {description_id} is not of a service {change.code!r}"
            )
        code = change.new_code or service.id.service_code
        is_rest = found.type is ServiceType.REST
        # Where a service of an OpenAPI description is called is changed with its parameters.
        service_url = change.url if is_rest else service.url
        parameters = ServiceParameters(service_url, service.timeout_seconds, service.verify_tls)
        made = rest_description(found.provider, code, parameters)
        after = replace(
            found,
            url=change.url,
            services=tuple(replace(each, type=found.type) for each in made.services),
            refreshed=self._clock.now(),
        )
        await _check_free(conf, after)
        await conf.rename_service(found.provider, service.id.service_code, code)
        await conf.replace_description(after)
        return ChangedDescription(await conf.get_description(description_id))

    async def _replace(
        self, description_id: int, change: Callable[[Description], Description]
    ) -> Description:
        async with self._store.transaction() as conf:
            await conf.replace_description(change(await conf.get_description(description_id)))
            return await conf.get_description(description_id)


async def _change_endpoints(
    conf: Configuration, changed: ChangedDescription, api: DescribedApi, *, ignore_warnings: bool
) -> ChangedDescription:
    """Let the generated endpoints of a service be those that its description has now."""
    (service,) = changed.description.services
    provider, code = service.id.provider, service.id.service_code
    now = _endpoints_of(provider, code, api)
    rows = await read_endpoints(conf, provider, code)
    then = {row.endpoint for row in rows}
    added = [each for each in now if each not in then]
    removed = [row for row in rows if row.generated and row.endpoint not in now]
    changes = _changes(
        "endpoints", [_told(each) for each in added], [_told(row.endpoint) for row in removed]
    )
    _check_ignored((*_warnings_of(api), *changes), ignore_warnings=ignore_warnings)
    await set_generated(conf, (row for row in rows if row.endpoint in now))
    await remove_endpoints(conf, removed)
    await add_generated(conf, provider, added)
    return changed


def _endpoints_of(provider: ClientId, code: str, api: DescribedApi) -> dict[Endpoint, None]:
    found = (Endpoint(provider, code, each.method, each.path) for each in api.operations)
    return dict.fromkeys((Endpoint(provider, code), *found))


def _told(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def _warnings_of(api: DescribedApi) -> tuple[Warned, ...]:
    return (Warned("openapi_validation_warnings", api.warnings),) if api.warnings else ()


def _changes(what: str, added: Collection[str], removed: Collection[str]) -> tuple[Warned, ...]:
    kinds = ((f"adding_{what}", added), (f"deleting_{what}", removed))
    return tuple(Warned(code, tuple(about)) for code, about in kinds if about)


def _check_ignored(warnings: tuple[Warned, ...], *, ignore_warnings: bool) -> None:
    if warnings and not ignore_warnings:
        raise WarningsFound(*warnings)


def _id_of(description: Description) -> int:
    assert description.id is not None  # noqa: S101 - it comes from the store
    return description.id


async def _others(conf: Configuration, description: Description) -> tuple[Description, ...]:
    """The other descriptions of the same client."""
    known = await conf.descriptions(description.provider)
    return tuple(each for each in known if each.id != description.id)


async def _check_free(conf: Configuration, description: Description) -> None:
    """Refuse a REST description whose service or address another one has."""
    others = await _others(conf, description)
    for service in description.services:
        check_code_free(service.id.service_code, description.url, others)
    check_url_free(description.type, description.url, others)


@contextmanager
def _as_conflicts() -> Iterator[None]:
    """A WSDL that was all right is not any more: that stands against what is stored."""
    try:
        yield
    except InvalidWsdlIdentifier as error:
        raise IdentifierIsInvalidNow(error.message, *error.metadata) from error
    except InvalidWsdl as error:
        raise WsdlIsInvalidNow(error.message, *error.metadata) from error
