"""Service descriptions, services and endpoints behind the gate, and an information system."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import fields

import httpx

from adminapi.api_builder import Recorded
from adminapi.securityserver.clients_served import _KEYS, _accounts_on, _fill_accounts
from components.serverconf.stored import prepare, stored_conf
from sild.adminapi.application import Services as Surroundings
from sild.adminapi.application import make_application
from sild.adminapi.document import Description
from sild.adminapi.securityserver import endpoints, service_descriptions, services
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.settings import AdminApiSettings
from sild.components.serverconf.description_reader import DescriptionReader, FetchedDocuments
from sild.components.serverconf.descriptions import Descriptions
from sild.components.serverconf.endpoints import Endpoints
from sild.components.serverconf.service_settings import ServiceSettings
from sild.components.serverconf.services import Services
from sild.components.serverconf.tls_trial import ServiceTlsTrial
from sild.components.serverconf.wsdl_validator import WsdlValidator
from sild.model.permissions import SECURITY_SERVER
from sild.runtime.asgi import asgi_handler
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.http_server import serve
from sild.runtime.http_server_types import Endpoint, Limits
from sild.runtime.tls import TlsPolicy, client_context, unverified_client_context

AREAS = (endpoints, service_descriptions, services)
CLIENT = "DEV:GOV:M1:registry"


class InformationSystem:
    """Serves documents by their paths, the address being that of this machine."""

    def __init__(self):
        self.documents = {}
        self.port = None

    def url(self, path, scheme="http"):
        return f"{scheme}://localhost:{self.port}{path}"

    @asynccontextmanager
    async def running(self, tls=None):
        server = await asyncio.start_server(self._answer, "localhost", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            content = self.documents.get(head.split()[1].decode())
            status = "404 Not Found" if content is None else "200 OK"
            if isinstance(content, str):
                status, content = f"302 Found\r\nLocation: {content}", b""
            content = content or b""
            told = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n"
            writer.write(f"{told}\r\n".encode() + content)
            await writer.drain()
        writer.close()


class Api:
    """The operations as one who has all roles calls them, and what is behind them."""

    def __init__(self, http, stored, system, audit):
        self._http = http
        self.stored = stored
        self.system = system
        self.audit = audit

    async def __call__(self, method, path, body=None, *, role=None):
        """The status and the body of the answer."""
        answer = await self._http.request(
            method,
            f"/api/v1{path}",
            headers={"authorization": f"X-Road-ApiKey token={_KEYS[role]}"},
            **({} if body is None else {"json": body}),
        )
        return answer.status_code, answer.json() if answer.content else None

    async def done(self, method, path, body=None, status=200):
        """What is answered where all goes well."""
        got, told = await self(method, path, body)
        assert got == status, told
        return told

    async def refused(self, method, path, body=None, **how):
        """The status of a refusal with its code and what it speaks of."""
        status, told = await self(method, path, body, **how)
        assert told["status"] == status
        return status, told["error"]["code"], told["error"].get("metadata", [])

    async def warned(self, method, path, body=None):
        """The warnings of a refusal, by their codes."""
        status, told = await self(method, path, body)
        assert (status, told["error"]["code"]) == (400, "warnings_detected")
        return {each["code"]: each["metadata"] for each in told["warnings"]}

    async def add(self, kind, path, *, status=201, **more):
        """Add the description that the information system has at a path."""
        body = {"type": kind, "url": self.system.url(path), **more}
        return await self.done("POST", f"/clients/{CLIENT}/service-descriptions", body, status)

    @property
    def last(self):
        """The last audit record: the event's text, its data, and whether it went well."""
        record = self.audit.records[-1]
        return record.event.value, dict(record.data), record.reason is None


@asynccontextmanager
async def served_services(path, *, settings=None, tls=None):
    """The operations over the configuration of `stored_conf`, with all that they really use."""
    accounts_url = await prepare(path / "db" / "accounts.db", _fill_accounts)
    settings = settings or ServiceSettings()
    async with (
        stored_conf(path) as stored,
        Database.open(accounts_url) as database,
        Fetcher() as fetcher,
        InformationSystem().running(tls) as system,
    ):
        audit = Recorded()
        application = make_application(
            Description("security", "1"),
            [area.OPERATIONS for area in AREAS],
            Surroundings(_accounts_on(database), SECURITY_SERVER, audit, stored.clock),
            AdminApiSettings(rate_limit_enabled=False),
        )
        application.state.server = _server(stored, fetcher, settings)
        server = await serve(
            asgi_handler(application, "http"), Endpoint("127.0.0.1"), Limits(), stored.clock
        )
        try:
            base = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=base, timeout=60) as http:
                yield Api(http, stored, system, audit)
        finally:
            await server.close(0)


def _server(stored, fetcher, settings):
    unverified = unverified_client_context(TlsPolicy(), None)
    reader = DescriptionReader(
        FetchedDocuments(fetcher, lambda: unverified, settings),
        WsdlValidator(settings.wsdl_validator_command, settings.wsdl_validator_timeout),
    )
    trial = ServiceTlsTrial(lambda trusted: client_context(TlsPolicy(), None, trusted))
    parts = dict.fromkeys(field.name for field in fields(SecurityServer))
    parts |= {
        "descriptions": Descriptions(stored.store, reader, stored.clock, settings),
        "services": Services(stored.store, trial),
        "endpoints": Endpoints(stored.store),
        "clock": stored.clock,
    }
    return SecurityServer(**parts)
