"""A security server's management API: its areas, and how it is described."""

from typing import Any

from sild import __version__
from sild.adminapi import backups
from sild.adminapi.application import describe
from sild.adminapi.document import Description
from sild.adminapi.securityserver import (
    backups_ext,
    certificate_authorities,
    client_certificates,
    client_requests,
    clients,
    diagnostics,
    endpoints,
    initialization,
    keys,
    language,
    local_groups,
    mail,
    notifications,
    own,
    references,
    service_access,
    service_clients,
    service_descriptions,
    services,
    system,
    timestamping_services,
    token_certificates,
    tokens,
)

DESCRIPTION = Description("Security Server API", __version__)

AREAS = (
    backups.OPERATIONS,
    backups_ext.OPERATIONS,
    certificate_authorities.OPERATIONS,
    client_certificates.OPERATIONS,
    client_requests.OPERATIONS,
    clients.OPERATIONS,
    diagnostics.OPERATIONS,
    endpoints.OPERATIONS,
    initialization.OPERATIONS,
    keys.OPERATIONS,
    language.OPERATIONS,
    local_groups.OPERATIONS,
    mail.OPERATIONS,
    notifications.OPERATIONS,
    own.OPERATIONS,
    references.OPERATIONS,
    service_access.OPERATIONS,
    service_clients.OPERATIONS,
    service_descriptions.OPERATIONS,
    services.OPERATIONS,
    system.OPERATIONS,
    timestamping_services.OPERATIONS,
    token_certificates.OPERATIONS,
    tokens.OPERATIONS,
)


def describe_api() -> dict[str, Any]:
    """The OpenAPI document of the API."""
    return describe(DESCRIPTION, AREAS)
