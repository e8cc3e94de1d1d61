"""Take files away: one after another, each removed when the other side has confirmed it.

A folder has confirmed a file when its bytes, read again, are on the disk. What was broken off is
begun again with the next try. `uploads.py` has the targets beyond this machine.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from sild.runtime.files import sync_directory

_CHUNK = 256 * 1024


class TransferFailed(Exception):
    """A file could not be taken away; it is where it was."""


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file that waits to be taken away; the digest is its SHA-256."""

    path: Path
    size: int
    digest: bytes

    @classmethod
    def read(cls, path: Path) -> "WaitingFile":
        """Read through a file; raises OSError."""
        with path.open("rb") as file:
            digest = _digest(file)
            return cls(path, file.tell(), digest)


class Target(Protocol):
    """Where files are taken."""

    def send(self, file: WaitingFile) -> None:
        """Return when the other side has confirmed the file; raises TransferFailed."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def take_away(paths: Iterable[Path], target: Target, *, keep: bool) -> Iterator[WaitingFile]:
    """Send files one after another, and remove each when it is confirmed, unless they are kept.

    Gives each file that was sent. Raises TransferFailed and OSError at the first that cannot be.
    """
    for path in paths:
        file = WaitingFile.read(path)
        target.send(file)
        if not keep:
            path.unlink()
            sync_directory(path.parent)
        yield file


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Be the only one that takes files away from a directory; raises TransferFailed, OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another transfer from {directory} is under way"
            raise TransferFailed(message) from None
        yield
    finally:
        os.close(descriptor)


class Folder:
    """A folder that is there: a mounted disk that is not mounted is not mistaken for one."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise TransferFailed(f"{path} is no folder: make or mount it first")
        self._path = path

    def send(self, file: WaitingFile) -> None:
        """Copy a file under a temporary name, read it again, and give it its name."""
        final = self._path / file.path.name
        try:
            if os.path.lexists(final):
                _check_is_same(final, file)
            else:
                self._copy(file, final)
            sync_directory(self._path)
        except OSError as error:
            message = f"{file.path.name} cannot be copied to {self._path}: {error.strerror}"
            raise TransferFailed(message) from error

    def close(self) -> None:
        """Nothing is held."""

    def _copy(self, file: WaitingFile, final: Path) -> None:
        temporary = self._path / f".{final.name}.part"
        temporary.unlink(missing_ok=True)
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "r+b") as copy, file.path.open("rb") as source:
                for chunk in pieces(source):
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
                # Read from the disk, not from what the kernel remembers of it.
                os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                copy.seek(0)
                if _digest(copy) != file.digest:
                    raise TransferFailed(f"{self._path} gives other bytes than it was given")
            temporary.rename(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _check_is_same(final: Path, file: WaitingFile) -> None:
    if final.samefile(file.path):
        raise TransferFailed(f"{final} is the file itself, not a copy of it")
    with final.open("rb") as there:
        if _digest(there) != file.digest:
            raise TransferFailed(f"{final} is there already, and is another file")
        os.fsync(there.fileno())


def _digest(file: IO[bytes]) -> bytes:
    running = hashlib.sha256()
    for chunk in pieces(file):
        running.update(chunk)
    return running.digest()


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of a file, piece by piece."""
    while chunk := file.read(_CHUNK):
        yield chunk
