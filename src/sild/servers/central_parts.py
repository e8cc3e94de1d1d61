"""The use cases of a Central Server, introduced to each other."""

import asyncio
import os
import signal
from dataclasses import dataclass, replace
from datetime import timedelta

from sild import __version__
from sild.adminapi.centralserver.central import CentralServer
from sild.adminapi.centralserver.distribution import Distribution
from sild.adminapi.centralserver.management_service import management_app, wsdl_route
from sild.adminapi.centralserver.registration_service import registration_app
from sild.adminapi.centralserver.request_web_service import Callers, RequestGuards, ServiceLimits
from sild.components.accounts.accounts import Accounts
from sild.components.centralserver.alerts import Alerts
from sild.components.centralserver.certification_services import CertificationServices
from sild.components.centralserver.cluster import Cluster
from sild.components.centralserver.configuration_parts import (
    ConfigurationParts,
    read_described_parts,
)
from sild.components.centralserver.current_configuration import CurrentConfiguration
from sild.components.centralserver.global_groups import GlobalGroups
from sild.components.centralserver.initialization import Initialization
from sild.components.centralserver.management_callers import ListedCallers, ProviderServers
from sild.components.centralserver.management_services import ManagementServices
from sild.components.centralserver.member_classes import MemberClasses
from sild.components.centralserver.partners import DownloadingPartners
from sild.components.centralserver.ports import Keys
from sild.components.centralserver.publish import Publisher, PublisherSettings, Surroundings
from sild.components.centralserver.publishing_files import PublicationDirectory
from sild.components.centralserver.registered_servers import RegisteredServers
from sild.components.centralserver.registry import Registry
from sild.components.centralserver.request_services import RequestServices
from sild.components.centralserver.requests import Requests
from sild.components.centralserver.source_anchors import SourceAnchors
from sild.components.centralserver.sources import Sources, SourceSettings
from sild.components.centralserver.system import System
from sild.components.centralserver.timestamping_services import TimestampingServices
from sild.components.centralserver.trusted_anchors import TrustedAnchors
from sild.components.tlsidentity.identity import ServedTls
from sild.components.tlsidentity.selfsigned import TlsSubject
from sild.model.audit import Audit
from sild.model.registration import AutomaticApproval
from sild.model.tokens import KeyAlgorithm
from sild.runtime.asgi import AsgiApp
from sild.runtime.clock import Clock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.servers.central_backups import CentralBackups, node_of
from sild.servers.central_layout import CentralLayout
from sild.servers.central_settings import CentralServerSettings

_ANSWER_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Around:
    """What the use cases stand on."""

    database: Database
    fetcher: Fetcher
    keys: Keys
    accounts: Accounts
    audit: Audit
    clock: Clock


@dataclass(frozen=True, slots=True)
class CentralParts:
    """The use cases, and the applications that answer beside the management API."""

    central: CentralServer
    management_tls: ServedTls
    registration_service: AsgiApp
    management_service: AsgiApp
    distribution: AsgiApp


def make_parts(
    layout: CentralLayout, settings: CentralServerSettings, around: Around
) -> CentralParts:
    """Introduce everything to everything."""
    return _Maker(layout, settings, around).make()


class _Maker:
    def __init__(
        self, layout: CentralLayout, settings: CentralServerSettings, around: Around
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._around = around
        center = settings.center
        self._node = node_of(settings)
        subject = TlsSubject(settings.server.tls_host, algorithm=KeyAlgorithm.RSA_3072)
        self._tls = ServedTls(layout.services_tls, subject, around.clock)
        database, clock = around.database, around.clock
        self._anchors = SourceAnchors(database, self._node, clock)
        self._sources = Sources(self._anchors, around.keys, self._source_settings(), clock)
        self._system = System(database, self._node, self._anchors, __version__)
        self._cluster = Cluster(
            database,
            self._node,
            timedelta(seconds=center.global_conf_generation_interval),
            clock,
        )
        self._parts = ConfigurationParts(
            database,
            self._node,
            read_described_parts(layout.configuration_parts),
            PublicationDirectory(layout.published),
            clock,
        )
        self._current = CurrentConfiguration(self._parts)
        self._requests = self._make_requests()
        self._partners = TrustedAnchors(
            database,
            self._node,
            DownloadingPartners(around.fetcher, clock),
            center.trusted_anchors_allowed,
        )
        self._backups = CentralBackups(layout, settings, database, clock).make(_restored)

    def make(self) -> CentralParts:
        """All parts."""
        around = self._around
        database, clock, requests = around.database, around.clock, self._requests
        management = ManagementServices(database, self._node, requests, clock)
        central = CentralServer(
            registry=Registry(database, clock, requests),
            classes=MemberClasses(database),
            servers=RegisteredServers(database, clock, requests),
            groups=GlobalGroups(database, clock),
            certification=CertificationServices(database),
            timestamping=TimestampingServices(database),
            sources=self._sources,
            parts=self._parts,
            trusted_anchors=self._partners,
            publisher=self._make_publisher(),
            requests=requests,
            initialization=Initialization(database, self._node, around.keys, self._backups, clock),
            system=self._system,
            management_services=management,
            management_tls=self._tls,
            cluster=self._cluster,
            alerts=Alerts(self._system, self._cluster, around.keys, self._sources),
            tokens=around.keys,
            backups=self._backups,
            accounts=around.accounts,
            clock=clock,
        )
        services = RequestServices(requests, self._current, clock)
        limits = ServiceLimits(self._settings.listeners.management_requests_per_minute)
        guards = RequestGuards(limits, around.audit, clock)
        guarded = replace(guards, callers=self._make_callers(management))
        distribution = Distribution(self._layout.published).app
        distribution.routes.insert(0, wsdl_route(self._system))
        return CentralParts(
            central,
            self._tls,
            registration_app(services, guards),
            management_app(services, guarded),
            distribution,
        )

    def _source_settings(self) -> SourceSettings:
        center = self._settings.center
        return SourceSettings(
            center.internal_key_algorithm,
            center.external_key_algorithm,
            center.trusted_anchors_allowed,
        )

    def _make_callers(self, management: ManagementServices) -> Callers:
        listed = self._settings.listeners.management_service_callers
        return ListedCallers(listed) if listed else ProviderServers(management, self._around.clock)

    def _make_requests(self) -> Requests:
        center, around = self._settings.center, self._around
        automatic = AutomaticApproval(
            center.auto_approve_auth_cert_reg_requests,
            center.auto_approve_client_reg_requests,
            center.auto_approve_owner_change_requests,
        )
        return Requests(around.database, self._node, around.clock, self._current, automatic)

    def _make_publisher(self) -> Publisher:
        around = self._around
        surroundings = Surroundings(around.keys, self._tls, self._partners, self._cluster)
        lowest = self._settings.center.minimum_global_configuration_version
        return Publisher(self._parts, surroundings, PublisherSettings(lowest))


def start_anew() -> None:
    """Have the supervisor start every process again: what they hold is of before."""
    os.kill(os.getppid(), signal.SIGHUP)


async def _restored() -> None:
    # Whoever asked for it is answered first.
    asyncio.get_running_loop().call_later(_ANSWER_SECONDS, start_anew)
