"""The registration and the management service on sockets, over a registry."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx

from adminapi.api_builder import Recorded
from components.centralserver.request_builders import Ecosystems, Requested, requested
from management_builder import SERVICES, TestSender
from pki_builder import MEMBER
from sild.adminapi.centralserver.management_service import management_app, wsdl_route
from sild.adminapi.centralserver.registration_service import registration_app
from sild.adminapi.centralserver.request_web_service import RequestGuards, ServiceLimits
from sild.components.centralserver.request_services import RequestServices
from sild.components.centralserver.system import Parameter, System, set_parameter
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, serve

REGISTRATION, MANAGEMENT = "/managementservice/", "/managementservice/manage/"


@dataclass
class Served:
    """Both services, who asks them, and what came of it."""

    made: Requested
    sender: TestSender
    registration: httpx.AsyncClient
    management: httpx.AsyncClient
    audit: Recorded

    async def register(self, request=None, **how):
        body, content_type = self.sender.send(request or self.sender.registration(), **how)
        return await self.post(self.registration, REGISTRATION, body, content_type)

    async def manage(self, request, **how):
        body, content_type = self.sender.send(request, **how)
        return await self.post(self.management, MANAGEMENT, body, content_type)

    @asynccontextmanager
    async def at(self, address):
        """These services, asked from another address of this machine."""
        transport = httpx.AsyncHTTPTransport(local_address=address)
        mounts = {"http://": transport}
        async with (
            httpx.AsyncClient(
                base_url=self.registration.base_url, mounts=mounts, timeout=60
            ) as registration,
            httpx.AsyncClient(
                base_url=self.management.base_url, mounts=mounts, timeout=60
            ) as management,
        ):
            yield replace(self, registration=registration, management=management)

    async def post(self, client, path, body, content_type):
        headers = {"content-type": content_type} if content_type else {}
        return await client.post(path, content=body, headers=headers)


class Anchors:
    async def recreate_anchors(self, connection):
        pass


@asynccontextmanager
async def request_services(database, current=None, callers=None, **limits):
    made = await requested(database)
    sender = TestSender.create(made.ca, owner=MEMBER)
    current = current or Ecosystems(made.ca, SERVICES)
    made.requests = type(made.requests)(database, made.requests.node, made.clock, current)
    services = RequestServices(made.requests, current, made.clock)
    audit = Recorded()
    guards = RequestGuards(
        ServiceLimits(**({"requests_per_minute": 0} | limits)), audit, made.clock
    )
    manage = management_app(services, replace(guards, callers=callers))
    manage.router.routes.append(wsdl_route(System(database, made.requests.node, Anchors(), "1")))
    async with (
        _client(registration_app(services, guards)) as registration,
        _client(manage) as management,
    ):
        yield Served(made, sender, registration, management, audit)


@asynccontextmanager
async def _client(app):
    endpoint = Endpoint("127.0.0.1")
    server = await serve(asgi_handler(app, "http"), endpoint, Limits(), SystemClock())
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", timeout=60
        ) as client:
            yield client
    finally:
        await server.close(0)


async def say_where(database, node, address):
    async with database.transaction() as connection:
        await set_parameter(connection, node, Parameter.ADDRESS, address)
