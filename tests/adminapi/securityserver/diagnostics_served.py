"""Diagnostics behind the gate, on a socket, with a key for each role."""

from contextlib import asynccontextmanager
from dataclasses import fields

import httpx

from adminapi.api_builder import Recorded
from components.serverconf.stored import prepare
from servers.survey_builder import surveyed
from sild.adminapi.application import Services, make_application
from sild.adminapi.document import Description
from sild.adminapi.securityserver import diagnostics, notifications
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.schema import MIGRATIONS
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.model.permissions import SECURITY_SERVER, Role
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.http_server import Endpoint, Limits, serve
from sild.runtime.migrations import migrate
from sild.servers.diagnosing import make_diagnosing

ADMINISTRATOR = Role.SYSTEM_ADMINISTRATOR


class Api:
    """The operations, and the server that they tell of."""

    def __init__(self, http, keys, made):
        self._http = http
        self._keys = keys
        self.made = made

    async def ask(self, method, path, role=ADMINISTRATOR, **query):
        """The whole answer."""
        headers = {"authorization": f"X-Road-ApiKey token={self._keys[role]}"}
        return await self._http.request(method, f"/api/v1{path}", headers=headers, params=query)

    async def get(self, path, **query):
        """What a question is answered with."""
        answer = await self.ask("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, method, path, role=ADMINISTRATOR, **query):
        """The status and code of a refusal."""
        answer = await self.ask(method, path, role, **query)
        assert answer.json()["status"] == answer.status_code
        return answer.status_code, answer.json()["error"]["code"]


_KEYS = {}


def _accounts_on(database):
    return Accounts(AccountStore(database), SECURITY_SERVER, AccountSettings(), SystemClock())


async def _fill(database):
    await migrate(database, MIGRATIONS)
    accounts = _accounts_on(database)
    for role in SECURITY_SERVER:
        made = await accounts.keys.create([role.value], frozenset(SECURITY_SERVER))
        _KEYS[role] = made.text


@asynccontextmanager
async def served_diagnostics(path, **ways):
    """The operations over a server of `surveyed`."""
    url = await prepare(path / "db" / "accounts.db", _fill)
    async with Database.open(url) as database, surveyed(path, **ways) as made:
        accounts = _accounts_on(database)
        application = make_application(
            Description("security", "1"),
            [diagnostics.OPERATIONS, notifications.OPERATIONS],
            Services(accounts, SECURITY_SERVER, Recorded(), SystemClock()),
            AdminApiSettings(rate_limit_enabled=False),
        )
        diagnosing = make_diagnosing(made.survey)
        parts = dict.fromkeys(field.name for field in fields(SecurityServer))
        parts |= {
            "diagnostics": diagnosing.diagnostics,
            "connections": diagnosing.connections,
            "alerts": diagnosing.alerts,
            "clock": made.clock,
        }
        application.state.server = SecurityServer(**parts)
        handler = asgi_handler(application, "http")
        server = await serve(handler, Endpoint("127.0.0.1"), Limits(), made.clock)
        try:
            base = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=base, timeout=60) as http:
                yield Api(http, _KEYS, made)
        finally:
            await server.close(0)
