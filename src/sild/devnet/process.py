"""A server of the devnet as a process: started from the command line, and told to stop."""

import asyncio
import signal
import sys
from pathlib import Path

from sild.runtime.supervise import end_with_parent

_GRACE_SECONDS = 15


async def start_server(command: str, home: Path) -> asyncio.subprocess.Process:
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


async def stop_server(process: asyncio.subprocess.Process | None) -> None:
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
