"""Management requests, as local administration has them sent."""

import ssl
from typing import Protocol

from sild.components.proxy.settings import ProxySettings
from sild.components.registration import errors
from sild.components.registration.acts import Registration
from sild.components.registration.composing import Composer
from sild.components.registration.outcome import find_changed_server
from sild.components.registration.ports import Keys
from sild.components.registration.sending import RequestSender
from sild.components.serverconf.client_states import ClientStates
from sild.components.serverconf.errors import ServerNotSet
from sild.components.serverconf.standing import ServerStanding, StandingPorts
from sild.components.serverconf.store import ConfigurationStore
from sild.model.snapshot import ServerSnapshot
from sild.protocol.errors import GlobalConfOutdated, InvalidXml, MalformedGlobalConf
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId
from sild.runtime.clock import Clock
from sild.runtime.http_client_types import Target
from sild.runtime.rpc import RpcOptions
from sild.runtime.tls import TlsPolicy, unverified_client_context
from sild.servers.internal_tls import read_internal_tls
from sild.servers.layout import Layout

_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - what is listened to, not where
_PATIENCE_SECONDS = 120.0


class RegistrationCalls(Protocol):
    """What local administration may ask of the Central Server; each gives its request's id there.

    All raise SendingFailed and NoSigningCertificate, and what their own descriptions say.
    """

    async def register_certificate(self, sha256: str, address: str) -> int:
        """Register an authentication certificate, and the server at this address.

        Raises AuthCertificateUnknown, CertificateNotMovable.
        """
        ...

    async def unregister_certificate(self, sha256: str) -> int:
        """Have an authentication certificate removed; raises as `register_certificate`."""
        ...

    async def mark_certificate_deleted(self, sha256: str) -> None:
        """Note that a certificate is to be removed though nobody could be asked."""
        ...

    async def register_client(self, client: ClientId, name: str | None) -> int:
        """Register a client, and what it is called.

        Raises LocalClientNotFound, ClientNotMovable, OwnerStays.
        """
        ...

    async def unregister_client(self, client: ClientId) -> int:
        """Have a client removed; raises as `register_client`."""
        ...

    async def disable_client(self, client: ClientId) -> int:
        """Let a client rest; raises as `register_client`."""
        ...

    async def enable_client(self, client: ClientId) -> int:
        """End a client's rest; raises as `register_client`."""
        ...

    async def rename_client(self, client: ClientId, name: str) -> int:
        """Call a registered subsystem otherwise; raises as `register_client`."""
        ...

    async def change_owner(self, new_owner: ClientId) -> int:
        """Let a registered member own the server; raises as `register_client`."""
        ...

    async def change_address(self, address: str) -> int:
        """Let the server be found elsewhere."""
        ...

    async def enable_maintenance(self, message: str | None) -> int:
        """Let nobody call the server."""
        ...

    async def disable_maintenance(self) -> int:
        """Let the server be called again."""
        ...


REGISTRATION_OPTIONS = RpcOptions(
    errors={
        error.__name__: error
        for error in (
            errors.AuthCertificateUnknown,
            errors.CertificateNotMovable,
            errors.ClientNotMovable,
            errors.LocalClientNotFound,
            errors.NoSigningCertificate,
            errors.OwnerStays,
            errors.SendingFailed,
            GlobalConfOutdated,
            InvalidXml,
            MalformedGlobalConf,
            ServerNotSet,
        )
    },
    timeouts=dict.fromkeys(
        (name for name in vars(RegistrationCalls) if not name.startswith("_")), _PATIENCE_SECONDS
    ),
)


class Knowledge(Protocol):
    """What control knows."""

    def snapshot(self) -> ServerSnapshot:
        """The server's own configuration; raises ServerNotSet."""
        ...

    def global_conf(self) -> GlobalConf:
        """The global configuration; raises GlobalConfOutdated, MalformedGlobalConf."""
        ...


class OwnStanding:
    """What the server knows of itself and of the world, and where its own proxy is."""

    def __init__(self, knowledge: Knowledge, layout: Layout, proxy: ProxySettings) -> None:
        self.snapshot = knowledge.snapshot
        self.conf = knowledge.global_conf
        self._layout = layout
        self._proxy = proxy

    def own_proxy(self) -> Target:
        """Where this server's own proxy takes messages, with the internal TLS identity."""
        host = self._proxy.connector_host
        host = "127.0.0.1" if host in _EVERY_ADDRESS else host
        return Target(host, self._proxy.client_https_port, self._context())

    def _context(self) -> ssl.SSLContext:
        # Who answers on this machine's own port shows the same certificate, and may be anybody's
        # process no more than the port may: messages prove themselves by their signatures.
        return unverified_client_context(TlsPolicy(), read_internal_tls(self._layout.internal_tls))


def make_registration(
    keys: Keys, clients: ClientStates, standing: OwnStanding, clock: Clock
) -> Registration:
    """What sends management requests for this server."""
    composer = Composer(keys, standing, clock)
    return Registration(keys, clients, standing, composer, RequestSender(composer, standing))


def follow_standing(
    keys: Keys, store: ConfigurationStore, standing: OwnStanding, knowledge: Knowledge, clock: Clock
) -> ServerStanding:
    """What lets owner, address and maintenance mode follow the global configuration."""
    registration = make_registration(keys, ClientStates(store), standing, clock)
    ports = StandingPorts(knowledge, registration, keys, find_changed_server)
    return ServerStanding(store, ports, clock)
