import pytest

from components.centralserver.source_builders import PIN, Central, SignerRefuses
from sild.components.centralserver.source_errors import (
    LoginFailed,
    LogoutFailed,
    PinFormatIncorrect,
    PinIncorrect,
    TokenActionNotPossible,
    TokenPinFinalTry,
    TokenPinLocked,
    UnknownToken,
)
from sild.components.centralserver.source_tokens import TokenAction
from sild.model.tokens import TokenStatus
from sild.runtime.rpc import RpcTimeout

pytestmark = pytest.mark.anyio


@pytest.fixture
async def central(database, tmp_path):
    central = await Central(database, tmp_path / "public").initialize()
    await central.keys.logout("0")
    return central


async def test_a_token_is_opened_and_closed(central):
    view = await central.sources.login.login("0", PIN)
    assert view.token.logged_in
    assert TokenAction.LOGOUT in view.actions
    view = await central.sources.login.logout("0")
    assert not view.token.logged_in
    assert TokenAction.LOGIN in view.actions


async def test_nobody_logs_in_or_out_twice(central):
    with pytest.raises(TokenActionNotPossible):
        await central.sources.login.logout("0")
    await central.sources.login.login("0", PIN)
    with pytest.raises(TokenActionNotPossible):
        await central.sources.login.login("0", PIN)


async def test_a_token_without_a_pin_is_not_opened(central):
    central.keys.change("0", status=TokenStatus.NOT_INITIALIZED)
    with pytest.raises(TokenActionNotPossible):
        await central.sources.login.login("0", PIN)


async def test_a_token_that_is_not_there_is_not_opened(central):
    with pytest.raises(UnknownToken):
        await central.sources.login.login("7", PIN)
    with pytest.raises(UnknownToken):
        await central.sources.login.logout("7")
    central.keys.change("0", available=False)
    with pytest.raises(TokenActionNotPossible):
        await central.sources.login.login("0", PIN)


async def test_a_wrong_pin_is_told_by_the_signer_s_code(central):
    with pytest.raises(PinIncorrect) as caught:
        await central.sources.login.login("0", "wrong")
    assert (caught.value.code, caught.value.metadata) == (
        "token_activation_failed",
        ("pin_incorrect",),
    )


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (TokenStatus.USER_PIN_FINAL_TRY, TokenPinFinalTry),
        (TokenStatus.USER_PIN_LOCKED, TokenPinLocked),
        (TokenStatus.USER_PIN_INCORRECT, PinIncorrect),
    ],
)
async def test_what_a_wrong_pin_leads_to_is_told(central, status, refusal):
    async def login(token_id, pin):
        central.keys.change(token_id, status=status)
        raise SignerRefuses("pin_incorrect")

    central.keys.login = login
    with pytest.raises(refusal):
        await central.sources.login.login("0", "wrong")


async def test_a_locked_token_is_not_tried(central):
    central.keys.change("0", status=TokenStatus.USER_PIN_LOCKED)
    with pytest.raises(TokenPinLocked):
        await central.sources.login.login("0", PIN)


@pytest.mark.parametrize("pin", ["", "short", "long" * 5])
async def test_a_pin_that_the_token_says_it_does_not_take_is_not_tried(central, pin):
    central.keys.change("0", details=(("Min PIN length", "8"), ("Max PIN length", "16")))
    with pytest.raises(PinFormatIncorrect):
        await central.sources.login.login("0", pin)
    await central.sources.login.login("0", PIN)


async def test_no_pin_is_never_tried(central):
    with pytest.raises(PinFormatIncorrect):
        await central.sources.login.login("0", "")


@pytest.mark.parametrize("error", [RpcTimeout("late"), SignerRefuses("token_not_available")])
async def test_a_signer_that_fails_is_told(central, error):
    central.keys.broken["login"] = error
    with pytest.raises(LoginFailed):
        await central.sources.login.login("0", PIN)
    central.keys.broken.clear()
    await central.sources.login.login("0", PIN)
    central.keys.broken["logout"] = error
    with pytest.raises(LogoutFailed):
        await central.sources.login.logout("0")
