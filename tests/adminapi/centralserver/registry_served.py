"""The registry's operations behind the gate, on a socket, with a key for every role."""

from contextlib import asynccontextmanager

import httpx

from components.centralserver.registry_builder import registered
from sild.adminapi.application import Services, make_application
from sild.adminapi.centralserver import (
    clients,
    global_groups,
    member_classes,
    members,
    security_servers,
    subsystems,
)
from sild.adminapi.centralserver.central import CentralServer
from sild.adminapi.document import Description
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.schema import MIGRATIONS
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.centralserver.metadata import METADATA
from sild.model.permissions import CENTRAL_SERVER, Role
from sild.runtime.asgi import asgi_handler
from sild.runtime.database import Database
from sild.runtime.http_server import serve
from sild.runtime.http_server_types import Endpoint, Limits
from sild.runtime.migrations import migrate

AREAS = (clients, global_groups, member_classes, members, security_servers, subsystems)
_OTHERS = (
    "certification timestamping sources parts trusted_anchors publisher requests initialization "
    "system management_services management_tls cluster alerts tokens backups"
)


class Records:
    """Audit records, kept."""

    def __init__(self):
        self.records = []

    def record(self, record):
        self.records.append(record)

    @property
    def last(self):
        """The last record: the event's text, its data, and why it failed."""
        record = self.records[-1]
        return record.event.value, record.data, record.reason


class Api:
    """The operations as one who has all roles calls them, and what is behind them."""

    def __init__(self, http, made, audit, key):
        self._http = http
        self._key = key
        self.made = made
        self.audit = audit

    async def __call__(self, method, path, body=None, **query):
        """The status and the body of the answer."""
        answer = await self._http.request(
            method,
            f"/api/v1{path}",
            headers={"authorization": f"X-Road-ApiKey token={self._key}"},
            params=query,
            **({} if body is None else {"json": body}),
        )
        return answer.status_code, answer.json() if answer.content else None

    async def refused(self, method, path, body=None, **query):
        """The status of a refusal with its code and what it speaks of."""
        status, told = await self(method, path, body, **query)
        assert told["status"] == status
        error = told["error"]
        return status, error["code"], error.get("metadata", [])

    async def invalid(self, method, path, body=None, **query):
        """The codes of fields that were not as they should be."""
        status, told = await self(method, path, body, **query)
        assert (status, told["error"]["code"]) == (400, "validation_failure")
        return sorted(
            code for codes in told["error"]["validation_errors"].values() for code in codes
        )


@asynccontextmanager
async def served_registry(path):
    """The operations over the registry of `registered`."""
    async with Database.open(f"sqlite:///{path / 'db' / 'central.db'}") as database:
        async with database.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
        await migrate(database, MIGRATIONS)
        made, audit = await registered(database), Records()
        accounts = Accounts(AccountStore(database), CENTRAL_SERVER, AccountSettings(), made.clock)
        services = Services(accounts, CENTRAL_SERVER, audit, made.clock)
        application = make_application(
            Description("central", "1"),
            [area.OPERATIONS for area in AREAS],
            services,
            AdminApiSettings(rate_limit_enabled=False),
        )
        application.state.central = CentralServer(
            registry=made.registry,
            classes=made.classes,
            servers=made.servers,
            groups=made.groups,
            accounts=accounts,
            clock=made.clock,
            **dict.fromkeys(_OTHERS.split()),
        )
        roles = frozenset(CENTRAL_SERVER) - {Role.MANAGEMENT_SERVICE}
        key = await accounts.keys.create([role.value for role in roles], roles)
        handler = asgi_handler(application, "http")
        server = await serve(handler, Endpoint("127.0.0.1"), Limits(), made.clock)
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{server.port}", timeout=60
            ) as http:
                yield Api(http, made, audit, key.text)
        finally:
            await server.close(0)
