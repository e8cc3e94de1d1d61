"""Connect to several addresses at once: the first that is good wins, the others are let go."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from sild.runtime.http_client_types import ConnectFailed, ConnectProblem, Target

_T = TypeVar("_T")

# How long one address of a host is tried alone before the next is tried beside it.
_ADDRESS_STAGGER_SECONDS: Final = 0.25


async def open_socket(target: Target) -> socket.socket:
    """Connect to the first of a host's addresses that accepts."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        problem = ConnectProblem.UNKNOWN_HOST
        raise ConnectFailed(f"{target.host} has no address: {error}", problem) from error

    def attempt(family: int, address: Any) -> Callable[[], Coroutine[Any, Any, socket.socket]]:
        async def connect() -> socket.socket:
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(sock, address)
            except BaseException:
                sock.close()
                raise
            return sock

        return connect

    attempts = [attempt(family, address) for family, _, _, _, address in found]
    try:
        staggers = [_ADDRESS_STAGGER_SECONDS] * len(attempts)
        return await first_of(attempts, staggers, socket.socket.close)
    except ConnectionRefusedError as error:
        problem = ConnectProblem.REFUSED
        raise ConnectFailed(f"{target} refused the connection", problem) from error
    except OSError as error:
        problem = ConnectProblem.UNREACHABLE
        raise ConnectFailed(f"{target} cannot be reached: {error}", problem) from error


class Turns:
    """Lets handshakes begin one by one: the next when one fails, or takes long.

    Racing them all would cost every server a handshake for each message that connects.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()

    async def take(self) -> "Turn":
        """Wait for a turn."""
        await self._lock.acquire()
        return Turn(self._lock, self._seconds)


class Turn:
    """The right to shake hands; while it is kept, nobody else begins."""

    def __init__(self, lock: asyncio.Lock, seconds: float) -> None:
        self._lock: asyncio.Lock | None = lock
        self._timer = asyncio.get_running_loop().call_later(seconds, self.give_up)

    def keep(self) -> None:
        """Let nobody else begin: this one has won."""
        self._timer.cancel()

    def give_up(self) -> None:
        """Let the next one begin; a second time does nothing."""
        self._timer.cancel()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


async def first_of(
    attempts: Sequence[Callable[[], Coroutine[Any, Any, _T]]],
    staggers: Sequence[float],
    drop: Callable[[_T], None],
) -> _T:
    """Run attempts, each a while after the one before or when one fails; the first success wins.

    What others still bring is dropped. When all fail, the first error that came from behind a
    connection is raised, or else the first.
    """
    if len(attempts) == 1:
        return await attempts[0]()
    loop = asyncio.get_running_loop()
    waiting = deque(zip(attempts, staggers, strict=True))
    tasks: list[asyncio.Task[_T]] = []
    winner: asyncio.Task[_T] | None = None
    try:
        while waiting or not all(task.done() for task in tasks):
            alone = None
            if waiting:
                start, stagger = waiting.popleft()
                tasks.append(loop.create_task(start()))
                alone = stagger if waiting else None
            running = [task for task in tasks if not task.done()]
            if alone != 0:
                await asyncio.wait(running, timeout=alone, return_when=asyncio.FIRST_COMPLETED)
            done = [task for task in tasks if task.done() and task.exception() is None]
            if done:
                winner = done[0]
                return winner.result()
        raise _most_telling([task.exception() for task in tasks])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if task is not winner and not task.cancelled() and task.exception() is None:
                drop(task.result())


def _most_telling(errors: Sequence[BaseException | None]) -> BaseException:
    raised = [error for error in errors if error is not None]
    behind = [error for error in raised if not isinstance(error, (ConnectFailed, OSError))]
    return (behind or raised)[0]
