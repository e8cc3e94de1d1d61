"""Use cases on certification services, their intermediate CAs and OCSP responders."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from sild.components.centralserver.trust_checks import check_settings, check_url, get_name
from sild.components.centralserver.trust_rows import TrustRows
from sild.components.centralserver.trust_uploads import read_certificate_file
from sild.components.centralserver.trust_values import (
    ApprovedCa,
    CertificateFile,
    IntermediateCa,
    Responder,
    ServiceChanges,
    ServiceSettings,
    TrustAddress,
)
from sild.protocol.globalconf.shared_parameters import CostType, OcspResponderEntry
from sild.runtime.database import Database


class CertificationServices:
    """The approved CAs: each act is one transaction, and raises Refusals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[ApprovedCa, ...]:
        """Every certification service."""
        async with self._reading() as rows:
            return await rows.services()

    async def get(self, service_id: int) -> ApprovedCa:
        """One certification service."""
        async with self._reading() as rows:
            return await rows.get_service(service_id)

    async def add(self, file: CertificateFile, settings: ServiceSettings) -> ApprovedCa:
        """Approve a CA by its certificate, whose common name becomes the service's."""
        certificate = read_certificate_file(file)
        check_settings(settings)
        async with self._changing() as rows:
            return await rows.add_service(get_name(certificate), certificate, settings)

    async def change(self, service_id: int, changes: ServiceChanges) -> ApprovedCa:
        """Change settings of a certification service."""
        async with self._changing() as rows:
            service = await rows.get_service(service_id)
            settings = changes.applied_to(service.settings)
            check_settings(settings)
            await rows.replace_settings(service_id, settings)
            return replace(service, settings=settings)

    async def remove(self, service_id: int) -> None:
        """Withdraw a CA, with all that belongs to it."""
        async with self._changing() as rows:
            await rows.get_service(service_id)
            await rows.remove_service(service_id)

    async def intermediates(self, service_id: int) -> tuple[IntermediateCa, ...]:
        """The intermediate CAs of a certification service."""
        async with self._reading() as rows:
            await rows.get_service(service_id)
            return await rows.intermediates(service_id)

    async def get_intermediate(self, intermediate_id: int) -> IntermediateCa:
        """One intermediate CA."""
        async with self._reading() as rows:
            return await rows.get_intermediate(intermediate_id)

    async def add_intermediate(self, service_id: int, file: CertificateFile) -> IntermediateCa:
        """Add an intermediate CA to a certification service."""
        certificate = read_certificate_file(file)
        async with self._changing() as rows:
            await rows.get_service(service_id)
            return await rows.add_intermediate(service_id, certificate)

    async def remove_intermediate(self, intermediate_id: int) -> None:
        """Remove an intermediate CA, with its responders."""
        async with self._changing() as rows:
            await rows.get_intermediate(intermediate_id)
            await rows.remove_intermediate(intermediate_id)

    async def responders(self, service_id: int) -> tuple[Responder, ...]:
        """The OCSP responders of a certification service's own certificate."""
        async with self._reading() as rows:
            await rows.get_service(service_id)
            return await rows.responders(await rows.top_ca(service_id))

    async def add_responder(self, service_id: int, address: TrustAddress) -> Responder:
        """Add an OCSP responder to a certification service."""
        entry = _changed(OcspResponderEntry(""), address)
        async with self._changing() as rows:
            await rows.get_service(service_id)
            return await rows.add_responder(await rows.top_ca(service_id), entry)

    async def intermediate_responders(self, intermediate_id: int) -> tuple[Responder, ...]:
        """The OCSP responders of an intermediate CA."""
        async with self._reading() as rows:
            await rows.get_intermediate(intermediate_id)
            return await rows.responders(intermediate_id)

    async def add_intermediate_responder(
        self, intermediate_id: int, address: TrustAddress
    ) -> Responder:
        """Add an OCSP responder to an intermediate CA."""
        entry = _changed(OcspResponderEntry(""), address)
        async with self._changing() as rows:
            await rows.get_intermediate(intermediate_id)
            return await rows.add_responder(intermediate_id, entry)

    async def remove_intermediate_responder(self, intermediate_id: int, responder_id: int) -> None:
        """Remove an OCSP responder of an intermediate CA, and of no other CA."""
        async with self._changing() as rows:
            await rows.get_intermediate(intermediate_id)
            await rows.get_responder(responder_id, intermediate_id)
            await rows.remove_responder(responder_id)

    async def get_responder(self, responder_id: int) -> Responder:
        """One OCSP responder of whichever CA."""
        async with self._reading() as rows:
            return await rows.get_responder(responder_id)

    async def change_responder(self, responder_id: int, changes: TrustAddress) -> Responder:
        """Change the address, cost or certificate of an OCSP responder."""
        async with self._changing() as rows:
            responder = await rows.get_responder(responder_id)
            changed = Responder(responder_id, _changed(responder.entry, changes))
            await rows.replace_responder(changed)
            return changed

    async def remove_responder(self, responder_id: int) -> None:
        """Remove an OCSP responder of whichever CA."""
        async with self._changing() as rows:
            await rows.get_responder(responder_id)
            await rows.remove_responder(responder_id)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[TrustRows]:
        async with self._database.reading() as connection:
            yield TrustRows(connection)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[TrustRows]:
        async with self._database.transaction() as connection:
            yield TrustRows.to_change(connection)


def _changed(entry: OcspResponderEntry, changes: TrustAddress) -> OcspResponderEntry:
    url = entry.url if changes.url is None else changes.url
    check_url(url)
    return OcspResponderEntry(
        url=url,
        certificate=entry.certificate
        if changes.certificate is None
        else read_certificate_file(changes.certificate),
        cost=changes.cost or entry.cost or CostType.UNDEFINED,
    )
