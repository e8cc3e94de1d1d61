"""Rights as rows with the moment they were given, and what is named by the id of its row."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.serverconf.errors import EndpointNotFound
from sild.components.serverconf.rows import (
    PROVIDER_COLUMNS,
    endpoint_of,
    is_client,
    select_of_client,
    subject_of,
)
from sild.components.serverconf.tables import CLIENT, ENDPOINT, GROUP, RIGHT
from sild.model.services import AccessRight, Endpoint
from sild.protocol.ids import ClientId


@dataclass(frozen=True, slots=True)
class GivenRight:
    """A right, and since when it is given."""

    right: AccessRight
    given: datetime


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A local group of a client, by the id that people name it with."""

    id: int
    code: str
    description: str


async def read_rights(connection: AsyncConnection, provider: ClientId) -> tuple[GivenRight, ...]:
    """The rights to services of a client, those that were given first first."""
    query = (
        select_of_client(ENDPOINT, provider, RIGHT)
        .join(RIGHT, RIGHT.c.endpoint_id == ENDPOINT.c.id)
        .with_only_columns(
            *PROVIDER_COLUMNS,
            *ENDPOINT.c,
            *(column.label(f"right_{column.name}") for column in RIGHT.c),
        )
    )
    rows = (await connection.execute(query)).all()
    return tuple(
        GivenRight(AccessRight(endpoint_of(row), subject_of(row)), row.right_granted)
        for row in rows
    )


async def read_endpoint(connection: AsyncConnection, endpoint_id: int) -> Endpoint:
    """The endpoint with this id; raises EndpointNotFound."""
    query = select_of_client(ENDPOINT, None).where(ENDPOINT.c.id == endpoint_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise EndpointNotFound(f"there is no endpoint {endpoint_id}")
    return endpoint_of(row)


async def read_groups(connection: AsyncConnection, owner: ClientId) -> tuple[GroupRow, ...]:
    """The local groups of a client."""
    query = (
        select(GROUP.c.id, GROUP.c.code, GROUP.c.description)
        .join_from(GROUP, CLIENT, CLIENT.c.id == GROUP.c.client_id)
        .where(is_client(CLIENT, owner))
        .order_by(GROUP.c.id)
    )
    rows = (await connection.execute(query)).all()
    return tuple(GroupRow(row.id, row.code, row.description) for row in rows)
