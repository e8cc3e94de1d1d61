import logging

import pytest

from components.messagelog.builders import service
from sild.components.messagelog.authorities import (
    ChosenService,
    Strategy,
    addresses_in_order,
    follow_addresses,
)
from sild.protocol.globalconf.shared_parameters import CostType

APPROVED = (
    service("undefined", cost=CostType.UNDEFINED),
    service("paid 1", cost=CostType.PAID),
    service("free 1", cost=CostType.FREE),
    service("unsaid", cost=None),
    service("paid 2", cost=CostType.PAID),
    service("free 2", cost=CostType.FREE),
)
MOVED = (service("http://new/", name="A"), service("http://b/", name="B"))


@pytest.mark.parametrize(
    ("strategy", "urls"),
    [
        (Strategy.NONE, ["undefined", "paid 1", "free 1", "unsaid", "paid 2", "free 2"]),
        (Strategy.ONLY_FREE, ["free 1", "free 2"]),
        (Strategy.ONLY_PAID, ["paid 1", "paid 2"]),
        (Strategy.FREE_FIRST, ["free 1", "free 2", "paid 1", "paid 2", "undefined", "unsaid"]),
        (Strategy.PAID_FIRST, ["paid 1", "paid 2", "free 1", "free 2", "undefined", "unsaid"]),
    ],
)
def test_a_strategy_orders_or_narrows_the_services_by_cost(strategy, urls):
    chosen = [ChosenService(each.name, each.url) for each in APPROVED]
    assert list(addresses_in_order(APPROVED, chosen, strategy)) == urls


@pytest.mark.parametrize("strategy", Strategy)
def test_where_no_service_was_chosen_nobody_is_asked(strategy):
    assert addresses_in_order(APPROVED, (), strategy) == ()


def test_only_chosen_services_are_asked():
    chosen = [ChosenService("x", url) for url in ("paid 2", "elsewhere", "free 1", "paid 2")]
    asked = addresses_in_order(APPROVED, chosen, Strategy.NONE)
    assert asked == ("paid 2", "elsewhere", "free 1")
    assert addresses_in_order(APPROVED, chosen, Strategy.ONLY_FREE) == ("free 1",)
    first = addresses_in_order(APPROVED, chosen, Strategy.FREE_FIRST)
    assert first == ("free 1", "paid 2", "elsewhere")


def test_a_chosen_service_follows_its_name_to_another_address():
    chosen = (ChosenService("A", "http://old/"), ChosenService("B", "http://b/"))
    followed = follow_addresses(chosen, MOVED)
    assert followed == (ChosenService("A", "http://new/"), chosen[1])


def test_a_name_that_nobody_bears_or_several_bear_is_not_followed(caplog):
    chosen = (ChosenService("C", "http://c/"), ChosenService("A", "http://old/"))
    twice = (*MOVED, service("http://newer/", name="A"))
    with caplog.at_level(logging.WARNING):
        assert follow_addresses(chosen, twice) == chosen
    assert "several approved services are called A" in caplog.text
