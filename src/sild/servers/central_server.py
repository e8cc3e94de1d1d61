"""A whole Central Server: its processes, started, watched and stopped as one."""

import logging
import os
from functools import partial
from pathlib import Path

from sild.runtime.clock import SystemClock
from sild.runtime.files import make_private_directory
from sild.runtime.kept_secrets import KeptSecrets, forget_variable
from sild.runtime.logs import configure_logs
from sild.runtime.settings import SettingsError
from sild.runtime.supervise import Child, Fork, Supervisor
from sild.servers.central_layout import CentralLayout
from sild.servers.central_settings import CentralServerSettings, read_central_settings
from sild.servers.internal_tls import make_internal_tls
from sild.servers.processes import raise_descriptor_limit, run_alone, run_process

_LOG = logging.getLogger(__name__)

# Imported once, before the processes fork: they share the memory, and start at once.
PRELOADED = ("sild.servers.signer", "sild.servers.central")


def prepare_central_home(layout: CentralLayout, settings: CentralServerSettings) -> None:
    """Make what every process expects to be there."""
    for directory in (layout.home, layout.run, layout.keys):
        make_private_directory(directory)
    make_internal_tls(layout.api_tls, settings.server.tls_host, SystemClock().now())


def run_central_server(home: Path) -> int:
    """Run a Central Server until it is told to stop; gives the exit code."""
    # What is published is for everybody, and says so itself; all else is for its user alone.
    os.umask(0o077)
    raise_descriptor_limit()
    layout = CentralLayout(home.absolute())
    settings = read_central_settings(layout)
    configure_logs(settings.logs, "supervisor")
    prepare_central_home(layout, settings)
    prepare = partial(_prepare, layout, settings)
    return run_alone(layout.run, PRELOADED, prepare, partial(_supervise, layout, settings))


def _supervise(layout: CentralLayout, settings: CentralServerSettings) -> None:
    pins = KeptSecrets.open(os.environ)
    children = [
        Child("signer", Fork(partial(_signer, layout, settings, pins)), stage=0, prefixed=False),
        Child("central", Fork(partial(_central, layout, settings, pins)), stage=1, prefixed=False),
    ]
    grace = settings.server.stop_grace
    Supervisor(children, preload=PRELOADED, stop_timeout=grace + 5).run()


def _prepare(layout: CentralLayout, settings: CentralServerSettings) -> int:
    """Bring the databases up to date, and the files too where a restoration was interrupted."""
    from sild.model.refusals import Refusal  # noqa: PLC0415 - for this process alone
    from sild.runtime.database import DatabaseError  # noqa: PLC0415 - so is this
    from sild.servers.central_backups import finish_restoration  # noqa: PLC0415 - and this
    from sild.servers.central_database import migrate_central  # noqa: PLC0415 - and this

    async def prepare() -> None:
        await migrate_central(layout, settings.center)
        await finish_restoration(layout, settings)

    try:
        return run_process("preparation", settings.logs, prepare)
    except (DatabaseError, Refusal) as error:
        _LOG.error("the server is not started: %s", error)
        return 1


def _signer(layout: CentralLayout, settings: CentralServerSettings, pins: KeptSecrets) -> int:
    from sild.servers.signer import run_signer  # noqa: PLC0415 - preloaded by the supervisor

    settings = _current(layout, settings)
    return run_process("signer", settings.logs, partial(run_signer, layout, settings, pins))


def _central(layout: CentralLayout, settings: CentralServerSettings, pins: KeptSecrets) -> int:
    from sild.servers.central import run_central  # noqa: PLC0415 - preloaded by the supervisor

    forget_variable(settings.signer.autologin_variable)
    pins.let_go()
    settings = _current(layout, settings)
    return run_process("central", settings.logs, partial(run_central, layout, settings))


def _current(layout: CentralLayout, settings: CentralServerSettings) -> CentralServerSettings:
    """The settings as they are now, for a process that starts: others may have been restored."""
    try:
        return read_central_settings(layout)
    except SettingsError as error:
        _LOG.error("the settings of before are used, for those of now are not usable: %s", error)
        return settings
