"""A security server that sends requests, and a Central Server on sockets that takes them."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from management_builder import CLIENT, OTHER, SERVER, SERVICES
from pki_builder import MEMBER, NOON, TestCa
from sild.components.registration.acts import Registration
from sild.components.registration.composing import Composer
from sild.components.registration.sending import RequestSender
from sild.model.services import Client, ClientStatus, client_once_taken
from sild.model.snapshot import ServerSnapshot, SigningCertificate
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
    Token,
    TokenStatus,
    certificate_once_taken,
)
from sild.protocol.algorithms import KeyFamily, SignatureAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.extensions import Extensions
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.private_parameters import ManagementService, PrivateParameters
from sild.protocol.globalconf.shared_parameters import SharedParameters
from sild.protocol.globalconf.trusted import InstanceConf
from sild.protocol.management.codec import write_response
from sild.protocol.management.package import read_package
from sild.protocol.management.verify import Ecosystem, verify_request
from sild.protocol.soap.fault import write_fault
from sild.runtime.clock import SystemClock
from sild.runtime.http_client_types import Target
from sild.runtime.http_server import Endpoint, Limits, Response, serve
from sild.runtime.tls import SwappableContext, TlsIdentity, TlsPolicy, server_context

AUTH, SIGN = "auth-key", "sign-key"


def conf_of(service, servers=()):
    shared = SharedParameters("DEV", servers=tuple(servers))
    private = PrivateParameters("DEV", service, 60)
    expires = NOON + timedelta(days=10_000)
    conf = InstanceConf("DEV", 6, expires, {}, shared, private, Extensions(None, 60, True))
    return GlobalConf({"DEV": conf}, "DEV")


@dataclass
class Keys:
    """A signer with one authentication key and a signing key for each of two members."""

    ca: TestCa
    kind: str = "ec"
    pss: bool = False
    moved: list = field(default_factory=list)
    status: CertificateStatus = CertificateStatus.SAVED

    def __post_init__(self):
        self.auth = self.ca.issue_auth("SS1", kind=self.kind)
        self.signers = {
            member: self.ca.issue_sign(member, kind=self.kind) for member in (MEMBER, OTHER)
        }

    @property
    def sha256(self):
        return self.auth.certificate.sha256.hex()

    async def tokens(self):
        entry = CertificateEntry(self.sha256, self.auth.certificate.der, self.status, active=False)
        key = Key(AUTH, "auth", KeyUsage.AUTHENTICATION, KeyAlgorithm.EC_P256, b"", (entry,))
        return (Token("0", "soft", TokenStatus.OK, logged_in=True, keys=(key,)),)

    async def move_certificate(self, sha256, event, before):
        assert sha256 == self.sha256
        self.status = certificate_once_taken(before, self.status, event)
        self.moved.append(event)

    async def sign(self, key_id, digest, algorithm):
        member = next(each for each in self.signers if str(each) == key_id)
        return self._signed(self.signers[member].key, digest, algorithm)

    async def sign_as_server(self, key_id, digest, algorithm):
        assert key_id == AUTH
        return self._signed(self.auth.key, digest, algorithm)

    def _signed(self, key, digest, uri):
        algorithm = SignatureAlgorithm.from_uri(uri)
        hashed = utils.Prehashed(algorithm.digest_algorithm.primitive)
        if algorithm.family is KeyFamily.EC:
            return key.sign(digest, ec.ECDSA(hashed))
        if algorithm.family is KeyFamily.RSA:
            return key.sign(digest, padding.PKCS1v15(), hashed)
        mgf = padding.MGF1(algorithm.digest_algorithm.primitive)
        return key.sign(digest, padding.PSS(mgf, padding.PSS.DIGEST_LENGTH), hashed)

    def signing(self):
        return tuple(
            SigningCertificate(
                member,
                str(member),
                issued.certificate.der,
                (),
                (self.ca.ocsp(issued.certificate),),
                batch=False,
                pss=self.pss,
            )
            for member, issued in self.signers.items()
        )


class Clients:
    """The server's own clients."""

    def __init__(self):
        self.clients = {
            MEMBER: ClientStatus.REGISTERED,
            OTHER: ClientStatus.REGISTERED,
            CLIENT: ClientStatus.SAVED,
        }

    async def move(self, client, event, before):
        self.clients[client] = client_once_taken(before, self.clients[client], event)
        return self.clients[client]


class Center:
    """The Central Server: verifies what comes, and answers with an id."""

    def __init__(self, ca):
        self._ecosystem = Ecosystem(ca.trust(), SERVICES)
        self.taken = []
        self.paths = []
        self.answer = None
        self.is_silent = False

    async def handle(self, request):
        body = await request.body.read_all(200_000)
        self.paths.append(request.target)
        if self.is_silent:
            await SystemClock().sleep(10)
        if self.answer is not None:
            return self.answer
        content_type = dict(request.headers)[b"Content-Type"].decode()
        xml = [(b"Content-Type", b"text/xml;charset=UTF-8")]
        try:
            package = read_package(body, content_type)
            verified = verify_request(package, self._ecosystem, NOON)
        except ProtocolError as error:
            fault = write_fault(error.staged_code, error.message, "1")
            return Response(500, b"Error", xml, fault)
        self.taken.append(verified.request)
        return Response(200, b"OK", xml, write_response(package.message, len(self.taken)))


class Standing:
    """What the server knows."""

    def __init__(self, keys, clients, service, proxy):
        self._keys, self._clients = keys, clients
        self.service = service
        self._proxy = proxy
        self.can_sign = self.has_ocsp = True

    def snapshot(self):
        clients = tuple(Client(each, status) for each, status in self._clients.clients.items())
        signing = self._keys.signing() if self.can_sign else ()
        if not self.has_ocsp:
            signing = tuple(replace(each, ocsp=()) for each in signing)
        return ServerSnapshot(1, SERVER, clients, signing=signing)

    def conf(self):
        return conf_of(self.service)

    def own_proxy(self):
        return self._proxy


@dataclass
class Sending:
    """A security server, and the Central Server that it talks to."""

    acts: Registration
    keys: Keys
    clients: Clients
    standing: Standing
    center: Center
    sender: RequestSender

    def trust_instead(self, certificate):
        self.standing.service = replace(self.standing.service, certificate=certificate)


@asynccontextmanager
async def sending(kind="ec", *, pss=False, seconds=20.0):
    ca = TestCa.create()
    keys, clients, center = Keys(ca, kind, pss), Clients(), Center(ca)
    tls = ca.issue_auth("CENTER", number=11)
    identity = TlsIdentity(tls.key, (tls.certificate.der,))
    context = SwappableContext(server_context(TlsPolicy(), identity, None))
    clock = SystemClock()
    registration = await serve(center.handle, Endpoint("127.0.0.1", tls=context), Limits(), clock)
    proxy = await serve(center.handle, Endpoint("127.0.0.1"), Limits(), clock)
    address = f"https://127.0.0.1:{registration.port}/managementservice/"
    service = ManagementService(address, tls.certificate, SERVICES)
    standing = Standing(keys, clients, service, Target("127.0.0.1", proxy.port))
    composer = Composer(keys, standing, clock)
    sender = RequestSender(composer, standing, seconds)
    acts = Registration(keys, clients, standing, composer, sender)
    try:
        yield Sending(acts, keys, clients, standing, center, sender)
    finally:
        await registration.close(0)
        await proxy.close(0)
