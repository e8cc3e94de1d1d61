"""Wait until control has taken a record into the store, and stamped it where that is wanted.

What a worker appends while one question is under way is asked about together with the next.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from sild.protocol.errors import LoggingFailed, ProtocolError, TimestampingFailed
from sild.runtime.journal import Position

_MOST = 500
Place = tuple[int, int]
"""Segment and offset of a record in its journal."""


class SettleCalls(Protocol):
    """What a worker asks of control about records that are durable in its journal."""

    async def commit(self, journal: str, places: tuple[Place, ...]) -> None:
        """Return when the store has committed the records at these places."""
        ...

    async def stamp(self, journal: str, places: tuple[Place, ...]) -> tuple[str, ...]:
        """The same, each with a time-stamp of its own; gives why not, or a blank, for each."""
        ...


@dataclass(slots=True, eq=False)
class _Waiting:
    place: Place
    done: "asyncio.Future[None]"


class Settling:
    """A worker's side: asks control in groups."""

    def __init__(
        self,
        calls: SettleCalls,
        journal: str,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        *,
        stamped: bool,
    ) -> None:
        self._calls = calls
        self._journal = journal
        self._spawn = spawn
        self._stamped = stamped
        self._waiting: list[_Waiting] = []
        self._asking = False

    async def settle(self, position: Position) -> None:
        """Return when the record there is settled; raises LoggingFailed or TimestampingFailed."""
        waiting = _Waiting(
            (position.segment, position.offset), asyncio.get_running_loop().create_future()
        )
        self._waiting.append(waiting)
        if not self._asking:
            self._asking = True
            try:
                self._spawn(self._ask_on())
            except RuntimeError as error:
                self._asking = False
                raise LoggingFailed("this worker is about to end") from error
        await waiting.done

    async def _ask_on(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._ask(group)
        finally:
            self._asking = False

    async def _ask(self, group: list[_Waiting]) -> None:
        try:
            places = tuple(each.place for each in group)
            if self._stamped:
                outcomes: tuple[str, ...] = await self._calls.stamp(self._journal, places)
            else:
                await self._calls.commit(self._journal, places)
                outcomes = ("",) * len(group)
            for each, outcome in zip(group, outcomes, strict=True):
                _tell(each, TimestampingFailed(outcome) if outcome else None)
        except BaseException as error:
            message = f"the message log did not settle a record: {error}"
            for each in group:
                _tell(each, LoggingFailed(message))
            if not isinstance(error, Exception):
                raise


def _tell(waiting: _Waiting, error: ProtocolError | None) -> None:
    if waiting.done.done():
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error)
