"""Use cases on time-stamping services."""

from dataclasses import replace

from sild.components.centralserver.trust_checks import check_url, get_name
from sild.components.centralserver.trust_rows import TrustRows
from sild.components.centralserver.trust_uploads import read_certificate_file
from sild.components.centralserver.trust_values import ApprovedTsa, CertificateFile, TrustAddress
from sild.protocol.globalconf.shared_parameters import CostType, TimestampingService
from sild.runtime.database import Database


class TimestampingServices:
    """The approved TSAs: each act is one transaction, and raises Refusals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[ApprovedTsa, ...]:
        """Every time-stamping service."""
        async with self._database.reading() as connection:
            return await TrustRows(connection).tsas()

    async def get(self, tsa_id: int) -> ApprovedTsa:
        """One time-stamping service."""
        async with self._database.reading() as connection:
            return await TrustRows(connection).get_tsa(tsa_id)

    async def add(self, file: CertificateFile, url: str, cost: CostType) -> ApprovedTsa:
        """Approve a TSA by its certificate, whose common name becomes the service's."""
        certificate = read_certificate_file(file)
        check_url(url)
        service = TimestampingService(get_name(certificate), url, certificate, cost)
        async with self._database.transaction() as connection:
            return await TrustRows.to_change(connection).add_tsa(service)

    async def change(self, tsa_id: int, changes: TrustAddress) -> ApprovedTsa:
        """Change the address, cost or certificate of a time-stamping service.

        Its name stays, whatever the new certificate says: Security Servers go by it.
        """
        async with self._database.transaction() as connection:
            rows = TrustRows.to_change(connection)
            tsa = await rows.get_tsa(tsa_id)
            changed = replace(tsa, service=_changed(tsa.service, changes))
            await rows.replace_tsa(changed)
            return changed

    async def remove(self, tsa_id: int) -> ApprovedTsa:
        """Withdraw a TSA, and say which it was."""
        async with self._database.transaction() as connection:
            rows = TrustRows.to_change(connection)
            tsa = await rows.get_tsa(tsa_id)
            await rows.remove_tsa(tsa_id)
            return tsa


def _changed(service: TimestampingService, changes: TrustAddress) -> TimestampingService:
    url = service.url if changes.url is None else changes.url
    check_url(url)
    return TimestampingService(
        name=service.name,
        url=url,
        certificate=service.certificate
        if changes.certificate is None
        else read_certificate_file(changes.certificate),
        cost=changes.cost or service.cost,
    )
