"""Tokens that log in by themselves."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.signer.builders import PIN, SETTINGS, opened
from sild.components.signer.autologin import Autologin, PinsUnreadable, pins_from
from sild.components.signer.errors import PinAttemptsLimited, PinIncorrect, TokenNotFound
from sild.model.tokens import SOFT_TOKEN_ID
from sild.runtime.clock import TurnedClock
from sild.runtime.files import write_private

pytestmark = pytest.mark.anyio


class Card:
    """Tokens of which one, on a device, comes later."""

    def __init__(self):
        self.there = self.is_waiting = False
        self.pins = []
        self.opened = set()

    def token(self, token_id):
        if token_id == "card" and not self.there:
            raise TokenNotFound("not there yet")
        return self if token_id in self.opened else _CLOSED

    logged_in = True

    async def login(self, token_id, pin):
        self.pins.append((token_id, pin))
        if self.is_waiting:
            raise PinAttemptsLimited("too many PINs were wrong: wait")
        if pin == "wrong":
            raise PinIncorrect("it is another")
        self.opened.add(token_id)


class _Closed:
    logged_in = False


_CLOSED = _Closed()


@pytest.fixture
def tokens():
    return Card()


def wanted(tokens, environ=None, **named):
    fields = {f"autologin_{name}": value for name, value in named.items()}
    chosen = type(SETTINGS)(pin_rounds=1000, **fields)
    return Autologin(tokens, chosen, environ or {}, TurnedClock())


def printing(text, code=0):
    return sys.executable, "-c", f"import sys; print({text!r}); sys.exit({code})"


def test_one_pin_alone_is_that_of_the_software_token():
    assert pins_from("12:34\n") == {SOFT_TOKEN_ID: "12:34"}


def test_each_of_several_tokens_has_its_line():
    assert pins_from("0:first\r\n\n card :a:b \n") == {"0": "first", "card": "a:b "}
    assert pins_from("\n") == {}


def test_a_line_of_another_form_is_refused_and_not_told():
    with pytest.raises(PinsUnreadable, match=r"^line 2 is not TOKEN:PIN$"):
        pins_from("0:first\nSecret")


@settings(max_examples=50)
@given(st.text())
def test_any_text_gives_pins_or_is_refused(text):
    try:
        pins = pins_from(text)
    except PinsUnreadable:
        return
    assert all(pins.values())


async def test_a_file_opens_the_software_token(tmp_path):
    signer = opened(tmp_path, settings=SETTINGS)
    await signer.tokens.initialize(PIN)
    write_private(tmp_path / "pin", f"{PIN}\n".encode())
    assert not await wanted(signer.tokens, file=tmp_path / "pin").attempt()
    assert signer.tokens.token("0").logged_in
    await signer.tokens.close()


async def test_a_token_that_has_no_pin_yet_is_tried_again(tmp_path):
    signer = opened(tmp_path, settings=SETTINGS)
    autologin = wanted(signer.tokens, {"PINS": PIN}, variable="PINS")
    assert await autologin.attempt()
    await signer.tokens.initialize(PIN)
    assert not await autologin.attempt()
    assert signer.tokens.token("0").logged_in
    await signer.tokens.close()


async def test_a_device_that_comes_late_is_tried_again_and_the_others_are_not(tokens):
    autologin = wanted(tokens, {"PINS": "0:1234\ncard:5678"}, variable="PINS")
    assert await autologin.attempt()
    tokens.there = True
    tokens.opened.clear()
    assert not await autologin.attempt()
    assert tokens.pins == [("0", "1234"), ("card", "5678")]


async def test_a_pin_that_is_refused_is_never_tried_again(tokens):
    autologin = wanted(tokens, {"PINS": "0:wrong\ncard:5678"}, variable="PINS")
    assert await autologin.attempt()
    assert await autologin.attempt()
    assert tokens.pins == [("0", "wrong")]


async def test_a_token_that_takes_no_pin_for_a_while_is_tried_again(tokens):
    autologin = wanted(tokens, {"PINS": "1234"}, variable="PINS")
    tokens.is_waiting = True
    assert await autologin.attempt()
    tokens.is_waiting = False
    assert not await autologin.attempt()
    assert tokens.opened == {"0"}


async def test_a_file_that_others_can_read_is_not_used(tmp_path, tokens):
    path = tmp_path / "pin"
    write_private(path, b"1234")
    path.chmod(0o644)
    assert not await wanted(tokens, file=path).attempt()
    assert tokens.pins == []


@pytest.mark.parametrize("content", [b"\xff", b"0:1\nx", b"1" * 70_000])
async def test_a_file_with_something_else_is_not_used(tmp_path, tokens, content):
    path = tmp_path / "pin"
    write_private(path, content)
    await wanted(tokens, file=path).attempt()
    assert tokens.pins == []


async def test_without_a_file_the_variable_is_read_and_then_the_program_run(tmp_path, tokens):
    given = {"file": tmp_path / "none", "variable": "PINS", "command": printing("of-program")}
    assert not await wanted(tokens, {"PINS": "of-variable"}, **given).attempt()
    tokens.opened.clear()
    assert not await wanted(tokens, {}, **given).attempt()
    assert tokens.pins == [("0", "of-variable"), ("0", "of-program")]


async def test_a_program_that_knows_no_pin_is_not_asked_again(tokens):
    assert not await wanted(tokens, command=printing("x", 127)).attempt()
    assert tokens.pins == []


@pytest.mark.parametrize(
    "command",
    [
        printing("x", 1),
        ("/does/not/exist",),
        (sys.executable, "-c", "import time; time.sleep(60)"),
    ],
)
async def test_a_program_that_fails_or_hangs_is_asked_again(tokens, command):
    autologin = wanted(tokens, command=command, command_timeout=0.3)
    assert await autologin.attempt()
    assert tokens.pins == []


async def test_nothing_is_tried_where_nothing_is_set(tokens):
    assert not await wanted(tokens).attempt()
    await wanted(tokens).run()
    assert tokens.pins == []
