"""One token of a PKCS #11 device: its sessions, its PIN, and what becomes of both.

A session that is lost (the device went away, or the library says so) is made anew, with the PIN
that was entered; what was to be signed is tried once more. A PIN that the device refuses is never
tried again by itself, for devices count.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from pkcs11 import TokenFlag
from pkcs11 import exceptions as p11

from sild.components.signer.devices import DeviceSettings, RsaMechanism
from sild.components.signer.errors import (
    ActionNotPossible,
    CannotSign,
    KeyGenerationFailed,
    KeyNotFound,
    PinIncorrect,
    PinLocked,
    SignerError,
    TokenNotActive,
    TokenReadOnly,
    TokenUnavailable,
)
from sild.components.signer.pkcs11_library import Library
from sild.components.signer.pkcs11_objects import TokenObjects, attribute_mapper
from sild.components.signer.pkcs11_threads import DeviceThreads
from sild.components.signer.ports import DeviceState, MadeKey
from sild.model.tokens import KeyAlgorithm, TokenStatus
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

_GENERATION_SECONDS = 60.0
# The device has said no, and would again.
_REFUSALS = (
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.KeyTypeInconsistent,
    p11.KeySizeRange,
    p11.DataInvalid,
    p11.DataLenRange,
    p11.FunctionNotSupported,
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.AttributeReadOnly,
    p11.TemplateIncomplete,
    p11.TemplateInconsistent,
    p11.TokenWriteProtected,
    p11.SessionReadOnly,
    p11.ArgumentsBad,
)
_PIN_ERRORS = (
    p11.PinIncorrect,
    p11.PinInvalid,
    p11.PinLenRange,
    p11.PinExpired,
    p11.PinLocked,
    p11.UserPinNotInitialized,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token is now."""

    slot: Any
    slot_index: int


class _Session:
    """A session that may be used for one thing at a time."""

    __slots__ = ("generation", "objects")

    def __init__(self, generation: tuple[int, int], objects: TokenObjects) -> None:
        self.generation = generation
        self.objects = objects


class Pkcs11Device:
    """A token, for the use cases; the methods whose names begin with an underscore block."""

    def __init__(
        self, identity: tuple[str, str], settings: DeviceSettings, library: Library, clock: Clock
    ) -> None:
        self.id, self.type = identity
        self._settings = settings
        self._library = library
        self._clock = clock
        self._threads = DeviceThreads(f"token {self.type}", settings.sessions)
        self._state = DeviceState(TokenStatus.OK, logged_in=False, type=self.type)
        self._place: Place | None = None
        self._pin: str | None = None
        # Held while sessions are opened and ended, never while the device signs.
        self._changing = threading.RLock()
        self._one_by_one = threading.Lock()
        self._telling = threading.Lock()
        self._generation = 0
        self._logged_in_at = 0
        self._login: Any = None
        self._resting: list[_Session] = []

    def state(self) -> DeviceState:
        """What is known of it now."""
        return self._state

    async def login(self, pin: str) -> None:
        """Open the keys; a PIN is tried once."""
        await self._run(partial(self._log_in_anew, pin))

    async def logout(self) -> None:
        """Close the keys, and forget the PIN."""
        self._pin = None
        self._tell(logged_in=False, available_keys=frozenset())
        await self._run(self._end_sessions)

    async def change_pin(self, old: str, new: str) -> None:
        """Refuse: a device's PIN is changed with its own tools."""
        del old, new
        raise ActionNotPossible(f"the PIN of token {self.id} is changed with the device's tools")

    async def generate(self, label: str, algorithm: KeyAlgorithm) -> MadeKey:
        """Make a key in the device."""
        self._check_writable()
        key_id = self._clock.random_bytes(20)
        try:
            made = await self._run(
                lambda: self._with_objects(lambda on: on.generate(key_id, label, algorithm)),
                _GENERATION_SECONDS,
            )
        except CannotSign as error:
            raise KeyGenerationFailed(error.message) from error
        await self.refresh()
        return made

    async def delete(self, key_id: str) -> None:
        """Remove a key for good, with the certificates that the device holds of it."""
        self._check_writable()
        await self._run(lambda: self._with_objects(lambda on: on.delete_key(key_id)))
        await self.refresh()

    async def delete_certificate(self, key_id: str, certificate: bytes) -> None:
        """Remove a certificate from the device."""
        self._check_writable()
        await self._run(
            lambda: self._with_objects(lambda on: on.delete_certificate(key_id, certificate))
        )
        await self.refresh()

    async def sign(self, key_id: str, digest: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """The signature over a digest."""
        self._check_open()
        return await self._run(
            lambda: self._with_objects(lambda on: on.sign(key_id, digest, algorithm), again=True)
        )

    async def refresh(self) -> None:
        """Look again which keys and certificates there are."""
        if self._state.logged_in:
            await self._run(lambda: self._with_objects(self._find, again=True))

    async def close(self) -> None:
        """Let go of the device."""
        self._pin = None
        with suppress(TokenUnavailable):
            await self._run(self._end_sessions, 1.0)
        self._threads.close()

    def seen(self, place: Place, token: Any) -> None:
        """Take note of where the token is; in a thread, inside `Library.call`."""
        self._place = place
        flags = int(token.flags)
        incorrect = self._state.status is TokenStatus.USER_PIN_INCORRECT
        otherwise = TokenStatus.USER_PIN_INCORRECT if incorrect else TokenStatus.OK
        self._tell(
            status=_status_of(flags, otherwise),
            available=True,
            read_only=self._settings.read_only or bool(flags & TokenFlag.WRITE_PROTECTED),
            batch_signing=self._settings.batch_signing_enabled,
            rsa_pss=self._settings.rsa_sign_mechanism is RsaMechanism.PSS,
            serial_number=token.serial.decode("utf-8", "replace").strip(),
            device_label=token.label.strip(),
            slot_index=place.slot_index,
            details=_details(place.slot, token),
        )

    def gone(self) -> None:
        """Take note that the token is not there; its PIN is kept for when it comes back."""
        if self._state.available:
            _LOG.warning("token %s of %s is gone", self._state.device_label, self.type)
        self._tell(available=False, logged_in=False, available_keys=frozenset())

    async def return_to_use(self) -> None:
        """Log in again where the token has come back and its PIN was not refused meanwhile."""
        pin = self._pin
        if pin is None or self._state.logged_in or not self._state.available:
            return
        try:
            await self._run(partial(self._log_in_anew, pin))
            _LOG.info("token %s of %s is used again", self._state.device_label, self.type)
        except SignerError as error:
            _LOG.warning("token %s of %s: %s", self._state.device_label, self.type, error)

    # What blocks.

    async def _run(self, act: Callable[[], _T], seconds: float | None = None) -> _T:
        return await self._threads.run(act, seconds or self._settings.operation_timeout)

    def _with_objects(self, act: Callable[[TokenObjects], _T], *, again: bool = False) -> _T:
        self._check_open()
        if not self._settings.sign_verify_pin:
            return self._tried(act, again=again)
        with self._one_by_one:
            try:
                self._log_in(self._entered_pin())
                return self._tried(act, again=again)
            finally:
                self._end_sessions()

    def _tried(self, act: Callable[[TokenObjects], _T], *, again: bool) -> _T:
        if self._logged_in_at != self._library.generation:
            self._heal(self._now())
        generation = self._now()
        try:
            return self._in_session(act)
        except _REFUSALS as error:
            raise CannotSign(f"token {self.id} refuses: {told(error)}") from error
        except (p11.PKCS11Error, KeyNotFound) as error:
            _LOG.warning("token %s: %s; its session is made anew", self.id, told(error))
            self._heal(generation)
            if not again:
                raise TokenUnavailable(f"token {self.id} failed: {told(error)}") from error
        try:
            return self._in_session(act)
        except p11.PKCS11Error as error:
            self.gone()
            raise TokenUnavailable(f"token {self.id} failed: {told(error)}") from error

    def _in_session(self, act: Callable[[TokenObjects], _T]) -> _T:
        generation = self._now()
        session = self._rested(generation)
        with self._library.call():
            if session is None:
                check = self._library.check_session
                objects = TokenObjects(self._open(None), self._settings, check)
                session = _Session(generation, objects)
            try:
                done = act(session.objects)
            except p11.PKCS11Error:
                with suppress(p11.PKCS11Error):
                    session.objects.session.close()
                raise
            except SignerError:
                self._resting.append(session)
                raise
        self._resting.append(session)
        return done

    def _rested(self, generation: tuple[int, int]) -> _Session | None:
        with suppress(IndexError):
            while True:
                session = self._resting.pop()
                if session.generation == generation:
                    return session
        return None

    def _now(self) -> tuple[int, int]:
        return self._library.generation, self._generation

    def _heal(self, generation: tuple[int, int]) -> None:
        """Make sessions possible again, once for all who found them lost."""
        with self._changing:
            if self._now() != generation:
                return
            pin = self._entered_pin()
            self._log_in_somehow(pin)
            if self._pin is None:
                self._end_sessions()
                raise TokenNotActive(f"nobody is logged in to token {self.id} any more")

    def _log_in_somehow(self, pin: str) -> None:
        """Log in, to a library that is started anew where that must be."""
        try:
            try:
                self._log_in(pin)
            except p11.PKCS11Error as error:
                self._start_library(error)
                self._log_in(pin)
        except p11.PKCS11Error as error:
            self.gone()
            raise TokenUnavailable(f"token {self.id}: {told(error)}") from error

    def _start_library(self, error: Exception) -> None:
        _LOG.warning("%s is started anew: %s", self._settings.library, told(error))
        self._library.initialize()
        with self._library.call():
            for index, slot in self._library.slots():
                if self.matches(index, slot.get_token()):
                    self._place = Place(slot, index)
                    return
        self.gone()
        raise TokenUnavailable(f"token {self.id} is not there")

    def matches(self, index: int, token: Any) -> bool:
        """Whether this is what is in a slot."""
        return token_id_of(self._settings, self.type, index, token) == self.id

    def _log_in_anew(self, pin: str) -> None:
        if self._place is None or not self._state.available:
            raise TokenUnavailable(f"token {self.id} is not there")
        if self._state.logged_in:
            # The device would end all sessions, and count, for what is known already.
            if pin != self._pin:
                raise PinIncorrect(f"token {self.id} is logged in, with another PIN")
            return
        with self._changing:
            self._log_in_somehow(pin)
            self._pin = pin
            # What is there is known before anybody hears that it can be used.
            self._tried(self._find, again=True)
            self._tell(status=TokenStatus.OK, logged_in=True)
            if self._settings.sign_verify_pin:
                self._end_sessions()

    def _log_in(self, pin: str) -> None:
        """End all sessions and begin with a new one; raises PinIncorrect, PinLocked."""
        with self._changing, self._library.call():
            self._end()
            try:
                # Whoever holds it is logged in; others open sessions of their own.
                self._login = self._open(pin)
            except _PIN_ERRORS as error:
                self._refused(error)
            self._logged_in_at = self._library.generation

    def _refused(self, error: p11.PKCS11Error) -> None:
        """Forget a PIN that the device did not take, and say how the device stands."""
        self._pin = None
        status = _PIN_STATUSES.get(type(error), TokenStatus.USER_PIN_INCORRECT)
        if self._place is not None and status is TokenStatus.USER_PIN_INCORRECT:
            with suppress(p11.PKCS11Error):
                status = _status_of(int(self._place.slot.get_token().flags), status)
        self._tell(status=status, logged_in=False, available_keys=frozenset())
        self._end()
        if status is TokenStatus.USER_PIN_LOCKED:
            raise PinLocked(f"the PIN of token {self.id} is locked") from error
        raise PinIncorrect(f"the PIN of token {self.id} is refused: {told(error)}") from error

    def _open(self, pin: str | None) -> Any:
        if self._place is None:
            raise p11.TokenNotPresent
        writable = not self._state.read_only
        token = self._place.slot.get_token()
        return token.open(rw=writable, user_pin=pin, attribute_mapper=attribute_mapper())

    def _end_sessions(self) -> None:
        with self._changing, self._library.call():
            self._end()

    def _end(self) -> None:
        self._resting.clear()
        self._login = None
        self._generation += 1
        if self._place is not None:
            self._library.close_all_sessions(self._place.slot.slot_id)

    def _find(self, objects: TokenObjects) -> None:
        keys, available = objects.keys()
        certificates = objects.certificates()
        self._tell(keys=keys, available_keys=available, certificates=certificates)

    def _entered_pin(self) -> str:
        if self._pin is None:
            raise TokenNotActive(f"nobody has logged in to token {self.id}")
        return self._pin

    def _check_open(self) -> None:
        if not self._state.available:
            raise TokenUnavailable(f"token {self.id} is not there")
        if not self._state.logged_in:
            raise TokenNotActive(f"nobody has logged in to token {self.id}")

    def _check_writable(self) -> None:
        self._check_open()
        if self._state.read_only:
            raise TokenReadOnly(f"token {self.id} is read only")

    def _tell(self, **changes: Any) -> None:
        with self._telling:
            self._state = replace(self._state, **changes)


def token_id_of(settings: DeviceSettings, kind: str, index: int, token: Any) -> str:
    """The id that the settings make of what a token says of itself."""
    places = {
        "moduleType": kind,
        "slotIndex": str(index),
        "serialNumber": token.serial.decode("utf-8", "replace").strip(),
        "label": token.label.strip(),
    }
    return settings.token_id(places)


_PIN_STATUSES = {
    p11.PinLocked: TokenStatus.USER_PIN_LOCKED,
    p11.PinExpired: TokenStatus.USER_PIN_EXPIRED,
    p11.PinInvalid: TokenStatus.USER_PIN_INVALID,
    p11.PinLenRange: TokenStatus.USER_PIN_INVALID,
    p11.UserPinNotInitialized: TokenStatus.NOT_INITIALIZED,
}
_FLAGS = (
    (TokenFlag.USER_PIN_LOCKED, TokenStatus.USER_PIN_LOCKED),
    (TokenFlag.USER_PIN_FINAL_TRY, TokenStatus.USER_PIN_FINAL_TRY),
    (TokenFlag.USER_PIN_COUNT_LOW, TokenStatus.USER_PIN_COUNT_LOW),
)


def _status_of(flags: int, otherwise: TokenStatus) -> TokenStatus:
    if not flags & TokenFlag.USER_PIN_INITIALIZED:
        return TokenStatus.NOT_INITIALIZED
    return next((status for flag, status in _FLAGS if flags & flag), otherwise)


def _details(slot: Any, token: Any) -> tuple[tuple[str, str], ...]:
    version = ".".join(map(str, token.firmware_version))
    return (
        ("Type", token.model.strip()),
        ("Manufacturer", token.manufacturer_id.strip()),
        ("Label", token.label.strip()),
        ("Serial number", token.serial.decode("utf-8", "replace").strip()),
        ("Slot", slot.slot_description.strip()),
        ("Slot id", str(slot.slot_id)),
        ("Firmware version", version),
    )


def told(error: BaseException) -> str:
    """An error of a library in words; most have but a name."""
    return str(error) or type(error).__name__
