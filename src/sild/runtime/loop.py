"""The event loop beneath every process: uvloop where it can be imported, else asyncio's own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T], *, debug: bool = False) -> _T:
    """Run a process's main coroutine to its end and return what it returns."""
    with asyncio.Runner(debug=debug, loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - there is no build for every machine
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
