"""Time-stamping services."""

from typing import Annotated

from fastapi import Depends, Form

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Upload
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.trust_bodies import (
    FormUrl,
    Id,
    TimestampingService,
    new_address_of,
    read_file,
    told_hash,
)
from sild.adminapi.operations import Operations
from sild.components.centralserver.trust_values import ApprovedTsa, TrustAddress
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.globalconf.shared_parameters import CostType

OPERATIONS = Operations("timestamping-services")


@OPERATIONS.get(
    "/timestamping-services",
    "getTimestampingServices",
    permission=Permission.VIEW_APPROVED_TSAS,
    also=(),
)
async def get_timestamping_services(central: Central) -> list[TimestampingService]:
    """List the time-stamping services."""
    return [TimestampingService.of(tsa) for tsa in await central.timestamping.all()]


@OPERATIONS.post(
    "/timestamping-services",
    "addTimestampingService",
    permission=Permission.ADD_APPROVED_TSA,
    event=AuditEvent.ADD_TSP,
    status=201,
    also=(400,),
)
async def add_timestamping_service(
    url: Annotated[FormUrl, Form()],
    cost_type: Annotated[CostType, Form()],
    certificate: Upload,
    asked: Asked,
    central: Central,
) -> TimestampingService:
    """Approve a TSA."""
    added = await central.timestamping.add(await read_file(certificate), url, cost_type)
    asked.tell(**_told(added))
    return TimestampingService.of(added)


@OPERATIONS.get(
    "/timestamping-services/{timestamping_service_id}",
    "getTimestampingService",
    permission=Permission.VIEW_APPROVED_TSAS,
)
async def get_timestamping_service(
    timestamping_service_id: Id, central: Central
) -> TimestampingService:
    """Show a time-stamping service."""
    return TimestampingService.of(await central.timestamping.get(timestamping_service_id))


@OPERATIONS.patch(
    "/timestamping-services/{timestamping_service_id}",
    "updateTimestampingService",
    permission=Permission.EDIT_APPROVED_TSA,
    event=AuditEvent.EDIT_TIMESTAMP_SERVICE,
)
async def update_timestamping_service(
    timestamping_service_id: Id,
    changes: Annotated[TrustAddress, Depends(new_address_of)],
    asked: Asked,
    central: Central,
) -> TimestampingService:
    """Change a time-stamping service; its certificate may stay."""
    changed = await central.timestamping.change(timestamping_service_id, changes)
    asked.tell(**_told(changed))
    return TimestampingService.of(changed)


@OPERATIONS.delete(
    "/timestamping-services/{timestamping_service_id}",
    "deleteTimestampingService",
    permission=Permission.DELETE_APPROVED_TSA,
    event=AuditEvent.DELETE_TSP,
    status=204,
)
async def delete_timestamping_service(
    timestamping_service_id: Id, asked: Asked, central: Central
) -> None:
    """Withdraw a TSA."""
    asked.tell(tsaId=timestamping_service_id)
    removed = await central.timestamping.remove(timestamping_service_id)
    asked.tell(tsaName=removed.service.name, tsaUrl=removed.service.url)


def _told(tsa: ApprovedTsa) -> dict[str, object]:
    service = tsa.service
    return {
        "tsaId": tsa.id,
        "tsaName": service.name,
        "tsaUrl": service.url,
        "tsaCostType": (service.cost or CostType.UNDEFINED).value,
        **told_hash(service.certificate, "tsaCert"),
    }
