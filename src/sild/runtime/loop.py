"""The event loop beneath every process: uvloop where it can be imported, else asyncio's own."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T], *, debug: bool = False) -> _T:
    """Run a process's main coroutine to its end and return what it returns."""
    with asyncio.Runner(debug=debug, loop_factory=_new_loop) as runner:
        return runner.run(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = _loop_factory()()
    loop.set_exception_handler(_report)
    return loop


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - there is no build for every machine
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught, but for peers that go away within their handshake."""
    error = context.get("exception")
    if isinstance(error, type):
        # The fast transport names the class alone, of which no formatter can make a trace.
        _LOG.debug("%s: %s", context.get("message"), error.__name__)
    else:
        loop.default_exception_handler(context)
