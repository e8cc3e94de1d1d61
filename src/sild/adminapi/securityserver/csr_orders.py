"""What is asked of certification services: by whom it may be asked, and what is told of it."""

from collections.abc import Mapping
from typing import NoReturn

from sild.adminapi.asked import Act
from sild.adminapi.securityserver.client_bodies import told_client
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.securityserver.service_client_ids import client_from_encoded
from sild.adminapi.securityserver.token_bodies import CsrGenerate, KeyUsageType
from sild.components.signer.authorities import Purpose, Wish
from sild.components.signer.authority_errors import AcmeNotConfigured
from sild.components.signer.certificates import RequestOrder
from sild.model.permissions import Permission

ASK: Mapping[KeyUsageType, Permission] = {
    KeyUsageType.AUTHENTICATION: Permission.GENERATE_AUTH_CERT_REQ,
    KeyUsageType.SIGNING: Permission.GENERATE_SIGN_CERT_REQ,
}
IMPORT: Mapping[KeyUsageType, Permission] = {
    KeyUsageType.AUTHENTICATION: Permission.IMPORT_AUTH_CERT,
    KeyUsageType.SIGNING: Permission.IMPORT_SIGN_CERT,
}


def check_csr_permission(asked: Act, wanted: CsrGenerate) -> None:
    """Refuse who may not ask for a certificate of this kind, or not order it at once."""
    asked.require(ASK[wanted.key_usage_type])
    if wanted.acme_order:
        asked.require(IMPORT[wanted.key_usage_type])


def purpose_of(usage: KeyUsageType, member_id: str | None) -> Purpose:
    """Give what a certificate is to be for; raises InvalidEncodedId."""
    return Purpose(usage.usage, client_from_encoded(member_id) if member_id else None)


def order_of(wanted: CsrGenerate, server: SecurityServer, key_id: str = "") -> RequestOrder:
    """Give what is to be asked of a key; raises what a certification service is refused for."""
    wish = Wish(
        wanted.ca_name,
        purpose_of(wanted.key_usage_type, wanted.member_id),
        wanted.csr_format,
        wanted.subject_field_values,
    )
    order = server.authorities.order(wish, key_id)
    if wanted.acme_order:
        refuse_acme()
    return order


def told_order(wanted: CsrGenerate) -> Mapping[str, object]:
    """Give what the audit record tells of a request."""
    signing = wanted.key_usage_type is KeyUsageType.SIGNING
    member = client_from_encoded(wanted.member_id) if signing and wanted.member_id else None
    return {
        "keyUsage": wanted.key_usage_type.value,
        "clientIdentifier": None if member is None else told_client(member),
        "certificationServiceName": wanted.ca_name,
        "csrFormat": wanted.csr_format.value,
        "isAcmeOrder": wanted.acme_order,
    }


def refuse_acme() -> NoReturn:
    """Refuse to order a certificate; raises AcmeNotConfigured."""
    raise AcmeNotConfigured("this server orders no certificates over ACME")
