import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from components.signer.builders import OWNER, PIN, SERVER, certify, logged_in
from pki_builder import EJBCA, TestCa
from sild.components.signer.certificates import CertificateImport, RequestOrder
from sild.components.signer.errors import (
    ALL,
    CannotSign,
    CertificateNotFound,
    KeyNotFound,
    PinIncorrect,
    TokenInitialized,
    TokenNotActive,
    WrongCertificateUsage,
)
from sild.components.signer.rpc import (
    OPTIONS,
    connect_control,
    connect_worker,
    serve_control,
    serve_workers,
)
from sild.model.tokens import CertificateStatus, KeyAlgorithm, KeyUsage
from sild.protocol.algorithms import SignatureAlgorithm, UnsupportedAlgorithm
from sild.runtime.rpc import close_rpc

pytestmark = pytest.mark.anyio

ECDSA = SignatureAlgorithm.ECDSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()


@pytest.fixture
async def served(tmp_path):
    """A signer's two sockets: what control has, what a worker has."""
    async with logged_in(tmp_path) as signer:
        workers = await serve_workers(tmp_path / "run" / "signer.sock", signer.tokens)
        admin = await serve_control(
            tmp_path / "run" / "admin.sock", signer.tokens, signer.certificates
        )
        control = connect_control(tmp_path / "run" / "admin.sock")
        worker = connect_worker(tmp_path / "run" / "signer.sock")
        yield control, worker
        close_rpc(control)
        close_rpc(worker)
        await workers.close()
        await admin.close()


async def test_a_key_is_made_certified_and_signs_over_the_sockets(served):
    control, worker = served
    key = await control.generate_key("0", "sign", KeyUsage.SIGNING, KeyAlgorithm.EC_P256)
    request = await control.generate_request(RequestOrder(key.id, SERVER, EJBCA))
    assert request.der[:1] == b"\x30"
    certificate = certify(TestCa.create(), key)
    entry = await control.import_certificate(
        CertificateImport(certificate.der, CertificateStatus.REGISTERED, True, OWNER)
    )
    token = await control.token("0")
    assert token.logged_in
    assert token.keys[0].certificates == (entry,)
    assert token.keys[0].requests == ()
    signature = await worker.sign(key.id, DIGEST, ECDSA.uri)
    ECDSA.verify(load_der_public_key(key.public_key), signature, b"message")


async def test_an_authentication_key_is_given_to_workers(served):
    control, worker = served
    key = await control.generate_key("0", "auth", KeyUsage.AUTHENTICATION, KeyAlgorithm.EC_P256)
    certificate = certify(TestCa.create(), key)
    name = certificate.sha256.hex()
    await control.import_certificate(CertificateImport(certificate.der, CertificateStatus.SAVED))
    private = load_der_private_key(await worker.auth_key(name), None)
    assert private.public_key() == load_der_public_key(key.public_key)
    await control.set_active(name, active=True)
    await control.set_status(name, CertificateStatus.REGISTERED)
    (entry,) = (await control.token("0")).keys[0].certificates
    assert (entry.active, entry.status) == (True, CertificateStatus.REGISTERED)
    await control.logout("0")
    with pytest.raises(TokenNotActive):
        await worker.auth_key(name)


async def test_refusals_cross_the_sockets_as_what_they_are(served):
    control, worker = served
    with pytest.raises(TokenInitialized):
        await control.initialize(PIN)
    with pytest.raises(PinIncorrect):
        await control.login("0", "wrong")
    with pytest.raises(KeyNotFound):
        await worker.sign("A" * 40, DIGEST, ECDSA.uri)
    with pytest.raises(CertificateNotFound):
        await worker.auth_key("00" * 32)
    key = await control.generate_key("0", "auth", KeyUsage.AUTHENTICATION, KeyAlgorithm.EC_P256)
    with pytest.raises(CannotSign):
        await worker.sign(key.id, DIGEST, ECDSA.uri)
    signing = await control.generate_key("0", "sign", KeyUsage.SIGNING, KeyAlgorithm.EC_P256)
    with pytest.raises(UnsupportedAlgorithm):
        await worker.sign(signing.id, DIGEST, "urn:nonsense")
    certificate = certify(TestCa.create(), signing, usage="authentication")
    with pytest.raises(WrongCertificateUsage):
        await control.import_certificate(
            CertificateImport(certificate.der, CertificateStatus.SAVED)
        )


async def test_a_worker_has_no_say_in_administration(served, tmp_path):
    _, worker = served
    for name in ("login", "logout", "generate_key", "delete_key", "set_active", "tokens"):
        assert not hasattr(worker, name)


async def test_every_refusal_of_the_signer_can_cross():
    assert set(ALL) <= set(OPTIONS.errors.values())
