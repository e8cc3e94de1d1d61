"""A PKCS #11 library: loaded, initialised as its settings say, and again when it has lost itself.

python-pkcs11 initialises libraries for one thread only, so that is done here, before its object
sees the library; everything else goes through it.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pkcs11
from pkcs11 import _pkcs11

from sild.components.signer.devices import DeviceSettings
from sild.components.signer.errors import TokenUnavailable

_CANNOT_CREATE_THREADS, _OS_LOCKING = 1, 2
_OK, _CANNOT_LOCK, _INITIALIZED = 0, 0x0A, 0x191
# Places in the list of functions, as the standard numbers them.
_INITIALIZE, _FINALIZE, _CLOSE_ALL_SESSIONS, _GET_SESSION_INFO, _FUNCTIONS = 0, 1, 14, 15, 68
_SESSION_INFO = 32  # the size of a CK_SESSION_INFO, four numbers
_REINITIALIZE_WAIT = 5.0
_NO_LIMIT = 1 << 16


class _Arguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class _FunctionList(ctypes.Structure):
    """CK_FUNCTION_LIST."""

    _fields_ = (
        ("version", ctypes.c_ubyte * 2),
        ("functions", ctypes.c_void_p * _FUNCTIONS),
    )


_OneArgument = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)
_OneNumber = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong)
_OfSession = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p)


class Library:
    """One library; its methods block, and a thread uses it only inside `call`."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._functions = _function_list(settings)
        self._turn = threading.Condition()
        self._calls = 0
        self._most = _NO_LIMIT if settings.os_locking_ok else 1
        self._loaded: Any = None
        self.generation = 0
        """How often it was initialised: sessions of before are gone."""

    @contextmanager
    def call(self) -> Iterator[None]:
        """Use the library; raises TokenUnavailable where others let go of it too late."""
        limit = self._settings.operation_timeout
        with self._turn:
            if not self._turn.wait_for(lambda: 0 <= self._calls < self._most, limit):
                raise TokenUnavailable(f"{self._settings.library} is busy for {limit:g} seconds")
            self._calls += 1
        try:
            yield
        finally:
            with self._turn:
                self._calls -= 1
                self._turn.notify_all()

    def slots(self) -> list[tuple[int, Any]]:
        """The slots that hold tokens, with their places among them."""
        present = enumerate(self._get().get_slots(token_present=True))
        wanted = frozenset(map(int, self._settings.slot_ids))
        return [(index, slot) for index, slot in present if not wanted or slot.slot_id in wanted]

    def close_all_sessions(self, slot_id: int) -> None:
        """Log out of a token and end all sessions with it, whatever became of them."""
        _OneNumber(self._functions[_CLOSE_ALL_SESSIONS])(slot_id)

    def check_session(self, handle: int) -> None:
        """Raise SessionHandleInvalid for a session that is no more."""
        room = ctypes.create_string_buffer(_SESSION_INFO)
        ask = _OfSession(self._functions[_GET_SESSION_INFO])
        if ask(handle, ctypes.addressof(room)) != _OK:
            raise pkcs11.exceptions.SessionHandleInvalid

    def initialize(self) -> None:
        """Let the library start, or start anew; its sessions are gone. Not inside `call`."""
        with self._turn:
            if not self._turn.wait_for(lambda: self._calls == 0, _REINITIALIZE_WAIT):
                raise TokenUnavailable(f"{self._settings.library} has calls that do not end")
            self._calls = -1
        try:
            self._initialize()
        finally:
            with self._turn:
                self._calls = 0
                self._turn.notify_all()

    def _initialize(self) -> None:
        _OneArgument(self._functions[_FINALIZE])(None)
        flags = _CANNOT_CREATE_THREADS if self._settings.library_cant_create_os_threads else 0
        flags |= _OS_LOCKING if self._settings.os_locking_ok else 0
        arguments = _Arguments(flags=flags)
        initialize = _OneArgument(self._functions[_INITIALIZE])
        result = initialize(ctypes.addressof(arguments))
        if result == _CANNOT_LOCK:
            self._most = 1
            result = initialize(None)
        if result not in {_OK, _INITIALIZED}:
            raise TokenUnavailable(f"{self._settings.library} does not start: error {result:#x}")
        if self._loaded is None:
            made: Any = _pkcs11.lib.__new__
            self._loaded = made(_pkcs11.lib, str(self._settings.library))
        self.generation += 1

    def _get(self) -> Any:
        if self._loaded is None:
            raise pkcs11.exceptions.DeviceError("the library is not initialised")
        return self._loaded


def _function_list(settings: DeviceSettings) -> Any:
    try:
        loaded = ctypes.CDLL(str(settings.library))
        get = loaded.C_GetFunctionList
    except (OSError, AttributeError) as error:
        raise TokenUnavailable(f"{settings.library} cannot be loaded: {error}") from error
    get.restype, get.argtypes = ctypes.c_ulong, [ctypes.c_void_p]
    found = ctypes.POINTER(_FunctionList)()
    if get(ctypes.byref(found)) != _OK:
        raise TokenUnavailable(f"{settings.library} gives no functions")
    try:
        return found.contents.functions
    except ValueError as error:  # a NULL pointer
        raise TokenUnavailable(f"{settings.library} gives no functions") from error
