import asyncio
import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sild.components.signer.errors import (
    ActionNotPossible,
    CannotSign,
    CertificateNotFound,
    KeyConfUnreadable,
    KeyNotFound,
    PinIncorrect,
    TokenNotActive,
    WrongCertificateUsage,
)
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConf, KeyConfStore
from sild.components.signer.tokens import Tokens
from sild.model.services import InvalidConfiguration
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    KeyAlgorithm,
    KeyUsage,
)
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import SystemClock
from sild.runtime.packing import encode

PIN = "Secret-1234"
SETTINGS = SignerSettings(pin_rounds=1000)
ECDSA, RSA = SignatureAlgorithm.ECDSA_SHA512, SignatureAlgorithm.RSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()
SIGNING, AUTHENTICATION = KeyUsage.SIGNING, KeyUsage.AUTHENTICATION
P256 = KeyAlgorithm.EC_P256


def opened(path) -> tuple[Tokens, KeyConfStore]:
    store = KeyConfStore(path / "keyconf")
    return Tokens(SoftToken(path / "softtoken", SystemClock(), SETTINGS), store, SETTINGS), store


def run(path, work):
    """Run the work on a token that is logged in."""

    async def whole():
        tokens, store = opened(path)
        if not tokens.token("0").initialized:
            await tokens.initialize(PIN)
        await tokens.login("0", PIN)
        try:
            return await work(tokens, store)
        finally:
            await tokens.close()

    return asyncio.run(whole())


def test_a_key_is_there_after_a_restart(tmp_path):
    async def make(tokens, store):
        return await tokens.generate_key("0", "sign", SIGNING, P256)

    async def look(tokens, store):
        token = tokens.token("0")
        signature = await tokens.sign(token.keys[0].id, DIGEST, ECDSA.uri)
        return token, signature

    made = run(tmp_path, make)
    token, signature = run(tmp_path, look)
    assert token.keys == (made,)
    assert token.available_keys == {made.id}
    assert made.label == "sign"
    ECDSA.verify(load_der_public_key(made.public_key), signature, b"message")


def test_the_status_says_whether_somebody_logged_in(tmp_path):
    async def work():
        tokens, _ = opened(tmp_path)
        seen = [tokens.token("0")]
        await tokens.initialize(PIN)
        seen.append(tokens.token("0"))
        await tokens.login("0", PIN)
        seen.append(tokens.token("0"))
        await tokens.logout("0")
        return [*seen, tokens.token("0")]

    states = [(token.initialized, token.logged_in) for token in asyncio.run(work())]
    assert states == [(False, False), (True, False), (True, True), (True, False)]


def test_many_rsa_signatures_are_made_side_by_side(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "", SIGNING, KeyAlgorithm.RSA_2048)
        signatures = [tokens.sign(key.id, DIGEST, RSA.uri) for _ in range(20)]
        return key, await asyncio.gather(*signatures)

    key, signatures = run(tmp_path, work)
    assert len(set(signatures)) == 1
    RSA.verify(load_der_public_key(key.public_key), signatures[0], b"message")


def test_an_authentication_key_signs_no_messages(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "auth", AUTHENTICATION, P256)
        with pytest.raises(CannotSign, match="authentication"):
            await tokens.sign(key.id, DIGEST, ECDSA.uri)
        assert await tokens.sign_as_server(key.id, DIGEST, ECDSA.uri)

    run(tmp_path, work)


def test_a_signing_key_proves_no_server(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "sign", SIGNING, P256)
        with pytest.raises(CannotSign):
            await tokens.sign_as_server(key.id, DIGEST, ECDSA.uri)

    run(tmp_path, work)


def with_certificate(key, status=CertificateStatus.REGISTERED):
    entry = CertificateEntry("ab" * 32, b"der", status, active=True)

    def change(conf):
        return conf.with_key(
            type(key)(key.id, key.label, key.usage, key.algorithm, key.public_key, (entry,))
        )

    return change


def test_a_signing_key_never_leaves_the_signer(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "sign", SIGNING, P256)
        await store.change(with_certificate(key))
        with pytest.raises(WrongCertificateUsage):
            tokens.auth_key("ab" * 32)
        with pytest.raises(CertificateNotFound):
            tokens.auth_key(key.id)

    run(tmp_path, work)


def test_the_key_of_an_authentication_certificate_is_given_while_somebody_is_logged_in(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "auth", AUTHENTICATION, P256)
        await store.change(with_certificate(key))
        assert tokens.auth_key("ab" * 32)[:1] == b"\x30"
        await tokens.logout("0")
        with pytest.raises(TokenNotActive):
            tokens.auth_key("ab" * 32)

    run(tmp_path, work)


def test_nothing_is_signed_after_a_logout(tmp_path):
    async def work(tokens, store):
        for algorithm, how in ((P256, ECDSA), (KeyAlgorithm.RSA_2048, RSA)):
            await tokens.login("0", PIN)
            key = await tokens.generate_key("0", "", SIGNING, algorithm)
            await tokens.logout("0")
            with pytest.raises(TokenNotActive):
                await tokens.sign(key.id, DIGEST, how.uri)

    run(tmp_path, work)


def test_a_key_with_a_registered_authentication_certificate_is_not_deleted(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "auth", AUTHENTICATION, P256)
        await store.change(with_certificate(key))
        with pytest.raises(ActionNotPossible, match="unregister"):
            await tokens.delete_key(key.id)
        await store.change(with_certificate(key, CertificateStatus.SAVED))
        await tokens.delete_key(key.id)
        with pytest.raises(KeyNotFound):
            await tokens.delete_key(key.id)

    run(tmp_path, work)
    assert [path.name for path in (tmp_path / "softtoken").iterdir()] == [".softtoken.p12"]


def test_labels_are_of_characters_that_people_can_read(tmp_path):
    async def work(tokens, store):
        key = await tokens.generate_key("0", "", SIGNING, P256)
        assert key.label == key.id
        await tokens.rename_key(key.id, "Member key")
        assert store.conf.get_key(key.id).label == "Member key"
        with pytest.raises(InvalidConfiguration):
            await tokens.rename_key(key.id, "a\nb")

    run(tmp_path, work)


def test_guesses_sent_at_once_are_tried_one_after_another(tmp_path):
    async def work(tokens, store):
        tries = (tokens.login("0", f"wrong-{number}") for number in range(10))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(outcome, PinIncorrect) for outcome in outcomes)
        assert sum("in a row" in str(outcome) for outcome in outcomes) == 7

    run(tmp_path, work)


def test_a_damaged_list_of_keys_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / "keyconf").write_bytes(b"\x93damaged")
    with pytest.raises(KeyConfUnreadable):
        KeyConfStore(tmp_path / "keyconf")


def test_a_list_of_keys_of_a_newer_release_is_left_alone(tmp_path):
    (tmp_path / "keyconf").write_bytes(encode(KeyConf(format=2)))
    with pytest.raises(KeyConfUnreadable, match="format 2"):
        KeyConfStore(tmp_path / "keyconf")


def test_a_change_that_fails_changes_nothing(tmp_path):
    async def work(tokens, store):
        await tokens.generate_key("0", "a", SIGNING, P256)
        before, saved = store.conf, (tmp_path / "keyconf").read_bytes()
        with pytest.raises(KeyNotFound):
            await store.change(lambda conf: conf.with_key(conf.get_key("B" * 40)))
        assert store.conf is before
        assert (tmp_path / "keyconf").read_bytes() == saved

    run(tmp_path, work)
