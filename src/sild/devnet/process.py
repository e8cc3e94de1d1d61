"""A server of the devnet as a process: started, and told to stop.

A server is a program of its own, started from the command line, or a fork of a process that has
imported once what all servers need: that one starts at once, and shares memory with the others.
"""

import asyncio
import multiprocessing
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sild.runtime.supervise import end_with_parent
from sild.servers import central_server, security_server

_GRACE_SECONDS = 60
_ALL_DESCRIPTORS = 2**31 - 1
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, *security_server.PRELOADED, *central_server.PRELOADED])
_RUNNING = {
    "security-server": security_server.run_security_server,
    "central-server": central_server.run_central_server,
}


class ServerProcess(Protocol):
    """A server's supervisor, as one sees it who started it."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the signal that ended it as a negative number; None while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal; raises ProcessLookupError once it has ended."""

    def terminate(self) -> None:
        """Tell it to stop."""

    def kill(self) -> None:
        """End it."""

    async def wait(self) -> int:
        """Wait for its end and give its exit code."""


async def start_server(command: str, home: Path) -> ServerProcess:
    """Run `sild COMMAND --home HOME`; what it tells stands in HOME/server.log."""
    log = (home / "server.log").open("ab")
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sild", command, "--home", str(home)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    finally:
        log.close()


async def fork_server(command: str, home: Path) -> ServerProcess:
    """Do what `start_server` does, in a fork of what has imported all that it needs.

    As whatever `multiprocessing` starts, it imports the caller's main module: a script that calls
    this guards what it does with `if __name__ == "__main__"`.
    """
    process = _FORKS.Process(target=_be_server, args=(command, home, dict(os.environ)), daemon=True)
    # The first of all waits for the imports.
    await asyncio.to_thread(process.start)
    return _ForkedServer(process)


async def stop_server(process: ServerProcess | None) -> None:
    """Stop a server, if it runs, and wait for its end."""
    if process is None or process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class _ForkedServer:
    """A server that somebody else forked for us."""

    def __init__(self, process: multiprocessing.process.BaseProcess) -> None:
        self._process = process
        self._pid = process.pid or 0

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int, /) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self._pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        while (code := self.returncode) is None:
            await _readable(self._process.sentinel)
        return code


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    # Others may wait for the same one.
    own = os.dup(descriptor)
    loop.add_reader(own, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(own)
        os.close(own)


def _be_server(command: str, home: Path, environment: Mapping[str, str]) -> None:
    end_with_parent()
    os.setsid()
    # Among these is what would keep the one that forks alive after who needed it.
    os.closerange(3, _ALL_DESCRIPTORS)
    os.environ.clear()
    os.environ.update(environment)
    with Path(os.devnull).open("rb") as nothing, (home / "server.log").open("ab") as log:
        os.dup2(nothing.fileno(), 0)
        for told in (1, 2):
            os.dup2(log.fileno(), told)
    sys.exit(_RUNNING[command](home))
