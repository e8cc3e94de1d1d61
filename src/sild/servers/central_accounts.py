"""A Central Server's accounts, for the command line beside the running server."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from sild.components.accounts.accounts import Accounts
from sild.components.accounts.store import AccountStore
from sild.model.permissions import CENTRAL_SERVER
from sild.runtime.clock import SystemClock
from sild.servers.central_database import migrate_central, open_central_database
from sild.servers.central_layout import CentralLayout
from sild.servers.central_server import read_central_settings


async def with_accounts(home: Path, act: Callable[[Accounts], Awaitable[None]]) -> None:
    """Do something to the accounts of the server in this directory, which may run or not."""
    layout = CentralLayout(home)
    settings = read_central_settings(layout)
    await migrate_central(layout, settings.center)
    async with open_central_database(layout, settings.center) as database:
        store = AccountStore(database)
        await act(Accounts(store, CENTRAL_SERVER, settings.accounts, SystemClock()))
