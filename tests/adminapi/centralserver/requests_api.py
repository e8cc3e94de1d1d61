"""The operations on management requests behind the gate, on a socket, with a key for each role."""

from contextlib import asynccontextmanager
from dataclasses import fields

import httpx

from adminapi.api_builder import Recorded, weak_passwords
from components.centralserver.request_builders import requested
from sild.adminapi.application import Services, make_application
from sild.adminapi.centralserver import management_requests
from sild.adminapi.centralserver.central import CentralServer
from sild.adminapi.document import Description
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts import tables as account_tables
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.centralserver.metadata import METADATA
from sild.model.permissions import CENTRAL_SERVER, Role
from sild.runtime.asgi import asgi_handler
from sild.runtime.database import Database
from sild.runtime.http_server import Endpoint, Limits, serve


class RequestsApi:
    """The operations, who calls them, and what is behind them."""

    def __init__(self, http, made, audit, keys):
        self._http = http
        self._keys = keys
        self.made = made
        self.audit = audit

    async def __call__(self, method, path, body=None, *, role=Role.REGISTRATION_OFFICER, **query):
        """The status and the body of the answer."""
        answer = await self._http.request(
            method,
            f"/api/v1/management-requests{path}",
            headers={"authorization": f"X-Road-ApiKey token={self._keys[role]}"},
            params=query,
            **({} if body is None else {"json": body}),
        )
        return answer.status_code, answer.json() if answer.content else None

    async def code(self, *how, **asked):
        """The status of a refusal with its code."""
        status, told = await self(*how, **asked)
        return status, told["error"]["code"]


@asynccontextmanager
async def requests_api(path):
    async with Database.open(f"sqlite:///{path}/central.db") as database:
        async with database.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.run_sync(account_tables.METADATA.create_all)
        made, audit = await requested(database), Recorded()
        accounts = Accounts(
            AccountStore(database),
            CENTRAL_SERVER,
            AccountSettings(),
            made.clock,
            None,
            weak_passwords(),
        )
        services = Services(accounts, CENTRAL_SERVER, audit, made.clock)
        application = make_application(
            Description("central", "1"),
            [management_requests.OPERATIONS],
            services,
            AdminApiSettings(rate_limit_enabled=False),
        )
        areas = dict.fromkeys(field.name for field in fields(CentralServer))
        application.state.central = CentralServer(
            **areas | {"requests": made.requests, "accounts": accounts, "clock": made.clock}
        )
        keys = {
            role: (await accounts.keys.create([role.value], frozenset(Role))).text
            for role in CENTRAL_SERVER
        }
        handler = asgi_handler(application, "http")
        server = await serve(handler, Endpoint("127.0.0.1"), Limits(), made.clock)
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{server.port}", timeout=60
            ) as http:
                yield RequestsApi(http, made, audit, keys)
        finally:
            await server.close(0)
