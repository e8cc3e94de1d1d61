"""How the cost of a trust service decides about its use and its turn."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TypeVar

from sild.protocol.globalconf.shared_parameters import CostType

T = TypeVar("T")


class Strategy(Enum):
    """Which services are used, and which of them first; NONE leaves all as they are listed."""

    NONE = "NONE"
    ONLY_FREE = "ONLY_FREE"
    ONLY_PAID = "ONLY_PAID"
    FREE_FIRST = "FREE_FIRST"
    PAID_FIRST = "PAID_FIRST"


_ORDERS: Mapping[Strategy, tuple[CostType, ...]] = {
    Strategy.FREE_FIRST: (CostType.FREE, CostType.PAID),
    Strategy.PAID_FIRST: (CostType.PAID, CostType.FREE),
}
_ONLY: Mapping[Strategy, CostType] = {
    Strategy.ONLY_FREE: CostType.FREE,
    Strategy.ONLY_PAID: CostType.PAID,
}


def prioritized(
    services: Iterable[T], cost_of: Callable[[T], CostType | None], strategy: Strategy
) -> list[T]:
    """The services that are used, the first one first; those of one cost keep their order."""
    used = list(services)
    if (only := _ONLY.get(strategy)) is not None:
        return [each for each in used if cost_of(each) is only]
    if (order := _ORDERS.get(strategy)) is not None:
        # What is not known to cost or to be free comes last.
        places: dict[CostType | None, int] = {cost: place for place, cost in enumerate(order)}
        used.sort(key=lambda each: places.get(cost_of(each), len(order)))
    return used
