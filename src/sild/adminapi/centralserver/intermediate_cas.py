"""Intermediate CAs of certification services, with OCSP responders of their own."""

from typing import Annotated

from fastapi import Depends

from sild.adminapi.asked import Asked
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.trust_bodies import (
    CertificateAuthority,
    Id,
    OcspResponder,
    new_address_of,
    told_responder,
)
from sild.adminapi.operations import Operations
from sild.components.centralserver.trust_values import TrustAddress
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("intermediate-cas")


@OPERATIONS.get(
    "/intermediate-cas/{intermediate_ca_id}",
    "getIntermediateCa",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_intermediate_ca(intermediate_ca_id: Id, central: Central) -> CertificateAuthority:
    """Show an intermediate CA."""
    return CertificateAuthority.of(await central.certification.get_intermediate(intermediate_ca_id))


@OPERATIONS.delete(
    "/intermediate-cas/{intermediate_ca_id}",
    "deleteIntermediateCa",
    permission=Permission.ADD_APPROVED_CA,
    event=AuditEvent.DELETE_INTERMEDIATE_CA,
    status=204,
)
async def delete_intermediate_ca(intermediate_ca_id: Id, asked: Asked, central: Central) -> None:
    """Remove an intermediate CA, with its responders."""
    asked.tell(intermediateCaId=intermediate_ca_id)
    await central.certification.remove_intermediate(intermediate_ca_id)


@OPERATIONS.get(
    "/intermediate-cas/{intermediate_ca_id}/ocsp-responders",
    "getIntermediateCaOcspResponders",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_intermediate_ca_ocsp_responders(
    intermediate_ca_id: Id, central: Central
) -> list[OcspResponder]:
    """List the OCSP responders of an intermediate CA."""
    found = await central.certification.intermediate_responders(intermediate_ca_id)
    return [OcspResponder.of(responder) for responder in found]


@OPERATIONS.post(
    "/intermediate-cas/{intermediate_ca_id}/ocsp-responders",
    "addIntermediateCaOcspResponder",
    permission=Permission.ADD_APPROVED_CA,
    event=AuditEvent.ADD_INTERMEDIATE_CA_OCSP_RESPONDER,
    status=201,
)
async def add_intermediate_ca_ocsp_responder(
    intermediate_ca_id: Id,
    address: Annotated[TrustAddress, Depends(new_address_of)],
    asked: Asked,
    central: Central,
) -> OcspResponder:
    """Add an OCSP responder to an intermediate CA."""
    asked.tell(intermediateCaId=intermediate_ca_id)
    added = await central.certification.add_intermediate_responder(intermediate_ca_id, address)
    asked.tell(**told_responder(added))
    return OcspResponder.of(added)


@OPERATIONS.delete(
    "/intermediate-cas/{intermediate_ca_id}/ocsp-responders/{ocsp_responder_id}",
    "deleteIntermediateCaOcspResponder",
    permission=Permission.ADD_APPROVED_CA,
    event=AuditEvent.DELETE_OCSP_RESPONDER,
    status=204,
)
async def delete_intermediate_ca_ocsp_responder(
    intermediate_ca_id: Id, ocsp_responder_id: Id, asked: Asked, central: Central
) -> None:
    """Remove an OCSP responder of an intermediate CA."""
    asked.tell(ocspId=ocsp_responder_id)
    await central.certification.remove_intermediate_responder(intermediate_ca_id, ocsp_responder_id)
