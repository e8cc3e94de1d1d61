import hashlib
import os
import signal
import stat
import sys
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    pkcs12,
)

from sild.components.signer.errors import (
    CannotSign,
    KeyGenerationFailed,
    KeyNotFound,
    PinAttemptsLimited,
    PinIncorrect,
    PinPolicyFailure,
    TokenInitialized,
    TokenNotActive,
    TokenNotInitialized,
    UnsupportedSignAlgorithm,
)
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken, check_pin
from sild.model.tokens import KeyAlgorithm
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import TurnedClock

PIN = "Secret-1234"
SETTINGS = SignerSettings(pin_rounds=1000)
ECDSA, RSA = SignatureAlgorithm.ECDSA_SHA512, SignatureAlgorithm.RSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()


@pytest.fixture
def clock():
    return TurnedClock()


@pytest.fixture
def token(tmp_path, clock):
    token = SoftToken(tmp_path / "softtoken", clock, SETTINGS)
    token.initialize(PIN)
    return token


def test_a_new_token_has_no_pin(tmp_path, clock):
    token = SoftToken(tmp_path / "softtoken", clock, SETTINGS)
    assert not token.is_initialized
    assert not token.is_logged_in
    with pytest.raises(TokenNotInitialized):
        token.login(PIN)


def test_the_pin_is_set_once(token):
    assert token.is_initialized
    with pytest.raises(TokenInitialized):
        token.initialize("Another-1234")


def test_setting_the_pin_is_not_logging_in(token):
    assert not token.is_logged_in


@pytest.mark.parametrize(
    "pin", ["", "Short-123", "alllowercase", "onlytwo12345", "Nonascii-õ123", "Control-\n1234"]
)
def test_a_pin_that_is_easy_to_guess_is_refused(pin, tmp_path, clock):
    token = SoftToken(tmp_path / "softtoken", clock, SETTINGS)
    with pytest.raises(PinPolicyFailure):
        token.initialize(pin)
    assert not token.is_initialized


@pytest.mark.parametrize("pin", ["Secret1234", "secret-1234", "SECRET 1234"])
def test_a_pin_of_ten_characters_of_three_kinds_is_taken(pin):
    check_pin(pin)


def test_the_policy_can_be_switched_off_but_a_pin_there_must_be(tmp_path, clock):
    lax = SignerSettings(enforce_token_pin_policy=False, pin_rounds=1000)
    token = SoftToken(tmp_path / "softtoken", clock, lax)
    with pytest.raises(PinIncorrect):
        token.initialize("")
    token.initialize("1234")
    token.login("1234")
    assert token.is_logged_in


@pytest.mark.parametrize("pin", ["", "wrong", PIN.lower(), PIN + " ", "\udc80", "a\0b", "x" * 1000])
def test_a_wrong_pin_opens_nothing(token, pin):
    with pytest.raises(PinIncorrect):
        token.login(pin)
    assert not token.is_logged_in


def test_a_wrong_pin_leaves_an_open_token_open(token):
    token.login(PIN)
    with pytest.raises(PinIncorrect):
        token.login("wrong")
    assert token.is_logged_in


def test_who_guesses_is_slowed_down(token, clock):
    for _ in range(3):
        with pytest.raises(PinIncorrect):
            token.login("wrong")
    with pytest.raises(PinAttemptsLimited, match="3 wrong PINs"):
        token.login(PIN)
    clock.turn(timedelta(seconds=6))
    with pytest.raises(PinIncorrect) as caught:
        token.login("wrong")
    assert not isinstance(caught.value, PinAttemptsLimited)
    clock.turn(timedelta(seconds=6))
    with pytest.raises(PinAttemptsLimited):
        token.login(PIN)
    clock.turn(timedelta(seconds=6))
    token.login(PIN)


def test_a_right_pin_forgives_the_wrong_ones(token):
    for _ in range(4):
        for _ in range(2):
            with pytest.raises(PinIncorrect):
                token.login("wrong")
        token.login(PIN)


def test_the_longest_wait_is_bounded(token, clock):
    for _ in range(60):
        clock.turn(timedelta(seconds=901))
        with pytest.raises(PinIncorrect):
            token.login("wrong")
    clock.turn(timedelta(seconds=901))
    token.login(PIN)


@pytest.mark.parametrize(
    ("algorithm", "how"),
    [
        (KeyAlgorithm.EC_P256, SignatureAlgorithm.ECDSA_SHA512),
        (KeyAlgorithm.EC_P256, SignatureAlgorithm.ECDSA_SHA256),
        (KeyAlgorithm.RSA_2048, SignatureAlgorithm.RSA_SHA512),
        (KeyAlgorithm.RSA_2048, SignatureAlgorithm.RSA_SHA384),
    ],
)
def test_a_key_signs_digests(token, algorithm, how):
    token.login(PIN)
    made = token.generate(algorithm)
    digest = how.digest_algorithm.digest(b"message")
    signature = token.sign(made.id, digest, how)
    how.verify(load_der_public_key(made.public_key), signature, b"message")


def test_keys_outlive_a_logout(token, tmp_path, clock):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    token.logout()
    with pytest.raises(TokenNotActive):
        token.sign(made.id, DIGEST, ECDSA)
    again = SoftToken(tmp_path / "softtoken", clock, SETTINGS)
    again.login(PIN)
    ECDSA.verify(
        load_der_public_key(made.public_key), again.sign(made.id, DIGEST, ECDSA), b"message"
    )


def test_no_key_is_made_while_nobody_is_logged_in(token):
    with pytest.raises(TokenNotActive):
        token.generate(KeyAlgorithm.EC_P256)


def test_key_files_are_private_and_encrypted_and_as_the_reference_names_them(token, tmp_path):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    directory = tmp_path / "softtoken"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name for path in directory.iterdir()} == {".softtoken.p12", f"{made.id}.p12"}
    assert len(made.id) == 40
    assert made.id == made.id.upper()
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(ValueError, match="password"):
            pkcs12.load_pkcs12(path.read_bytes(), b"wrong")
        opened = pkcs12.load_pkcs12(path.read_bytes(), PIN.encode())
        assert opened.cert.certificate.subject.rfc4514_string() == "CN=KeyHolder"
        expected = b"pin" if path.name == ".softtoken.p12" else made.id.lower().encode()
        assert opened.cert.friendly_name == expected


def test_a_digest_of_another_length_is_not_signed(token):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    for digest in (b"", DIGEST[:-1], DIGEST + b"x"):
        with pytest.raises(CannotSign):
            token.sign(made.id, digest, ECDSA)


@pytest.mark.parametrize(
    "how",
    [
        SignatureAlgorithm.RSA_SHA512,
        SignatureAlgorithm.PSS_SHA512,
        SignatureAlgorithm.ECDSA_SHA1,
    ],
)
def test_a_key_does_not_sign_in_a_way_that_is_not_its_own(token, how):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    with pytest.raises(UnsupportedSignAlgorithm):
        token.sign(made.id, how.digest_algorithm.digest(b""), how)


def test_an_unknown_key_signs_nothing(token):
    token.login(PIN)
    with pytest.raises(KeyNotFound):
        token.sign("A" * 40, DIGEST, ECDSA)


@pytest.mark.parametrize("key_id", ["../x", ".softtoken", "", "a" * 40, "A" * 39])
def test_only_keys_are_deleted(token, key_id):
    token.login(PIN)
    with pytest.raises(KeyNotFound):
        token.delete(key_id)
    assert token.is_initialized


def test_a_deleted_key_is_gone(token, tmp_path):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    token.delete(made.id)
    with pytest.raises(KeyNotFound):
        token.sign(made.id, DIGEST, ECDSA)
    assert not (tmp_path / "softtoken" / f"{made.id}.p12").exists()


def test_a_damaged_key_file_does_not_keep_the_others_closed(token, tmp_path, caplog):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    (tmp_path / "softtoken" / f"{'A' * 40}.p12").write_bytes(b"damaged")
    token.logout()
    token.login(PIN)
    assert token.available_keys == {made.id}
    assert "A" * 40 in caplog.text


def test_a_key_is_handed_over_as_pkcs_8(token):
    token.login(PIN)
    made = token.generate(KeyAlgorithm.EC_P256)
    key = load_der_private_key(token.private_key(made.id), None)
    assert key.public_key() == load_der_public_key(made.public_key)


# Another PIN.


NEW = "Another-5678"


def files_of(token):
    return {path.name: path.read_bytes() for path in token._directory.iterdir()}


def opens(directory, clock, pin):
    """The keys that open with a PIN, which each process that starts tries."""
    fresh = SoftToken(directory, clock, SETTINGS)
    fresh.login(pin)
    return fresh.available_keys


def test_every_key_opens_with_the_new_pin_and_none_with_the_old(token, tmp_path, clock):
    token.login(PIN)
    keys = {token.generate(algorithm).id for algorithm in (KeyAlgorithm.EC_P256,) * 3}
    before = files_of(token)
    token.change_pin(PIN, NEW)
    assert not token.is_logged_in
    assert files_of(token).keys() == before.keys()
    assert not set(files_of(token).values()) & set(before.values())
    with pytest.raises(PinIncorrect):
        token.login(PIN)
    token.login(NEW)
    assert token.available_keys == keys
    assert opens(tmp_path / "softtoken", clock, NEW) == keys


def test_a_key_that_came_after_the_login_opens_with_the_new_pin_too(token, tmp_path, clock):
    token.login(PIN)
    other = SoftToken(tmp_path / "softtoken", clock, SETTINGS)
    other.login(PIN)
    made = other.generate(KeyAlgorithm.EC_P256).id
    token.change_pin(PIN, NEW)
    assert made in opens(tmp_path / "softtoken", clock, NEW)


def test_the_pin_is_changed_only_by_who_knows_it_and_to_what_the_policy_allows(token):
    with pytest.raises(TokenNotActive):
        token.change_pin(PIN, NEW)
    token.login(PIN)
    before = files_of(token)
    for old, new, refusal in (
        ("wrong", NEW, PinIncorrect),
        (PIN, "short", PinPolicyFailure),
        (PIN, "", PinPolicyFailure),
    ):
        with pytest.raises(refusal):
            token.change_pin(old, new)
    assert files_of(token) == before
    assert token.is_logged_in


def test_guessing_is_slowed_down_here_as_well(token):
    token.login(PIN)
    for _ in range(SETTINGS.pin_free_attempts):
        with pytest.raises(PinIncorrect):
            token.change_pin("wrong", NEW)
    with pytest.raises(PinAttemptsLimited):
        token.change_pin(PIN, NEW)


def killed_at(step, act):
    """Do it in a process that is killed when it asks for its so-many-th change of the disk."""
    pid = os.fork()
    if pid == 0:
        left = step

        def count(event, _):
            nonlocal left
            if event in {"open", "os.rename", "os.remove"}:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0


def test_a_process_that_is_killed_at_any_moment_leaves_all_keys_under_one_pin(
    token, tmp_path, clock
):
    token.login(PIN)
    keys = {token.generate(KeyAlgorithm.EC_P256).id for _ in range(2)}
    used, other, seen = PIN, NEW, set()
    for step in range(200):
        token.logout()
        token.login(used)
        killed = killed_at(step, partial(token.change_pin, used, other))
        opened = {}
        for pin in (used, other):
            with suppress(PinIncorrect):
                opened[pin] = opens(tmp_path / "softtoken", clock, pin)
        ((pin, found),) = opened.items()
        assert found == keys
        assert killed or pin == other
        assert {path.suffix for path in (tmp_path / "softtoken").iterdir()} == {".p12"}
        seen.add((killed, pin == other))
        if pin == other:
            used, other = other, used
        if not killed:
            break
    assert seen == {(True, False), (True, True), (False, True)}


def test_a_disk_that_refuses_leaves_the_old_pin(token, tmp_path, clock):
    token.login(PIN)
    keys = {token.generate(KeyAlgorithm.EC_P256).id}
    # A directory stands where the first key is to be written.
    (tmp_path / "softtoken" / f"{min(keys)}.p12.next").mkdir()
    with pytest.raises((KeyGenerationFailed, OSError)):
        token.change_pin(PIN, NEW)
    (tmp_path / "softtoken" / f"{min(keys)}.p12.next").rmdir()
    assert opens(tmp_path / "softtoken", clock, PIN) == keys
    assert {path.suffix for path in (tmp_path / "softtoken").iterdir()} == {".p12"}


def test_keys_that_another_has_written_are_taken_over(token, tmp_path, clock):
    """As on a server that follows another, whose files are copied to it."""
    token.login(PIN)
    other = SoftToken(tmp_path / "softtoken", clock, SETTINGS)
    other.login(PIN)
    made = other.generate(KeyAlgorithm.EC_P256)
    assert made.id not in token.available_keys
    token.rescan()
    assert token.sign(made.id, DIGEST, ECDSA)
    other.delete(made.id)
    token.rescan()
    assert token.available_keys == frozenset()
