"""A PostgreSQL that lasts as long as a measurement: on a socket of its own, with no port."""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sild.devnet.errors import DevnetError
from sild.runtime.supervise import end_with_parent

_DEBIAN = Path("/usr/lib/postgresql")
# PostgreSQL does not run for root.
_ORDINARY = "nobody"
_USER, _DATABASE = "sild", "messagelog"
# Nothing of it is wanted again.
_AT_ONCE = signal.SIGQUIT
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.1


def find_postgres() -> Path | None:
    """The directory of the newest PostgreSQL's programs, if one is installed."""
    versions = {
        int(version): path.parent
        for path in _DEBIAN.glob("*/bin/postgres")
        if (version := path.parts[-3]).isdigit()
    }
    if versions:
        return versions[max(versions)]
    found = shutil.which("postgres")
    return None if found is None else Path(found).resolve().parent


@asynccontextmanager
async def temporary_postgres(programs: Path) -> AsyncIterator[str]:
    """The address of an empty database, whose server syncs its commits and goes afterwards.

    Raises DevnetError where it does not start.
    """
    home = Path(tempfile.mkdtemp(prefix="sild-bench-pg-"))
    try:
        temporary = _Temporary(programs, home, _ordinary_user(home))
        process = await temporary.start()
        try:
            await temporary.wait(process)
            await temporary.run("createdb", "-h", str(home), "-U", _USER, _DATABASE)
            yield f"postgresql://{_USER}@/{_DATABASE}?host={home}"
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(_AT_ONCE)
            await process.wait()
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


def _ordinary_user(home: Path) -> dict[str, Any]:
    """As whom the programs run where we are root; the directory becomes theirs."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_ORDINARY)
    os.chown(home, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class _Temporary:
    def __init__(self, programs: Path, home: Path, user: dict[str, Any]) -> None:
        self._programs = programs
        self._home = home
        self._how = {
            "cwd": home,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            "stdin": asyncio.subprocess.DEVNULL,
            **user,
        }

    async def start(self) -> asyncio.subprocess.Process:
        """Make a cluster and start its server, which ends with this process however that ends."""
        data = str(self._home / "data")
        flags = ("-A", "trust", "-U", _USER, "-E", "UTF8", "--locale=C", "--no-sync")
        await self.run("initdb", "-D", data, *flags)
        settings = (f"unix_socket_directories={self._home}", "listen_addresses=")
        given = [part for setting in settings for part in ("-c", setting)]
        with (self._home / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                self._programs / "postgres",
                *("-D", data, *given),
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
                start_new_session=True,
                **self._how,
            )

    async def wait(self, process: asyncio.subprocess.Process) -> None:
        """Return when the server answers."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while await self._ask("pg_isready", "-q", "-h", str(self._home)):
                    if process.returncode is not None:
                        log = (self._home / "log").read_text("utf-8", "replace")
                        raise DevnetError(f"PostgreSQL does not start: {log.strip()[-500:]}")
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise DevnetError("PostgreSQL was started and does not answer") from None

    async def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs; raises DevnetError where that fails."""
        if told := await self._ask(program, *arguments):
            raise DevnetError(f"{program} failed: {told[-500:]}")

    async def _ask(self, program: str, *arguments: str) -> str:
        """What a program complains of; nothing where it succeeds."""
        process = await asyncio.create_subprocess_exec(
            self._programs / program,
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            **self._how,
        )
        _, told = await process.communicate()
        if process.returncode == 0:
            return ""
        return told.decode("utf-8", "replace").strip() or f"it ended with {process.returncode}"
