"""The files of archives in a directory: which are finished, and what they say of themselves."""

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sild.protocol.asic.archive import (
    LINKING_INFO,
    InvalidArchive,
    LinkingInfo,
    read_linking_info,
)

_NAME = re.compile(
    r"mlog-(?:(?P<group>.+)-)?(?P<first>[0-9]{14})-(?P<last>[0-9]{14})-(?P<digest>[0-9A-Za-z]+)"
    r"\.zip(?P<encrypted>\.gpg)?",
    re.DOTALL,
)
_DIGITS_OF_DIGEST = 16
_MOST_LINKING_INFO = 256_000_000
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, ValueError)


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """An archive by its name and its linking info; encrypted ones have a name alone."""

    path: Path
    size: int
    group: str
    first: datetime
    last: datetime
    digest: str
    """How the last digest begins."""
    info: LinkingInfo | None = field(default=None, repr=False)
    problem: str = ""
    """Why the linking info of an archive that is not encrypted cannot be read."""

    @property
    def is_encrypted(self) -> bool:
        """Whether it must be decrypted to be read."""
        return self.path.suffix == ".gpg"


def finished_archives(directory: Path) -> list[Path]:
    """The archives in a directory by name: what is being written, or is no archive, is not there.

    Raises OSError.
    """
    return sorted(
        path
        for path in directory.iterdir()
        if path.name.startswith("mlog-")
        and path.name.endswith((".zip", ".zip.gpg"))
        and path.is_file()
        and not path.is_symlink()
    )


def read_archive_files(paths: Iterable[Path]) -> list[ArchiveFile]:
    """What archives say, each behind the one that it goes on from; raises OSError.

    What an encrypted archive goes on from is not known: it stands where its messages belong.
    """
    return list(_in_order([read for path in paths if (read := _read(path)) is not None]))


def _read(path: Path) -> ArchiveFile | None:
    named = _NAME.fullmatch(path.name)
    if named is None:
        return None
    try:
        first, last = (_moment(named[name]) for name in ("first", "last"))
    except ValueError:
        return None
    info, problem, size = None, "", 0
    try:
        size = path.stat().st_size
        if not named["encrypted"]:
            info = _linking_info(path)
    except FileNotFoundError:
        # It has just been taken away.
        return None
    except InvalidArchive as error:
        problem = error.message
    return ArchiveFile(
        path, size, named["group"] or "", first, last, named["digest"], info, problem
    )


def _moment(digits: str) -> datetime:
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _linking_info(path: Path) -> LinkingInfo:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(LINKING_INFO) as entry:
            content = entry.read(_MOST_LINKING_INFO + 1)
    except _ZIP_ERRORS as error:
        raise InvalidArchive(f"it cannot be read as an archive: {error}") from None
    if len(content) > _MOST_LINKING_INFO:
        raise InvalidArchive("its linking info is too long")
    return read_linking_info(content)


def _in_order(files: list[ArchiveFile]) -> Iterator[ArchiveFile]:
    files = sorted(files, key=lambda file: (file.group, file.first, file.path.name))
    ends = {(file.group, file.digest) for file in files}
    followers: dict[tuple[str, str], list[ArchiveFile]] = {}
    heads = []
    for file in files:
        previous = file.info.previous.digest if file.info else ""
        end = (file.group, previous[:_DIGITS_OF_DIGEST])
        if previous and end in ends:
            followers.setdefault(end, []).append(file)
        else:
            heads.append(file)
    left = {file.path: file for file in files}
    # Whoever begins nowhere, as in a circle, is told of all the same.
    for head in [*heads, *files]:
        waiting = [head]
        while waiting:
            file = waiting.pop()
            if left.pop(file.path, None) is not None:
                yield file
                waiting += reversed(followers.get((file.group, file.digest), []))
