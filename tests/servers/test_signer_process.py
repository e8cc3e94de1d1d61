"""What is done with tokens, keys and certificates, on a signer that runs as a process."""

import asyncio
import hashlib
import shutil
import signal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from components.signer.builders import OWNER, SERVER, certify
from pki_builder import EJBCA, TestCa
from servers.signer_process import SignerProcess
from sild.components.signer.certificates import CertificateImport, RequestOrder
from sild.components.signer.errors import (
    ActionNotPossible,
    PinIncorrect,
    PinPolicyFailure,
    RequestNotFound,
    TokenInitialized,
    TokenNotActive,
    TokenNotFound,
)
from sild.model.tokens import (
    SOFT_TOKEN_ID,
    CertificateStatus,
    KeyAlgorithm,
    KeyUsage,
    PossibleAction,
    TokenState,
    TokenStatus,
    possible_actions_of,
)
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.pki.profiles import PROFILE_NAMES, Applicant, get_profile
from sild.runtime.files import write_private
from softhsm import USER_PIN, SoftHsm

pytestmark = pytest.mark.anyio

PIN, OTHER_PIN = "Secret-1234", "Another-5678"
SIGNING, AUTHENTICATION = KeyUsage.SIGNING, KeyUsage.AUTHENTICATION
ECDSA, RSA = SignatureAlgorithm.ECDSA_SHA512, SignatureAlgorithm.RSA_SHA512
P256 = KeyAlgorithm.EC_P256
DIGEST = hashlib.sha512(b"message").digest()
CA = TestCa.create()
FIELDS = {"CN": "ss1.test", "C": "EE", "O": "First", "serialNumber": "1", "OU": "unit"}


async def logged_in(signer):
    await signer.control.initialize(PIN)
    await signer.control.login(SOFT_TOKEN_ID, PIN)


def good(key, signature, how=ECDSA):
    how.verify(load_der_public_key(key.public_key), signature, b"message")


@pytest.mark.feature("KC-01")
async def test_the_software_token_is_initialised_opened_and_closed(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        assert (await signer.token()).state is TokenState.NOT_INITIALIZED
        await signer.control.initialize(PIN)
        with pytest.raises(TokenInitialized):
            await signer.control.initialize(PIN)
        assert (await signer.token()).state is TokenState.LOGGED_OUT
        await signer.control.login(SOFT_TOKEN_ID, PIN)
        assert (await signer.token()).state is TokenState.LOGGED_IN
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "k", SIGNING, P256)
        good(key, await signer.worker.sign(key.id, DIGEST, ECDSA.uri))
        await signer.control.logout(SOFT_TOKEN_ID)
        with pytest.raises(TokenNotActive):
            await signer.worker.sign(key.id, DIGEST, ECDSA.uri)
        with pytest.raises(TokenNotFound):
            await signer.control.login("1", PIN)


@pytest.mark.feature("KC-02")
async def test_a_pin_is_as_the_policy_wants_it(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        for weak in ("Secret-12", "onlysmallletters", "1234567890", "Sécret-12345"):
            with pytest.raises(PinPolicyFailure):
                await signer.control.initialize(weak)
        await signer.control.initialize(PIN)


@pytest.mark.feature("KC-02")
async def test_without_the_policy_any_pin_does(tmp_path):
    async with SignerProcess(tmp_path, **{"enforce-token-pin-policy": "false"}) as signer:
        await signer.control.initialize("1234")
        await signer.control.login(SOFT_TOKEN_ID, "1234")


@pytest.mark.feature("KC-03")
async def test_another_pin_opens_the_same_keys(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "k", SIGNING, P256)
        with pytest.raises(PinIncorrect):
            await signer.control.change_pin(SOFT_TOKEN_ID, "wrong", OTHER_PIN)
        with pytest.raises(PinPolicyFailure):
            await signer.control.change_pin(SOFT_TOKEN_ID, PIN, "1234")
        await signer.control.change_pin(SOFT_TOKEN_ID, PIN, OTHER_PIN)
        assert (await signer.token()).state is TokenState.LOGGED_OUT
        with pytest.raises(PinIncorrect):
            await signer.control.login(SOFT_TOKEN_ID, PIN)
        await signer.restart()
        assert (await signer.token()).state is TokenState.LOGGED_OUT
        await signer.control.login(SOFT_TOKEN_ID, OTHER_PIN)
        good(key, await signer.worker.sign(key.id, DIGEST, ECDSA.uri))


@pytest.mark.feature("KC-05")
async def test_the_states_of_tokens_are_told(tmp_path):
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("card")
    times = {"module-scan-interval": "1", "module-retry-interval": "0.2"}
    async with SignerProcess(tmp_path / "home", hsm, **times) as signer:
        await signer.until(lambda tokens: len(tokens) == 2)
        card = await signer.token("card")
        assert (card.status, card.state) == (TokenStatus.OK, TokenState.LOGGED_OUT)
        assert (card.type, card.is_software, card.saved_to_configuration) == ("hsm", False, False)
        with pytest.raises(PinIncorrect):
            await signer.control.login(card.id, "wrong")
        assert (await signer.token("card")).status is not TokenStatus.OK
        await signer.control.login(card.id, USER_PIN)
        assert (await signer.token("card")).state is TokenState.LOGGED_IN
        await signer.control.generate_key(card.id, "k", SIGNING, P256)
        hsm.tokens.rename(tmp_path / "away")
        hsm.tokens.mkdir()
        await signer.until(lambda tokens: tokens[1].state is TokenState.UNAVAILABLE)


@pytest.mark.feature("KC-06")
async def test_names_are_given_and_kept(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "k", SIGNING, P256)
        await signer.control.rename_token(SOFT_TOKEN_ID, "Our keys")
        await signer.control.rename_key(key.id, "Member key")
        await signer.restart()
        token = await signer.token()
        assert (token.label, token.keys[0].label) == ("Our keys", "Member key")


@pytest.mark.feature("KC-07")
async def test_a_token_that_is_gone_is_forgotten_and_no_other(tmp_path):
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("card")
    times = {"module-scan-interval": "1", "module-retry-interval": "0.2"}
    async with SignerProcess(tmp_path / "home", hsm, **times) as signer:
        await signer.until(lambda tokens: len(tokens) == 2)
        card = await signer.token("card")
        await signer.control.login(card.id, USER_PIN)
        await signer.control.generate_key(card.id, "k", SIGNING, P256)
        for there in (SOFT_TOKEN_ID, card.id):
            with pytest.raises(ActionNotPossible):
                await signer.control.delete_token(there)
        shutil.rmtree(hsm.tokens)
        hsm.tokens.mkdir()
        await signer.until(lambda tokens: not tokens[1].available)
        await signer.control.delete_token(card.id)
        assert [token.id for token in await signer.control.tokens()] == [SOFT_TOKEN_ID]
        await signer.restart()
        assert [token.id for token in await signer.control.tokens()] == [SOFT_TOKEN_ID]


def order_of(key, profile):
    """A request whose open fields are filled in as far as the profile has them."""
    applicant = Applicant(SERVER, OWNER, "First")
    signing = key.usage is SIGNING
    subject = get_profile(profile)
    known = subject.sign_subject(applicant) if signing else subject.auth_subject(applicant)
    fields = {
        each.keyword: each.value or FIELDS.get(each.keyword, "x")
        for each in known
        if not each.read_only
    }
    more = {"subjectAltName": "ss1.test"}
    return RequestOrder(key.id, SERVER, profile, OWNER, "First", {**fields, **more})


@pytest.mark.feature("KC-08")
@pytest.mark.feature("KC-21")
async def test_a_key_is_made_and_a_certificate_requested_for_every_profile(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        for usage in KeyUsage:
            key = await signer.control.generate_key(SOFT_TOKEN_ID, "", usage, P256)
            for profile in PROFILE_NAMES:
                made = await signer.control.generate_request(order_of(key, profile))
                csr = x509.load_der_x509_csr(made.der)
                assert csr.is_signature_valid
                assert x509.load_pem_x509_csr(made.pem) == csr
                names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
                assert names.value.get_values_for_type(x509.DNSName) == ["ss1.test"]
                held = csr.extensions.get_extension_for_class(x509.KeyUsage).value
                assert held.content_commitment is (usage is SIGNING)
        token = await signer.token()
        assert [len(key.requests) for key in token.keys] == [len(PROFILE_NAMES)] * 2


@pytest.mark.feature("KC-09")
async def test_no_second_certificate_is_requested_for_a_key_unless_that_is_allowed(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "", SIGNING, P256)
        order = CertificateImport(certify(CA, key).der, CertificateStatus.REGISTERED, True, OWNER)
        await signer.control.import_certificate(order)
        with pytest.raises(ActionNotPossible):
            await signer.control.generate_request(RequestOrder(key.id, SERVER, EJBCA))
        await signer.stop()
        text = signer.layout.settings_file.read_text()
        signer.layout.settings_file.write_text(text + "allow-csr-for-key-with-certificate = true\n")
        await signer.start()
        assert await signer.control.generate_request(RequestOrder(key.id, SERVER, EJBCA))


@pytest.mark.feature("KC-10")
async def test_a_request_is_had_again_and_deleted(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "", SIGNING, P256)
        made = await signer.control.generate_request(RequestOrder(key.id, SERVER, EJBCA))
        await signer.restart()
        assert await signer.control.get_request(made.id) == made
        await signer.control.delete_request(made.id)
        with pytest.raises(RequestNotFound):
            await signer.control.get_request(made.id)


@pytest.mark.feature("KC-16")
async def test_what_a_device_holds_is_deleted_here_first_and_there_next(tmp_path):
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("card")
    times = {"module-scan-interval": "1"}
    async with SignerProcess(tmp_path / "home", hsm, **times) as signer:
        await signer.until(lambda tokens: len(tokens) == 2)
        card = await signer.token("card")
        await signer.control.login(card.id, USER_PIN)
        key = await signer.control.generate_key(card.id, "k", SIGNING, P256)
        certificate = certify(CA, key)
        await signer.control.import_certificate(
            CertificateImport(certificate.der, CertificateStatus.REGISTERED, True, OWNER)
        )
        hsm.put_certificate("card", key.id, certificate.der)
        # The saved one is the one that the device holds: nothing changes in the list.
        await signer.restart()
        await signer.until(lambda tokens: tokens[1].logged_in)
        await signer.control.delete_key(key.id)
        (left,) = (await signer.token("card")).keys
        assert (left.id, left.usage, left.saved_to_configuration) == (key.id, None, False)
        (entry,) = left.certificates
        assert (entry.saved, entry.active) == (False, False)
        actions = possible_actions_of(await signer.token("card"), entry)
        assert actions == {PossibleAction.DELETE, PossibleAction.IMPORT_FROM_TOKEN}
        await signer.control.delete_key(key.id)
        assert (await signer.token("card")).keys == ()
        await signer.restart()
        await signer.until(lambda tokens: tokens[1].logged_in)
        assert (await signer.token("card")).keys == ()


@pytest.mark.feature("KC-18")
async def test_what_is_possible_is_what_is_done(tmp_path):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "", AUTHENTICATION, P256)
        token = await signer.token()
        assert PossibleAction.GENERATE_AUTH_CSR in possible_actions_of(token, token.keys[0])
        certificate = certify(CA, key)
        await signer.control.import_certificate(
            CertificateImport(certificate.der, CertificateStatus.REGISTERED)
        )
        token = await signer.token()
        (entry,) = token.keys[0].certificates
        assert possible_actions_of(token, entry) == {
            PossibleAction.UNREGISTER,
            PossibleAction.ACTIVATE,
        }
        for act in (
            signer.control.delete_certificate(entry.sha256),
            signer.control.delete_key(key.id),
            signer.control.generate_request(RequestOrder(key.id, SERVER, EJBCA)),
        ):
            with pytest.raises(ActionNotPossible):
                await act


@pytest.mark.feature("KC-19")
async def test_keys_are_of_the_kind_that_the_settings_say(tmp_path):
    kinds = {
        "signing-key-algorithm": '"RSA-3072"',
        "authentication-key-algorithm": '"EC-P256"',
    }
    async with SignerProcess(tmp_path, **kinds) as signer:
        await logged_in(signer)
        signing = await signer.control.generate_key(SOFT_TOKEN_ID, "", SIGNING)
        authentication = await signer.control.generate_key(SOFT_TOKEN_ID, "", AUTHENTICATION)
        other = await signer.control.generate_key(SOFT_TOKEN_ID, "", SIGNING, KeyAlgorithm.RSA_2048)
        assert load_der_public_key(signing.public_key).key_size == 3072
        assert load_der_public_key(authentication.public_key).curve.name == "secp256r1"
        assert load_der_public_key(other.public_key).key_size == 2048
        good(signing, await signer.worker.sign(signing.id, DIGEST, RSA.uri), RSA)


@pytest.mark.feature("KC-23")
async def test_a_server_that_follows_another_takes_over_its_keys(tmp_path):
    times = {"module-scan-interval": "1"}
    async with (
        SignerProcess(tmp_path / "one") as one,
        SignerProcess(tmp_path / "two", **times) as two,
    ):
        await logged_in(one)
        shutil.copytree(one.layout.keys, two.layout.keys, dirs_exist_ok=True)
        await two.control.login(SOFT_TOKEN_ID, PIN)
        key = await one.control.generate_key(SOFT_TOKEN_ID, "k", SIGNING, P256)
        shutil.copytree(one.layout.keys, two.layout.keys, dirs_exist_ok=True)
        await two.until(lambda tokens: tokens[0].keys == (key,))
        await two.until(lambda tokens: key.id in tokens[0].available_keys)
        good(key, await two.worker.sign(key.id, DIGEST, ECDSA.uri))


@pytest.mark.feature("KC-24")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_pin_outlives_the_process_until_somebody_logs_out(tmp_path, how):
    async with SignerProcess(tmp_path) as signer:
        await logged_in(signer)
        key = await signer.control.generate_key(SOFT_TOKEN_ID, "k", SIGNING, P256)
        await signer.restart(how)
        good(key, await signer.worker.sign(key.id, DIGEST, ECDSA.uri))
        await signer.control.logout(SOFT_TOKEN_ID)
        await signer.restart(how)
        with pytest.raises(TokenNotActive):
            await signer.worker.sign(key.id, DIGEST, ECDSA.uri)


@pytest.mark.feature("KC-24")
async def test_a_pin_is_kept_only_where_that_is_wanted(tmp_path):
    async with SignerProcess(tmp_path, **{"keep-pins": "false"}) as signer:
        await logged_in(signer)
        await signer.restart()
        assert (await signer.token()).state is TokenState.LOGGED_OUT


async def test_a_pin_that_is_refused_is_forgotten(tmp_path):
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("card")
    async with SignerProcess(tmp_path / "home", hsm) as signer:
        await signer.until(lambda tokens: len(tokens) == 2)
        card = await signer.token("card")
        await signer.stop()
        signer.pins.remember(card.id, "of before")
        await signer.start()
        await signer.until(lambda tokens: tokens[1].status is not TokenStatus.OK)
        assert signer.pins.find(card.id) is None
        assert (await signer.token("card")).state is TokenState.LOGGED_OUT


async def test_no_call_gives_a_key_that_signs_or_that_a_device_holds(tmp_path):
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("card")
    async with SignerProcess(tmp_path / "home", hsm) as signer:
        await signer.until(lambda tokens: len(tokens) == 2)
        card = await signer.token("card")
        await signer.control.login(card.id, USER_PIN)
        key = await signer.control.generate_key(card.id, "k", AUTHENTICATION, P256)
        certificate = certify(CA, key)
        name = certificate.sha256.hex()
        await signer.control.import_certificate(
            CertificateImport(certificate.der, CertificateStatus.SAVED)
        )
        assert await signer.worker.auth_key(name) is None
        good(key, await signer.worker.sign_handshake(name, DIGEST, ECDSA.uri))
        assert not hasattr(signer.control, "auth_key")


@pytest.mark.feature("CLI-02")
async def test_several_tokens_are_opened_at_the_start_from_a_file(tmp_path):
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("card")
    pins = tmp_path / "pins"
    settings = {
        "module-scan-interval": "1",
        "autologin-file": f'"{pins}"',
        "autologin-retry-interval": "0.2",
    }
    async with SignerProcess(tmp_path / "home", hsm, **settings) as signer:
        await signer.until(lambda tokens: len(tokens) == 2)
        card = await signer.token("card")
        assert not card.logged_in
        write_private(pins, f"0:{PIN}\n{card.id}:{USER_PIN}\n".encode())
        await signer.stop(signal.SIGKILL)
        await signer.start()
        # Neither has the one a PIN yet, nor was the other one seen when the signer started.
        await signer.until(lambda tokens: tokens[-1].logged_in)
        await signer.control.initialize(PIN)
        await signer.until(lambda tokens: all(token.logged_in for token in tokens))
        # Who closes a token means it.
        await signer.control.logout(SOFT_TOKEN_ID)
        await asyncio.sleep(0.5)
        assert not (await signer.token()).logged_in


@pytest.mark.feature("CLI-02")
async def test_a_token_is_opened_with_what_a_program_prints_once_it_does(tmp_path):
    ready = tmp_path / "ready"
    program = f"test -e {ready} || exit 1; echo {PIN}"
    settings = {
        "autologin-command": f'["sh", "-c", "{program}"]',
        "autologin-retry-interval": "0.1",
    }
    async with SignerProcess(tmp_path / "home", **settings) as signer:
        await signer.control.initialize(PIN)
        await asyncio.sleep(0.3)
        assert not (await signer.token()).logged_in
        ready.touch()
        await signer.until(lambda tokens: tokens[0].logged_in)


@pytest.mark.feature("CLI-02")
async def test_a_token_is_opened_with_what_a_variable_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("PIN_OF_TOKENS", PIN)
    settings = {"autologin-variable": '"PIN_OF_TOKENS"', "autologin-retry-interval": "0.1"}
    async with SignerProcess(tmp_path / "home", **settings) as signer:
        await signer.control.initialize(PIN)
        await signer.until(lambda tokens: tokens[0].logged_in)


@pytest.mark.feature("CLI-02")
async def test_a_wrong_pin_is_tried_once(tmp_path):
    write_private(tmp_path / "pins", b"Wrong-12345")
    settings = {"autologin-file": f'"{tmp_path / "pins"}"', "autologin-retry-interval": "0.1"}
    async with SignerProcess(tmp_path / "home", **settings) as signer:
        await signer.control.initialize(PIN)
        await signer.until(lambda tokens: tokens[0].status is not TokenStatus.OK)
        await asyncio.sleep(0.5)
        # Three wrong ones in a row would have slowed the right one down.
        await signer.control.login(SOFT_TOKEN_ID, PIN)
