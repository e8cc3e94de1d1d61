"""Secrets in memory that outlive the process that uses them, but not the machine's next start.

They are in a file without a name that is on no disk (memfd). The supervisor holds it for the
process that writes and reads it, and all others let go of it before they do anything. Where the
service manager keeps descriptors (`FileDescriptorStoreMax=` of systemd), they outlive a restart of
the whole service as well. What holds it cannot be looked into by others of its user.
"""

import array
import contextlib
import ctypes
import itertools
import logging
import os
import socket
import zlib
from collections.abc import Mapping

from sild.runtime.packing import PackingError, decode, encode

_LOG = logging.getLogger(__name__)

_NAME = "sild-secrets"
_FIRST_PASSED = 3  # SD_LISTEN_FDS_START
_PR_SET_DUMPABLE = 4
_CHECKSUM = 4
_LARGEST = 64 * 1024
_Secrets = Mapping[str, str]


class KeptSecrets:
    """Texts by name; what cannot be read counts as none."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, environ: Mapping[str, str]) -> "KeptSecrets":
        """What the service manager has kept, or something new, which it is asked to keep."""
        _be_seen_by_others(seen=False)
        descriptor = _passed(environ)
        if descriptor is None:
            descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC)
            _hand_over(environ, descriptor)
        return cls(descriptor)

    def let_go(self) -> None:
        """Have no more to do with them, as every process that needs none begins with."""
        os.close(self._descriptor)
        self._descriptor = -1
        _be_seen_by_others(seen=True)

    def remember(self, name: str, secret: str) -> None:
        """Keep a secret."""
        self._write({**self._read(), name: secret})

    def forget(self, name: str) -> None:
        """Keep it no more."""
        kept = self._read()
        if name in kept:
            self._write({key: value for key, value in kept.items() if key != name})

    def find(self, name: str) -> str | None:
        """The secret that is kept."""
        return self._read().get(name)

    def _read(self) -> _Secrets:
        content = os.pread(self._descriptor, _LARGEST, 0)
        written = content[_CHECKSUM:]
        # A process may have been killed while it wrote.
        if zlib.crc32(written).to_bytes(_CHECKSUM, "big") != content[:_CHECKSUM]:
            return {}
        try:
            kept: _Secrets = decode(dict[str, str], written)
        except PackingError:
            return {}
        return kept

    def _write(self, secrets: _Secrets) -> None:
        content = encode(dict(secrets), dict[str, str])
        before = os.fstat(self._descriptor).st_size
        written = zlib.crc32(content).to_bytes(_CHECKSUM, "big") + content
        os.pwrite(self._descriptor, written.ljust(before, b"\0"), 0)
        os.ftruncate(self._descriptor, len(written))


def forget_variable(name: str | None) -> None:
    """Remove a variable from this process's environment, and from what the system tells of it.

    /proc/PID/environ shows the memory that the process started with, whatever was unset since.
    """
    if name is None or name not in os.environ:
        return
    prefix = os.fsencode(name) + b"="
    variables = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    for number in itertools.count():
        address: int | None = variables[number]
        if address is None:
            break
        text = ctypes.string_at(address)
        if text.startswith(prefix):
            ctypes.memset(address + len(prefix), 0, len(text) - len(prefix))
    del os.environ[name]


def _passed(environ: Mapping[str, str]) -> int | None:
    """The descriptor of that name that the service manager gave back to this process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    if _NAME not in names:
        return None
    descriptor = _FIRST_PASSED + names.index(_NAME)
    os.set_inheritable(descriptor, False)
    return descriptor


def _hand_over(environ: Mapping[str, str], descriptor: int) -> None:
    """Ask the service manager, if there is one, to keep the descriptor."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = f"FDSTORE=1\nFDNAME={_NAME}".encode()
    rights = array.array("i", [descriptor]).tobytes()
    try:
        with (
            contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager,
        ):
            manager.connect(address)
            manager.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except OSError as error:
        _LOG.warning("secrets do not outlive a restart of the service: %s", error)


def _be_seen_by_others(*, seen: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, int(seen), 0, 0, 0)
