"""The configuration areas of the Central Server's API on a real socket, and clients by role."""

from contextlib import asynccontextmanager
from dataclasses import fields

from adminapi.centralserver.trust_api import Heard
from apiclient.served import serving
from components.centralserver.source_builders import Central
from sild.adminapi.application import Services, make_application
from sild.adminapi.centralserver import (
    configuration_parts,
    configuration_sources,
    signing_keys,
    tokens,
    trusted_anchors,
)
from sild.adminapi.centralserver.central import CentralServer
from sild.adminapi.document import Description
from sild.adminapi.settings import AdminApiSettings
from sild.apiclient.errors import ApiError
from sild.apiclient.values import ApiKey
from sild.components.accounts import tables as account_tables
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.centralserver.metadata import METADATA
from sild.model.permissions import CENTRAL_SERVER, Role
from sild.runtime.database import Database

AREAS = (configuration_parts, configuration_sources, signing_keys, tokens, trusted_anchors)


class SourceApi:
    """A server with one caller, and what its audit log heard."""

    def __init__(self, central, client, audit):
        self.central = central
        self.client = client
        self.audit = audit

    async def ask(self, method, path, **body):
        """The answer as status and content, JSON where it is that."""
        answer = await self.client.call(method, path, **body)
        if answer.content and answer.headers["content-type"] == "application/json":
            return answer.status, answer.json
        return answer.status, answer.content

    async def refusal(self, method, path, **body):
        """What a call is refused for: status, code and metadata."""
        try:
            await self.client.call(method, path, **body)
        except ApiError as error:
            return error.status, error.code, error.metadata
        raise AssertionError(f"{method} {path} was not refused")

    @property
    def told(self):
        """The last audit record: its event, whether it failed, and its data."""
        record = self.audit.records[-1]
        return record.event, record.reason is not None, record.data


def _central(central):
    areas = dict.fromkeys(field.name for field in fields(CentralServer))
    areas |= {
        "sources": central.sources,
        "parts": central.parts,
        "trusted_anchors": central.anchors,
        "publisher": central.publisher,
    }
    return CentralServer(**areas)


@asynccontextmanager
async def serving_sources(folder, role=Role.SECURITY_OFFICER, **settings):
    """Serve the areas to a caller of this role until the block ends."""
    async with Database.open(f"sqlite:///{folder / 'db' / 'central.db'}") as database:
        async with database.migrating() as connection:
            for metadata in (account_tables.METADATA, METADATA):
                await connection.run_sync(metadata.create_all)
        central = await Central(database, folder / "public").initialize()
        audit = Heard()
        accounts = Accounts(
            AccountStore(database), CENTRAL_SERVER, AccountSettings(), central.clock
        )
        application = make_application(
            Description("Central Server", "1"),
            [area.OPERATIONS for area in AREAS],
            Services(accounts, CENTRAL_SERVER, audit, central.clock),
            AdminApiSettings(rate_limit_enabled=False, **settings),
        )
        application.state.central = _central(central)
        key = (await accounts.keys.create([role.value], frozenset(Role))).text
        async with (
            serving(application, folder) as served,
            served.client(ApiKey(key)) as client,
        ):
            yield SourceApi(central, client, audit)
