"""The Central Server's management API: its areas, and how it is described."""

from typing import Any

from sild import __version__
from sild.adminapi import backups
from sild.adminapi.application import describe
from sild.adminapi.centralserver import (
    certification_services,
    clients,
    configuration_parts,
    configuration_sources,
    global_groups,
    initialization,
    intermediate_cas,
    management_requests,
    management_services,
    member_classes,
    members,
    notifications,
    ocsp_responders,
    own,
    security_servers,
    signing_keys,
    subsystems,
    system,
    timestamping_services,
    tokens,
    trusted_anchors,
)
from sild.adminapi.document import Description

DESCRIPTION = Description("Central Server API", __version__)

AREAS = (
    backups.OPERATIONS,
    certification_services.OPERATIONS,
    clients.OPERATIONS,
    configuration_parts.OPERATIONS,
    configuration_sources.OPERATIONS,
    global_groups.OPERATIONS,
    initialization.OPERATIONS,
    intermediate_cas.OPERATIONS,
    management_requests.OPERATIONS,
    management_services.OPERATIONS,
    member_classes.OPERATIONS,
    members.OPERATIONS,
    notifications.OPERATIONS,
    ocsp_responders.OPERATIONS,
    own.OPERATIONS,
    security_servers.OPERATIONS,
    signing_keys.OPERATIONS,
    subsystems.OPERATIONS,
    system.OPERATIONS,
    timestamping_services.OPERATIONS,
    tokens.OPERATIONS,
    trusted_anchors.OPERATIONS,
)


def describe_api() -> dict[str, Any]:
    """The OpenAPI document of the API."""
    return describe(DESCRIPTION, AREAS)
