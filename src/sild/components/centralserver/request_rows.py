"""Management requests as one transaction sees and changes them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.paging import Found, Order, Page, contains, read_page
from sild.components.centralserver.registry_tables import CLIENT
from sild.components.centralserver.request_errors import RequestExists, RequestNotFound
from sild.components.centralserver.request_tables import LIFE, REQUEST
from sild.components.centralserver.request_values import (
    RequestFilter,
    SavedRequest,
    client_columns,
    request_values,
    saved_of,
    server_values,
    thing_of,
)
from sild.model.registration import PENDING, Origin, RequestStatus
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import ManagementRequest, RequestType

_SECONDS_FORMAT = {"sqlite": "%Y-%m-%d %H:%M:%S", "postgresql": "YYYY-MM-DD HH24:MI:SS"}

_OWNER, _CLIENT_OWNER = CLIENT.alias("request_owner"), CLIENT.alias("request_client_owner")


class RequestRows:
    """The requests; what is added or changed now is so at `now`."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(
        self, request: ManagementRequest, origin: Origin, comments: str | None, life: int | None
    ) -> int:
        """Keep a request; its number."""
        values = {
            **request_values(request),
            "origin": origin.value,
            "comments": comments,
            "life_id": life,
            "created": self._now,
            "updated": self._now,
        }
        added = insert(REQUEST).values(values).returning(REQUEST.c.id)
        return int((await self._connection.execute(added)).scalar_one())

    async def add_life(self, request: ManagementRequest, status: RequestStatus) -> int:
        """Begin the life of a request; raises RequestExists where one for the same thing waits."""
        values = {"status": status.value, "pending_for": thing_of(request)}
        added = insert(LIFE).values(values).returning(LIFE.c.id)
        try:
            return int((await self._connection.execute(added)).scalar_one())
        except IntegrityError:
            # Another transaction was faster.
            raise RequestExists("another request for the same is still to be decided") from None

    async def set_status(self, life: int, status: RequestStatus) -> None:
        """Say where a life stands; what is decided makes way for another request."""
        values: dict[str, Any] = {"status": status.value}
        if status not in PENDING:
            values["pending_for"] = None
        await self._connection.execute(update(LIFE).where(LIFE.c.id == life).values(values))
        moved = update(REQUEST).where(REQUEST.c.life_id == life).values(updated=self._now)
        await self._connection.execute(moved)

    async def get(self, request_id: int) -> SavedRequest:
        """One request; raises RequestNotFound."""
        found = await self._all(_select().where(REQUEST.c.id == request_id))
        if not found:
            raise RequestNotFound(f"there is no management request {request_id}", str(request_id))
        return found[0]

    async def count_of_life(self, life: int) -> int:
        """How many requests share a life."""
        counted = select(func.count()).where(REQUEST.c.life_id == life)
        return int((await self._connection.execute(counted)).scalar_one())

    async def find_pending(self, request: ManagementRequest) -> SavedRequest | None:
        """The first of the requests for the same thing that are still to be decided."""
        query = _select().where(LIFE.c.pending_for == thing_of(request)).order_by(REQUEST.c.id)
        found = await self._all(query.limit(1))
        return found[0] if found else None

    async def find_client_registration(
        self, server: SecurityServerId, client: ClientId, status: RequestStatus
    ) -> SavedRequest | None:
        """The first registration of a client that stands so."""
        columns = {**server_values(server), **client_columns(client)}
        return await self._find(RequestType.CLIENT_REGISTRATION, columns, status)

    async def find_certificate_registration(
        self, server: SecurityServerId, der: bytes, status: RequestStatus
    ) -> SavedRequest | None:
        """The first registration of an authentication certificate that stands so."""
        columns = {
            **server_values(server),
            "certificate_sha256": hashlib.sha256(der).hexdigest(),
        }
        return await self._find(RequestType.AUTH_CERT_REGISTRATION, columns, status)

    async def _find(
        self, kind: RequestType, columns: Mapping[str, str | None], status: RequestStatus
    ) -> SavedRequest | None:
        query = (
            _select()
            .where(REQUEST.c.type == kind.value, LIFE.c.status == status.value)
            .where(*(REQUEST.c[name] == value for name, value in columns.items()))
            .order_by(REQUEST.c.id)
            .limit(1)
        )
        found = await self._all(query)
        return found[0] if found else None

    async def search(self, wanted: RequestFilter, page: Page) -> Found[SavedRequest]:
        """A page of the requests that are wanted; raises InvalidSorting."""
        query = _select().where(*self._conditions(wanted))
        rows, total = await read_page(self._connection, query, _ORDER, page)
        return Found(tuple(saved_of(row) for row in rows), total)

    def _conditions(self, wanted: RequestFilter) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if wanted.origin is not None:
            conditions.append(REQUEST.c.origin == wanted.origin.value)
        if wanted.types:
            conditions.append(REQUEST.c.type.in_([each.value for each in wanted.types]))
        if wanted.status is not None:
            conditions.append(LIFE.c.status == wanted.status.value)
        if wanted.server is not None:
            columns = server_values(wanted.server).items()
            conditions += [REQUEST.c[name] == value for name, value in columns]
        if wanted.query.strip():
            conditions.append(self._matches(wanted.query))
        return conditions

    def _matches(self, text: str) -> ColumnElement[bool]:
        texts = ("instance", "member_class", "member_code", "server_code")
        return or_(
            contains(cast(REQUEST.c.id, String), text),
            contains(self._seconds(REQUEST.c.created), text),
            contains(_OWNER.c.name_folded, text.casefold()),
            *(contains(REQUEST.c[name], text) for name in texts),
        )

    def _seconds(self, moment: ColumnElement[Any]) -> ColumnElement[str]:
        """A moment as people read it, in UTC."""
        if self._connection.dialect.name == "sqlite":
            return func.strftime(_SECONDS_FORMAT["sqlite"], moment, type_=String)
        utc = func.timezone("UTC", moment)
        return func.to_char(utc, _SECONDS_FORMAT["postgresql"], type_=String)

    async def _all(self, query: Select[Any]) -> list[SavedRequest]:
        return [saved_of(row) for row in await self._connection.execute(query)]


def _joined() -> Any:
    return (
        REQUEST.outerjoin(LIFE, LIFE.c.id == REQUEST.c.life_id)
        .outerjoin(_OWNER, _is_member(_OWNER, ""))
        .outerjoin(_CLIENT_OWNER, _is_member(_CLIENT_OWNER, "client_"))
    )


def _is_member(member: Any, prefix: str) -> ColumnElement[bool]:
    names = ("instance", "member_class", "member_code")
    return and_(
        member.c.subsystem_code == "",
        *(member.c[name] == REQUEST.c[prefix + name] for name in names),
    )


def _select() -> Select[Any]:
    return select(
        *REQUEST.c,
        LIFE.c.status,
        _OWNER.c.name.label("owner_name"),
        _CLIENT_OWNER.c.name.label("client_owner_name"),
    ).select_from(_joined())


_TYPE_NAME = case({each.value: each.name for each in RequestType}, value=REQUEST.c.type)
_SERVER_NAME = (
    REQUEST.c.instance
    + ":"
    + REQUEST.c.member_class
    + ":"
    + REQUEST.c.member_code
    + ":"
    + REQUEST.c.server_code
)
# By the names that the management API gives; types are sorted by what it calls them.
_ORDER = Order(
    {
        "id": REQUEST.c.id,
        "created_at": REQUEST.c.created,
        "type": _TYPE_NAME,
        "security_server_owner": _OWNER.c.name_folded,
        "security_server_id": _SERVER_NAME,
        "status": LIFE.c.status,
    },
    last=REQUEST.c.id,
)
