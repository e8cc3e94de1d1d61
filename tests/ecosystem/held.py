"""A security server in the test's own hands: real code in this process, keys and log at hand.

It is registered like any other and runs both sides of the proxy behind real listeners. Its log
can be read, its requests can be heard before they are served, it can be made to answer anything,
and to send anything (`messages.py`).
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ecosystem.plan import HAND, HELD_ADDRESS, HELD_SERVER, PORTAL
from sild.components.confclient.cache import read_cached
from sild.components.messagelog.log import JournalLog
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.proxy.client_side import ClientSide
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.listeners import Listeners, Sides
from sild.components.proxy.outgoing import Sender
from sild.components.proxy.peers import PeerOcsp, Peers
from sild.components.proxy.routing import Routing
from sild.components.proxy.server_side import ServerSide
from sild.components.proxy.service_call import ServiceCaller, ServicePools, ServiceTls
from sild.components.proxy.settings import ProxySettings
from sild.components.proxy.signing import SigningQueues
from sild.components.proxy.steps import ExchangeLog
from sild.components.proxy.view import View
from sild.model.services import (
    AccessRight,
    Client,
    ClientStatus,
    ConnectionType,
    Endpoint,
    Service,
    ServiceType,
)
from sild.model.snapshot import AuthenticationCertificate, ServerSnapshot, SigningCertificate
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.ids import ServiceId
from sild.protocol.signature.xades import SigningIdentity
from sild.runtime.clock import SystemClock
from sild.runtime.files import SpoolDirectory, SpoolLimits
from sild.runtime.http_client import ClientLimits, HttpClientPool
from sild.runtime.http_server import Endpoint as Listening
from sild.runtime.http_server import Limits, serve
from sild.runtime.journal import Journal, JournalLimits
from sild.runtime.tls import (
    AnyCertificate,
    SwappableContext,
    TlsIdentity,
    TlsPolicy,
    server_context,
    unverified_client_context,
)

SERVICE = ServiceId(HAND, "held")
_KEY = "held"
_SHA512 = SignatureAlgorithm.ECDSA_SHA512.digest_algorithm


def identity_of(credential, ocsp):
    """What a signature by the credential says of its signer."""
    algorithm = SignatureAlgorithm.for_key(credential.certificate.public_key)
    return SigningIdentity(credential.certificate, ocsp, (), algorithm)


def sign_digest(credential, digest):
    """The value of a signature over a SHA-512 digest."""
    return credential.key.sign(digest, ec.ECDSA(Prehashed(_SHA512.primitive)))


def tls_of(credential):
    """The credential as an end of a TLS connection shows it."""
    return TlsIdentity(credential.key, (credential.certificate.der,))


class RepeatingClock(SystemClock):
    """The machine's clock, but its identifiers can be those of an exchange before."""

    def __init__(self):
        self.given = []
        self._again = []

    def uuid(self):
        if self._again:
            return self._again.pop(0)
        self.given.append(super().uuid())
        return self.given[-1]

    def repeat(self, identifiers):
        self._again = list(identifiers)


class LocalSigner:
    """Signs with the test's own key, as the signer would."""

    def __init__(self, credential):
        self._credential = credential

    async def sign(self, key_id, digest, algorithm):
        assert (key_id, algorithm) == (_KEY, SignatureAlgorithm.ECDSA_SHA512.uri)
        return sign_digest(self._credential, digest)


@dataclass(frozen=True)
class Logged:
    """A record that is durable, with its whole body and without its time."""

    record: object
    body: bytes | None


class ReadableLog:
    """The journal's log, and what was saved in it."""

    def __init__(self, log):
        self._log = log
        self.saved = []

    @property
    def body_limit(self):
        return self._log.body_limit

    @property
    def body_kept(self):
        return self._log.body_kept

    async def save(self, record, body):
        await self._log.save(record, body)
        if body is not None and not isinstance(body, bytes):
            body = b"".join([piece async for piece in body.chunks()])
        self.saved.append(Logged(replace(record, time_ms=0), body))


class Ear:
    """Stands before a side of the proxy: remembers what came, and can answer in its place."""

    def __init__(self, side):
        self._side = side
        self.heard = []
        self.answer = None

    async def handle(self, request):
        body = await request.body.read_all(1 << 24)
        self.heard.append((request, body))
        if self.answer is not None:
            return await self.answer(request, body)
        return await self._side.handle(copy_of(request, body))


def copy_of(request, body):
    """A request that was read, to be read again."""
    reader = type(request.body)(None, ValueError)
    reader.feed(body)
    reader.end()
    reader.settle()
    return type(request)(request.method, request.target, request.headers, request.peer, reader)


class HeldViews:
    """The view of the held server: its own snapshot, and the configuration as another has it."""

    def __init__(self, snapshot, conf_directory, clock):
        self._snapshot = snapshot
        self._directory = conf_directory
        self._clock = clock
        self._view = None
        self.refresh()

    def refresh(self):
        conf = read_cached(self._directory).conf
        self._view = View(self._snapshot, conf, conf.valid_until)

    @property
    def current(self):
        if self._view.conf_valid_until - self._clock.now() < timedelta(seconds=60):
            self.refresh()
        self._view.conf.check_valid(self._clock.now())
        return self._view


class HeldServer:
    """The third server of the ecosystem."""

    def __init__(self, papers, ports, directory):
        self.id = HELD_SERVER
        self.client = HAND
        self.address = HELD_ADDRESS
        self.papers = papers
        self.ports = ports
        self.auth = papers.authentication(self.id)
        self.sign = papers.signing(self.id.owner)
        self.clock = RepeatingClock()
        self._directory = directory

    def settings(self, **changes):
        """The proxy's settings as the other servers have them."""
        ports = self.ports
        settings = ProxySettings(
            connector_host=self.address,
            client_http_port=ports.http,
            client_https_port=ports.https,
            listen_address=self.address,
            server_port=ports.server,
            ocsp_responder_port=ports.ocsp,
        )
        return replace(settings, **changes)

    def snapshot(self, url):
        """The server's own configuration: one client, with one service."""
        ocsp = self.papers.ocsp
        endpoint = Endpoint(HAND, SERVICE.service_code, "*", "**")
        return ServerSnapshot(
            1,
            self.id,
            clients=(Client(HAND, ClientStatus.REGISTERED, ConnectionType.NOSSL),),
            services=(Service(SERVICE, ServiceType.REST, f"{url}/held"),),
            endpoints=(endpoint,),
            rights=(AccessRight(endpoint, PORTAL), AccessRight(endpoint, HAND)),
            signing=(
                SigningCertificate(
                    self.id.owner, _KEY, self.sign.certificate.der, (), (ocsp(self.sign),), True
                ),
            ),
            authentication=AuthenticationCertificate(
                "auth", self.auth.certificate.der, (), (ocsp(self.auth),)
            ),
        )

    async def start(self, url, conf_directory, tasks):
        """Listen; the global configuration names the server already."""
        self.views = HeldViews(self.snapshot(url), conf_directory, self.clock)
        self._spool = SpoolDirectory(self._directory / "spool", SpoolLimits())
        journal = self._directory / "journal"
        self._journal = Journal.open(journal, "held", JournalLimits(), self.clock)
        spawn = tasks.create_task
        self.log = ReadableLog(JournalLog(self._journal, MessageLogSettings(), self.clock, spawn))
        queues = SigningQueues(LocalSigner(self.sign), spawn, self.clock.now, 16)
        self._sender = Sender(queues, self.log, self._spool, self.clock)
        self._pool = HttpClientPool(ClientLimits())
        self._services = ServicePools(ProxySettings(connect_seconds=5.0))
        self._context = unverified_client_context(TlsPolicy(), tls_of(self.auth))
        self.exchanges = self._exchanges(self.settings())
        self.server_side = self._server_side(self.exchanges)
        self.client_side = self.client_side_with(self.settings())
        self.ear = Ear(self.server_side)
        context = server_context(TlsPolicy(), tls_of(self.auth), AnyCertificate.REQUIRED)
        self._listeners = Listeners(
            self.exchanges, Sides(self.client_side, self.ear), SwappableContext(context)
        )
        await self._listeners.start_internal(share_ports=False)
        await self._listeners.start_external(SwappableContext(context), share_ports=False)

    def _exchanges(self, settings):
        return Exchanges(
            self.views, self.log, self._sender, self._spool, self.clock, settings, ExchangeLog(None)
        )

    def _server_side(self, exchanges):
        tls = ServiceTls(lambda _: self._context, lambda: self._context)
        return ServerSide(exchanges, ServiceCaller(self._services, tls))

    @asynccontextmanager
    async def listening(self, **changes):
        """A provider's side of this server at another port, with other settings."""
        side = self._server_side(self._exchanges(self.settings(**changes)))
        context = server_context(TlsPolicy(), tls_of(self.auth), AnyCertificate.REQUIRED)
        endpoint = Listening(self.address, 0, context)
        listener = await serve(side.handle, endpoint, Limits(), self.clock)
        plan = SimpleNamespace(address=self.address)
        try:
            yield SimpleNamespace(plan=plan, ports=SimpleNamespace(server=listener.port))
        finally:
            await listener.close(0)

    def client_side_with(self, settings, context=None):
        """A consumer's side of this server that looks for others at other ports."""
        routing = Routing(self.clock, 60.0)
        peers = Peers(
            self._pool,
            PeerOcsp(self._pool, settings.ocsp_responder_port),
            lambda: context or self._context,
            routing,
            settings,
            self.clock,
        )
        return ClientSide(self._exchanges(settings), peers, routing, None)

    async def close(self):
        await self._listeners.close(0)
        self._pool.close()
        self._services.close()
        await self._journal.close()
        self._spool.close()

    @property
    def url(self):
        """Where information systems call."""
        return f"http://{self.address}:{self.ports.http}"
