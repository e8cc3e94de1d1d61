"""Talk with a process of the benchmark by lines of JSON on its input and output."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, Self

from sild.devnet.errors import DevnetError

_LINE_LIMIT = 1024 * 1024
_GRACE_SECONDS = 30.0


async def read_lines() -> AsyncIterator[bytes]:
    """The lines of this process's input, until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield line


class Process:
    """A module of this package that runs as a process of its own until it is closed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Self:
        """Start `python -m sild.devnet.benchmark.MODULE`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"sild.devnet.benchmark.{module}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_LIMIT,
        )
        return cls(process)

    async def read(self, seconds: float) -> Any:
        """The next line that it prints; raises DevnetError where none comes in time."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
            return json.loads(line)
        except (TimeoutError, ValueError) as error:
            raise DevnetError(f"process {self.pid} of the benchmark fell silent") from error

    async def ask(self, question: Any, seconds: float) -> Any:
        """Write a line, and read the next that it prints."""
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        return await self.read(seconds)

    async def close(self) -> None:
        """End its input and wait for its end."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
