"""OCSP responders, of whichever CA."""

from typing import Annotated

from fastapi import Depends

from sild.adminapi.asked import Asked
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.trust_bodies import Id, OcspResponder, address_of, told_responder
from sild.adminapi.certificates import CertificateDetails
from sild.adminapi.operations import Operations
from sild.components.centralserver.trust_errors import OcspResponderNotFound
from sild.components.centralserver.trust_values import TrustAddress
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("ocsp-responders")


@OPERATIONS.get(
    "/ocsp-responders/{ocsp_responder_id}",
    "getOcspResponder",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_ocsp_responder(ocsp_responder_id: Id, central: Central) -> OcspResponder:
    """Show an OCSP responder."""
    return OcspResponder.of(await central.certification.get_responder(ocsp_responder_id))


@OPERATIONS.patch(
    "/ocsp-responders/{ocsp_responder_id}",
    "updateOcspResponder",
    permission=Permission.EDIT_APPROVED_CA,
    event=AuditEvent.EDIT_OCSP_RESPONDER,
)
async def update_ocsp_responder(
    ocsp_responder_id: Id,
    changes: Annotated[TrustAddress, Depends(address_of)],
    asked: Asked,
    central: Central,
) -> OcspResponder:
    """Change an OCSP responder; what is not said stays."""
    changed = await central.certification.change_responder(ocsp_responder_id, changes)
    asked.tell(**told_responder(changed))
    return OcspResponder.of(changed)


@OPERATIONS.delete(
    "/ocsp-responders/{ocsp_responder_id}",
    "deleteOcspResponder",
    permission=Permission.EDIT_APPROVED_CA,
    event=AuditEvent.DELETE_OCSP_RESPONDER,
    status=204,
)
async def delete_ocsp_responder(ocsp_responder_id: Id, asked: Asked, central: Central) -> None:
    """Remove an OCSP responder."""
    asked.tell(ocspId=ocsp_responder_id)
    await central.certification.remove_responder(ocsp_responder_id)


@OPERATIONS.get(
    "/ocsp-responders/{ocsp_responder_id}/certificate",
    "getOcspRespondersCertificate",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_ocsp_responders_certificate(
    ocsp_responder_id: Id, central: Central
) -> CertificateDetails:
    """Show the certificate of an OCSP responder, if it has one."""
    responder = await central.certification.get_responder(ocsp_responder_id)
    if responder.entry.certificate is None:
        # Existing clients know no code for a responder that has none.
        raise OcspResponderNotFound(f"the OCSP responder {ocsp_responder_id} has no certificate")
    return CertificateDetails.of(responder.entry.certificate)
