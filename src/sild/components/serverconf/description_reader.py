"""Has service descriptions fetched and read."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from sild.components.serverconf.confined_reading import (
    Description,
    Kind,
    Reader,
    Reading,
    read_confined,
)
from sild.components.serverconf.described import DescribedApi, DescribedService
from sild.components.serverconf.service_errors import InvalidOpenApi, InvalidWsdl, WsdlNotFetched
from sild.components.serverconf.service_settings import ServiceSettings
from sild.components.serverconf.wsdl_validator import WsdlValidator
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest, FetchTooLarge

_OK = 200
_REDIRECTS = 5
_AT_ONCE = 2


class Documents(Protocol):
    """Where descriptions come from."""

    async def fetch(self, url: str) -> bytes:
        """What is there; raises FetchTooLarge or another FetchError."""
        ...


class FetchedDocuments:
    """Documents as information systems serve them, by HTTP.

    As in the reference, nobody looks at a server's certificate; `tls` is such a context.
    """

    def __init__(
        self, fetcher: Fetcher, tls: Callable[[], ssl.SSLContext], settings: ServiceSettings
    ) -> None:
        self._fetcher = fetcher
        self._tls = tls
        self._limits = FetchLimits(
            total=settings.description_timeout,
            connect=settings.description_timeout,
            body=settings.largest_description,
            redirects=_REDIRECTS,
        )

    async def fetch(self, url: str) -> bytes:
        """What is there; raises FetchTooLarge or another FetchError."""
        request = FetchRequest(url, tls=self._tls())
        response = await self._fetcher.fetch(request, self._limits)
        if response.status != _OK:
            raise FetchError(f"{url} is answered with {response.status}")
        return response.body


class DescriptionReader:
    """Reads the descriptions at addresses; how many at once is limited, as each takes memory."""

    def __init__(
        self, documents: Documents, validator: WsdlValidator, read: Reader = read_confined
    ) -> None:
        self._documents = documents
        self._validator = validator
        self._read = read
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def wsdl(self, url: str) -> tuple[DescribedService, ...]:
        """What the WSDL offers; raises WsdlNotFetched, InvalidWsdl."""
        try:
            content = await self._documents.fetch(url)
        except FetchTooLarge as error:
            raise InvalidWsdl(str(error), str(error)) from error
        except FetchError as error:
            raise WsdlNotFetched(str(error)) from error
        return (await self._reading(Description(Kind.WSDL, url, content))).get_services()

    async def warnings_of_wsdl(self, url: str) -> tuple[str, ...]:
        """What the administrator's validator says; raises InvalidWsdl, ValidatorNotRun."""
        return await self._validator.validate(url)

    async def openapi(self, url: str) -> DescribedApi:
        """What the OpenAPI description offers; raises InvalidOpenApi, UnsupportedOpenApi."""
        try:
            content = await self._documents.fetch(url)
        except FetchError as error:
            message = f"Error reading OpenAPI description: {error}"
            raise InvalidOpenApi(message, message) from error
        return (await self._reading(Description(Kind.OPENAPI, url, content))).get_api()

    async def _reading(self, description: Description) -> Reading:
        async with self._turns:
            return await self._read(description)
