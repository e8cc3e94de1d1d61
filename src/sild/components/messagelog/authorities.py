"""Which time-stamping authorities are asked, and in which order.

A server uses the services that were chosen for it, top to bottom, and no other: where none was
chosen there is nobody to ask, and no message goes on. A strategy by cost orders or narrows them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sild.model.costs import Strategy, prioritized
from sild.protocol.globalconf.shared_parameters import CostType, TimestampingService
from sild.protocol.pki.trust import ApprovedTsa

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChosenService:
    """A service that this server uses."""

    name: str
    url: str


def addresses_in_order(
    approved: Sequence[TimestampingService], chosen: Sequence[ChosenService], strategy: Strategy
) -> tuple[str, ...]:
    """The addresses to ask, the first one first, each once."""
    costs: dict[str, CostType | None] = {}
    for service in approved:
        costs.setdefault(service.url, service.cost)
    urls = list(dict.fromkeys(service.url for service in chosen))
    return tuple(prioritized(urls, costs.get, strategy))


def as_trusted(approved: Sequence[TimestampingService]) -> tuple[ApprovedTsa, ...]:
    """The services as tokens are verified against them."""
    return tuple(ApprovedTsa(each.name, each.url, each.certificate) for each in approved)


def follow_addresses(
    chosen: Sequence[ChosenService], approved: Sequence[TimestampingService]
) -> tuple[ChosenService, ...]:
    """The chosen services at the addresses that the global configuration has for their names.

    A name that stands for several services is left as it is.
    """
    return tuple(_followed(service, approved) for service in chosen)


def _followed(service: ChosenService, approved: Sequence[TimestampingService]) -> ChosenService:
    urls = [each.url for each in approved if each.name == service.name]
    if not urls or (service.url in urls and len(urls) == 1):
        return service
    if len(urls) > 1:
        if set(urls) != {service.url}:
            _LOG.warning("several approved services are called %s: none is followed", service.name)
        return service
    _LOG.info("%s has moved from %s to %s", service.name, service.url, urls[0])
    return replace(service, url=urls[0])
