"""Endpoints as rows: by number, and whether their service or its description made them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update

from sild.components.serverconf.errors import EndpointNotFound
from sild.components.serverconf.rows import (
    endpoint_of,
    endpoint_values,
    is_client,
    select_of_client,
)
from sild.components.serverconf.store import Configuration
from sild.components.serverconf.tables import CLIENT, ENDPOINT, RIGHT
from sild.model.services import Endpoint
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint, by its number; one that is generated comes and goes with what made it."""

    id: int
    endpoint: Endpoint
    generated: bool
    subjects: int
    """How many have a right to it."""


async def read_endpoints(
    conf: Configuration, provider: ClientId, service_code: str | None = None
) -> tuple[EndpointRow, ...]:
    """The endpoints of a client, or of one service of it."""
    query = _select_endpoints(provider)
    if service_code is not None:
        query = query.where(ENDPOINT.c.service_code == service_code)
    return tuple(_row_of(row) for row in (await conf.connection.execute(query)).all())


async def get_endpoint(conf: Configuration, endpoint_id: int) -> EndpointRow:
    """The endpoint of this number; raises EndpointNotFound."""
    query = _select_endpoints(None).where(ENDPOINT.c.id == endpoint_id)
    row = (await conf.connection.execute(query)).first()
    if row is None:
        raise EndpointNotFound(f"there is no endpoint {endpoint_id}")
    return _row_of(row)


async def add_generated(
    conf: Configuration, provider: ClientId, endpoints: Iterable[Endpoint]
) -> None:
    """Add endpoints of a client that a description made."""
    client = select(CLIENT.c.id).where(is_client(CLIENT, provider)).scalar_subquery()
    key = await conf.connection.scalar(select(client))
    rows = [{"client_id": key, **endpoint_values(each), "generated": True} for each in endpoints]
    if rows:
        await conf.connection.execute(insert(ENDPOINT), rows)


async def set_generated(conf: Configuration, rows: Iterable[EndpointRow]) -> None:
    """Let the description have these, which were added by hand."""
    ids = [row.id for row in rows]
    if ids:
        made = update(ENDPOINT).where(ENDPOINT.c.id.in_(ids)).values(generated=True)
        await conf.connection.execute(made)


async def change_endpoint(conf: Configuration, row: EndpointRow) -> None:
    """Save the method and path of an endpoint; rights to it stay."""
    values = endpoint_values(row.endpoint)
    await conf.connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == row.id).values(values))


async def remove_endpoints(conf: Configuration, rows: Iterable[EndpointRow]) -> None:
    """Remove endpoints and the rights to them."""
    for row in rows:
        await conf.connection.execute(delete(ENDPOINT).where(ENDPOINT.c.id == row.id))


def _select_endpoints(provider: ClientId | None) -> Select[Any]:
    subjects = select(func.count()).where(RIGHT.c.endpoint_id == ENDPOINT.c.id).scalar_subquery()
    return select_of_client(ENDPOINT, provider).add_columns(subjects.label("subjects"))


def _row_of(row: Any) -> EndpointRow:
    endpoint = endpoint_of(row)
    return EndpointRow(row.id, endpoint, row.generated or endpoint.is_base, row.subjects)
