"""Rights, references and time-stamping services behind the gate, on a socket."""

from contextlib import asynccontextmanager
from dataclasses import fields

import httpx

from adminapi.api_builder import Recorded
from components.messagelog.builders import service
from components.serverconf.stored import prepare, stored_conf
from components.serverconf.worlds import FixedWorld
from sild.adminapi.application import Services, make_application
from sild.adminapi.document import Description
from sild.adminapi.securityserver import (
    references,
    service_access,
    service_clients,
    timestamping_services,
)
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.schema import MIGRATIONS
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.messagelog.chosen import TimestampingServices
from sild.components.messagelog.schema import MIGRATIONS as MESSAGELOG
from sild.components.messagelog.stamps import StampStore
from sild.components.serverconf.references import References
from sild.components.serverconf.rights import Rights
from sild.components.serverconf.service_clients import ServiceClients
from sild.model.costs import Strategy
from sild.model.permissions import SECURITY_SERVER, Role
from sild.protocol.globalconf.shared_parameters import CostType
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.http_server import serve
from sild.runtime.http_server_types import Endpoint, Limits
from sild.runtime.migrations import migrate

AREAS = (references, service_access, service_clients, timestamping_services)
APPROVED = (
    service("http://first.test/", cost=CostType.PAID, name="First"),
    service("http://second.test/", name="Second"),
)
ALL = (
    Role.SYSTEM_ADMINISTRATOR,
    Role.SECURITY_OFFICER,
    Role.REGISTRATION_OFFICER,
    Role.SERVICE_ADMINISTRATOR,
    Role.SECURITYSERVER_OBSERVER,
)


class Api:
    """The operations as one who has all roles calls them, and what is behind them."""

    def __init__(self, http, conf, world, audit):
        self._http = http
        self.conf = conf
        self.world = world
        self.audit = audit
        self.approved = list(APPROVED)

    async def __call__(self, method, path, body=None, *, role=None, **query):
        """The status and the body of the answer."""
        answer = await self._http.request(
            method,
            f"/api/v1{path}",
            headers={"authorization": f"X-Road-ApiKey token={_KEYS[role]}"},
            params=query or None,
            **({} if body is None else {"json": body}),
        )
        return answer.status_code, answer.json() if answer.content else None

    async def get(self, path, **query):
        """What a question is answered with."""
        status, body = await self("GET", path, **query)
        assert status == 200, body
        return body

    async def refused(self, method, path, body=None, **query):
        """The status and code of a refusal."""
        status, told = await self(method, path, body, **query)
        assert told["status"] == status
        return status, told["error"]["code"]

    @property
    def last(self):
        """The last audit record: the event's text, its data, and whether it went well."""
        record = self.audit.records[-1]
        return record.event.value, dict(record.data), record.reason is None


@asynccontextmanager
async def served_rights(path):
    """The operations over the configuration of `stored_conf` and the usual world."""
    accounts_url = await prepare(path / "db" / "accounts.db", _fill_accounts)
    log_url = await prepare(path / "db" / "messagelog.db", _fill_log)
    async with (
        stored_conf(path) as conf,
        Database.open(accounts_url) as database,
        Database.open(log_url) as log,
    ):
        world, audit = FixedWorld(), Recorded()
        application = make_application(
            Description("security", "1"),
            [area.OPERATIONS for area in AREAS],
            Services(_accounts_on(database), SECURITY_SERVER, audit, conf.clock),
            AdminApiSettings(rate_limit_enabled=False),
        )
        handler = asgi_handler(application, "http")
        server = await serve(handler, Endpoint("127.0.0.1"), Limits(), conf.clock)
        try:
            base = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=base, timeout=60) as http:
                api = Api(http, conf, world, audit)
                application.state.server = _server(api, conf, world, StampStore(log))
                yield api
        finally:
            await server.close(0)


_KEYS = {}


def _accounts_on(database):
    return Accounts(AccountStore(database), SECURITY_SERVER, AccountSettings(), SystemClock())


async def _fill_accounts(database):
    await migrate(database, MIGRATIONS)
    accounts = _accounts_on(database)
    for role, held in ((None, ALL), *((role, (role,)) for role in ALL)):
        made = await accounts.keys.create([each.value for each in held], frozenset(ALL))
        _KEYS[role] = made.text


async def _fill_log(database):
    await migrate(database, MESSAGELOG)


def _server(api, conf, world, stamps):
    async def changed():
        pass

    parts = dict.fromkeys(field.name for field in fields(SecurityServer))
    parts |= {
        "rights": Rights(conf.store, world, conf.clock),
        "service_clients": ServiceClients(conf.store, world),
        "references": References(conf.store, world),
        "timestamping": TimestampingServices(
            stamps, lambda: api.approved, Strategy.FREE_FIRST, changed
        ),
    }
    return SecurityServer(**parts)
