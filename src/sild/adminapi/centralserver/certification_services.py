"""Certification services, and what is added to them."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Form

from sild.adminapi.asked import Act, Asked
from sild.adminapi.bodies import Upload
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.trust_bodies import (
    ApprovedCertificationService,
    ApprovedCertificationServiceListItem,
    BooleanText,
    CertificateAuthority,
    CertificationServiceSettings,
    FormText,
    Id,
    OcspResponder,
    new_address_of,
    read_file,
    told_hash,
    told_responder,
)
from sild.adminapi.certificates import CertificateDetails
from sild.adminapi.operations import Operations
from sild.components.centralserver.trust_values import (
    ApprovedCa,
    ServiceChanges,
    ServiceSettings,
    TrustAddress,
)
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.globalconf.shared_parameters import CsrFormat

OPERATIONS = Operations("certification-services")


def _settings_of(
    default_csr_format: Annotated[CsrFormat, Form()],
    certificate_profile_info: Annotated[FormText, Form()] = "",
    tls_auth: Annotated[BooleanText, Form()] = "",
) -> ServiceSettings:
    return ServiceSettings(certificate_profile_info, default_csr_format, tls_auth == "true")


def _with_acme(
    settings: Annotated[ServiceSettings, Depends(_settings_of)],
    acme_server_directory_url: Annotated[FormText, Form()] = "",
    acme_server_ip_address: Annotated[FormText, Form()] = "",
    authentication_certificate_profile_id: Annotated[FormText, Form()] = "",
    signing_certificate_profile_id: Annotated[FormText, Form()] = "",
) -> ServiceSettings:
    return replace(
        settings,
        acme_directory_url=acme_server_directory_url,
        acme_ip_addresses=acme_server_ip_address,
        acme_authentication_profile=authentication_certificate_profile_id,
        acme_signing_profile=signing_certificate_profile_id,
    )


@OPERATIONS.get(
    "/certification-services",
    "getCertificationServices",
    permission=Permission.VIEW_APPROVED_CAS,
    also=(),
)
async def get_certification_services(
    central: Central,
) -> list[ApprovedCertificationServiceListItem]:
    """List the certification services."""
    found = await central.certification.all()
    return [ApprovedCertificationServiceListItem.of(service) for service in found]


@OPERATIONS.post(
    "/certification-services",
    "addCertificationService",
    permission=Permission.ADD_APPROVED_CA,
    event=AuditEvent.ADD_CERTIFICATION_SERVICE,
    status=201,
    also=(400,),
)
async def add_certification_service(
    certificate: Upload,
    settings: Annotated[ServiceSettings, Depends(_with_acme)],
    asked: Asked,
    central: Central,
) -> ApprovedCertificationService:
    """Approve a CA."""
    added = await central.certification.add(await read_file(certificate), settings)
    _tell(asked, added)
    return ApprovedCertificationService.of(added)


@OPERATIONS.get(
    "/certification-services/{certification_service_id}",
    "getCertificationService",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_certification_service(
    certification_service_id: Id, central: Central
) -> ApprovedCertificationService:
    """Show a certification service."""
    return ApprovedCertificationService.of(
        await central.certification.get(certification_service_id)
    )


@OPERATIONS.patch(
    "/certification-services/{certification_service_id}",
    "updateCertificationService",
    permission=Permission.EDIT_APPROVED_CA,
    event=AuditEvent.EDIT_CERTIFICATION_SERVICE_SETTINGS,
)
async def update_certification_service(
    certification_service_id: Id,
    body: CertificationServiceSettings,
    asked: Asked,
    central: Central,
) -> ApprovedCertificationService:
    """Change settings of a certification service; what is not said stays."""
    changes = ServiceChanges(
        profile=body.certificate_profile_info,
        csr_format=body.default_csr_format,
        authentication_only=body.tls_auth == "true" if body.tls_auth else None,
        acme_directory_url=body.acme_server_directory_url,
        acme_ip_addresses=body.acme_server_ip_address,
        acme_authentication_profile=body.authentication_certificate_profile_id,
        acme_signing_profile=body.signing_certificate_profile_id,
    )
    changed = await central.certification.change(certification_service_id, changes)
    _tell(asked, changed)
    return ApprovedCertificationService.of(changed)


@OPERATIONS.delete(
    "/certification-services/{certification_service_id}",
    "deleteCertificationService",
    permission=Permission.DELETE_APPROVED_CA,
    event=AuditEvent.DELETE_CERTIFICATION_SERVICE,
    status=204,
)
async def delete_certification_service(
    certification_service_id: Id, asked: Asked, central: Central
) -> None:
    """Withdraw a CA, with all that belongs to it."""
    asked.tell(caId=certification_service_id)
    await central.certification.remove(certification_service_id)


@OPERATIONS.get(
    "/certification-services/{certification_service_id}/certificate",
    "getCertificationServiceCertificate",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_certification_service_certificate(
    certification_service_id: Id, central: Central
) -> CertificateDetails:
    """Show the certificate of a certification service."""
    service = await central.certification.get(certification_service_id)
    return CertificateDetails.of(service.certificate)


@OPERATIONS.get(
    "/certification-services/{certification_service_id}/intermediate-cas",
    "getCertificationServiceIntermediateCas",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_certification_service_intermediate_cas(
    certification_service_id: Id, central: Central
) -> list[CertificateAuthority]:
    """List the intermediate CAs of a certification service."""
    found = await central.certification.intermediates(certification_service_id)
    return [CertificateAuthority.of(ca) for ca in found]


@OPERATIONS.post(
    "/certification-services/{certification_service_id}/intermediate-cas",
    "addCertificationServiceIntermediateCa",
    permission=Permission.ADD_APPROVED_CA,
    event=AuditEvent.ADD_CERTIFICATION_SERVICE_INTERMEDIATE_CA,
    status=201,
)
async def add_certification_service_intermediate_ca(
    certification_service_id: Id, certificate: Upload, asked: Asked, central: Central
) -> CertificateAuthority:
    """Add an intermediate CA."""
    asked.tell(caId=certification_service_id)
    added = await central.certification.add_intermediate(
        certification_service_id, await read_file(certificate)
    )
    asked.tell(intermediateCaId=added.id, **told_hash(added.certificate, "intermediateCaCert"))
    return CertificateAuthority.of(added)


@OPERATIONS.get(
    "/certification-services/{certification_service_id}/ocsp-responders",
    "getCertificationServiceOcspResponders",
    permission=Permission.VIEW_APPROVED_CA_DETAILS,
)
async def get_certification_service_ocsp_responders(
    certification_service_id: Id, central: Central
) -> list[OcspResponder]:
    """List the OCSP responders of a certification service's own certificate."""
    found = await central.certification.responders(certification_service_id)
    return [OcspResponder.of(responder) for responder in found]


@OPERATIONS.post(
    "/certification-services/{certification_service_id}/ocsp-responders",
    "addCertificationServiceOcspResponder",
    permission=Permission.ADD_APPROVED_CA,
    event=AuditEvent.ADD_CERTIFICATION_SERVICE_OCSP_RESPONDER,
    status=201,
)
async def add_certification_service_ocsp_responder(
    certification_service_id: Id,
    address: Annotated[TrustAddress, Depends(new_address_of)],
    asked: Asked,
    central: Central,
) -> OcspResponder:
    """Add an OCSP responder to a certification service."""
    asked.tell(caId=certification_service_id)
    added = await central.certification.add_responder(certification_service_id, address)
    asked.tell(**told_responder(added))
    return OcspResponder.of(added)


def _tell(asked: Act, service: ApprovedCa) -> None:
    settings = service.settings
    asked.tell(
        caId=service.id,
        **told_hash(service.certificate, "caCert"),
        authenticationOnly=settings.authentication_only,
        certificateProfileInfo=settings.profile,
        defaultCsrFormat=settings.csr_format.value,
    )
    acme = {
        "acmeDirectoryUrl": settings.acme_directory_url,
        "acmeIpAddresses": settings.acme_ip_addresses,
        "authCertProfileId": settings.acme_authentication_profile,
        "signCertProfileId": settings.acme_signing_profile,
    }
    asked.tell(**{name: value for name, value in acme.items() if value})
