"""Logs in to tokens without a person: PINs come from a file, a variable or a program.

One PIN alone is that of the software token; of several tokens, each has a line `TOKEN:PIN`. A PIN
that a token refuses is never tried again, as a device would lock itself; everything else is tried
until it succeeds: devices come late, and what knows the PINs may be away for a while.
"""

import asyncio
import logging
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path

from sild.components.signer.errors import (
    PinAttemptsLimited,
    PinIncorrect,
    PinLocked,
    SignerError,
)
from sild.components.signer.settings import SignerSettings
from sild.components.signer.tokens import Tokens
from sild.model.tokens import SOFT_TOKEN_ID
from sild.runtime.clock import Clock
from sild.runtime.files import FileError, FileNotPrivate, read_private

_LOG = logging.getLogger(__name__)
_LARGEST = 64 * 1024
_NO_PIN = 127


class PinsUnreadable(Exception):
    """What should be PINs is not; nothing of it is told."""


class NoPins(Exception):
    """Nobody knows a PIN, which is no failure."""


class PinsAway(Exception):
    """The PINs cannot be had now."""


def pins_from(text: str) -> Mapping[str, str]:
    """The PINs by token; raises PinsUnreadable."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        return {SOFT_TOKEN_ID: lines[0]}
    pins = {}
    for number, line in enumerate(lines, 1):
        token_id, colon, pin = line.partition(":")
        if not colon or not token_id.strip() or not pin:
            raise PinsUnreadable(f"line {number} is not TOKEN:PIN")
        pins[token_id.strip()] = pin
    return pins


class Autologin:
    """Enters the PINs of one start of the signer."""

    def __init__(
        self, tokens: Tokens, settings: SignerSettings, environ: Mapping[str, str], clock: Clock
    ) -> None:
        self._tokens = tokens
        self._settings = settings
        self._environ = environ
        self._clock = clock
        self._done: set[str] = set()
        self._told = ""

    @property
    def waits_for_program(self) -> bool:
        """Whether an attempt may take long."""
        return bool(self._settings.autologin_command)

    async def run(self) -> None:
        """Try until there is nothing left to try."""
        while await self.attempt():
            await self._clock.sleep(self._settings.autologin_retry_interval)

    async def attempt(self) -> bool:
        """Enter each PIN that was not accepted or refused yet; whether to try again."""
        try:
            pins = pins_from(await self._text())
        except NoPins:
            return False
        except (PinsUnreadable, FileNotPrivate) as error:
            # A PIN that others could read is not entered, nor when that was put right: it should
            # be another one by then.
            _LOG.error("no PIN is entered: %s", error)
            return False
        except PinsAway as error:
            self._tell(f"the PINs cannot be had yet: {error}")
            return True
        for token_id, pin in pins.items():
            await self._enter(token_id, pin)
        return not pins.keys() <= self._done

    async def _enter(self, token_id: str, pin: str) -> None:
        if token_id in self._done:
            return
        try:
            if not self._tokens.token(token_id).logged_in:
                await self._tokens.login(token_id, pin)
                _LOG.info("token %s is logged in", token_id)
        except (SignerError, OSError) as error:
            if not _is_refusal(error):
                self._tell(f"token {token_id} is not logged in yet: {error}")
                return
            _LOG.error("token %s refuses its PIN, which is not tried again: %s", token_id, error)
        self._done.add(token_id)

    async def _text(self) -> str:
        path, variable = self._settings.autologin_file, self._settings.autologin_variable
        if path is not None and (text := await asyncio.to_thread(_read, path)) is not None:
            return text
        if variable is not None and self._environ.get(variable):
            return self._environ[variable]
        if self._settings.autologin_command:
            return await self._printed(self._settings.autologin_command)
        raise NoPins

    async def _printed(self, command: tuple[str, ...]) -> str:
        limit = self._settings.autologin_command_timeout
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
        except OSError as error:
            raise PinsAway(f"{command[0]} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(limit):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise PinsAway(f"{command[0]} takes longer than {limit} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == _NO_PIN:
            _LOG.info("%s knows no PIN", command[0])
            raise NoPins
        if process.returncode != 0:
            raise PinsAway(f"{command[0]} ended with {process.returncode}")
        return _decoded(printed)

    def _tell(self, message: str) -> None:
        if message != self._told:
            _LOG.warning("%s", message)
            self._told = message


def _is_refusal(error: Exception) -> bool:
    """Whether a token has seen the PIN and will never take it."""
    refused = isinstance(error, PinIncorrect | PinLocked)
    return refused and not isinstance(error, PinAttemptsLimited)


def _read(path: Path) -> str | None:
    try:
        return _decoded(read_private(path, _LARGEST))
    except FileNotPrivate:
        raise
    except FileNotFoundError:
        _LOG.warning("there are no PINs in %s", path)
        return None
    except (OSError, FileError) as error:
        raise PinsAway(str(error)) from error


def _decoded(data: bytes) -> str:
    if len(data) > _LARGEST:
        raise PinsUnreadable("more was given than PINs can be")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise PinsUnreadable("the PINs are not UTF-8") from None
