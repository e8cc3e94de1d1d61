"""What the kernel says of processes: whose children they are, what they hold, how much memory."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_PROC = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def children_of(pid):
    """The children of a process by name."""
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(*_GONE):
                fields = _fields(entry / "stat")
                if int(fields[2]) == pid and fields[1] != "Z":
                    found[fields[0]] = int(entry.name)
    return found


def child_of(pid, name):
    """The child of that name."""
    found = children_of(pid).get(name)
    assert found is not None, f"process {pid} has no child {name}"
    return found


def _fields(stat):
    """Name, state, parent and so on."""
    text = stat.read_text()
    name = text[text.index("(") + 1 : text.rindex(")")]
    return [name, *text[text.rindex(")") + 2 :].split()]


def is_running(pid):
    """Whether a process is there and not just waited for."""
    try:
        return _fields(_PROC / f"{pid}/stat")[1] != "Z"
    except _GONE:
        return False


def is_blocked_on_disk(pid):
    """Whether a thread waits for a disk, and cannot be interrupted."""
    try:
        return any(_fields(task / "stat")[1] == "D" for task in (_PROC / f"{pid}/task").iterdir())
    except _GONE:
        return False


async def until(question, seconds, what):
    """Come back when it is so."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


def family_of(server):
    """The processes of a server, the supervisor first."""
    supervisor = server.process.pid
    return [supervisor, *children_of(supervisor).values()]


def pss_of(pid):
    """The memory of a process in bytes, its part of what it shares included."""
    with suppress(*_GONE):
        for line in (_PROC / f"{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def spooled_by(server):
    """How many bytes a server's processes hold in spool files, whatever their names: by file."""
    spool = str(server.layout.home / "spool")
    held = {}
    for pid in family_of(server):
        with suppress(*_GONE):
            for entry in (_PROC / f"{pid}/fd").iterdir():
                with suppress(*_GONE):
                    if str(entry.readlink()).startswith(spool):
                        found = entry.stat()
                        held[found.st_ino] = found.st_blocks * 512
    return held


class Watched:
    """What was seen while some servers were watched."""

    def __init__(self, servers):
        self.servers = servers
        self.idle_pss = self._pss()
        self.peak_pss = self.idle_pss
        self.peak_spooled = {server.plan.id.server_code: 0 for server in servers}

    def look(self):
        self.peak_pss = max(self.peak_pss, self._pss())
        for server in self.servers:
            code, now = server.plan.id.server_code, sum(spooled_by(server).values())
            self.peak_spooled[code] = max(self.peak_spooled[code], now)

    def _pss(self):
        return sum(pss_of(pid) for server in self.servers for pid in family_of(server))


@asynccontextmanager
async def watching(*servers, every=0.05):
    """Look at servers again and again while the block runs."""
    watched = Watched(servers)

    async def look():
        while True:
            await asyncio.to_thread(watched.look)
            await asyncio.sleep(every)

    looking = asyncio.create_task(look())
    try:
        yield watched
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
