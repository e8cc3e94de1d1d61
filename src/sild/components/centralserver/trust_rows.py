"""Trust services in SQL: read and changed within one transaction."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Self

from sqlalchemy import Row, Select, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.trust_errors import (
    CertificationServiceNotFound,
    IntermediateCaNotFound,
    OcspResponderNotFound,
    TimestampingServiceNotFound,
)
from sild.components.centralserver.trust_tables import (
    CA,
    CERTIFICATION_SERVICE,
    OCSP_RESPONDER,
    TIMESTAMPING_SERVICE,
)
from sild.components.centralserver.trust_values import (
    ApprovedCa,
    ApprovedTsa,
    IntermediateCa,
    Responder,
    ServiceSettings,
)
from sild.protocol.globalconf.shared_parameters import (
    CostType,
    CsrFormat,
    OcspResponderEntry,
    TimestampingService,
)
from sild.protocol.pki.certificate import Certificate, read_certificate

_LARGEST_ID = 2**31 - 1
_SERVICES = select(CERTIFICATION_SERVICE, CA.c.certificate).join(
    CA, (CA.c.service_id == CERTIFICATION_SERVICE.c.id) & CA.c.is_top
)


class TrustRows:
    """The trust services as one transaction sees and changes them; lists come by id."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._locks = False

    @classmethod
    def to_change(cls, connection: AsyncConnection) -> Self:
        """The trust services, to change: what is got stays as it is until the transaction ends."""
        rows = cls(connection)
        rows._locks = True
        return rows

    async def services(self) -> tuple[ApprovedCa, ...]:
        """All certification services."""
        rows = await self._rows(_SERVICES.order_by(CERTIFICATION_SERVICE.c.id))
        return tuple(_service_of(row) for row in rows)

    async def get_service(self, service_id: int) -> ApprovedCa:
        """One certification service; raises CertificationServiceNotFound."""
        row = await self._find(_SERVICES, CERTIFICATION_SERVICE, service_id)
        if row is None:
            raise CertificationServiceNotFound(f"there is no certification service {service_id}")
        return _service_of(row)

    async def add_service(
        self, name: str, certificate: Certificate, settings: ServiceSettings
    ) -> ApprovedCa:
        """Add a certification service."""
        values = {"name": name, **_settings_values(settings)}
        added = await self._insert(CERTIFICATION_SERVICE, values)
        await self._add_ca(added, certificate, is_top=True)
        return ApprovedCa(added, name, certificate, settings)

    async def replace_settings(self, service_id: int, settings: ServiceSettings) -> None:
        """Save the settings of a certification service."""
        await self._update(CERTIFICATION_SERVICE, service_id, _settings_values(settings))

    async def remove_service(self, service_id: int) -> None:
        """Remove a certification service with its intermediate CAs and all their responders."""
        await self._delete(CERTIFICATION_SERVICE, service_id)

    async def intermediates(self, service_id: int | None = None) -> tuple[IntermediateCa, ...]:
        """The intermediate CAs of all certification services, or of one."""
        query = select(CA).where(~CA.c.is_top)
        if service_id is not None:
            query = query.where(CA.c.service_id == service_id)
        return tuple(_intermediate_of(row) for row in await self._rows(query.order_by(CA.c.id)))

    async def get_intermediate(self, intermediate_id: int) -> IntermediateCa:
        """One intermediate CA; raises IntermediateCaNotFound."""
        row = await self._find(select(CA).where(~CA.c.is_top), CA, intermediate_id)
        if row is None:
            raise IntermediateCaNotFound(f"there is no intermediate CA {intermediate_id}")
        return _intermediate_of(row)

    async def add_intermediate(self, service_id: int, certificate: Certificate) -> IntermediateCa:
        """Add an intermediate CA to a certification service."""
        added = await self._add_ca(service_id, certificate, is_top=False)
        return IntermediateCa(added, service_id, certificate)

    async def remove_intermediate(self, intermediate_id: int) -> None:
        """Remove an intermediate CA with its responders."""
        await self._delete(CA, intermediate_id)

    async def top_ca(self, service_id: int) -> int:
        """The id of a service's own certificate among those of CAs."""
        query = select(CA.c.id).where(CA.c.service_id == service_id, CA.c.is_top)
        return int((await self._connection.execute(query)).scalar_one())

    async def top_cas(self) -> dict[int, int]:
        """The ids of the services' own certificates, by service."""
        query = select(CA.c.service_id, CA.c.id).where(CA.c.is_top)
        return {row.service_id: row.id for row in await self._rows(query)}

    async def responders(self, ca_id: int) -> tuple[Responder, ...]:
        """The OCSP responders of one CA certificate."""
        query = select(OCSP_RESPONDER).where(OCSP_RESPONDER.c.ca_id == ca_id)
        rows = await self._rows(query.order_by(OCSP_RESPONDER.c.id))
        return tuple(_responder_of(row) for row in rows)

    async def all_responders(self) -> dict[int, list[Responder]]:
        """All OCSP responders, by the id of their CA certificate."""
        found: dict[int, list[Responder]] = defaultdict(list)
        for row in await self._rows(select(OCSP_RESPONDER).order_by(OCSP_RESPONDER.c.id)):
            found[row.ca_id].append(_responder_of(row))
        return found

    async def get_responder(self, responder_id: int, ca_id: int | None = None) -> Responder:
        """One OCSP responder, or one of a CA certificate; raises OcspResponderNotFound."""
        query = select(OCSP_RESPONDER)
        if ca_id is not None:
            query = query.where(OCSP_RESPONDER.c.ca_id == ca_id)
        row = await self._find(query, OCSP_RESPONDER, responder_id)
        if row is None:
            raise OcspResponderNotFound(f"there is no OCSP responder {responder_id}")
        return _responder_of(row)

    async def add_responder(self, ca_id: int, entry: OcspResponderEntry) -> Responder:
        """Add an OCSP responder to a CA certificate."""
        values = {"ca_id": ca_id, **_responder_values(entry)}
        return Responder(await self._insert(OCSP_RESPONDER, values), entry)

    async def replace_responder(self, responder: Responder) -> None:
        """Save what is known of an OCSP responder."""
        await self._update(OCSP_RESPONDER, responder.id, _responder_values(responder.entry))

    async def remove_responder(self, responder_id: int) -> None:
        """Remove an OCSP responder."""
        await self._delete(OCSP_RESPONDER, responder_id)

    async def tsas(self) -> tuple[ApprovedTsa, ...]:
        """All time-stamping services."""
        rows = await self._rows(select(TIMESTAMPING_SERVICE).order_by(TIMESTAMPING_SERVICE.c.id))
        return tuple(_tsa_of(row) for row in rows)

    async def get_tsa(self, tsa_id: int) -> ApprovedTsa:
        """One time-stamping service; raises TimestampingServiceNotFound."""
        row = await self._find(select(TIMESTAMPING_SERVICE), TIMESTAMPING_SERVICE, tsa_id)
        if row is None:
            raise TimestampingServiceNotFound(f"there is no time-stamping service {tsa_id}")
        return _tsa_of(row)

    async def add_tsa(self, service: TimestampingService) -> ApprovedTsa:
        """Add a time-stamping service."""
        return ApprovedTsa(await self._insert(TIMESTAMPING_SERVICE, _tsa_values(service)), service)

    async def replace_tsa(self, tsa: ApprovedTsa) -> None:
        """Save what is known of a time-stamping service."""
        await self._update(TIMESTAMPING_SERVICE, tsa.id, _tsa_values(tsa.service))

    async def remove_tsa(self, tsa_id: int) -> None:
        """Remove a time-stamping service."""
        await self._delete(TIMESTAMPING_SERVICE, tsa_id)

    async def _add_ca(self, service_id: int, certificate: Certificate, *, is_top: bool) -> int:
        values = {"service_id": service_id, "is_top": is_top, "certificate": certificate.der}
        return await self._insert(CA, values)

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = (await self._connection.execute(query)).all()
        return rows

    async def _find(self, query: Select[Any], table: Table, row_id: int) -> Row[Any] | None:
        if not 0 < row_id <= _LARGEST_ID:
            return None
        query = query.where(table.c.id == row_id)
        if self._locks:
            query = query.with_for_update(of=table)
        row: Row[Any] | None = (await self._connection.execute(query)).first()
        return row

    async def _insert(self, table: Table, values: dict[str, Any]) -> int:
        result = await self._connection.execute(insert(table).values(values))
        key = result.inserted_primary_key
        assert key is not None  # noqa: S101 - each table has one
        return int(key[0])

    async def _update(self, table: Table, row_id: int, values: dict[str, Any]) -> None:
        await self._connection.execute(update(table).where(table.c.id == row_id).values(values))

    async def _delete(self, table: Table, row_id: int) -> None:
        await self._connection.execute(delete(table).where(table.c.id == row_id))


def _settings_values(settings: ServiceSettings) -> dict[str, Any]:
    return {
        "profile": settings.profile,
        "csr_format": settings.csr_format.value,
        "authentication_only": settings.authentication_only,
        "acme_directory_url": settings.acme_directory_url,
        "acme_ip_addresses": settings.acme_ip_addresses,
        "acme_authentication_profile": settings.acme_authentication_profile,
        "acme_signing_profile": settings.acme_signing_profile,
    }


def _service_of(row: Row[Any]) -> ApprovedCa:
    settings = ServiceSettings(
        profile=row.profile,
        csr_format=CsrFormat(row.csr_format),
        authentication_only=row.authentication_only,
        acme_directory_url=row.acme_directory_url,
        acme_ip_addresses=row.acme_ip_addresses,
        acme_authentication_profile=row.acme_authentication_profile,
        acme_signing_profile=row.acme_signing_profile,
    )
    return ApprovedCa(row.id, row.name, read_certificate(row.certificate), settings)


def _intermediate_of(row: Row[Any]) -> IntermediateCa:
    return IntermediateCa(row.id, row.service_id, read_certificate(row.certificate))


def _responder_values(entry: OcspResponderEntry) -> dict[str, Any]:
    return {
        "url": entry.url,
        "cost": (entry.cost or CostType.UNDEFINED).value,
        "certificate": None if entry.certificate is None else entry.certificate.der,
    }


def _responder_of(row: Row[Any]) -> Responder:
    certificate = None if row.certificate is None else read_certificate(row.certificate)
    return Responder(row.id, OcspResponderEntry(row.url, certificate, CostType(row.cost)))


def _tsa_values(service: TimestampingService) -> dict[str, Any]:
    return {
        "name": service.name,
        "url": service.url,
        "cost": (service.cost or CostType.UNDEFINED).value,
        "certificate": service.certificate.der,
    }


def _tsa_of(row: Row[Any]) -> ApprovedTsa:
    certificate = read_certificate(row.certificate)
    return ApprovedTsa(
        row.id, TimestampingService(row.name, row.url, certificate, CostType(row.cost))
    )
