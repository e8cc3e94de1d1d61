"""Which time-stamping services this server uses: those that people chose of the approved ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.errors import (
    DuplicateTimestampingService,
    TimestampingServiceNotFound,
)
from sild.components.messagelog.ports import Authorities
from sild.components.messagelog.stamps import StampStore
from sild.model.costs import Strategy
from sild.protocol.errors import GlobalConfError
from sild.protocol.globalconf.shared_parameters import CostType, TimestampingService

Changed = Callable[[], Awaitable[None]]
"""Told after each change."""


@dataclass(frozen=True, slots=True)
class UsableService:
    """A service that is approved or chosen, and what it costs as far as that is known."""

    name: str
    url: str
    cost: CostType


class TimestampingServices:
    """Shows what may be chosen and what is, and adds to that or takes away, one at a time."""

    def __init__(
        self, stamps: StampStore, authorities: Authorities, strategy: Strategy, changed: Changed
    ) -> None:
        self._stamps = stamps
        self._authorities = authorities
        self._changed = changed
        self._turn = asyncio.Lock()
        self.strategy = strategy
        """How the cost of a service decides about its use."""

    def approved(self) -> tuple[UsableService, ...]:
        """The services that may be chosen; raises GlobalConfOutdated."""
        return tuple(map(_usable, self._authorities()))

    async def chosen(self) -> tuple[UsableService, ...]:
        """The services that were chosen, first to last, approved still or not."""
        try:
            approved = self.approved()
        except GlobalConfError:
            approved = ()
        return tuple(
            _find(each, approved) or UsableService(each.name, each.url, CostType.UNDEFINED)
            for each in await self._stamps.chosen()
        )

    async def add(self, service: ChosenService) -> UsableService:
        """Use a service too, after all others.

        Raises TimestampingServiceNotFound, DuplicateTimestampingService, GlobalConfOutdated.
        """
        approved = _find(service, self.approved())
        if approved is None:
            raise TimestampingServiceNotFound(f"{_told(service)} is not approved")
        async with self._turn:
            chosen = await self._stamps.chosen()
            if service in chosen:
                raise DuplicateTimestampingService(f"{_told(service)} is used already")
            await self._stamps.choose((*chosen, service))
        await self._changed()
        return approved

    async def remove(self, service: ChosenService) -> None:
        """Use a service no more; raises TimestampingServiceNotFound."""
        async with self._turn:
            chosen = await self._stamps.chosen()
            if service not in chosen:
                raise TimestampingServiceNotFound(f"{_told(service)} is not used")
            await self._stamps.choose([each for each in chosen if each != service])
        await self._changed()


def _usable(service: TimestampingService) -> UsableService:
    return UsableService(service.name, service.url, service.cost or CostType.UNDEFINED)


def _find(service: ChosenService, approved: Iterable[UsableService]) -> UsableService | None:
    named = (each for each in approved if (each.name, each.url) == (service.name, service.url))
    return next(named, None)


def _told(service: ChosenService) -> str:
    return f"the time-stamping service {service.name} at {service.url}"
