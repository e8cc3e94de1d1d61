"""Clients and local groups behind the gate, on a socket, with a Central Server that takes all."""

from contextlib import asynccontextmanager
from dataclasses import fields

import httpx

from adminapi.api_builder import Recorded
from components.serverconf.builders import server_conf
from components.serverconf.client_worlds import conf_with
from components.serverconf.stored import prepare
from sild.adminapi.application import Services, make_application
from sild.adminapi.document import Description
from sild.adminapi.securityserver import (
    client_certificates,
    client_requests,
    clients,
    local_groups,
)
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.schema import MIGRATIONS
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.registration.acts import Registration
from sild.components.registration.errors import SendingFailed
from sild.components.serverconf.client_states import ClientStates
from sild.components.serverconf.clients import Clients
from sild.components.serverconf.groups import LocalGroups
from sild.components.serverconf.orphans import Orphans
from sild.components.serverconf.renaming import Renaming
from sild.components.serverconf.snapshot_source import SnapshotSource
from sild.components.serverconf.store import ConfigurationStore
from sild.components.signer.acts import CertificateActs
from sild.components.signer.ocsp_cache import OcspCache
from sild.components.signer.ocsp_refresh import OcspRefresher
from sild.components.signer.settings import OcspSettings
from sild.model.permissions import SECURITY_SERVER, Role
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.http_server import serve
from sild.runtime.http_server_types import Endpoint, Limits
from sild.runtime.migrations import migrate

AREAS = (clients, client_certificates, client_requests, local_groups)
ALL = (
    Role.SYSTEM_ADMINISTRATOR,
    Role.SECURITY_OFFICER,
    Role.REGISTRATION_OFFICER,
    Role.SERVICE_ADMINISTRATOR,
    Role.SECURITYSERVER_OBSERVER,
)


class Sender:
    """Takes requests for the Central Server; `refuses` says why, if it does not."""

    def __init__(self):
        self.sent = []
        self.refuses = None

    async def send(self, request):
        if self.refuses is not None:
            raise SendingFailed(self.refuses, self.refuses)
        self.sent.append(request)
        return 40 + len(self.sent)


class Standing:
    """What the server knows of itself, as it was when it last changed."""

    def __init__(self, world):
        self.conf = world.global_conf
        self.kept = None

    def snapshot(self):
        return self.kept


class Keys:
    """The signer's tokens, of which something can be deleted."""

    def __init__(self):
        self.held = ()
        self.deleted = []

    async def tokens(self):
        return self.held

    async def delete_key(self, key_id):
        self.deleted.append(key_id)


class World:
    """The global configuration, and what the server is."""

    def __init__(self, conf, standing):
        self.global_conf = conf.world.global_conf
        self.snapshot = standing.snapshot


class Api:
    """The operations as one who has all roles calls them, and what is behind them."""

    def __init__(self, http, conf, audit):
        self._http = http
        self.conf = conf
        self.audit = audit
        self.sender = Sender()
        self.keys = Keys()
        self.server = None
        self.changed = None

    async def __call__(self, method, path, body=None, *, role=None, content=None, **query):
        """The status and the body of the answer."""
        headers = {"authorization": f"X-Road-ApiKey token={_KEYS[role]}"}
        if content is not None:
            headers["content-type"] = "application/octet-stream"
        answer = await self._http.request(
            method,
            f"/api/v1{path}",
            headers=headers,
            params=query or None,
            content=content,
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

    async def invalid(self, method, path, body=None, **query):
        """The fields that were not as they should be, with their codes."""
        status, told = await self(method, path, body, **query)
        assert (status, told["error"]["code"]) == (400, "validation_failure")
        return told["error"]["validation_errors"]

    @property
    def last(self):
        """The last audit record: the event's text, its data, and whether it went well."""
        record = self.audit.records[-1]
        return record.event.value, dict(record.data), record.reason is None


@asynccontextmanager
async def served_clients(path):
    """The operations over the configuration of `server_conf` and a world of one instance."""
    accounts_url = await prepare(path / "db" / "accounts.db", _fill_accounts)
    async with server_conf(path) as conf, Database.open(accounts_url) as database:
        conf.world.conf = conf_with()
        audit = Recorded()
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
                api = Api(http, conf, audit)
                api.server = await _server(api, conf, path)
                application.state.server = api.server
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


async def _server(api, conf, path):
    standing = Standing(conf.world)

    async def changed():
        standing.kept = await SnapshotSource(conf.store).read(1)

    await changed()
    api.changed = changed
    store = ConfigurationStore(conf.database, changed)
    ocsp = OcspRefresher(OcspCache(path / "ocsp"), None, conf.clock, OcspSettings())
    acts = CertificateActs(api.keys, World(conf, standing), ocsp, conf.clock, changed)
    states = ClientStates(store)
    parts = dict.fromkeys(field.name for field in fields(SecurityServer))
    parts |= {
        "clients": Clients(store, conf.world, api.keys, acts),
        "groups": LocalGroups(store, conf.world, conf.clock),
        "orphans": Orphans(store, api.keys),
        "renaming": Renaming(store, conf.world),
        "registration": Registration(api.keys, states, standing, None, api.sender),
        "certificates": acts,
        "clock": conf.clock,
    }
    return SecurityServer(**parts)
