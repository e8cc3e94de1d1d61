"""Values of the model as rows of the tables, and back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, select

from sild.components.serverconf.tables import CLIENT, RIGHT
from sild.model.services import Endpoint, Service, ServiceType
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, ServiceId, SubjectId

_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Description:
    """A service description and its services, all of which a notice switches off.

    A description that is not saved yet has no id; `refreshed` is when it was last read.
    """

    provider: ClientId
    type: ServiceType
    url: str
    services: tuple[Service, ...]
    disabled_notice: str | None = None
    id: int | None = None
    refreshed: datetime = _NEVER


PROVIDER_COLUMNS = tuple(
    CLIENT.c[name].label(f"provider_{name}")
    for name in ("instance", "member_class", "member_code", "subsystem_code")
)


def select_of_client(
    table: Table, client: ClientId | None, order: Table | None = None
) -> Select[Any]:
    """Rows of a table that belongs to clients, with the parts of the client's identifier."""
    query = (
        select(*PROVIDER_COLUMNS, *table.c)
        .join_from(table, CLIENT, CLIENT.c.id == table.c.client_id)
        .order_by((table if order is None else order).c.id)
    )
    return query if client is None else query.where(is_client(CLIENT, client))


def equal(table: Table, values: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Conditions that each named column has its value."""
    return [table.c[name] == value for name, value in values.items()]


def is_client(table: Table, client: ClientId) -> ColumnElement[bool]:
    """The condition that a row of the table names the client."""
    return and_(*equal(table, client_values(client)))


def is_subject(subject: SubjectId) -> ColumnElement[bool]:
    """The condition that a right is the subject's."""
    return and_(*equal(RIGHT, subject_values(subject)))


def member_values(client: ClientId) -> dict[str, str]:
    """The columns that name a member."""
    return {
        "instance": client.instance,
        "member_class": client.member_class,
        "member_code": client.member_code,
    }


def client_values(client: ClientId) -> dict[str, str]:
    """The columns that name a client."""
    return {**member_values(client), "subsystem_code": client.subsystem_code or ""}


def member_of(row: Any) -> ClientId:
    """The member that a row names."""
    return ClientId(row.instance, row.member_class, row.member_code)


def client_of(row: Any) -> ClientId:
    """The client that a row names."""
    return ClientId(row.instance, row.member_class, row.member_code, row.subsystem_code or None)


def provider_of(row: Any) -> ClientId:
    """The client that a row of `select_of_client` belongs to."""
    return ClientId(
        row.provider_instance,
        row.provider_member_class,
        row.provider_member_code,
        row.provider_subsystem_code or None,
    )


def description_values(description: Description) -> dict[str, Any]:
    """The columns of a description, but for its client."""
    return {
        "type": description.type.value,
        "url": description.url,
        "disabled": description.disabled_notice is not None,
        "disabled_notice": description.disabled_notice or "",
        "refreshed": description.refreshed,
    }


def description_of(row: Any, services: Iterable[Any]) -> Description:
    """A description from its row and those of its services."""
    provider, kind = provider_of(row), ServiceType(row.type)
    notice = row.disabled_notice if row.disabled else None
    return Description(
        provider,
        kind,
        row.url,
        tuple(
            Service(
                ServiceId(provider, service.code, service.version or None),
                kind,
                service.url,
                service.timeout_seconds,
                service.verify_tls,
                notice,
                service.title or None,
            )
            for service in services
        ),
        notice,
        row.id,
        row.refreshed,
    )


def endpoint_values(endpoint: Endpoint) -> dict[str, str]:
    """The columns of an endpoint, but for its client."""
    return {
        "service_code": endpoint.service_code,
        "method": endpoint.method,
        "path": endpoint.path,
    }


def endpoint_of(row: Any) -> Endpoint:
    """The endpoint of a row of `select_of_client`."""
    return Endpoint(provider_of(row), row.service_code, row.method, row.path)


def subject_values(subject: SubjectId) -> dict[str, str]:
    """The columns that name the subject of a right."""
    if isinstance(subject, ClientId):
        code = subject.subsystem_code or ""
        return {"subject_kind": "client", **member_values(subject), "code": code}
    instance = subject.instance if isinstance(subject, GlobalGroupId) else ""
    return {
        "subject_kind": "global" if isinstance(subject, GlobalGroupId) else "local",
        "instance": instance,
        "member_class": "",
        "member_code": "",
        "code": subject.group_code,
    }


def subject_of(row: Any) -> SubjectId:
    """The subject that a row names in columns that begin with `right_`."""
    if row.right_subject_kind == "global":
        return GlobalGroupId(row.right_instance, row.right_code)
    if row.right_subject_kind == "local":
        return LocalGroupId(row.right_code)
    return ClientId(
        row.right_instance, row.right_member_class, row.right_member_code, row.right_code or None
    )
