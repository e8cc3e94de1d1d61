"""Atomic writes, private files, sets of files swapped as one, and spools that outlive nothing."""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Self, TypeVar

_T = TypeVar("_T")

_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_BEYOND_GROUP_READ = 0o037


class FileError(Exception):
    """A file or directory is not as it must be."""


class DirectoryHeld(FileError):
    """Another process works in a directory that is one process's alone."""


class FileTooLarge(FileError):
    """A file holds more than its reader allows."""


class FileNotPrivate(FileError):
    """A file that must be a secret could be read or written by others."""


class SpoolError(Exception):
    """A spool cannot take or give bytes."""


class SpoolLimitExceeded(SpoolError):
    """More bytes came than the spool may hold."""


class SpoolUnavailable(SpoolError):
    """The spool's disk refused."""


def make_private_directory(path: Path) -> None:
    """Make a directory that only this user can enter, with its parents; tighten an existing one."""
    path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise FileError(f"{path} is not a directory of its own")
    if found.st_uid != os.geteuid():
        raise FileError(f"{path} belongs to user {found.st_uid}, not to user {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) != _PRIVATE_DIRECTORY:
        path.chmod(_PRIVATE_DIRECTORY)


@contextlib.contextmanager
def hold_directory(directory: Path, lock: Path) -> Iterator[None]:
    """Keep other processes from holding the same directory; raises DirectoryHeld.

    Forks do not hold what their parent does, so whoever comes after it waits for none of them.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise DirectoryHeld(f"another process runs in {directory} already") from None
        yield
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes, *, mode: int = _PRIVATE_FILE) -> None:
    """Replace a file so that readers, and a crash, see the old or the new content and no other."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes."""
    with path.open("rb") as file:
        return _read_at_most(file, limit)


def read_private(path: Path, limit: int) -> bytes:
    """Read a secret of at most `limit` bytes; raises FileNotPrivate where others could have, too.

    The file must belong to this user or to root. Its group may read it, as that is how
    orchestrators hand secrets over.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        mode = stat.S_IMODE(found.st_mode)
        if mode & _BEYOND_GROUP_READ:
            raise FileNotPrivate(
                f"{path} has mode {mode:04o}, so others may read or change it: chmod 600 it"
            )
        if found.st_uid not in {os.geteuid(), 0}:
            raise FileNotPrivate(f"{path} belongs to user {found.st_uid}, who may change it")
        return _read_at_most(file, limit)


def _read_at_most(file: BinaryIO, limit: int) -> bytes:
    content = file.read(limit + 1)
    if len(content) > limit:
        raise FileTooLarge(f"{file.name} holds more than {limit} bytes")
    return content


class GenerationDirectory:
    """A set of files replaced as one: generations beside each other, a symlink to the current.

    The generation before the current one is kept, so that a reader who has just resolved
    `current` can finish reading.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._link = path / "current"
        make_private_directory(path)

    def current(self) -> Path | None:
        """Give the directory of the current generation, if there has been any."""
        try:
            return self._path / self._link.readlink()
        except FileNotFoundError:
            return None

    def replace(self, files: Mapping[str, bytes]) -> Path:
        """Make these files, named by relative paths, the current generation; give its directory."""
        for name in files:
            _check_relative(name)
        for leftover in self._path.glob("*.tmp"):
            _remove(leftover)
        numbers = self._numbers()
        number = max(numbers, default=0) + 1
        fresh = self._path / f"generation-{number:08d}"
        temporary = fresh.with_suffix(".tmp")
        temporary.mkdir(mode=_PRIVATE_DIRECTORY)
        _write_tree(temporary, files)
        temporary.rename(fresh)
        sync_directory(self._path)
        self._point_to(fresh.name)
        for old in sorted(numbers)[:-1]:
            _remove(self._path / f"generation-{old:08d}")
        return fresh

    def _numbers(self) -> list[int]:
        names = (
            re.fullmatch(r"generation-([0-9]{8})", entry.name) for entry in self._path.iterdir()
        )
        return [int(name[1]) for name in names if name]

    def _point_to(self, name: str) -> None:
        temporary = self._link.with_suffix(".tmp")
        temporary.symlink_to(name)
        temporary.replace(self._link)
        sync_directory(self._path)


def _check_relative(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise FileError(f"{name!r} does not name a file inside the directory")


def _write_tree(root: Path, files: Mapping[str, bytes]) -> None:
    directories = {root}
    for name, content in files.items():
        path = root / name
        for parent in reversed(path.relative_to(root).parents[:-1]):
            (root / parent).mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
            directories.add(root / parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, _PRIVATE_FILE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for directory in directories:
        sync_directory(directory)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How many bytes an item keeps in memory, an item may hold, and all items on disk may hold."""

    memory: int = 64 * 1024
    item: int = 4 * 1024**3
    total: int = 32 * 1024**3


class SpoolDirectory:
    """A place for large bodies; its files have no names, so nothing stays behind, even of a kill.

    Several processes may share the directory; the limits count what this one holds.
    """

    # Names exist only where O_TMPFILE does not, for the moment between create and unlink.
    _PREFIX = "spool-"

    def __init__(self, path: Path, limits: SpoolLimits) -> None:
        make_private_directory(path)
        for leftover in path.glob(f"{self._PREFIX}*"):
            leftover.unlink(missing_ok=True)
        self.limits = limits
        self._path = path
        self._on_disk = 0
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="spool")

    @property
    def on_disk(self) -> int:
        """The bytes that open items hold on disk."""
        return self._on_disk

    def spool(self) -> "SpooledBytes":
        """Give an empty item."""
        return SpooledBytes(self)

    def close(self) -> None:
        """Stop the threads that write; items must be closed before."""
        self._threads.shutdown()

    def open_file(self) -> int:
        """Open a nameless private file and give its descriptor."""
        try:
            return self._open_nameless()
        except OSError as error:
            raise SpoolUnavailable(f"cannot spool in {self._path}: {error.strerror}") from error

    def _open_nameless(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        with contextlib.suppress(AttributeError):
            try:
                return os.open(self._path, flags | os.O_TMPFILE, _PRIVATE_FILE)
            except OSError as error:
                # What file systems and kernels without O_TMPFILE say.
                if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
                    raise
        return self._open_unlinked()

    def _open_unlinked(self) -> int:
        descriptor, name = tempfile.mkstemp(prefix=self._PREFIX, dir=self._path)
        Path(name).unlink(missing_ok=True)
        return descriptor

    def reserve(self, count: int) -> None:
        """Count bytes that an item is about to put on disk."""
        if self._on_disk + count > self.limits.total:
            raise SpoolLimitExceeded(
                f"the spool {self._path} holds {self._on_disk} of {self.limits.total} bytes"
            )
        self._on_disk += count

    def give_back(self, count: int) -> None:
        """Count bytes that an item has freed."""
        self._on_disk -= count

    def submit(self, action: Callable[[], _T]) -> "Future[_T]":
        """Run an action in a thread."""
        return self._threads.submit(action)


class SpooledBytes:
    """Bytes that rest in memory while few and on disk when many; close it to let go of them.

    One task appends; reading begins anew with each call of `chunks`. On disk, bytes gather into
    pieces of 256 KiB that a thread writes: the hop costs about 45 microseconds a piece, and a
    slow disk then stalls this item and nobody else.
    """

    _PIECE = 256 * 1024
    _VECTORS = 512

    def __init__(self, directory: SpoolDirectory) -> None:
        self._directory = directory
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._written = 0
        self._descriptor: int | None = None
        self._thread: Future[Any] | None = None
        self._broken = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """How many bytes were appended."""
        return self._written + self._waiting_size

    def held(self) -> bytes | None:
        """Give the whole content if it never went to disk."""
        if self._descriptor is not None:
            return None
        if len(self._waiting) != 1:
            self._waiting = [b"".join(self._waiting)]
        return self._waiting[0]

    async def append(self, chunk: bytes) -> None:
        """Add bytes at the end; after an error or a cancellation the item can only be closed."""
        self._check_open()
        limits = self._directory.limits
        if self.size + len(chunk) > limits.item:
            self._broken = True
            raise SpoolLimitExceeded(f"a spooled item may hold {limits.item} bytes")
        self._waiting.append(chunk)
        self._waiting_size += len(chunk)
        limit = limits.memory if self._descriptor is None else self._PIECE
        if self._waiting_size > limit or len(self._waiting) >= self._VECTORS:
            await self._write_waiting()

    async def chunks(self, size: int = _PIECE) -> AsyncIterator[bytes]:
        """Read everything appended so far, from the beginning."""
        self._check_open()
        if (content := self.held()) is not None:
            for start in range(0, len(content), size):
                yield content[start : start + size]
            return
        await self._write_waiting()
        end, offset = self._written, 0
        while offset < end:
            chunk = await self._read(min(size, end - offset), offset)
            offset += len(chunk)
            yield chunk

    def close(self) -> None:
        """Let go of memory and disk; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._waiting.clear()
        self._directory.give_back(self._written)
        if (descriptor := self._descriptor) is None:
            return
        # A thread may still be at work for a cancelled task: its descriptor closes after it.
        if self._thread is None:
            os.close(descriptor)
        else:
            self._thread.add_done_callback(lambda _: os.close(descriptor))

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolError("a closed spool was used")
        if self._broken:
            raise SpoolUnavailable("an earlier write to this spool did not succeed")

    async def _write_waiting(self) -> None:
        if self._descriptor is None and self._waiting_size <= self._directory.limits.memory:
            self.held()
            return
        self._broken = True
        if (descriptor := self._descriptor) is None:
            descriptor = self._descriptor = self._directory.open_file()
        count, chunks, offset = self._waiting_size, self._waiting, self._written
        self._directory.reserve(count)
        self._waiting, self._waiting_size = [], 0
        self._written += count
        await self._in_thread(lambda: _write_all(descriptor, chunks, offset))
        self._broken = False

    async def _read(self, size: int, offset: int) -> bytes:
        self._check_open()
        descriptor = self._descriptor
        assert descriptor is not None  # noqa: S101 - only chunks on disk are read
        chunk = await self._in_thread(lambda: os.pread(descriptor, size, offset))
        if not chunk:
            raise SpoolUnavailable("a spooled item lost its end")
        return chunk

    async def _in_thread(self, action: Callable[[], _T]) -> _T:
        future = self._directory.submit(action)
        self._thread = future
        try:
            return await asyncio.wrap_future(future)
        except OSError as error:
            raise SpoolUnavailable(f"the spool's disk refused: {error.strerror}") from error


def _write_all(descriptor: int, chunks: list[bytes], offset: int) -> None:
    content = memoryview(chunks[0] if len(chunks) == 1 else b"".join(chunks))
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written
