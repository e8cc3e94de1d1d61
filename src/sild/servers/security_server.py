"""A whole security server: its processes, started, watched and stopped as one."""

import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from sild.runtime.clock import SystemClock
from sild.runtime.files import make_private_directory
from sild.runtime.kept_secrets import KeptSecrets, forget_variable
from sild.runtime.logs import configure_logs
from sild.runtime.settings import SettingsError
from sild.runtime.supervise import Child, Fork, Supervisor
from sild.servers.internal_tls import make_internal_tls
from sild.servers.layout import Layout
from sild.servers.processes import raise_descriptor_limit, run_alone, run_process
from sild.servers.settings import SecurityServerSettings, read_server_settings

_LOG = logging.getLogger(__name__)

# Imported once, before the processes fork: they share the memory, and start at once.
PRELOADED = ("sild.servers.signer", "sild.servers.controlling", "sild.servers.worker")


def prepare_home(layout: Layout, settings: SecurityServerSettings) -> None:
    """Make what every process expects to be there."""
    for directory in (layout.home, layout.run, layout.keys, layout.ocsp_cache):
        make_private_directory(directory)
    now = SystemClock().now()
    make_internal_tls(layout.internal_tls, settings.server.internal_host, now)


def run_security_server(home: Path) -> int:
    """Run a security server until it is told to stop; gives the exit code."""
    # Whatever any of its processes writes anywhere is for its user alone.
    os.umask(0o077)
    raise_descriptor_limit()
    layout = Layout(home.absolute())
    settings = read_server_settings(layout)
    configure_logs(settings.logs, "supervisor")
    prepare_home(layout, settings)
    prepare = partial(_prepare, layout, settings)
    return run_alone(layout.run, PRELOADED, prepare, partial(_supervise, layout, settings))


def _supervise(layout: Layout, settings: SecurityServerSettings) -> None:
    pins = KeptSecrets.open(os.environ)
    children = [
        Child("signer", Fork(partial(_signer, layout, settings, pins)), stage=0, prefixed=False),
        Child("control", Fork(partial(_control, layout, settings, pins)), stage=1, prefixed=False),
        *(
            Child(
                f"worker-{number}",
                Fork(partial(_worker, layout, settings, pins, number)),
                stage=2,
                prefixed=False,
            )
            for number in range(settings.server.workers)
        ),
    ]
    grace = settings.server.stop_grace
    Supervisor(children, preload=PRELOADED, stop_timeout=grace + 5).run()


def _prepare(layout: Layout, settings: SecurityServerSettings) -> int:
    """Bring the databases up to date, and the files too where a restoration was interrupted."""
    from sild.model.refusals import Refusal  # noqa: PLC0415 - for this process alone
    from sild.runtime.database import DatabaseError  # noqa: PLC0415 - so is this
    from sild.servers.databases import migrate_databases  # noqa: PLC0415 - and this
    from sild.servers.server_backups import finish_server_restoration  # noqa: PLC0415 - and this

    async def prepare() -> None:
        await migrate_databases(layout, settings)
        await finish_server_restoration(layout, settings)

    try:
        return run_process("preparation", settings.logs, prepare)
    except (DatabaseError, Refusal) as error:
        _LOG.error("the server is not started: %s", error)
        return 1


def _signer(layout: Layout, settings: SecurityServerSettings, pins: KeptSecrets) -> int:
    from sild.servers.signer import run_signer  # noqa: PLC0415 - preloaded by the supervisor

    settings = _current(layout, settings)
    return run_process("signer", settings.logs, partial(run_signer, layout, settings, pins))


def _control(layout: Layout, settings: SecurityServerSettings, pins: KeptSecrets) -> int:
    from sild.servers.controlling import run_control  # noqa: PLC0415 - preloaded by the supervisor

    forget_variable(settings.signer.autologin_variable)
    pins.let_go()
    settings = _current(layout, settings)
    return run_process("control", settings.logs, partial(run_control, layout, settings))


def _worker(
    layout: Layout, settings: SecurityServerSettings, pins: KeptSecrets, number: int
) -> int:
    from sild.servers.worker import run_worker  # noqa: PLC0415 - preloaded by the supervisor

    forget_variable(settings.signer.autologin_variable)
    pins.let_go()
    settings = _current(layout, settings)
    return run_process(
        f"worker-{number}", settings.logs, partial(run_worker, layout, settings, number)
    )


def _current(layout: Layout, started: SecurityServerSettings) -> SecurityServerSettings:
    """The settings as they are now, for a process that starts: others may have been restored.

    How many workers there are is the supervisor's, and stays until the server is started again.
    """
    try:
        settings = read_server_settings(layout)
    except SettingsError as error:
        _LOG.error("the settings of before are used, for those of now are not usable: %s", error)
        return started
    workers = started.server.workers
    return replace(settings, server=replace(settings.server, workers=workers))
