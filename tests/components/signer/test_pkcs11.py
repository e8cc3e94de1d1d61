"""Tokens of a PKCS #11 device, on SoftHSM."""

import asyncio
import hashlib
import logging
import threading

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, ObjectClass

from sild.components.signer.devices import DeviceSettings, RsaMechanism
from sild.components.signer.errors import (
    ActionNotPossible,
    CannotSign,
    KeyNotFound,
    PinIncorrect,
    TokenNotActive,
    TokenReadOnly,
    TokenUnavailable,
    UnsupportedSignAlgorithm,
)
from sild.components.signer.pkcs11_modules import HardwareTokens
from sild.components.signer.pkcs11_threads import DeviceThreads
from sild.model.tokens import KeyAlgorithm, TokenStatus
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import SystemClock
from softhsm import USER_PIN, SoftHsm

pytestmark = pytest.mark.anyio

DIGEST = hashlib.sha512(b"message").digest()
RSA, PSS, ECDSA = (
    SignatureAlgorithm.RSA_SHA512,
    SignatureAlgorithm.PSS_SHA512,
    SignatureAlgorithm.ECDSA_SHA512,
)
P256, RSA_2048 = KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048


@pytest.fixture
def hsm(tmp_path, monkeypatch):
    made = SoftHsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    return made


class Opened:
    """The device, looked at whenever a test says so."""

    def __init__(self, hsm, **settings):
        settings = DeviceSettings(hsm.library, **settings)
        self.tokens = HardwareTokens({"hsm": settings}, SystemClock())

    async def __aenter__(self):
        await self.tokens.scan()
        return self

    async def __aexit__(self, *_):
        await self.tokens.close()

    def token(self, label="token"):
        (found,) = (
            each for each in self.tokens.present.values() if each.state().device_label == label
        )
        return found

    async def logged_in(self, label="token"):
        token = self.token(label)
        await token.login(USER_PIN)
        return token


def verify(made, how, signature):
    how.verify(load_der_public_key(made.public_key), signature, b"message")


async def test_tokens_are_seen_with_what_they_say_of_themselves(hsm):
    hsm.make_token("first")
    async with Opened(hsm) as opened:
        state = opened.token("first").state()
        assert (state.type, state.slot_index, state.logged_in) == ("hsm", 0, False)
        assert state.status is TokenStatus.OK
        assert ("Label", "first") in state.details
        (token_id,) = opened.tokens.present
        assert bytes.fromhex(token_id).decode() == f"hsm0{state.serial_number}first"


async def test_a_token_that_is_initialised_later_is_seen_by_the_next_look(hsm):
    async with Opened(hsm) as opened:
        assert opened.tokens.present == {}
        hsm.make_token()
    async with Opened(hsm) as opened:
        assert opened.token()


@pytest.mark.parametrize(
    ("algorithm", "ways"), [(RSA_2048, (RSA, PSS)), (P256, (ECDSA,))], ids=["RSA", "EC"]
)
async def test_a_key_is_made_in_the_device_and_signs(hsm, algorithm, ways):
    hsm.make_token()
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        made = await token.generate("my key", algorithm)
        (found,) = token.state().keys
        assert (found.id, found.label, found.algorithm) == (made.id, "my key", algorithm)
        assert token.state().available_keys == {made.id}
        for how in ways:
            verify(made, how, await token.sign(made.id, DIGEST, how))
        wrong = ECDSA if algorithm is RSA_2048 else RSA
        with pytest.raises(UnsupportedSignAlgorithm):
            await token.sign(made.id, DIGEST, wrong)
        with pytest.raises(CannotSign):
            await token.sign(made.id, DIGEST[1:], ways[0])
        with pytest.raises(KeyNotFound):
            await token.sign("AB" * 20, DIGEST, ways[0])


async def test_a_private_key_cannot_be_taken_out(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        await token.generate("", P256)

        def look(objects):
            (key,) = list(objects.session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
            return [
                key[each]
                for each in (
                    Attribute.SENSITIVE,
                    Attribute.EXTRACTABLE,
                    Attribute.NEVER_EXTRACTABLE,
                    Attribute.DECRYPT,
                    Attribute.UNWRAP,
                    Attribute.DERIVE,
                )
            ]

        assert await asyncio.to_thread(token._with_objects, look) == [
            True,
            False,
            True,
            False,
            False,
            False,
        ]


async def test_nothing_is_signed_before_a_login_or_after_a_logout(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        token = opened.token()
        with pytest.raises(TokenNotActive):
            await token.sign("AB", DIGEST, ECDSA)
        await token.login(USER_PIN)
        made = await token.generate("", P256)
        await token.logout()
        assert not token.state().available_keys
        with pytest.raises(TokenNotActive):
            await token.sign(made.id, DIGEST, ECDSA)
        await opened.tokens.scan()
        assert not token.state().logged_in
        await token.login(USER_PIN)
        verify(made, ECDSA, await token.sign(made.id, DIGEST, ECDSA))


async def test_a_wrong_pin_is_counted_and_not_tried_again_by_itself(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        token = opened.token()
        with pytest.raises(PinIncorrect):
            await token.login("wrong")
        state = token.state()
        # SoftHSM says that the count is low after the first; it does not tell how many are left.
        assert state.status in {TokenStatus.USER_PIN_INCORRECT, TokenStatus.USER_PIN_COUNT_LOW}
        for _ in range(3):
            await opened.tokens.scan()
        assert token.state().status is state.status
        assert not token.state().logged_in
        await token.login(USER_PIN)
        assert token.state().status is TokenStatus.OK


async def test_another_pin_does_not_log_out_who_is_logged_in(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        made = await token.generate("", P256)
        with pytest.raises(PinIncorrect):
            await token.login("wrong")
        await token.login(USER_PIN)
        verify(made, ECDSA, await token.sign(made.id, DIGEST, ECDSA))


async def test_keys_and_certificates_of_others_are_found(hsm, tmp_path):
    hsm.make_token()
    async with Opened(hsm) as opened:
        first = await opened.logged_in()
        made = await first.generate("made before", RSA_2048)
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        (found,) = token.state().keys
        assert (found.id, found.public_key) == (made.id, made.public_key)
        verify(made, RSA, await token.sign(made.id, DIGEST, RSA))


async def test_a_key_is_deleted_in_the_device(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        kept, gone = await token.generate("", P256), await token.generate("", P256)
        await token.delete(gone.id)
        assert [key.id for key in token.state().keys] == [kept.id]
        with pytest.raises(KeyNotFound):
            await token.sign(gone.id, DIGEST, ECDSA)


async def test_nothing_is_written_to_a_token_that_is_read_only(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        made = await (await opened.logged_in()).generate("", P256)
    async with Opened(hsm, read_only=True) as opened:
        token = await opened.logged_in()
        assert token.state().read_only
        verify(made, ECDSA, await token.sign(made.id, DIGEST, ECDSA))
        for act in (token.generate("", P256), token.delete(made.id)):
            with pytest.raises(TokenReadOnly):
                await act


async def test_the_pin_of_a_device_is_changed_with_its_own_tools(hsm):
    hsm.make_token()
    async with Opened(hsm) as opened:
        with pytest.raises(ActionNotPossible):
            await opened.token().change_pin(USER_PIN, "another")


@pytest.mark.parametrize("locking", [True, False])
async def test_signatures_are_made_side_by_side(hsm, locking):
    hsm.make_token("one")
    hsm.make_token("two")
    async with Opened(hsm, os_locking_ok=locking) as opened:
        keys = []
        for label in ("one", "two"):
            token = await opened.logged_in(label)
            keys.append((token, await token.generate("", P256)))
        signatures = await asyncio.gather(
            *(token.sign(made.id, DIGEST, ECDSA) for _ in range(30) for token, made in keys)
        )
        for index, signature in enumerate(signatures):
            verify(keys[index % 2][1], ECDSA, signature)


async def test_a_pin_can_be_wanted_for_each_signature(hsm):
    hsm.make_token()
    async with Opened(hsm, sign_verify_pin=True) as opened:
        token = await opened.logged_in()
        made = await token.generate("", P256)
        signatures = await asyncio.gather(*(token.sign(made.id, DIGEST, ECDSA) for _ in range(5)))
        for signature in signatures:
            verify(made, ECDSA, signature)
        await token.logout()
        with pytest.raises(TokenNotActive):
            await token.sign(made.id, DIGEST, ECDSA)


async def test_only_the_slots_of_the_settings_are_looked_at(hsm):
    hsm.make_token("one")
    hsm.make_token("two")
    async with Opened(hsm) as opened:
        slot = dict(opened.token("two").state().details)["Slot id"]
    async with Opened(hsm, slot_ids=(slot,)) as opened:
        (token,) = opened.tokens.present.values()
        assert token.state().device_label == "two"


async def test_of_two_tokens_with_one_id_either_will_do(hsm):
    for _ in range(2):
        hsm.make_token("alike")
    async with Opened(hsm, token_id_format="{moduleType}{label}") as opened:
        assert list(opened.tokens.present) == [b"hsmalike".hex()]


async def test_the_mechanism_of_the_settings_is_told(hsm):
    hsm.make_token()
    async with Opened(hsm, rsa_sign_mechanism=RsaMechanism.PSS) as opened:
        assert opened.token().state().rsa_pss


async def test_a_device_that_went_away_is_used_again_when_it_comes_back(hsm, caplog):
    hsm.make_token()
    away = hsm.tokens.with_name("away")
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        made = await token.generate("", P256)
        for looked_at in (True, False):
            hsm.tokens.rename(away)
            hsm.tokens.mkdir()
            if looked_at:
                with pytest.raises(TokenUnavailable, match=r"gone|device hsm"):
                    await opened.tokens.scan()
            for _ in range(2):
                with pytest.raises(TokenUnavailable):
                    await token.sign(made.id, DIGEST, ECDSA)
            assert (token.state().available, token.state().logged_in) == (False, False)
            hsm.tokens.rmdir()
            away.rename(hsm.tokens)
            await opened.tokens.scan()
            assert (token.state().available, token.state().logged_in) == (True, True)
            verify(made, ECDSA, await token.sign(made.id, DIGEST, ECDSA))


async def test_sessions_that_are_lost_are_made_anew_unnoticed(hsm):
    hsm.make_token("one")
    hsm.make_token("two")
    async with Opened(hsm) as opened:
        keys = []
        for label in ("one", "two"):
            token = await opened.logged_in(label)
            keys.append((token, await token.generate("", P256)))
            await token.sign(keys[-1][1].id, DIGEST, ECDSA)
        library = keys[0][0]._library
        slot = keys[0][0]._place.slot.slot_id
        for lose in (
            lambda: library.close_all_sessions(slot),
            library.initialize,
            lambda: [library.close_all_sessions(slot), library.initialize()],
        ):
            await asyncio.to_thread(lose)
            for token, made in keys:
                verify(made, ECDSA, await token.sign(made.id, DIGEST, ECDSA))


async def test_a_pin_that_was_changed_elsewhere_is_not_tried_twice(hsm):
    directory = hsm.make_token()
    async with Opened(hsm) as opened:
        token = await opened.logged_in()
        made = await token.generate("", P256)
        # The token is another one in the same place now, with another PIN.
        library = token._library
        await asyncio.to_thread(library.close_all_sessions, token._place.slot.slot_id)
        token._pin = "another"
        with pytest.raises(PinIncorrect):
            await token.sign(made.id, DIGEST, ECDSA)
        assert directory.exists()
        assert not token.state().logged_in
        with pytest.raises(TokenNotActive):
            await token.sign(made.id, DIGEST, ECDSA)
        await opened.tokens.scan()
        assert not token.state().logged_in


async def test_a_library_that_cannot_be_loaded_holds_up_no_other(hsm, tmp_path, caplog):
    hsm.make_token()
    tokens = HardwareTokens(
        {
            "broken": DeviceSettings(tmp_path / "none.so"),
            "hsm": DeviceSettings(hsm.library),
        },
        SystemClock(),
    )
    with pytest.raises(TokenUnavailable, match="broken"):
        await tokens.scan()
    (token,) = tokens.present.values()
    await token.login(USER_PIN)
    await tokens.close()


async def test_a_blocked_device_holds_up_no_other(hsm):
    hsm.make_token("one")
    hsm.make_token("two")
    freed = threading.Event()
    async with Opened(hsm, sessions=1, operation_timeout=3.0) as opened:
        one, two = await opened.logged_in("one"), await opened.logged_in("two")
        made = await two.generate("", P256)
        blocked = asyncio.create_task(one._run(lambda: one._with_objects(lambda _: freed.wait(60))))
        await asyncio.sleep(0.1)
        verify(made, ECDSA, await two.sign(made.id, DIGEST, ECDSA))
        with pytest.raises(TokenUnavailable, match=r"within 3 seconds"):
            await blocked
        with pytest.raises(TokenUnavailable, match="does not answer"):
            await one.sign("AB", DIGEST, ECDSA)
        verify(made, ECDSA, await two.sign(made.id, DIGEST, ECDSA))
        freed.set()
        for _ in range(3000):
            await asyncio.sleep(0.02)
            if not one._threads._stuck:
                break
        made = await one.generate("", P256)
        verify(made, ECDSA, await one.sign(made.id, DIGEST, ECDSA))


async def test_a_call_that_was_given_up_before_it_began_is_not_made():
    threads = DeviceThreads("device", 1)
    freed, made = threading.Event(), []
    first = asyncio.create_task(threads.run(lambda: freed.wait(60), 60))
    await asyncio.sleep(0.05)
    with pytest.raises(TokenUnavailable):
        await threads.run(lambda: made.append(1), 0.05)
    freed.set()
    await first
    await asyncio.sleep(0.2)
    assert await threads.run(lambda: "done", 60) == "done"
    assert made == []
    threads.close()


async def test_what_a_call_raises_is_raised_and_cancelling_leaves_no_trace(caplog):
    threads = DeviceThreads("device", 2)

    def fail():
        raise CannotSign("no")

    with pytest.raises(CannotSign):
        await threads.run(fail, 60)
    freed = threading.Event()
    waiting = asyncio.create_task(threads.run(lambda: freed.wait(60) and fail(), 60))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    freed.set()
    assert await threads.run(lambda: 1, 60) == 1
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(0.05)
    assert "never retrieved" not in caplog.text
    threads.close()
