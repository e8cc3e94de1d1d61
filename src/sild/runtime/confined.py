"""Work on input that may be hostile, in a child process with little memory and little time.

The child is a module of ours that is run by itself; it calls `confine` first of all, and answers
in frames. It sees nothing of this process: neither its environment nor its open files.
"""

import asyncio
import contextlib
import os
import resource
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_LENGTH = struct.Struct(">I")
_CHUNK = 256 * 1024
_LIMITS = "SILD_CONFINED_TO"
_SECONDS_TO_END = 2.0


class ConfinedError(Exception):
    """The child gave no answer: it took too long, too much memory, or failed."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a child may have."""

    memory: int = 1024**3
    """Bytes of address space."""
    processor_seconds: int = 20
    total_seconds: float = 60.0
    answer: int = 32 * 1024**2
    """Bytes of all its frames."""


async def run_confined(
    module: str, arguments: Sequence[str], data: bytes, confinement: Confinement
) -> tuple[bytes, ...]:
    """The frames that the module writes when it is given the data; raises ConfinedError.

    A child that fails, or is out of what it may have, has its whole frames taken all the same.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={_LIMITS: f"{confinement.memory} {confinement.processor_seconds}"},
            cwd="/",
        )
    except OSError as error:
        raise ConfinedError(f"no process can be started: {error.strerror}") from error
    answer = bytearray()
    try:
        async with asyncio.timeout(confinement.total_seconds), asyncio.TaskGroup() as both:
            both.create_task(_give(child, data))
            both.create_task(_take(child, answer, confinement.answer))
        async with asyncio.timeout(_SECONDS_TO_END):
            await child.wait()
    except TimeoutError:
        pass
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    frames = _frames(bytes(answer))
    if not frames:
        raise ConfinedError(f"the work was given up after {confinement} or before")
    return frames


async def _give(child: asyncio.subprocess.Process, data: bytes) -> None:
    assert child.stdin is not None  # noqa: S101 - it was asked for
    with contextlib.suppress(ConnectionError):
        child.stdin.write(data)
        await child.stdin.drain()
        child.stdin.close()
        await child.stdin.wait_closed()


async def _take(child: asyncio.subprocess.Process, answer: bytearray, limit: int) -> None:
    assert child.stdout is not None  # noqa: S101 - it was asked for
    while chunk := await child.stdout.read(_CHUNK):
        if len(answer) + len(chunk) > limit:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            return
        answer += chunk


def _frames(answer: bytes) -> tuple[bytes, ...]:
    frames: list[bytes] = []
    start = _LENGTH.size
    while start <= len(answer):
        (length,) = _LENGTH.unpack_from(answer, start - _LENGTH.size)
        if start + length > len(answer):
            break
        frames.append(answer[start : start + length])
        start += length + _LENGTH.size
    return tuple(frames)


def confine() -> None:
    """Give up, for good, what this process may not have; a child's first act."""
    memory, seconds = map(int, os.environ[_LIMITS].split())
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lowest, lowest))


def read_input() -> bytes:
    """All that this process was given, in the child."""
    return sys.stdin.buffer.read()


def write_frame(content: bytes) -> None:
    """Answer with one frame more, in the child."""
    sys.stdout.buffer.write(_LENGTH.pack(len(content)) + content)
    sys.stdout.buffer.flush()
