"""Parts of long lists, in an order that is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.model.refusals import BadRequest

_T = TypeVar("_T")


class InvalidSorting(BadRequest):
    """An order that a list does not have."""

    code = "invalid_sort_properties"


@dataclass(frozen=True, slots=True)
class Page:
    """So many items after the first ones, by one of the list's sort keys."""

    limit: int = 25
    first: int = 0
    sort: str | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Found(Generic[_T]):
    """One page of what was found, and how much was found in all."""

    items: tuple[_T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a list can be sorted by, and what tells equals apart."""

    keys: Mapping[str, ColumnElement[Any]]
    last: ColumnElement[Any]


async def read_page(
    connection: AsyncConnection, found: Select[Any], order: Order, page: Page | None
) -> tuple[list[Any], int]:
    """The rows of a page, or all, and the number of all; raises InvalidSorting."""
    if page is None:
        rows = list((await connection.execute(found.order_by(order.last))).all())
        return rows, len(rows)
    sorting = _sorting(order, page)
    counted = select(func.count()).select_from(found.order_by(None).subquery())
    total = (await connection.execute(counted)).scalar_one()
    shown = found.order_by(*sorting).limit(page.limit).offset(page.first)
    return list((await connection.execute(shown)).all()), total


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """The condition that a column has the text, in whatever case."""
    return column.icontains(text, autoescape=True)


def _sorting(order: Order, page: Page) -> list[ColumnElement[Any]]:
    if page.sort is None or not page.sort.strip():
        return [order.last]
    key = order.keys.get(page.sort)
    if key is None:
        raise InvalidSorting(f"this list is not sorted by {page.sort!r}", page.sort)
    # Engines differ in where rows without a value stand.
    by = key.desc().nulls_first() if page.descending else key.asc().nulls_last()
    return [by, order.last]
