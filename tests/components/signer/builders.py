"""A signer with a token that is logged in, and a global configuration that knows a CA."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki_builder import (
    AUTHENTICATION,
    EJBCA,
    NOON,
    SIGNING,
    Wish,
    build_certificate,
    name_of,
)
from sild.components.signer.certificates import CertificateImport, Certificates
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConfStore
from sild.components.signer.tokens import Tokens
from sild.model.tokens import CertificateStatus, KeyAlgorithm, KeyUsage
from sild.protocol.globalconf.extensions import Extensions
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CertificationService,
    Member,
    OcspResponderEntry,
    SecurityServer,
    SharedParameters,
    Subsystem,
)
from sild.protocol.globalconf.trusted import InstanceConf
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import TurnedClock

PIN = "Secret-1234"
SETTINGS = SignerSettings(pin_rounds=1000)
OWNER = ClientId("DEV", "GOV", "M1")
SERVER = SecurityServerId(OWNER, "SS1")


@dataclass
class Signer:
    """The use cases with a token behind them."""

    tokens: Tokens
    certificates: Certificates
    store: KeyConfStore
    clock: TurnedClock

    async def key(self, usage=KeyUsage.SIGNING, algorithm=KeyAlgorithm.EC_P256):
        return await self.tokens.generate_key("0", "", usage, algorithm)

    async def certified(self, ca, usage=KeyUsage.SIGNING, *, member=OWNER, active=True, **wish):
        """A key with a registered certificate."""
        key = await self.key(usage)
        certificate = certify(ca, key, **wish)
        order = CertificateImport(
            certificate.der,
            CertificateStatus.REGISTERED,
            active,
            member if usage is KeyUsage.SIGNING else None,
        )
        await self.certificates.import_certificate(order)
        return key, certificate


def certify(ca, key, *, subject=None, **wish):
    """A certificate of the CA for a key of the signer."""
    usage = SIGNING if key.usage is KeyUsage.SIGNING else AUTHENTICATION
    return build_certificate(
        subject or name_of(C="DEV", O="GOV", CN="M1"),
        load_der_public_key(key.public_key),
        ca.certificate.x509.subject,
        ca.key,
        Wish(**({"usage": usage} | wish)),
    )


def opened(path, clock=None, settings=SETTINGS):
    """The use cases over the files in a directory."""
    clock = clock or TurnedClock()
    store = KeyConfStore(path / "keyconf")
    tokens = Tokens(SoftToken(path / "softtoken", clock, settings), store, settings)
    return Signer(tokens, Certificates(tokens, store, clock, settings), store, clock)


@asynccontextmanager
async def logged_in(path, settings=SETTINGS):
    """A signer over the files in a directory whose token is logged in, at NOON."""
    clock = TurnedClock()
    clock.turn_to(NOON)
    signer = opened(path, clock, settings)
    if not signer.tokens.token("0").initialized:
        await signer.tokens.initialize(PIN)
    await signer.tokens.login("0", PIN)
    try:
        yield signer
    finally:
        await signer.tokens.close()


def global_conf(
    top,
    intermediates=(),
    *,
    auth=(),
    profile=EJBCA,
    authentication_only=False,
    urls=("http://ocsp.test/",),
    freshness=3600,
    interval=1200,
    expires=NOON + timedelta(days=1),
    server=SERVER,
):
    """A global configuration with one CA; `auth` are authentication certificates of the server."""

    def entry(ca):
        responders = tuple(OcspResponderEntry(url, ca.certificate) for url in urls)
        return CaEntry(ca.certificate, responders)

    shared = SharedParameters(
        instance="DEV",
        certification_services=(
            CertificationService(
                "Test CA",
                profile,
                entry(top),
                tuple(map(entry, intermediates)),
                authentication_only,
            ),
        ),
        members=(Member(OWNER, "First", "", (Subsystem(OWNER.subsystem("S1")),)),),
        servers=(
            SecurityServer(
                server, "ss1.test", tuple(each.sha256 for each in auth), (OWNER.subsystem("S1"),)
            ),
        ),
        ocsp_freshness_seconds=freshness,
    )
    conf = InstanceConf("DEV", 6, expires, {}, shared, None, Extensions(None, interval, True))
    return GlobalConf({"DEV": conf}, "DEV")
