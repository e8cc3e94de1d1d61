"""Key files that the reference's signer wrote."""

import base64
import hashlib
import re

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sild.components.signer.errors import PinIncorrect
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import SystemClock

RSA = SignatureAlgorithm.RSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()


def token_of(source, directory) -> SoftToken:
    token = SoftToken(directory, SystemClock(), SignerSettings(pin_rounds=1000))
    for path in source.glob("*.p12"):
        (directory / path.name).write_bytes(path.read_bytes())
    return token


def test_a_token_of_the_reference_opens_with_its_pin_and_signs(vectors, tmp_path):
    signer = vectors / "v6-kit" / "signer"
    token = token_of(signer / "softtoken", tmp_path / "softtoken")
    assert token.is_initialized
    with pytest.raises(PinIncorrect):
        token.login("Secret1235")
    token.login("Secret1234")
    known = re.findall(
        "<keyId>([0-9A-F]+)</keyId>\\s*<publicKey>([^<]+)</publicKey>",
        (signer / "keyconf.xml").read_text(),
    )
    assert token.available_keys == {key_id for key_id, _ in known}
    assert len(known) == 3
    for key_id, public_key in known:
        signature = token.sign(key_id, DIGEST, RSA)
        RSA.verify(load_der_public_key(base64.b64decode(public_key)), signature, b"message")


def test_key_files_of_older_releases_open(vectors, tmp_path):
    lax = SignerSettings(enforce_token_pin_policy=False, pin_rounds=1000)
    token = SoftToken(tmp_path / "softtoken", SystemClock(), lax)
    token.initialize("test")
    for path in (vectors / "signer").glob("*.p12"):
        (tmp_path / "softtoken" / path.name).write_bytes(path.read_bytes())
    token.login("test")
    assert len(token.available_keys) == 2
    for key_id in token.available_keys:
        assert token.sign(key_id, DIGEST, RSA)
