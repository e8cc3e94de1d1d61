"""The control process: control, the sockets on which it is asked, and administration."""

import asyncio
import logging
import shutil
from contextlib import AsyncExitStack

from sild.components.messagelog.settling import SettleCalls
from sild.components.registration.acts import Registration
from sild.model.refusals import Refusal
from sild.runtime.fetch import Fetcher
from sild.runtime.files import make_private_directory
from sild.runtime.rpc import serve_rpc
from sild.servers.administration import Administration
from sild.servers.control import Control, Databases
from sild.servers.control_calls import CONTROL_OPTIONS, ControlCalls
from sild.servers.databases import open_configuration, open_message_database
from sild.servers.document_calls import DOCUMENT_OPTIONS, DocumentCalls
from sild.servers.layout import Layout
from sild.servers.log_calls import LOG_OPTIONS
from sild.servers.processes import run_until_stopped
from sild.servers.registering import REGISTRATION_OPTIONS, RegistrationCalls
from sild.servers.server_backups import finish_server_restoration
from sild.servers.server_parts import Around, start_anew
from sild.servers.settings import SecurityServerSettings

_LOG = logging.getLogger(__name__)


async def run_control(layout: Layout, settings: SecurityServerSettings) -> int:
    """Control's main coroutine; gives the exit code."""
    try:
        finished = await finish_server_restoration(layout, settings)
    except Refusal as error:
        _LOG.error("%s", error)
        return 1
    if finished:
        # The end of this process's predecessor interrupted it: all others hold what was before.
        start_anew()
    else:
        await _run(layout, settings)
    return 0


async def _run(layout: Layout, settings: SecurityServerSettings) -> None:
    async with AsyncExitStack() as opened:
        databases = Databases(
            await opened.enter_async_context(open_configuration(layout, settings)),
            await opened.enter_async_context(open_message_database(layout, settings)),
        )
        fetcher = await opened.enter_async_context(Fetcher())
        control = Control(layout, settings, databases, fetcher)
        around = Around(databases, fetcher, control)
        administration = Administration(layout, settings, around)
        await _serve_processes(layout, control, administration.server.registration, opened)
        opened.push_async_callback(administration.close)

        async def run() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(control.run())
                tasks.create_task(administration.run())

        await run_until_stopped(run)


async def _serve_processes(
    layout: Layout, control: Control, registration: Registration, opened: AsyncExitStack
) -> None:
    """Answer the server's other processes, and the command line, on sockets of their own."""
    # What a worker did not fetch before it ended is fetched no more.
    shutil.rmtree(layout.documents, ignore_errors=True)
    make_private_directory(layout.documents)
    for served in (
        serve_rpc(layout.control_socket, control, ControlCalls, CONTROL_OPTIONS),
        serve_rpc(
            layout.registration_socket, registration, RegistrationCalls, REGISTRATION_OPTIONS
        ),
        serve_rpc(layout.log_socket, control.messages, SettleCalls, LOG_OPTIONS),
        serve_rpc(layout.documents_socket, control.messages, DocumentCalls, DOCUMENT_OPTIONS),
    ):
        opened.push_async_callback((await served).close)
