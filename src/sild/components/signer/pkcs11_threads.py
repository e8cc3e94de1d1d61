"""Threads for a device that may never answer: they can be left behind, and hold nobody up."""

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from sild.components.signer.errors import TokenUnavailable

_T = TypeVar("_T")


class DeviceThreads:
    """Runs blocking calls, some at a time; those that take too long are given up.

    The threads are daemons: the process ends whether or not they do. A thread that was given up
    takes on work again when its call has returned after all.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._work: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0
        self._stuck = 0

    async def run(self, act: Callable[[], _T], seconds: float) -> _T:
        """What the act gives; raises TokenUnavailable when that takes too long."""
        if self._stuck >= self._most:
            raise TokenUnavailable(f"{self._name} does not answer")
        call = _Call(act, asyncio.get_running_loop(), self._ended)
        self._busy += 1
        self._start_thread()
        self._work.put(call)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(call.future)
        except TimeoutError:
            call.given_up, self._stuck = True, self._stuck + 1
            raise TokenUnavailable(
                f"{self._name} did not answer within {seconds:g} seconds"
            ) from None

    def close(self) -> None:
        """Let the threads end when they have done their work, without waiting for them."""
        for _ in range(self._threads):
            self._work.put(None)

    def _ended(self, *, given_up: bool) -> None:
        self._busy -= 1
        self._stuck -= given_up

    def _start_thread(self) -> None:
        if self._threads < min(self._most, self._busy):
            self._threads += 1
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()

    def _serve(self) -> None:
        while (call := self._work.get()) is not None:
            call.do()


class _Call(Generic[_T]):
    """One call, and the future that waits for it."""

    def __init__(
        self, act: Callable[[], _T], loop: asyncio.AbstractEventLoop, ended: Callable[..., None]
    ) -> None:
        self._act = act
        self._loop = loop
        self._ended = ended
        self.given_up = False
        self.future: asyncio.Future[_T] = loop.create_future()
        # Whoever waits may be cancelled; then nobody asks what became of it.
        self.future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def do(self) -> None:
        """Make the call, unless nobody waits for it any more, and tell the loop; in a thread."""
        tell: Callable[[], object] = self.future.cancel
        try:
            if not self.given_up:
                tell = partial(self.future.set_result, self._act())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            tell = partial(self.future.set_exception, error)
        try:
            self._loop.call_soon_threadsafe(self._finish, tell)
        except RuntimeError:
            return  # the loop is no more

    def _finish(self, tell: Callable[[], object]) -> None:
        self._ended(given_up=self.given_up)
        if not self.given_up and not self.future.done():
            tell()
