"""The trust services as the global configuration publishes them."""

from collections import defaultdict

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.trust_rows import TrustRows
from sild.components.centralserver.trust_values import ApprovedCa, Responder, ServiceSettings
from sild.protocol.globalconf.shared_parameters import (
    AcmeServer,
    CaEntry,
    CertificationService,
    OcspResponderEntry,
    TimestampingService,
)


async def read_trust(
    connection: AsyncConnection,
) -> tuple[tuple[CertificationService, ...], tuple[TimestampingService, ...]]:
    """Every approved certification service and time-stamping service, oldest first."""
    rows = TrustRows(connection)
    tops = await rows.top_cas()
    responders = await rows.all_responders()
    intermediates: dict[int, list[CaEntry]] = defaultdict(list)
    for each in await rows.intermediates():
        entry = CaEntry(each.certificate, _entries(responders.get(each.id, [])))
        intermediates[each.service_id].append(entry)
    services = tuple(
        _published(
            service,
            _entries(responders.get(tops[service.id], [])),
            tuple(intermediates[service.id]),
        )
        for service in await rows.services()
    )
    return services, tuple(tsa.service for tsa in await rows.tsas())


def _entries(responders: list[Responder]) -> tuple[OcspResponderEntry, ...]:
    return tuple(responder.entry for responder in responders)


def _published(
    service: ApprovedCa,
    responders: tuple[OcspResponderEntry, ...],
    intermediates: tuple[CaEntry, ...],
) -> CertificationService:
    return CertificationService(
        name=service.name,
        profile=service.settings.profile,
        top=CaEntry(service.certificate, responders),
        intermediates=intermediates,
        authentication_only=service.settings.authentication_only,
        csr_format=service.settings.csr_format,
        acme=_acme(service.settings),
    )


def _acme(settings: ServiceSettings) -> AcmeServer | None:
    if not settings.acme_directory_url:
        return None
    return AcmeServer(
        directory_url=settings.acme_directory_url,
        ip_addresses=settings.acme_ip_addresses or None,
        authentication_profile=settings.acme_authentication_profile or None,
        signing_profile=settings.acme_signing_profile or None,
    )
