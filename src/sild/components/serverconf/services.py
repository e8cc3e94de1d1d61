"""Use cases on services: how they are called."""

from dataclasses import dataclass, replace

from sild.components.serverconf.description_checks import check_address, check_url_free
from sild.components.serverconf.endpoint_rows import EndpointRow, read_endpoints
from sild.components.serverconf.errors import ServiceNotFound
from sild.components.serverconf.rights import NamedService
from sild.components.serverconf.rows import Description
from sild.components.serverconf.service_errors import HttpsRequired, Warned, WarningsFound
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.components.serverconf.tls_trial import (
    TlsTrial,
    TlsTrialFailed,
    TlsTrialRefused,
)
from sild.model.services import Service, ServiceType, check_timeout


@dataclass(frozen=True, slots=True)
class ShownService:
    """A service, its endpoints, and the description that it is of."""

    service: Service
    endpoints: tuple[EndpointRow, ...]
    description: Description


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """How a service is to be called, and what of it goes for all services of its description."""

    url: str
    timeout_seconds: int
    verify_tls: bool
    url_all: bool = False
    timeout_all: bool = False
    verify_tls_all: bool = False

    def of(self, service: Service, *, is_named: bool) -> Service:
        """The service after the change; where there is no TLS to verify, any later is."""
        after = service
        if is_named or self.url_all:
            after = replace(after, url=self.url)
        if is_named or self.timeout_all:
            after = replace(after, timeout_seconds=self.timeout_seconds)
        if is_named or self.verify_tls_all:
            verify = self.verify_tls or not is_https(after.url)
            after = replace(after, verify_tls=verify)
        return after

    @property
    def concerns_all(self) -> bool:
        """Whether other services of the description change too."""
        return self.url_all or self.timeout_all or self.verify_tls_all


def is_https(url: str) -> bool:
    """Whether a service at this address is called by TLS."""
    return url.lower().startswith("https:")


class Services:
    """The services of the clients of this security server."""

    def __init__(self, store: ConfigurationStore, trial: TlsTrial) -> None:
        self._store = store
        self._trial = trial

    async def get(self, named: NamedService) -> ShownService:
        """One service; raises ClientNotFound, ServiceNotFound."""
        async with self._store.reading() as conf:
            return await get_service(conf, named)

    async def change(
        self, named: NamedService, change: ServiceChange, *, ignore_warnings: bool = False
    ) -> tuple[ShownService, tuple[Service, ...]]:
        """Say how a service is called; gives it, and all services that the change was for.

        With TLS to be verified the service is connected to first. Raises MalformedUrl,
        HttpsRequired, ClientNotFound, ServiceNotFound, DescriptionUrlExists, WarningsFound.
        """
        found = await self.get(named)
        is_wsdl = found.description.type is ServiceType.WSDL
        check_address(ServiceType.WSDL if is_wsdl else ServiceType.REST, change.url)
        check_timeout(change.timeout_seconds)
        if change.verify_tls and not is_https(change.url):
            raise HttpsRequired(f"{change.url} has no certificate to verify: it is not https")
        if change.verify_tls and not ignore_warnings:
            await self._try_tls(named, change.url)
        async with self._store.transaction() as conf:
            found = await get_service(conf, named)
            description = found.description
            services = tuple(
                change.of(each, is_named=each.id == found.service.id)
                for each in description.services
            )
            after = replace(description, services=services)
            if description.type is ServiceType.REST:
                known = await conf.descriptions(named.provider)
                others = (each for each in known if each.id != description.id)
                check_url_free(ServiceType.REST, change.url, others)
                after = replace(after, url=change.url)
            await conf.replace_description(after)
            concerned = tuple(
                each for each in services if change.concerns_all or each.id == found.service.id
            )
            return await get_service(conf, named), concerned

    async def _try_tls(self, named: NamedService, url: str) -> None:
        async with self._store.reading() as conf:
            client = await conf.get_client(named.provider)
        try:
            await self._trial.try_tls(url, client.certificates)
        except TlsTrialRefused as error:
            raise WarningsFound(Warned("internal_server_ssl_handshake_error", (url,))) from error
        except TlsTrialFailed as error:
            raise WarningsFound(Warned("internal_server_ssl_error", (url,))) from error


async def get_service(conf: Configuration, named: NamedService) -> ShownService:
    """A service by the name that people give it; raises ClientNotFound, ServiceNotFound."""
    await conf.get_client(named.provider)
    for description in await conf.descriptions(named.provider):
        for service in description.services:
            if service.full_code == named.full_code:
                code = service.id.service_code
                rows = await read_endpoints(conf, named.provider, code)
                return ShownService(service, rows, description)
    raise ServiceNotFound(f"{named.provider} has no service {named.full_code!r}")
