"""Archives of a real server: made by the command, opened, proven, and compared with its log."""

import asyncio
import io
import json
import subprocess
import sys
import zipfile
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout, suppress
from urllib.parse import unquote_plus

from sild.cli import main
from sild.components.messagelog.errors import MessageLogError
from sild.protocol.asic.archive import LINKING_INFO
from sild.runtime.rpc import RpcError


async def sild(*arguments):
    """Run the command: its exit code, what it wrote and what it complained of."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = await asyncio.to_thread(main, list(map(str, arguments)))
    return code, out.getvalue(), err.getvalue()


async def sild_process(*arguments):
    """The same, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sild", *map(str, arguments)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def archive_now(server, run=sild):
    """Archive what waits, as an administrator does; what the command says it did."""
    code, out, err = await run("archive", "now", "--home", server.layout.home, "--json")
    assert code == 0, err
    return json.loads(out)


def archives_of(server):
    """The archives of a server that were not taken away."""
    return sorted(server.layout.archives.glob("mlog-*.zip"))


def containers_in(paths):
    """The containers of archives: by the message's id and whether it is a response."""
    found = {}
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name != LINKING_INFO:
                    query_id, kind, _ = name.rsplit("-", 2)
                    key = unquote_plus(query_id), kind == "response"
                    assert key not in found, f"{name} is archived twice"
                    found[key] = archive.read(name)
    return found


async def proven(*paths, start=("--first",), run=sild):
    """Whether these archives follow one another from the start; the last digest."""
    code, out, _ = await run("verify-archive", "--json", *start, *paths)
    assert code == 0, out
    return json.loads(out)["last_digest"]


@asynccontextmanager
async def archiving(*servers, pause=0.02):
    """Let servers time-stamp and archive again and again while the block runs."""
    tasks = [asyncio.create_task(_archive_on(server, pause)) for server in servers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [each for each in outcomes if isinstance(each, Exception)]
    assert not failures, failures


async def _archive_on(server, pause):
    while True:
        # It may be gone at any moment.
        with suppress(RpcError, MessageLogError):
            await server.control.stamp_waiting()
            await server.control.archive()
        await asyncio.sleep(pause)


async def check_archives(server, stored):
    """Each record is in one archive, and the archives are one chain; how many of each there are."""
    await archive_now(server)
    assert (await archive_now(server))["archived"] == 0
    assert list(server.layout.archives.glob("*.unfinished")) == []
    paths = archives_of(server)
    containers = set(await asyncio.to_thread(containers_in, paths))
    assert containers == set(stored)
    await proven(*paths)
    return len(paths), len(containers)


def begun_again(server):
    """How many archives were broken off by a kill, and begun again, as the server tells."""
    return (server.layout.home / "server.log").read_text().count("was not finished")
