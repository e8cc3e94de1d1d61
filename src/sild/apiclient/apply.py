"""Making a declared server true, step by step, through the management API.

What is there already is left as it is, so that a second run changes nothing, and a run that was
stopped is simply made again. Parts that do not need each other are made beside each other.
"""

from collections.abc import Callable

from sild.apiclient.apply_clients import Clients
from sild.apiclient.apply_foundation import lay_foundation
from sild.apiclient.apply_keys import Keys
from sild.apiclient.apply_run import Run
from sild.apiclient.apply_system import System
from sild.apiclient.apply_values import Event, Options, Outcome
from sild.apiclient.client import ApiClient
from sild.apiclient.declared import DeclaredServer

__all__ = ["apply"]


async def apply(
    declared: DeclaredServer,
    client: ApiClient,
    options: Options,
    tell: Callable[[Event], None] = lambda _: None,
) -> Outcome:
    """Make a server what is declared; tells of each change, and of what is waited for.

    Raises ApplyError and other ApiClientErrors when it could not be made so; what does not
    depend on what failed is done all the same.
    """
    run = Run(client, options, tell)
    await run.together(lay_foundation(run, declared))
    keys = Keys(run, declared)
    await run.together(
        keys.make(),
        Clients(run, declared, keys).make(),
        System(run, declared, keys).make(),
    )
    return Outcome(tuple(run.changes), dry_run=options.dry_run)
