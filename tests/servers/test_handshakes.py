"""Handshakes that the signer signs, in good time or not at all."""

import asyncio
import hashlib

import pytest

from pki_builder import key_of
from sild.components.signer.errors import TokenUnavailable
from sild.components.signer.rpc import OPTIONS, SignerForWorkers
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import SystemClock
from sild.runtime.distant_keys import ToSign
from sild.runtime.rpc import RpcTimeout, serve_rpc
from sild.servers.handshakes import DeviceSlow, SignerForHandshakes

pytestmark = pytest.mark.anyio

DIGEST = hashlib.sha384(b"handshake").digest()


class Device(SignerForWorkers):
    def __init__(self):
        self.asked = []
        self.slow = False

    async def sign_handshake(self, sha256: str, digest: bytes, algorithm: str) -> bytes:
        self.asked.append((sha256, SignatureAlgorithm.from_uri(algorithm).name))
        if self.slow:
            await asyncio.sleep(600)
        if sha256 == "gone":
            raise TokenUnavailable("it is gone")
        return digest


@pytest.fixture
async def device(tmp_path):
    device = Device()
    server = await serve_rpc(tmp_path / "signer", device, SignerForWorkers, OPTIONS)
    device.handshakes = SignerForHandshakes(tmp_path / "signer", SystemClock())
    yield device
    await server.close()


async def sign(device, wanted, *, name="ab", kind="rsa"):
    act = device.handshakes.signer_of(name, key_of(kind).public_key())
    return await asyncio.to_thread(act, wanted)


@pytest.mark.parametrize(
    ("kind", "pss", "algorithm"),
    [("rsa", True, "PSS_SHA384"), ("rsa", False, "RSA_SHA384"), ("ec", False, "ECDSA_SHA384")],
)
async def test_the_signer_is_asked_by_the_algorithm_of_the_handshake(device, kind, pss, algorithm):
    assert await sign(device, ToSign(DIGEST, "sha384", pss), kind=kind) == DIGEST
    assert device.asked == [("ab", algorithm)]


async def test_a_refusal_is_told_and_the_next_handshake_asks_again(device):
    for _ in range(2):
        with pytest.raises(TokenUnavailable):
            await sign(device, ToSign(DIGEST, "sha384", pss=True), name="gone")
    assert await sign(device, ToSign(DIGEST, "sha384", pss=True)) == DIGEST


async def test_a_device_that_is_slow_is_left_alone_for_a_while(device):
    device.slow = True
    with pytest.raises(RpcTimeout):
        await sign(device, ToSign(DIGEST, "sha384", pss=True))
    device.slow = False
    with pytest.raises(DeviceSlow):
        await sign(device, ToSign(DIGEST, "sha384", pss=True))
    assert len(device.asked) == 1
