"""The old server's own configuration: rows of its database to values of the model.

A row that points nowhere, or that the database itself would not have taken, makes the dump
unreadable. A value that was right there and is none here is lost, which is told.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from sild.components.takeover.copytext import Row, bytes_of_text
from sild.components.takeover.errors import BackupUnreadable
from sild.components.takeover.findings import Finding, lost, note
from sild.model.services import (
    DEFAULT_TIMEOUT_SECONDS,
    AccessRight,
    Client,
    ClientStatus,
    ConnectionType,
    Endpoint,
    InvalidConfiguration,
    LocalGroup,
    Service,
    ServiceType,
    check_code,
    check_endpoint,
    check_service_code,
    check_timeout,
    check_url,
)
from sild.protocol.errors import IncorrectCertificate, InvalidIdentifier
from sild.protocol.ids import (
    ClientId,
    GlobalGroupId,
    LocalGroupId,
    SecurityServerId,
    ServiceId,
    SubjectId,
)
from sild.protocol.pki.certificate import read_certificate

_E = TypeVar("_E", bound=Enum)
_LONGEST_TIMEOUT = 1000
_TRUTHS = {"t": True, "f": False}


@dataclass(frozen=True, slots=True)
class TakenDescription:
    """A service description with its services; a notice means that it is switched off."""

    provider: ClientId
    type: ServiceType
    url: str
    services: tuple[Service, ...]
    disabled_notice: str | None
    refreshed: datetime | None


@dataclass(frozen=True, slots=True)
class TakenEndpoint:
    """An endpoint, and whether a description made it."""

    endpoint: Endpoint
    generated: bool


@dataclass(frozen=True, slots=True)
class TakenRight:
    """A right, and since when."""

    right: AccessRight
    granted: datetime


@dataclass(frozen=True, slots=True)
class TakenGroup:
    """A local group, when it was changed, and when each member came."""

    group: LocalGroup
    updated: datetime
    added: Mapping[ClientId, datetime]


@dataclass(frozen=True, slots=True)
class TakenTimestamping:
    """A time-stamping service that the server uses."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class TakenConfiguration:
    """All of it; `findings` say what did not come over."""

    server: SecurityServerId
    clients: tuple[Client, ...]
    descriptions: tuple[TakenDescription, ...]
    endpoints: tuple[TakenEndpoint, ...]
    rights: tuple[TakenRight, ...]
    groups: tuple[TakenGroup, ...]
    timestamping: tuple[TakenTimestamping, ...]
    findings: tuple[Finding, ...]


def read_configuration(tables: Mapping[str, tuple[Row, ...]]) -> TakenConfiguration:
    """The configuration that the rows are; raises BackupUnreadable."""
    return _Reader(tables).read()


@dataclass(slots=True)
class _Reader:
    tables: Mapping[str, tuple[Row, ...]]
    findings: list[Finding] = field(default_factory=list)

    def read(self) -> TakenConfiguration:
        identifiers = {_get(row, "id"): row for row in self._rows("identifier")}
        clients = self._clients(identifiers)
        server = self._server(clients)
        own = {key: client.id for key, client in clients.items()}
        descriptions = self._descriptions(own)
        codes = {
            (each.provider, service.id.service_code)
            for each in descriptions
            for service in each.services
        }
        endpoints = self._endpoints(own, codes)
        groups = self._groups(own, identifiers)
        rights = self._rights(endpoints, identifiers, groups)
        self._tell_of_the_rest()
        return TakenConfiguration(
            server,
            tuple(clients.values()),
            descriptions,
            tuple(endpoints.values()),
            rights,
            groups,
            self._timestamping(),
            tuple(self.findings),
        )

    def _rows(self, table: str) -> tuple[Row, ...]:
        try:
            return self.tables[table]
        except KeyError:
            raise BackupUnreadable(f"the dump of the database has no table {table}") from None

    def _lost(self, what: str, error: Exception) -> None:
        self.findings.append(lost(what, str(error)))

    def _server(self, clients: Mapping[str, Client]) -> SecurityServerId:
        rows = self._rows("serverconf")
        if len(rows) != 1:
            raise BackupUnreadable("the old server was not initialised: there is nothing to take")
        (row,) = rows
        owner = clients.get(row.get("owner") or "")
        code = row.get("servercode")
        if owner is None or not code or owner.id.is_subsystem:
            raise BackupUnreadable("the old server was not initialised: it has no owner or code")
        return _made(SecurityServerId, owner.id, code)

    def _clients(self, identifiers: Mapping[str, Row]) -> dict[str, Client]:
        certificates: dict[str, list[bytes]] = defaultdict(list)
        for row in self._rows("certificate"):
            if (owner := row.get("client_id")) is not None:
                certificates[owner].append(bytes_of_text(_get(row, "data")))
        found: dict[str, Client] = {}
        for row in self._rows("client"):
            key = _get(row, "id")
            client = _client_id(_pointed(identifiers, row, "identifier"))
            found[key] = Client(
                client,
                _member(ClientStatus, row.get("clientstatus") or ClientStatus.SAVED.value),
                _member(ConnectionType, row.get("isauthentication") or "SSLAUTH"),
                self._certificates(client, certificates[key]),
            )
        if len({client.id for client in found.values()}) != len(found):
            raise BackupUnreadable("the old server has a client twice")
        return found

    def _certificates(self, client: ClientId, contents: Iterable[bytes]) -> tuple[bytes, ...]:
        kept = []
        for content in contents:
            try:
                kept.append(read_certificate(content).der)
            except IncorrectCertificate as error:
                self._lost(f"a TLS certificate of {client.short}", error)
        return tuple(dict.fromkeys(kept))

    def _descriptions(self, own: Mapping[str, ClientId]) -> tuple[TakenDescription, ...]:
        services: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows("service"):
            services[_get(row, "servicedescription_id")].append(row)
        found = []
        for row in self._rows("servicedescription"):
            provider = _pointed(own, row, "client_id")
            kind, url = _member(ServiceType, _get(row, "type")), _get(row, "url")
            disabled = _truth(row, "disabled")
            taken = TakenDescription(
                provider,
                kind,
                url,
                self._services(provider, kind, services.pop(_get(row, "id"), [])),
                (row.get("disablednotice") or "") if disabled else None,
                _moment(row, "refresheddate"),
            )
            try:
                check_url(url)
                found.append(taken)
            except InvalidConfiguration as error:
                self._lost(f"service description {url[:100]!r} of {provider.short}", error)
        if services:
            raise BackupUnreadable("a service of the old server belongs to no description")
        return tuple(found)

    def _services(
        self, provider: ClientId, kind: ServiceType, rows: Iterable[Row]
    ) -> tuple[Service, ...]:
        found = []
        for row in rows:
            code, version = _get(row, "servicecode"), row.get("serviceversion")
            try:
                check_service_code(code)
                if version:
                    check_code("the service version", version)
                url = row.get("url") or ""
                check_url(url)
                service = Service(
                    _made(ServiceId, provider, code, version or None),
                    kind,
                    url,
                    self._timeout(row, f"service {code!r} of {provider.short}"),
                    # As the old server reads it: where nothing was said, TLS is verified.
                    row.get("sslauthentication") is None or _truth(row, "sslauthentication"),
                    title=row.get("title") or None,
                )
                found.append(service)
            except InvalidConfiguration as error:
                self._lost(f"service {code!r} of {provider.short}", error)
        return tuple(found)

    def _timeout(self, row: Row, what: str) -> int:
        if row.get("timeout") is None:
            return DEFAULT_TIMEOUT_SECONDS
        seconds = _integer(row, "timeout")
        try:
            check_timeout(seconds)
        except InvalidConfiguration:
            self.findings.append(
                note(what, f"its time-out of {seconds} s becomes {_LONGEST_TIMEOUT} s")
            )
            return _LONGEST_TIMEOUT
        return seconds

    def _endpoints(
        self, own: Mapping[str, ClientId], codes: set[tuple[ClientId, str]]
    ) -> dict[str, TakenEndpoint]:
        found = {}
        for row in self._rows("endpoint"):
            provider, code = _pointed(own, row, "client_id"), _get(row, "servicecode")
            endpoint = Endpoint(provider, code, _get(row, "method"), _get(row, "path"))
            what = f"endpoint {endpoint.method} {endpoint.path[:100]} of {provider.short}/{code}"
            try:
                check_endpoint(endpoint.method, endpoint.path)
                if (provider, code) not in codes:
                    raise InvalidConfiguration("its service did not come over")
                generated = row.get("generated") is not None and _truth(row, "generated")
                found[_get(row, "id")] = TakenEndpoint(endpoint, generated)
            except InvalidConfiguration as error:
                self._lost(what, error)
        return found

    def _groups(
        self, own: Mapping[str, ClientId], identifiers: Mapping[str, Row]
    ) -> tuple[TakenGroup, ...]:
        members: dict[str, dict[ClientId, datetime]] = defaultdict(dict)
        for row in self._rows("groupmember"):
            if (key := row.get("localgroup_id")) is not None:
                member = _client_id(_pointed(identifiers, row, "groupmemberid"))
                members[key][member] = _get_moment(row, "added")
        found = []
        for row in self._rows("localgroup"):
            owner, code = _pointed(own, row, "client_id"), _get(row, "groupcode")
            theirs = members[_get(row, "id")]
            try:
                check_code("the code of a local group", code)
                group = LocalGroup(owner, code, frozenset(theirs), row.get("description") or "")
                found.append(TakenGroup(group, _get_moment(row, "updated"), theirs))
            except InvalidConfiguration as error:
                self._lost(f"local group {code!r} of {owner.short}", error)
        return tuple(found)

    def _rights(
        self,
        endpoints: Mapping[str, TakenEndpoint],
        identifiers: Mapping[str, Row],
        groups: Iterable[TakenGroup],
    ) -> tuple[TakenRight, ...]:
        local = {(each.group.owner, each.group.code) for each in groups}
        found: dict[AccessRight, TakenRight] = {}
        for row in self._rows("accessright"):
            subject = _subject(_pointed(identifiers, row, "subjectid"))
            taken = endpoints.get(_get(row, "endpoint_id"))
            if taken is None:
                self.findings.append(
                    lost(f"a right of {subject}", "its endpoint did not come over")
                )
                continue
            right = AccessRight(taken.endpoint, subject)
            provider = taken.endpoint.provider
            if isinstance(subject, LocalGroupId) and (provider, subject.group_code) not in local:
                what = f"a right of {subject} to {provider.short}/{taken.endpoint.service_code}"
                self.findings.append(lost(what, "there is no such local group"))
                continue
            found.setdefault(right, TakenRight(right, _get_moment(row, "rightsgiven")))
        return tuple(found.values())

    def _timestamping(self) -> tuple[TakenTimestamping, ...]:
        rows = sorted(self._rows("tsp"), key=lambda row: _integer(row, "id"))
        return tuple(TakenTimestamping(row.get("name") or "", _get(row, "url")) for row in rows)

    def _tell_of_the_rest(self) -> None:
        if keys := len(self.tables.get("apikey", ())):
            self.findings.append(
                note(f"{keys} API keys", "only their digests are known: make new ones")
            )
        self.findings.append(
            note("the message log", "no backup holds it: keep the old database and its archives")
        )
        self.findings.append(
            note("people's accounts", "they were those of the old machine: add users here")
        )


def _get(row: Row, column: str) -> str:
    value = row.get(column)
    if value is None:
        raise BackupUnreadable(f"a row of the dump of the database has no {column}")
    return value


_T = TypeVar("_T")


def _pointed(known: Mapping[str, _T], row: Row, column: str) -> _T:
    try:
        return known[_get(row, column)]
    except KeyError:
        raise BackupUnreadable(f"{column} of a row of the dump points to nothing") from None


def _truth(row: Row, column: str) -> bool:
    try:
        return _TRUTHS[_get(row, column)]
    except KeyError:
        raise BackupUnreadable(f"{column} of a row of the dump is neither true nor false") from None


def _integer(row: Row, column: str) -> int:
    text = row.get(column) or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise BackupUnreadable(f"{column} of a row of the dump is no whole number")
    return int(text)


def _moment(row: Row, column: str) -> datetime | None:
    if (text := row.get(column)) is None:
        return None
    try:
        # The time zone was that of the old machine, and is not written anywhere.
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise BackupUnreadable(f"{column} of a row of the dump is no moment") from error


def _get_moment(row: Row, column: str) -> datetime:
    moment = _moment(row, column)
    if moment is None:
        raise BackupUnreadable(f"a row of the dump of the database has no {column}")
    return moment


def _member(kind: type[_E], value: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        raise BackupUnreadable(f"{value[:100]!r} is no {kind.__name__} that is known") from None


def _made(kind: "type[_T]", *parts: object) -> _T:
    try:
        return kind(*parts)
    except InvalidIdentifier as error:
        raise BackupUnreadable(f"the old server has an identifier that is none: {error}") from error


def _client_id(row: Row) -> ClientId:
    parts = (_get(row, name) for name in ("xroadinstance", "memberclass", "membercode"))
    return _made(ClientId, *parts, row.get("subsystemcode"))


def _subject(row: Row) -> SubjectId:
    match row.get("type"):
        case "GLOBALGROUP":
            return _made(GlobalGroupId, _get(row, "xroadinstance"), _get(row, "groupcode"))
        case "LOCALGROUP":
            return _made(LocalGroupId, _get(row, "groupcode"))
        case "MEMBER" | "SUBSYSTEM":
            return _client_id(row)
        case other:
            raise BackupUnreadable(f"the old server gives rights to a {other}")
