"""What is published, as files that any web server can serve, never seen half written.

    V6/20260102030405123456789/shared-params.xml     parts: written once, and never changed
    V6/20260102030405123456789/private-params.xml
    V6/internalconf                                  directories: replaced as one
    V6/externalconf
    V5/...

The parts of a round are all there, and on the disk, before the first directory names them. They
go when nothing that names them is valid any more. A process that is killed leaves behind what
the next round tidies up.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sild.components.centralserver.source_rows import EXTERNAL_DIRECTORY, INTERNAL_DIRECTORY
from sild.runtime.files import FileError, read_bounded, sync_directory, write_private

_FOR_ALL = 0o755
_FILE_FOR_ALL = 0o644
_VERSION = re.compile(r"V([0-9]{1,2})")
_STAMP = re.compile(r"([0-9]{14})([0-9]{9})")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_UNFINISHED = ".tmp"
_LARGEST = 64_000_000
_DIRECTORIES = (INTERNAL_DIRECTORY, EXTERNAL_DIRECTORY)


def stamp_of(moment: datetime) -> str:
    """The name of a round's files: its moment, to the nanosecond."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}{moment.microsecond * 1000:09d}"


def moment_of(stamp: str) -> datetime | None:
    """The moment that such a name tells."""
    parts = _STAMP.fullmatch(stamp)
    if parts is None:
        return None
    try:
        moment = datetime.strptime(parts[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.replace(microsecond=int(parts[2]) // 1000)


def is_file_name(name: str) -> bool:
    """Whether a part may be published under this name."""
    return _FILE_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Publication:
    """One round: parts by version and file name, signed directories by version and name."""

    stamp: str
    parts: Mapping[int, Mapping[str, bytes]]
    directories: Mapping[int, Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class PublishedPart:
    """A part that is published, and since when."""

    version: int
    updated_at: datetime


class PublicationDirectory:
    """The published files of this node."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def next_stamp(self, now: datetime) -> str:
        """A name for the files of a round that begins now, after all that are there."""
        newest = max((self._stamps(version)[-1:] for version in self.versions()), default=[])
        stamp = stamp_of(now)
        if newest and newest[0] >= stamp:
            stamp = f"{int(newest[0]) + 1:023d}"
        return stamp

    def publish(self, publication: Publication) -> None:
        """Put the parts of all versions there, then their directories; all or none of the parts.

        Raises OSError and FileError, and leaves what was published as it was.
        """
        _make(self.path)
        self._tidy()
        try:
            for version, files in publication.parts.items():
                self._add_parts(version, publication.stamp, files)
        except BaseException:
            for version in publication.parts:
                shutil.rmtree(self._folder(version) / publication.stamp, ignore_errors=True)
            raise
        sync_directory(self.path)
        for version, directories in publication.directories.items():
            for name, content in directories.items():
                write_private(self._folder(version) / name, content, mode=_FILE_FOR_ALL)
        for version in set(self.versions()) - set(publication.directories):
            self._withdraw(version)

    def remove_parts_before(self, moment: datetime) -> None:
        """Remove the parts of rounds before a moment, but for the last round's."""
        for version in self.versions():
            *older, _ = self._stamps(version) or [""]
            for stamp in older:
                made = moment_of(stamp)
                if made is not None and made < moment:
                    shutil.rmtree(self._folder(version) / stamp)
            if not self._is_published(version):
                self._remove_version(version, moment)

    def versions(self) -> tuple[int, ...]:
        """The versions that there are files of, the lowest first."""
        found = (_VERSION.fullmatch(entry.name) for entry in _entries(self.path))
        return tuple(sorted(int(each[1]) for each in found if each))

    def published(self, file_name: str) -> tuple[PublishedPart, ...]:
        """The versions in which a part is published."""
        found = []
        for version in self.versions():
            stamp = self._find_stamp(version)
            moment = moment_of(stamp) if stamp else None
            if stamp and moment and (self._folder(version) / stamp / file_name).is_file():
                found.append(PublishedPart(version, moment))
        return tuple(found)

    def find_part(self, version: int, file_name: str) -> bytes | None:
        """A published part."""
        stamp = self._find_stamp(version)
        if stamp is None or not is_file_name(file_name):
            return None
        try:
            return read_bounded(self._folder(version) / stamp / file_name, _LARGEST)
        except OSError:
            return None

    def _find_stamp(self, version: int) -> str | None:
        if not self._is_published(version):
            return None
        return next(reversed(self._stamps(version)), None)

    def _is_published(self, version: int) -> bool:
        return any((self._folder(version) / name).exists() for name in _DIRECTORIES)

    def _folder(self, version: int) -> Path:
        return self.path / f"V{version}"

    def _stamps(self, version: int) -> list[str]:
        entries = _entries(self._folder(version))
        return sorted(entry.name for entry in entries if _STAMP.fullmatch(entry.name))

    def _add_parts(self, version: int, stamp: str, files: Mapping[str, bytes]) -> None:
        folder = self._folder(version)
        _make(folder)
        before = next(reversed(self._stamps(version)), None)
        unfinished = folder / f".{stamp}{_UNFINISHED}"
        _make(unfinished)
        for name, content in files.items():
            if not is_file_name(name):
                raise FileError(f"{name!r} is no name of a published file")
            _put(unfinished / name, content, before and folder / before / name)
        sync_directory(unfinished)
        unfinished.rename(folder / stamp)
        sync_directory(folder)

    def _tidy(self) -> None:
        for version in self.versions():
            for entry in _entries(self._folder(version)):
                if entry.name.startswith(".") and entry.name.endswith(_UNFINISHED):
                    _remove(entry)

    def _withdraw(self, version: int) -> None:
        for name in _DIRECTORIES:
            (self._folder(version) / name).unlink(missing_ok=True)

    def _remove_version(self, version: int, moment: datetime) -> None:
        for stamp in self._stamps(version):
            made = moment_of(stamp)
            if made is None or made >= moment:
                return
        shutil.rmtree(self._folder(version))


def _entries(path: Path) -> Iterator[Path]:
    try:
        yield from path.iterdir()
    except FileNotFoundError:
        return


def _make(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    # Whatever the process's mask is: a web server of another user reads here.
    path.chmod(_FOR_ALL)


def _put(path: Path, content: bytes, before: Path | str | None) -> None:
    """Write a file, or let it be the one of the round before where that says the same."""
    if before and _says(Path(before), content):
        # Not every file system has links.
        with contextlib.suppress(OSError):
            os.link(before, path)
            return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _FILE_FOR_ALL), "wb") as file:
        os.fchmod(file.fileno(), _FILE_FOR_ALL)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _says(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
