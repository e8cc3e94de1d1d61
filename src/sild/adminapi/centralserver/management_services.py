"""The management services: who provides them, and the TLS certificate that they show."""

from http import HTTPStatus
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Plain, ShortText, Upload, read_upload
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.trust_bodies import told_hash
from sild.adminapi.certificates import CertificateDetails
from sild.adminapi.operations import Operations
from sild.components.centralserver.management_services import ManagementConfiguration
from sild.components.centralserver.registry_texts import server_from_encoded
from sild.components.centralserver.system_errors import ProviderNotSubsystem
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.errors import InvalidIdentifier
from sild.protocol.ids import ClientId

OPERATIONS = Operations("management-services")

_GZIP, _CSR = "application/gzip", "application/octet-stream"
_LONGEST_ID = 1279

_EncodedId = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID), Plain]


class ServiceProviderId(Body):
    """Who is to provide the services: INSTANCE:CLASS:MEMBER:SUBSYSTEM."""

    service_provider_id: _EncodedId | None = None


class RegisterServiceProviderRequest(Body):
    """The server whose client the provider is to be: INSTANCE:CLASS:MEMBER:SERVER."""

    security_server_id: _EncodedId


class DistinguishedName(Body):
    """Whose certificate is asked for."""

    name: ShortText | None = None


class ManagementServicesConfiguration(Body):
    """Who provides the services, by which servers, and where they are."""

    service_provider_id: str | None = None
    service_provider_name: str | None = None
    security_server_id: str | None = None
    services_address: str
    wsdl_address: str
    security_server_owners_global_group_code: str

    @classmethod
    def of(cls, found: ManagementConfiguration) -> "ManagementServicesConfiguration":
        """Lay out what holds."""
        provider = found.provider
        return cls(
            service_provider_id=_with_type(provider) if provider else None,
            service_provider_name=found.provider_name if provider else None,
            security_server_id=(
                "; ".join(f"SERVER:{server.encoded}" for server in found.servers)
                if provider
                else None
            ),
            services_address=found.services_address,
            wsdl_address=found.wsdl_address,
            security_server_owners_global_group_code=found.owners_group,
        )


@OPERATIONS.get(
    "/management-services-configuration",
    "getManagementServicesConfiguration",
    permission=Permission.VIEW_SYSTEM_SETTINGS,
    also=(404,),
)
async def get_management_services_configuration(
    central: Central,
) -> ManagementServicesConfiguration:
    """Show who provides the services."""
    return ManagementServicesConfiguration.of(await central.management_services.configuration())


@OPERATIONS.patch(
    "/management-services-configuration",
    "updateManagementServicesConfiguration",
    permission=Permission.VIEW_SYSTEM_SETTINGS,
    event=AuditEvent.EDIT_MANAGEMENT_SERVICES_PROVIDER,
)
async def update_management_services_configuration(
    body: ServiceProviderId, asked: Asked, central: Central
) -> ManagementServicesConfiguration:
    """Let a subsystem provide the services."""
    provider = _subsystem_of(body.service_provider_id or "")
    asked.tell(serviceProviderIdentifier=provider.encoded)
    appointed = await central.management_services.appoint(provider)
    asked.tell(serviceProviderName=appointed.provider_name)
    return ManagementServicesConfiguration.of(appointed)


@OPERATIONS.post(
    "/management-services-configuration/register-provider",
    "registerServiceProvider",
    permission=Permission.REGISTER_SERVICE_PROVIDER,
    event=AuditEvent.REGISTER_MANAGEMENT_SERVICES_PROVIDER,
    also=(400, 404, 409),
)
async def register_service_provider(
    body: RegisterServiceProviderRequest, asked: Asked, central: Central
) -> ManagementServicesConfiguration:
    """Make the provider a client of a Security Server."""
    server = server_from_encoded(body.security_server_id)
    asked.tell(
        serverCode=server.server_code,
        ownerClass=server.owner.member_class,
        ownerCode=server.owner.member_code,
    )
    registered = await central.management_services.register(server)
    if registered.provider is not None:
        asked.tell(clientIdentifier=registered.provider.encoded)
    return ManagementServicesConfiguration.of(registered)


@OPERATIONS.get(
    "/management-services-configuration/certificate",
    "getCertificate",
    permission=Permission.VIEW_MANAGEMENT_SERVICE_TLS_CERT,
)
async def get_certificate(central: Central) -> CertificateDetails:
    """Show the certificate."""
    return CertificateDetails.of(await central.management_tls.certificate())


@OPERATIONS.get(
    "/management-services-configuration/download-certificate",
    "downloadCertificate",
    permission=Permission.DOWNLOAD_MANAGEMENT_SERVICE_TLS_CERT,
    gives=_GZIP,
)
async def download_certificate(central: Central) -> Response:
    """Hand out the certificate, in PEM and DER."""
    content = await central.management_tls.archive("management-service")
    return _file("management-service.tar.gz", content, _GZIP)


@OPERATIONS.post(
    "/management-services-configuration/certificate",
    "generateKeyAndCertificate",
    permission=Permission.GENERATE_MANAGEMENT_SERVICE_TLS_KEY_CERT,
    event=AuditEvent.GENERATE_MANAGEMENT_SERVICE_TLS_KEY_CERT,
    status=201,
)
async def generate_key_and_certificate(asked: Asked, central: Central) -> Response:
    """Make a new key with a certificate that it signs itself."""
    asked.tell(**told_hash(await central.management_tls.generate(), "cert"))
    return Response(status_code=HTTPStatus.CREATED)


# Existing clients are answered 200 and wait for it, where the contract says 201.
@OPERATIONS.post(
    "/management-services-configuration/generate-csr",
    "generateCertificateRequest",
    permission=Permission.GENERATE_MANAGEMENT_SERVICE_TLS_CSR,
    event=AuditEvent.GENERATE_MANAGEMENT_SERVICE_TLS_CSR,
    also=(201, 400, 404),
    gives=_CSR,
)
async def generate_certificate_request(
    body: DistinguishedName, asked: Asked, central: Central
) -> Response:
    """Ask for a certificate of the key."""
    name = body.name or ""
    asked.tell(subjectName=name)
    content = await central.management_tls.request(name)
    day = central.clock.now().strftime("%Y%m%d")
    return _file(f"management_service_tls_cert_request_{day}.p10", content, _CSR)


@OPERATIONS.post(
    "/management-services-configuration/upload-certificate",
    "uploadCertificate",
    permission=Permission.UPLOAD_MANAGEMENT_SERVICE_TLS_CERT,
    event=AuditEvent.UPLOAD_MANAGEMENT_SERVICE_TLS_CERT,
)
async def upload_certificate(
    certificate: Upload, asked: Asked, central: Central
) -> CertificateDetails:
    """Take a certificate of the key."""
    asked.tell(certFileName=certificate.filename or "")
    taken = await central.management_tls.take(await read_upload(certificate))
    asked.tell(**told_hash(taken, "cert"))
    return CertificateDetails.of(taken)


def _subsystem_of(text: str) -> ClientId:
    try:
        found = ClientId.from_encoded(text)
    except InvalidIdentifier as error:
        raise ProviderNotSubsystem(error.message, text) from None
    if not found.is_subsystem:
        raise ProviderNotSubsystem(f"{text!r} is no subsystem", text)
    return found


def _with_type(client: ClientId) -> str:
    return f"{'SUBSYSTEM' if client.is_subsystem else 'MEMBER'}:{client.encoded}"


def _file(name: str, content: bytes, media_type: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
