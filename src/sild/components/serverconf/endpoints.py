"""Use cases on endpoints: methods and paths of REST services, to give rights to."""

from dataclasses import replace

from sild.components.serverconf.endpoint_rows import (
    EndpointRow,
    change_endpoint,
    get_endpoint,
    read_endpoints,
    remove_endpoints,
)
from sild.components.serverconf.errors import EndpointExists
from sild.components.serverconf.rights import NamedService
from sild.components.serverconf.service_errors import (
    GeneratedEndpointRemoved,
    GeneratedEndpointUpdated,
    WrongDescriptionType,
)
from sild.components.serverconf.services import get_service
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.model.services import Endpoint, ServiceType, check_endpoint


class Endpoints:
    """The endpoints of REST services; those that are generated are fixed."""

    def __init__(self, store: ConfigurationStore) -> None:
        self._store = store

    async def get(self, endpoint_id: int) -> EndpointRow:
        """One endpoint; raises EndpointNotFound."""
        async with self._store.reading() as conf:
            return await get_endpoint(conf, endpoint_id)

    async def add(self, named: NamedService, method: str, path: str) -> EndpointRow:
        """Add a method and path pattern to a REST service.

        Raises ClientNotFound, ServiceNotFound, WrongDescriptionType, EndpointExists.
        """
        check_endpoint(method, path)
        async with self._store.transaction() as conf:
            found = await get_service(conf, named)
            if found.description.type is ServiceType.WSDL:
                message = f"{found.service.id} is a SOAP service and has no endpoints"
                raise WrongDescriptionType(message)
            code = found.service.id.service_code
            added = Endpoint(named.provider, code, method, path)
            await _check_free(conf, added)
            await conf.add_endpoint(added)
            rows = await read_endpoints(conf, named.provider, code)
            return next(row for row in rows if row.endpoint == added)

    async def change(self, endpoint_id: int, method: str, path: str) -> EndpointRow:
        """Give an endpoint another method and path; rights to it stay.

        Raises EndpointNotFound, GeneratedEndpointUpdated, EndpointExists.
        """
        check_endpoint(method, path)
        async with self._store.transaction() as conf:
            row = await get_endpoint(conf, endpoint_id)
            if row.generated:
                message = f"endpoint {endpoint_id} is generated and cannot be changed"
                raise GeneratedEndpointUpdated(message, str(endpoint_id))
            changed = replace(row, endpoint=replace(row.endpoint, method=method, path=path))
            if changed != row:
                await _check_free(conf, changed.endpoint)
                await change_endpoint(conf, changed)
            return changed

    async def remove(self, endpoint_id: int) -> EndpointRow:
        """Remove an endpoint and the rights to it; gives what it was.

        Raises EndpointNotFound, GeneratedEndpointRemoved.
        """
        async with self._store.transaction() as conf:
            row = await get_endpoint(conf, endpoint_id)
            if row.generated:
                message = f"endpoint {endpoint_id} is generated and cannot be removed"
                raise GeneratedEndpointRemoved(message, str(endpoint_id))
            await remove_endpoints(conf, [row])
            return row


async def _check_free(conf: Configuration, endpoint: Endpoint) -> None:
    if endpoint in await conf.endpoints(endpoint.provider):
        raise EndpointExists(
            f"{endpoint.provider} has {endpoint.method} {endpoint.path} of service "
            f"{endpoint.service_code!r} already"
        )
