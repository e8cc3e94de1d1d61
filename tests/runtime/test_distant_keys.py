"""Handshakes with keys that are elsewhere, in both roles, on every loop and engine."""

import gc
import ssl

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from runtime.http_ends import LOCAL, LOOPS_AND_ENGINES, made, serving
from sild.runtime.distant_keys import DistantKey
from sild.runtime.http_client import (
    ClientLimits,
    HttpClientError,
    HttpClientPool,
    RequestHead,
    Target,
)
from sild.runtime.http_server import Response
from sild.runtime.tls import (
    AnyCertificate,
    TlsIdentity,
    TlsPolicy,
    TlsSetupError,
    server_context,
    unverified_client_context,
)

HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
POST = RequestHead(b"POST", b"/")
POLICIES = [TlsPolicy(), TlsPolicy(maximum=ssl.TLSVersion.TLSv1_2)]


@pytest.fixture(scope="module", params=LOOPS_AND_ENGINES[:], ids=str)
def loop_and_engine(request):
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(loop_and_engine):
    return loop_and_engine.backend


@pytest.fixture
def engine(loop_and_engine):
    return loop_and_engine.engine


def key_of(kind):
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key({"p256": ec.SECP256R1, "p384": ec.SECP384R1}[kind]())


class Elsewhere:
    """A key and a note of each signature that was asked of it."""

    def __init__(self, kind):
        self.key = key_of(kind)
        self.asked = []
        self.dead = False
        self.certificate = made("localhost", key=self.key)

    @property
    def identity(self):
        distant = DistantKey(self.key.public_key(), self.sign)
        return TlsIdentity(distant, (self.certificate.der,))

    def sign(self, wanted):
        self.asked.append((wanted.hash_name, wanted.pss))
        if self.dead:
            raise TimeoutError("the device is silent")
        hashed = HASHES[wanted.hash_name]
        prehashed = utils.Prehashed(hashed)
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(wanted.digest, ec.ECDSA(prehashed))
        pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
        return self.key.sign(wanted.digest, pss if wanted.pss else padding.PKCS1v15(), prehashed)


async def exchange(engine, server, client, policy):
    """Who each end saw, in one exchange."""
    seen = []

    async def handler(request):
        seen.append(request.peer.certificate)
        return Response(200)

    listening = server_context(policy, server.identity, AnyCertificate.REQUIRED)
    calling = unverified_client_context(policy, client.identity)
    async with (
        serving(handler, engine=engine, tls=listening) as running,
        HttpClientPool(ClientLimits(), engine) as pool,
        await pool.connect(Target(LOCAL, running.port, calling)) as connection,
    ):
        async with connection.exchange(POST, b"x") as response:
            assert response.status == 200
        return seen[0], connection.peer_certificate


@pytest.mark.parametrize("policy", POLICIES, ids=["1.3", "1.2"])
@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])
async def test_both_ends_prove_themselves_with_keys_that_are_elsewhere(engine, kind, policy):
    server, client = Elsewhere(kind), Elsewhere(kind)
    seen = await exchange(engine, server, client, policy)
    assert seen == (client.certificate.der, server.certificate.der)
    for side in (server, client):
        assert len(side.asked) == 1
        assert side.asked[0][1] is (kind == "rsa")


async def test_a_key_that_does_not_sign_fails_its_handshake_and_no_other(engine):
    server, client = Elsewhere("p256"), Elsewhere("p256")
    server.dead = True
    with pytest.raises(HttpClientError):
        await exchange(engine, server, client, POLICIES[0])
    server.dead = False
    assert await exchange(engine, server, client, POLICIES[0])


async def test_a_wrong_signature_proves_nothing(engine):
    server, client = Elsewhere("p256"), Elsewhere("p256")
    server.key = key_of("p256")
    distant = DistantKey(server.certificate.key.public_key(), server.sign)
    context = server_context(POLICIES[0], TlsIdentity(distant, (server.certificate.der,)), None)

    async def handler(request):
        raise AssertionError("nobody came")

    async with (
        serving(handler, engine=engine, tls=context) as running,
        HttpClientPool(ClientLimits(), engine) as pool,
    ):
        calling = unverified_client_context(POLICIES[0], client.identity)
        with pytest.raises(HttpClientError):
            await pool.connect(Target(LOCAL, running.port, calling))
    assert server.asked


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_a_certificate_of_another_key_is_refused(kind):
    one, other = Elsewhere(kind), Elsewhere(kind)
    mixed = TlsIdentity(one.identity.key, other.identity.chain)
    with pytest.raises(TlsSetupError, match="another key"):
        unverified_client_context(POLICIES[0], mixed)
    assert unverified_client_context(POLICIES[0], one.identity)


def test_what_is_no_certificate_is_refused():
    broken = TlsIdentity(Elsewhere("p256").identity.key, (b"\x30\x00",))
    with pytest.raises(TlsSetupError):
        unverified_client_context(POLICIES[0], broken)


def test_a_context_that_is_let_go_of_lets_go_of_its_key():
    before = None
    for _ in range(3):
        contexts = [unverified_client_context(POLICIES[0], Elsewhere("p256").identity)]
        contexts.clear()
        gc.collect()
        held = sum(isinstance(each, DistantKey) for each in gc.get_objects())
        assert before is None or held <= before
        before = held
