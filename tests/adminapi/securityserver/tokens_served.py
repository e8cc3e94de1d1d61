"""Tokens, keys and certificates behind the gate, on a socket, with a signer and a CA behind them."""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adminapi.api_builder import Recorded
from components.signer.builders import OWNER, PIN, SERVER, global_conf
from pki_builder import AUTHENTICATION, NOON, SIGNING, TestCa, Wish, build_certificate, name_of
from sild.adminapi.application import Services, make_application
from sild.adminapi.document import Description
from sild.adminapi.securityserver import (
    certificate_authorities,
    keys,
    token_certificates,
    tokens,
)
from sild.adminapi.securityserver.server import SecurityServer
from sild.adminapi.settings import AdminApiSettings
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.schema import MIGRATIONS
from sild.components.accounts.settings import AccountSettings
from sild.components.accounts.store import AccountStore
from sild.components.registration.acts import Registration
from sild.components.registration.composing import Composer
from sild.components.registration.errors import SendingFailed
from sild.components.signer.acts import CertificateActs
from sild.components.signer.authorities import CertificateAuthorities
from sild.components.signer.certificates import Certificates
from sild.components.signer.errors import PinIncorrect
from sild.components.signer.ocsp_cache import OcspCache
from sild.components.signer.ocsp_refresh import OcspRefresher
from sild.components.signer.ports import (
    DeviceState,
    FoundCertificate,
    FoundKey,
    MadeKey,
)
from sild.components.signer.rpc import ServedControl
from sild.components.signer.settings import OcspSettings, SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConfStore
from sild.components.signer.tokens import Tokens
from sild.model.costs import Strategy
from sild.model.permissions import SECURITY_SERVER, Role
from sild.model.services import Client, ClientStatus, ConnectionType
from sild.model.snapshot import ServerSnapshot
from sild.model.tokens import KeyAlgorithm, TokenStatus
from sild.protocol.errors import GlobalConfOutdated, NetworkError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import CertificationService
from sild.protocol.pki.ocsp import build_ocsp_request
from sild.runtime.asgi import asgi_handler
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database
from sild.runtime.http_server import serve
from sild.runtime.http_server_types import Endpoint, Limits
from sild.runtime.migrations import migrate

AREAS = (certificate_authorities, keys, token_certificates, tokens)
OFFICER = Role.SECURITY_OFFICER
REGISTRAR = Role.REGISTRATION_OFFICER
ADMINISTRATOR = Role.SYSTEM_ADMINISTRATOR
ALL = (
    ADMINISTRATOR,
    OFFICER,
    REGISTRAR,
    Role.SERVICE_ADMINISTRATOR,
    Role.SECURITYSERVER_OBSERVER,
)
SETTINGS = SignerSettings(
    pin_rounds=1000,
    signing_key_algorithm=KeyAlgorithm.EC_P256,
    authentication_key_algorithm=KeyAlgorithm.EC_P256,
)
OTHER = OWNER.__class__("DEV", "COM", "M2")
CA = TestCa.create()


class Card:
    """A device with elliptic curve keys, which can be taken away."""

    def __init__(self):
        self.id = "card-1"
        self.there = True
        self.logged_in = False
        self.made = {}
        self.certificates = []
        self.deleted = []

    def state(self):
        found = tuple(
            FoundKey(key_id, label, KeyAlgorithm.EC_P256, _spki(key))
            for key_id, (label, key) in self.made.items()
        )
        is_open = self.there and self.logged_in
        return DeviceState(
            TokenStatus.OK,
            is_open,
            frozenset(self.made) if is_open else frozenset(),
            "card",
            available=self.there,
            serial_number="4711",
            device_label="blue",
            slot_index=1,
            details=(("Manufacturer", "Nobody"),),
            keys=found if is_open else None,
            certificates=tuple(self.certificates) if is_open else (),
        )

    async def login(self, pin):
        if pin != "1234":
            raise PinIncorrect("the card takes another PIN")
        self.logged_in = True

    async def logout(self):
        self.logged_in = False

    async def generate(self, label, algorithm):
        key_id = f"{len(self.made) + 1:040X}"
        self.made[key_id] = label, ec.generate_private_key(ec.SECP256R1())
        return MadeKey(key_id, _spki(self.made[key_id][1]))

    async def delete(self, key_id):
        self.deleted.append(key_id)
        del self.made[key_id]

    async def delete_certificate(self, key_id, certificate):
        self.certificates = [each for each in self.certificates if each.certificate != certificate]

    async def sign(self, key_id, digest, algorithm):
        chosen = getattr(hashes, algorithm.digest_algorithm.name)()
        return self.made[key_id][1].sign(digest, ec.ECDSA(Prehashed(chosen)))

    async def close(self):
        pass

    def hold(self, key_id, certificate):
        self.certificates.append(FoundCertificate(key_id, certificate.der))


class Cards:
    """One card, or none."""

    def __init__(self):
        self.card = Card()
        self.known = True

    @property
    def present(self):
        return {self.card.id: self.card} if self.known else {}

    async def scan(self):
        pass

    def forget(self, token_id):
        self.known = False

    async def close(self):
        pass


class Responder:
    """Answers about every certificate that it has seen."""

    def __init__(self, clock):
        self.clock = clock
        self.known = [CA.certificate]
        self.status = "good"
        self.silent = False
        self.asked = []

    async def fetch_ocsp(self, url, request):
        self.asked.append(url)
        if self.silent:
            raise NetworkError(f"{url} does not answer")
        for certificate in self.known:
            if build_ocsp_request(certificate, CA.certificate) == request:
                moment = self.clock.now().replace(microsecond=0)
                return CA.ocsp(certificate, status=self.status, this_update=moment)
        raise NetworkError("nobody knows this certificate")


class World:
    """The global configuration, and what the server is."""

    def __init__(self):
        self.conf = global_conf(CA)
        client = Client(OTHER.subsystem("S"), ClientStatus.SAVED, ConnectionType.NOSSL)
        self.own = ServerSnapshot(1, SERVER, (client,))

    def global_conf(self):
        if self.conf is None:
            raise GlobalConfOutdated("there is no global configuration")
        return self.conf

    def snapshot(self):
        return self.own

    def change(self, **service):
        """Let the certification service be otherwise."""
        self.list(replace(self.conf.shared.certification_services[0], **service))

    def list(self, *services: CertificationService):
        """Approve these certification services."""
        own = self.conf.instances["DEV"]
        shared = replace(own.shared, certification_services=services)
        self.conf = GlobalConf({"DEV": replace(own, shared=shared)}, "DEV")


class Sender:
    """Takes requests for the Central Server; `refuses` says why, if it does not."""

    def __init__(self):
        self.sent = []
        self.refuses = None

    async def send(self, request):
        if self.refuses is not None:
            raise SendingFailed(self.refuses, self.refuses)
        self.sent.append(request)
        return 40 + len(self.sent)


class Api:
    """The operations as callers by role, and what is behind them."""

    def __init__(self, http, path, settings, ocsp):
        self._http = http
        self.audit = Recorded()
        self.clock = TurnedClock()
        self.clock.turn_to(NOON)
        self.world = World()
        self.sender = Sender()
        self.responder = Responder(self.clock)
        self.cards = Cards()
        self.changes = 0
        store = KeyConfStore(path / "keyconf")
        token = SoftToken(path / "softtoken", self.clock, settings)
        self.signer = Tokens(token, store, settings, self.cards)
        certificates = Certificates(self.signer, store, self.clock, settings)
        self.control = ServedControl(self.signer, certificates)
        self.ocsp = OcspRefresher(OcspCache(path / "ocsp"), self.responder, self.clock, ocsp)
        self.acts = CertificateActs(
            self.control, self.world, self.ocsp, self.clock, self._changed, settings
        )
        composer = Composer(self.control, self.world, self.clock)
        parts = dict.fromkeys(field.name for field in fields(SecurityServer))
        parts |= {
            "tokens": self.control,
            "certificates": self.acts,
            "authorities": CertificateAuthorities(self.world, self.ocsp),
            "registration": Registration(self.control, None, self.world, composer, self.sender),
            "clock": self.clock,
        }
        self.server = SecurityServer(**parts)

    async def _changed(self):
        self.changes += 1

    async def raw(self, method, path, *, role=None, json=None, content=None, **query):
        """The answer."""
        headers = {"authorization": f"X-Road-ApiKey token={_KEYS[role]}"}
        if content is not None:
            headers["content-type"] = "application/octet-stream"
        return await self._http.request(
            method,
            f"/api/v1{path}",
            headers=headers,
            params=query or None,
            content=content,
            **({} if json is None else {"json": json}),
        )

    async def __call__(self, method, path, json=None, **how):
        """The status and the body of the answer."""
        answer = await self.raw(method, path, json=json, **how)
        return answer.status_code, answer.json() if answer.content else None

    async def get(self, path, **query):
        """What a question is answered with."""
        status, body = await self("GET", path, **query)
        assert status == 200, body
        return body

    async def refused(self, method, path, json=None, **how):
        """The status of a refusal with its code and what it speaks of."""
        status, told = await self(method, path, json, **how)
        assert told["status"] == status
        return status, told["error"]["code"], told["error"].get("metadata", [])

    async def invalid(self, method, path, json=None, **how):
        """The fields that were not as they should be, with their codes."""
        status, told = await self(method, path, json, **how)
        assert (status, told["error"]["code"]) == (400, "validation_failure")
        return told["error"]["validation_errors"]

    @property
    def last(self):
        """The last audit record: the event's text, its data, and whether it went well."""
        record = self.audit.records[-1]
        return record.event.value, dict(record.data), record.reason is None

    async def logged_in(self):
        """Let the software token have its PIN, and be open."""
        await self.control.initialize(PIN)
        await self.control.login("0", PIN)
        return self

    async def key(self, usage="SIGNING", *, token="0", label="a key", **csr):
        """A key with a request; its id and that of the request."""
        body = {"key_label": label, "csr_generate_request": wanted(usage, **csr)}
        status, made = await self("POST", f"/tokens/{token}/keys-with-csrs", body)
        assert status == 200, made
        return made["key"]["id"], made["csr_id"]

    async def signed(self, usage="SIGNING", wish=None, **how):
        """A certificate by the CA for a new key, which is not imported yet."""
        key_id, csr_id = await self.key(usage, **how)
        answer = await self.raw("GET", f"/keys/{key_id}/csrs/{csr_id}", csr_format="DER")
        public_key = x509.load_der_x509_csr(answer.content).public_key()
        return self.certify(public_key, usage, **(wish or {}))

    def certify(self, public_key, usage="SIGNING", member=OWNER, **wish):
        """A certificate by the CA for a key."""
        use = SIGNING if usage == "SIGNING" else AUTHENTICATION
        names = {"O": member.member_class, "CN": member.member_code}
        certificate = build_certificate(
            name_of(C="DEV", **(names if use == SIGNING else {"CN": "SS1"})),
            public_key,
            CA.certificate.x509.subject,
            CA.key,
            Wish(**({"usage": use} | wish)),
        )
        self.responder.known.append(certificate)
        return certificate

    async def imported(self, usage="SIGNING", **how):
        """The hash of a certificate that was imported, and the id of its key."""
        certificate = await self.signed(usage, **how)
        status, body = await self("POST", "/token-certificates", content=certificate.der)
        assert status == 201, body
        held = await self.acts.get(body["certificate_details"]["hash"])
        return held.entry.sha256, held.key.id


def wanted(usage="SIGNING", **more):
    """The body of a request for a certificate."""
    body = {
        "key_usage_type": usage,
        "ca_name": "Test CA",
        "csr_format": "PEM",
        "subject_field_values": {},
    }
    if usage == "SIGNING":
        body["member_id"] = "DEV:GOV:M1"
    return body | more


def _spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sha256_of(certificate):
    """A certificate's name."""
    return hashlib.sha256(certificate.der).hexdigest()


_KEYS = {}
_PREPARED = {}


async def _accounts_at(path):
    """The address of a database with a key for each role."""
    if not _PREPARED:
        async with Database.open(f"sqlite:///{path}") as database:
            await migrate(database, MIGRATIONS)
            for role, held in ((None, ALL), *((role, (role,)) for role in ALL)):
                made = await _accounts(database).keys.create(
                    [each.value for each in held], frozenset(ALL)
                )
                _KEYS[role] = made.text
        _PREPARED["bytes"] = path.read_bytes()
    path.write_bytes(_PREPARED["bytes"])
    return f"sqlite:///{path}"


def _accounts(database):
    return Accounts(AccountStore(database), SECURITY_SERVER, AccountSettings(), TurnedClock())


@asynccontextmanager
async def served_tokens(path, settings=SETTINGS, strategy=Strategy.NONE):
    """The operations over a signer with a software token and a card."""
    address = await _accounts_at(path / "accounts.db")
    async with Database.open(address) as database, httpx.AsyncClient(timeout=60) as http:
        ocsp = OcspSettings(ocsp_prioritization_strategy=strategy)
        api = Api(http, path, settings, ocsp)
        application = make_application(
            Description("security", "1"),
            [area.OPERATIONS for area in AREAS],
            Services(_accounts(database), SECURITY_SERVER, api.audit, api.clock),
            AdminApiSettings(rate_limit_enabled=False),
        )
        application.state.server = api.server
        server = await serve(
            asgi_handler(application, "http"), Endpoint("127.0.0.1"), Limits(), api.clock
        )
        http.base_url = f"http://127.0.0.1:{server.port}"
        try:
            yield api
        finally:
            await server.close(0)
            await api.signer.close()
