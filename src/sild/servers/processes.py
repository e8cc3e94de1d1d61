"""What the processes of every server have in common."""

import asyncio
import importlib
import os
import resource
import signal
import traceback
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from sild.protocol.pki.prepared import prepare_classes
from sild.runtime.files import hold_directory
from sild.runtime.logs import LogSettings, configure_logs
from sild.runtime.loop import run
from sild.runtime.supervise import end_with_parent

STOPPING = (signal.SIGTERM, signal.SIGINT)
_DESCRIPTORS = 65536


def run_apart(function: Callable[[], int], meanwhile: Sequence[str] = ()) -> int:
    """The exit code of a function in a process of its own, with which its memory goes.

    Meanwhile these modules are imported here, for the processes that come after it.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            end_with_parent()
            code = function()
        except BaseException:  # noqa: BLE001 - the end of a process
            traceback.print_exc()
        finally:
            os._exit(code)
    for module in meanwhile:
        importlib.import_module(module)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_alone(
    sockets: Path, modules: Sequence[str], prepare: Callable[[], int], supervise: Callable[[], None]
) -> int:
    """Prepare a home apart, then run its processes, as the only server there; gives the exit code.

    `sockets` is the home's directory of them, `modules` are those that the processes need. Raises
    DirectoryHeld where a server runs already.
    """
    with hold_directory(sockets.parent, sockets / "lock"):
        if code := run_apart(prepare, modules):
            return code
        supervise()
    return 0


def raise_descriptor_limit() -> None:
    """Let this process and its children open as many files as they may."""
    # What is given by default is used up by as many connections as one listener may have.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_process(
    name: str, logs: LogSettings, main: Callable[[], Coroutine[Any, Any, int | None]]
) -> int:
    """Run a process's main coroutine, with its logs; gives the exit code."""
    configure_logs(logs, name)
    prepare_classes()
    return run(main()) or 0


async def run_until_stopped(
    main: Callable[[], Coroutine[Any, Any, None]], signals: Iterable[signal.Signals] = STOPPING
) -> None:
    """Do this until a signal comes, then cancel it."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in signals:
        loop.add_signal_handler(name, stopping.set)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(main())
        await stopping.wait()
        running.cancel()
