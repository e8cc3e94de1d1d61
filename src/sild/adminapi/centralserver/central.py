"""What the Central Server's operations act upon: its use cases, given to them by the server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

if TYPE_CHECKING:
    from sild.components.accounts.accounts import Accounts
    from sild.components.backup.backups import Backups
    from sild.components.centralserver.alerts import Alerts
    from sild.components.centralserver.certification_services import CertificationServices
    from sild.components.centralserver.cluster import Cluster
    from sild.components.centralserver.configuration_parts import ConfigurationParts
    from sild.components.centralserver.global_groups import GlobalGroups
    from sild.components.centralserver.initialization import Initialization
    from sild.components.centralserver.management_services import ManagementServices
    from sild.components.centralserver.member_classes import MemberClasses
    from sild.components.centralserver.ports import Keys
    from sild.components.centralserver.publish import Publisher
    from sild.components.centralserver.registered_servers import RegisteredServers
    from sild.components.centralserver.registry import Registry
    from sild.components.centralserver.requests import Requests
    from sild.components.centralserver.sources import Sources
    from sild.components.centralserver.system import System
    from sild.components.centralserver.timestamping_services import TimestampingServices
    from sild.components.centralserver.trusted_anchors import TrustedAnchors
    from sild.components.tlsidentity.identity import ServedTls
    from sild.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class CentralServer:
    """The use cases of a Central Server, by area."""

    registry: "Registry"
    classes: "MemberClasses"
    servers: "RegisteredServers"
    groups: "GlobalGroups"
    certification: "CertificationServices"
    timestamping: "TimestampingServices"
    sources: "Sources"
    parts: "ConfigurationParts"
    trusted_anchors: "TrustedAnchors"
    publisher: "Publisher"
    requests: "Requests"
    initialization: "Initialization"
    system: "System"
    management_services: "ManagementServices"
    management_tls: "ServedTls"
    cluster: "Cluster"
    alerts: "Alerts"
    tokens: "Keys"
    backups: "Backups"
    accounts: "Accounts"
    clock: "Clock"


def central_of(request: Request) -> CentralServer:
    """The use cases that this application was made for."""
    central = request.app.state.central
    if not isinstance(central, CentralServer):
        raise TypeError("the application was made without a Central Server")
    return central


Central = Annotated[CentralServer, Depends(central_of)]
"""A parameter of an operation: the use cases."""
