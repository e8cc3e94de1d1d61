"""An application with a few operations of its own, on a real socket, and a client of it."""

import asyncio
import http.client
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import argon2

from sild.adminapi.application import Services, make_application
from sild.adminapi.document import Description
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.passwords import Passwords
from sild.components.accounts.schema import MIGRATIONS
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.model.permissions import CENTRAL_SERVER, Role
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database
from sild.runtime.http_server import Endpoint, Limits, serve
from sild.runtime.migrations import migrate

PASSWORD = "correct horse battery"
OFFICERS = frozenset({Role.SECURITY_OFFICER, Role.REGISTRATION_OFFICER})
EVERYBODY = OFFICERS | {Role.SYSTEM_ADMINISTRATOR}
UNLIMITED = AdminApiSettings(rate_limit_enabled=False)


@dataclass
class Recorded:
    """An audit log in memory."""

    records: list = field(default_factory=list)

    def record(self, record):
        self.records.append(record)

    def lines(self):
        return [json.loads(record.to_json()) for record in self.records]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def cookies(self):
        found = {}
        for header in self.headers.get_all("set-cookie", []):
            name, _, value = header.partition(";")[0].partition("=")
            found[name] = value
        return found


@dataclass
class Api:
    """A server that runs, and what it was made of."""

    port: int
    accounts: Accounts
    audit: Recorded
    clock: TurnedClock
    application: object

    async def ask(self, method, path, body=None, headers=None, *, cookies=None):
        """Send one request over a connection of its own."""
        return await asyncio.to_thread(self._ask, method, path, body, headers or {}, cookies or {})

    def _ask(self, method, path, body, headers, cookies):
        headers = dict(headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    async def login(self, name="joe", password=PASSWORD):
        """Log in; give the answer."""
        form = f"username={name}&password={password.replace(' ', '+')}"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", "/login", form, headers)

    async def session(self, name="joe"):
        """Log in; give what asks in that session."""
        return Session(self, (await self.login(name)).cookies)

    async def key(self, *roles):
        """Make an API key; give the header that shows it."""
        held = frozenset(Role)
        made = await self.accounts.keys.create([role.value for role in roles], held)
        return {"authorization": f"X-Road-ApiKey token={made.text}"}


@dataclass(frozen=True)
class Session:
    api: Api
    cookies: dict

    async def ask(self, method, path, body=None, headers=None):
        proof = {"x-xsrf-token": self.cookies["XSRF-TOKEN"]}
        return await self.api.ask(method, path, body, proof | (headers or {}), cookies=self.cookies)


def weak_passwords():
    """Hashing that is as weak as tests want it fast."""
    return Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@asynccontextmanager
async def some_accounts(url, settings=None, people=None):
    """Accounts on a database of their own."""
    clock = TurnedClock()
    async with Database.open(url) as database:
        await migrate(database, MIGRATIONS)
        yield _accounts_on(database, settings, people, clock), clock


def _accounts_on(database, settings, people, clock):
    store = AccountStore(database)
    settings = settings or AccountSettings()
    return Accounts(store, CENTRAL_SERVER, settings, clock, people, weak_passwords())


_PREPARED = {}


async def _prepare(path):
    """Make a database with joe, who has every role, and otto, an officer."""
    if "bytes" not in _PREPARED:
        async with some_accounts(f"sqlite:///{path}") as (accounts, _):
            await accounts.add_user("joe", PASSWORD, EVERYBODY)
            await accounts.add_user("otto", PASSWORD, {Role.REGISTRATION_OFFICER})
        _PREPARED["bytes"] = path.read_bytes()
    path.write_bytes(_PREPARED["bytes"])


@asynccontextmanager
async def some_api(directory, areas=(), settings=UNLIMITED, **ways):
    """An API on a real socket, with joe and otto; the ways: people, roles, title, tls, clock."""
    path = directory / "accounts.db"
    await _prepare(path)
    audit, clock = Recorded(), ways.get("clock") or TurnedClock()
    async with Database.open(f"sqlite:///{path}") as database:
        accounts = _accounts_on(database, None, ways.get("people"), clock)
        application = make_application(
            Description(ways.get("title", "An API"), "1"),
            areas,
            Services(accounts, ways.get("roles", CENTRAL_SERVER), audit, clock),
            settings,
        )
        handler = asgi_handler(application, "http")
        endpoint = Endpoint("127.0.0.1", tls=ways.get("tls"))
        server = await serve(handler, endpoint, Limits(), clock)
        try:
            yield Api(server.port, accounts, audit, clock, application)
        finally:
            await server.close(0)
