"""The trust areas of the Central Server's API on a real socket, and clients of it by role."""

from contextlib import asynccontextmanager
from dataclasses import fields

from apiclient.served import serving
from sild.adminapi.application import Services, make_application
from sild.adminapi.centralserver import (
    certification_services,
    intermediate_cas,
    ocsp_responders,
    timestamping_services,
)
from sild.adminapi.centralserver.central import CentralServer
from sild.adminapi.document import Description
from sild.adminapi.settings import AdminApiSettings
from sild.apiclient.values import Login
from sild.components.accounts import tables as account_tables
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.centralserver import trust_tables
from sild.components.centralserver.certification_services import CertificationServices
from sild.components.centralserver.timestamping_services import TimestampingServices
from sild.model.permissions import CENTRAL_SERVER, Role
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database

AREAS = (certification_services, intermediate_cas, ocsp_responders, timestamping_services)
_USER, _PASSWORD = "someone", "a good password"


class Heard:
    """Audit records as they came."""

    def __init__(self):
        self.records = []

    def record(self, record):
        self.records.append(record)


class TrustApi:
    """A server with callers of every role, and what its audit log heard."""

    def __init__(self, served, services):
        self.served = served
        self.accounts = services.accounts
        self.audit = services.audit
        self.clock = services.clock

    async def key(self, role=Role.SYSTEM_ADMINISTRATOR):
        """A key of a role."""
        return (await self.accounts.keys.create([role.value], frozenset(Role))).text

    async def login(self):
        """A system administrator who logs in."""
        await self.accounts.add_user(_USER, _PASSWORD, [Role.SYSTEM_ADMINISTRATOR])
        return Login(_USER, _PASSWORD)

    @property
    def told(self):
        """The last audit record: its event, whether it failed, and its data."""
        record = self.audit.records[-1]
        return record.event, record.reason is not None, record.data


def _central(database):
    areas = dict.fromkeys(field.name for field in fields(CentralServer))
    areas |= {
        "certification": CertificationServices(database),
        "timestamping": TimestampingServices(database),
    }
    return CentralServer(**areas)


@asynccontextmanager
async def serving_trust(folder, clock=None, **settings):
    """Serve the areas until the block ends."""
    clock, audit = clock or TurnedClock(), Heard()
    async with Database.open(f"sqlite:///{folder / 'db' / 'central.db'}") as database:
        async with database.migrating() as connection:
            for metadata in (account_tables.METADATA, trust_tables.METADATA):
                await connection.run_sync(metadata.create_all)
        accounts = Accounts(AccountStore(database), CENTRAL_SERVER, AccountSettings(), clock)
        services = Services(accounts, CENTRAL_SERVER, audit, clock)
        application = make_application(
            Description("Central Server", "1"),
            [area.OPERATIONS for area in AREAS],
            services,
            AdminApiSettings(**settings),
        )
        application.state.central = _central(database)
        async with serving(application, folder) as served:
            yield TrustApi(served, services)
