"""The use cases of a security server's administration, introduced to each other."""

import asyncio
import os
import signal
import ssl
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sild import __version__
from sild.adminapi.securityserver.server import SecurityServer
from sild.components.accounts.accounts import Accounts
from sild.components.backup.backups import Backups
from sild.components.confclient.anchor import Anchor, AnchorSurroundings
from sild.components.registration.acts import Registration
from sild.components.registration.outcome import find_changed_server
from sild.components.serverconf.client_states import ClientStates
from sild.components.serverconf.clients import Clients
from sild.components.serverconf.description_reader import DescriptionReader, FetchedDocuments
from sild.components.serverconf.descriptions import Descriptions
from sild.components.serverconf.endpoints import Endpoints
from sild.components.serverconf.groups import LocalGroups
from sild.components.serverconf.initialization import Initialization, InitializationPorts
from sild.components.serverconf.orphans import Orphans
from sild.components.serverconf.references import References
from sild.components.serverconf.renaming import Renaming
from sild.components.serverconf.rights import Rights
from sild.components.serverconf.service_clients import ServiceClients
from sild.components.serverconf.services import Services
from sild.components.serverconf.standing import ServerStanding, StandingPorts
from sild.components.serverconf.store import ConfigurationStore
from sild.components.serverconf.tls_trial import ServiceTlsTrial
from sild.components.serverconf.wsdl_validator import WsdlValidator
from sild.components.signer.authorities import CertificateAuthorities
from sild.components.tlsidentity.identity import ServedTls
from sild.components.tlsidentity.selfsigned import TlsSubject
from sild.runtime.fetch import Fetcher
from sild.runtime.tls import client_context, unverified_client_context
from sild.servers.diagnosing import Diagnosing, make_diagnosing
from sild.servers.internal_tls import read_internal_tls
from sild.servers.layout import Layout
from sild.servers.registering import OwnStanding, make_registration
from sild.servers.server_backups import BackedUp, ServerBackups
from sild.servers.server_tls import information_system_policy
from sild.servers.settings import SecurityServerSettings
from sild.servers.survey import Survey

if TYPE_CHECKING:
    from sild.servers.control import Control, Databases

_ANSWER_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Around:
    """What the use cases stand on."""

    databases: "Databases"
    fetcher: Fetcher
    control: "Control"


@dataclass(frozen=True, slots=True)
class ServerParts:
    """The use cases, and what tells how the server fares."""

    server: SecurityServer
    diagnosing: Diagnosing


def make_parts(
    layout: Layout, settings: SecurityServerSettings, around: Around, accounts: Accounts
) -> ServerParts:
    """Introduce everything to everything."""
    return _Maker(layout, settings, around).make(accounts)


class _Maker:
    def __init__(self, layout: Layout, settings: SecurityServerSettings, around: Around) -> None:
        self._layout = layout
        self._settings = settings
        self._around = around
        self._control = around.control
        self._standing = OwnStanding(around.control, layout, settings.proxy)

    def make(self, accounts: Accounts) -> ServerParts:
        """All parts."""
        control, settings = self._control, self._settings
        store, signer, clock = control.store, control.signer, control.clock
        clients = Clients(store, control, signer, control.certificates)
        registration = make_registration(signer, ClientStates(store), self._standing, clock)
        backups = self._backups()
        diagnosing = make_diagnosing(self._survey(registration, backups))
        services = settings.services
        anchor = Anchor(
            self._layout.anchor_file,
            AnchorSurroundings(control.client, control.download_now, partial(_instance, store)),
        )
        server = SecurityServer(
            clients=clients,
            groups=LocalGroups(store, control, clock),
            orphans=Orphans(store, signer),
            renaming=Renaming(store, control),
            registration=registration,
            descriptions=Descriptions(store, self._reader(), clock, services),
            services=Services(store, ServiceTlsTrial(self._service_context)),
            endpoints=Endpoints(store),
            rights=Rights(store, control, clock),
            service_clients=ServiceClients(store, control),
            references=References(store, control),
            timestamping=control.messages.chosen_services(
                control.tsas, settings.message_log.timestamping_prioritization_strategy
            ),
            tokens=signer,
            certificates=control.certificates,
            authorities=CertificateAuthorities(control, control.ocsp),
            initialization=Initialization(
                store,
                InitializationPorts(
                    anchor, control, signer, backups, settings.signer.enforce_token_pin_policy
                ),
            ),
            anchor=anchor,
            internal_tls=self._internal_tls(),
            standing=ServerStanding(store, self._standing_ports(registration), clock),
            diagnostics=diagnosing.diagnostics,
            connections=diagnosing.connections,
            alerts=diagnosing.alerts,
            backups=backups,
            accounts=accounts,
            clock=clock,
            version=__version__,
            node_type=settings.server.node_type.value.upper(),
        )
        return ServerParts(server, diagnosing)

    def _standing_ports(self, registration: Registration) -> StandingPorts:
        """What follows where the server stands with the Central Server."""
        control = self._control
        return StandingPorts(control, registration, control.signer, find_changed_server)

    def _survey(self, registration: Registration, backups: Backups) -> Survey:
        control, settings, databases = self._control, self._settings, self._around.databases
        return Survey(
            layout=self._layout,
            settings=settings,
            limits=settings.diagnostics,
            health=settings.health,
            knowledge=control,
            client=control.client,
            download=control.download,
            messages=control.messages,
            keys=control.signer,
            workers=control.workers,
            databases=(databases.configuration, databases.messages),
            registration=registration,
            proxy=self._standing,
            backups=backups,
            noted=control.noted,
            fetcher=self._around.fetcher,
            clock=control.clock,
        )

    def _backups(self) -> Backups:
        databases = self._around.databases
        backed = BackedUp(databases.configuration, databases.messages)
        made = ServerBackups(self._layout, self._settings.backup, backed, self._control.clock)
        return made.make(_restored)

    def _internal_tls(self) -> ServedTls:
        subject = TlsSubject(self._settings.server.internal_host)
        control = self._control
        changed = control.internal_tls_changed
        return ServedTls(self._layout.internal_tls, subject, control.clock, changed)

    def _reader(self) -> DescriptionReader:
        services = self._settings.services
        validator = WsdlValidator(services.wsdl_validator_command, services.wsdl_validator_timeout)
        documents = FetchedDocuments(self._around.fetcher, self._unverified, services)
        return DescriptionReader(documents, validator)

    def _unverified(self) -> ssl.SSLContext:
        """How descriptions are fetched over TLS: as the reference does, from whoever answers."""
        identity = read_internal_tls(self._layout.internal_tls)
        return unverified_client_context(information_system_policy(self._settings.proxy), identity)

    def _service_context(self, trusted: tuple[bytes, ...]) -> ssl.SSLContext:
        """How the proxy calls services whose certificates it verifies."""
        identity = read_internal_tls(self._layout.internal_tls)
        policy = information_system_policy(self._settings.proxy)
        return client_context(policy, identity, trusted)


async def _instance(store: ConfigurationStore) -> str | None:
    """The instance that the server belongs to, once it has an identity."""
    async with store.reading() as conf:
        server = await conf.find_server()
    return None if server is None else server.owner.instance


def start_anew() -> None:
    """Have the supervisor start every process again: what they hold is of before."""
    os.kill(os.getppid(), signal.SIGHUP)


async def _restored() -> None:
    # Whoever asked for it is answered first.
    asyncio.get_running_loop().call_later(_ANSWER_SECONDS, start_anew)
