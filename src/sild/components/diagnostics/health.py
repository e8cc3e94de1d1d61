"""Whether this server serves: what a load balancer asks (HA-03).

An answer is given again for a while, a bad one longer than a good one; whoever asks while it is
being found out waits for the same answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sild.components.diagnostics.settings import HealthSettings
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Looks at one thing; gives what is wrong with it, in a sentence."""


@dataclass(frozen=True, slots=True)
class HealthState:
    """What is wrong, by the names of checks; nothing is, if the server is healthy."""

    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_healthy(self) -> bool:
        """Whether messages can be exchanged."""
        return not self.reasons


class Health:
    """Looks at everything that serving depends on."""

    def __init__(self, checks: Mapping[str, Check], settings: HealthSettings, clock: Clock) -> None:
        self._checks = dict(checks)
        self._settings = settings
        self._clock = clock
        self._known: HealthState | None = None
        self._good_until = 0.0
        self._looking = asyncio.Lock()

    async def state(self) -> HealthState:
        """How the server fares: by a look, or by the last one if that is not long ago."""
        async with self._looking:
            if self._known is None or self._clock.monotonic() >= self._good_until:
                self._known = await self._look()
                settings = self._settings
                healthy = self._known.is_healthy
                keep = settings.healthy_seconds if healthy else settings.unhealthy_seconds
                self._good_until = self._clock.monotonic() + keep
            return self._known

    async def _look(self) -> HealthState:
        found = await asyncio.gather(*map(self._result, self._checks.items()))
        named = zip(self._checks, found, strict=True)
        return HealthState({name: reason for name, reason in named if reason is not None})

    async def _result(self, named: tuple[str, Check]) -> str | None:
        name, check = named
        try:
            async with asyncio.timeout(self._settings.check_seconds):
                return await check()
        except TimeoutError:
            return f"the check did not end in {self._settings.check_seconds:g} seconds"
        except Exception:  # noqa: BLE001 - what could not be looked at is not known to be in order
            _LOG.exception("the health check %s failed", name)
            return "the check failed; the log has the details"
