"""Archives of containers whose digests chain, from one container to the next and across archives.

A link of the chain is the digest of two digests in lower-case hex, side by side: that of the link
before (nothing for the very first) and that of the container's bytes. Each archive says in its
entry `linkinginfo` with which link of which archive it goes on, and which links it adds. So no
container and no archive can be changed, left out or moved without the last link being another.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.asic.zipstream import ZipStream
from sild.protocol.errors import ProtocolError

LINKING_INFO = "linkinginfo"

_CONTAINER = ".asice"
_STRONG = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_HEX = re.compile(r"[0-9a-f]+")
_LINE_END = re.compile(r"\r?\n")
_NO_TEXT = re.compile(r"[\s\x00-\x1f\x7f]")
_NOTHING = "-"
# The characters that the reference replaces, and white space, at which its verifier cuts lines.
_UNFIT_FOR_A_NAME = re.compile(r"[\\<>/:|*?\s\x00-\x1f\x7f-\x9f]")
_LONGEST_GROUP = 200
_DIGITS_OF_DIGEST = 16
_CHUNK = 1 << 18
_MOST_CONTAINERS = 1_000_000
_MOST_LINKING_INFO = 256_000_000
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    struct.error,
    ValueError,
)


class InvalidArchive(ProtocolError):
    """An archive that cannot be read, or that is not what its linking info says."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a chain stands: its last link in hex, and the archive that has it."""

    digest: str
    archive: str

    @property
    def is_start(self) -> bool:
        """Whether nothing is linked yet."""
        return not self.digest


START = ChainHead("", "")


@dataclass(frozen=True, slots=True)
class Link:
    """A container in the chain: the digest of its link in hex, and the name of its entry."""

    digest: str
    name: str


@dataclass(frozen=True, slots=True)
class LinkingInfo:
    """What an archive says of itself: what it goes on from, and its own links in order."""

    previous: ChainHead
    algorithm: DigestAlgorithm
    links: tuple[Link, ...]


def next_link(algorithm: DigestAlgorithm, previous: str, container: bytes) -> str:
    """The link after one, for the digest of a container."""
    return algorithm.digest((previous + container.hex()).encode("ascii")).hex()


def write_linking_info(info: LinkingInfo) -> bytes:
    """The content of the entry `linkinginfo`."""
    previous = info.previous
    first = (previous.digest or _NOTHING, previous.archive or _NOTHING, info.algorithm.text)
    lines = [first, *((link.digest, link.name) for link in info.links)]
    return "".join(f"{' '.join(line)}\n" for line in lines).encode("utf-8")


def read_linking_info(data: bytes) -> LinkingInfo:
    """What the entry `linkinginfo` says; raises InvalidArchive."""
    try:
        first, *lines = _LINE_END.split(data.decode("utf-8").removesuffix("\n"))
    except UnicodeDecodeError:
        raise InvalidArchive("the linking info is not in UTF-8") from None
    previous, algorithm = _read_first_line(first)
    links = tuple(_read_line(line, algorithm) for line in lines)
    if len({link.name for link in links}) != len(links):
        raise InvalidArchive("the linking info names a container twice")
    return LinkingInfo(previous, algorithm, links)


def _read_first_line(line: str) -> tuple[ChainHead, DigestAlgorithm]:
    parts = line.split(" ")
    if len(parts) < 3:
        raise InvalidArchive(f"the linking info begins with {line[:100]!r}")
    # The reference lets white space into the names of archives.
    digest, archive, name = parts[0], " ".join(parts[1:-1]), parts[-1]
    try:
        algorithm = DigestAlgorithm.from_text(name)
    except UnsupportedAlgorithm as error:
        raise InvalidArchive(f"the linking info: {error}") from None
    if algorithm not in _STRONG:
        raise InvalidArchive(f"{algorithm.text} is too weak to prove that nothing was changed")
    if digest == _NOTHING:
        return ChainHead("", "" if archive == _NOTHING else archive), algorithm
    # The archive before may have been made by another algorithm.
    check_digest(digest)
    return ChainHead(digest, "" if archive == _NOTHING else archive), algorithm


def check_digest(digest: str) -> None:
    """Raise InvalidArchive unless this can be a link, in lower-case hex."""
    if not _HEX.fullmatch(digest) or len(digest) not in {a.size * 2 for a in _STRONG}:
        raise InvalidArchive(f"{digest[:140]!r} is no digest of a chain")


def _read_line(line: str, algorithm: DigestAlgorithm) -> Link:
    digest, _, name = line.partition(" ")
    if not _HEX.fullmatch(digest) or len(digest) != algorithm.size * 2:
        raise InvalidArchive(f"the linking info holds {line[:200]!r}, which links nothing")
    if not name or _NO_TEXT.search(name):
        raise InvalidArchive(f"the linking info names a container {name[:200]!r}")
    return Link(digest, name)


# Writing


def archive_name(
    span: tuple[datetime, datetime], digest: str, group: str | None = None, suffix: str = "zip"
) -> str:
    """The name of an archive file.

    The span is that of its messages, in UTC; the digest is its last link; the group is whose
    messages it holds, such as DEV/GOV/M1; the suffix is `zip.gpg` where it is encrypted.
    """
    first, last = (f"{moment.astimezone(UTC):%Y%m%d%H%M%S}" for moment in span)
    of = "" if group is None else f"{_UNFIT_FOR_A_NAME.sub('_', group)}-"[:_LONGEST_GROUP]
    return f"mlog-{of}{first}-{last}-{digest[:_DIGITS_OF_DIGEST]}.{suffix}"


class ArchiveWriter:
    """Writes an archive piece by piece: each call gives the bytes that come next in its file.

    Holds no more than one container and the links. An archive that is not finished is no archive:
    throw it away and start again from the same head.
    """

    def __init__(
        self, previous: ChainHead, algorithm: DigestAlgorithm = DigestAlgorithm.SHA512
    ) -> None:
        self._previous = previous
        self._algorithm = algorithm
        self._links: list[Link] = []
        self._names: set[str] = set()
        self._zip = ZipStream()
        self._first: datetime | None = None
        self._last: datetime | None = None
        self.size = 0
        """The bytes of the containers so far, by which archives are rotated."""

    @property
    def last_digest(self) -> str:
        """The last link so far; empty where the chain has none yet."""
        return self._links[-1].digest if self._links else self._previous.digest

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The moments of the oldest and of the newest message; raises InvalidArchive."""
        if self._first is None or self._last is None:
            raise InvalidArchive("an archive without a container")
        return self._first, self._last

    def add(self, name: str, container: bytes, time: datetime) -> bytes:
        """Link a container that is of a message of this time; raises InvalidArchive."""
        if not name.endswith(_CONTAINER) or _NO_TEXT.search(name) or name in self._names:
            raise InvalidArchive(f"{name!r} cannot be the name of a container in this archive")
        digest = next_link(self._algorithm, self.last_digest, self._algorithm.digest(container))
        self._links.append(Link(digest, name))
        self._names.add(name)
        self.size += len(container)
        self._first = time if self._first is None else min(self._first, time)
        self._last = time if self._last is None else max(self._last, time)
        return self._zip.add(name, container, time)

    def finish(self) -> bytes:
        """The linking info and the end of the archive; raises InvalidArchive where it is empty."""
        _, last = self.span
        info = LinkingInfo(self._previous, self._algorithm, tuple(self._links))
        return self._zip.add(LINKING_INFO, write_linking_info(info), last) + self._zip.finish()

    def head(self, file_name: str) -> ChainHead:
        """What the next archive goes on from, when this one is in a file of that name."""
        return ChainHead(self.last_digest, file_name)


# Verifying


@dataclass(frozen=True, slots=True)
class VerifiedArchive:
    """Proof that an archive holds what its links say, going on from what it says."""

    previous: ChainHead
    algorithm: DigestAlgorithm
    last_digest: str
    containers: int


def verify_archive(file: IO[bytes]) -> VerifiedArchive:
    """Verify each link of an archive in an open file; what it goes on from is its own word.

    Reads piece by piece. Raises InvalidArchive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _verify(archive)
    except _ZIP_ERRORS as error:
        raise InvalidArchive(f"it cannot be read as a zip archive: {error}") from None


def _verify(archive: zipfile.ZipFile) -> VerifiedArchive:
    names = [header.filename for header in archive.infolist()]
    if len(names) > _MOST_CONTAINERS:
        raise InvalidArchive(f"it has {len(names)} entries, which is too many")
    if len(set(names)) != len(names):
        raise InvalidArchive("two of its entries have one name")
    if LINKING_INFO not in names:
        raise InvalidArchive("it has no linking info")
    info = read_linking_info(_read_whole(archive, LINKING_INFO))
    names.remove(LINKING_INFO)
    _check_names(names, [link.name for link in info.links])
    digest = info.previous.digest
    for link in info.links:
        digest = next_link(info.algorithm, digest, _digest(archive, link.name, info.algorithm))
        if digest != link.digest:
            raise InvalidArchive(
                f"the chain breaks at {link.name}: its linking info says {link.digest},"
                f" what it holds gives {digest}"
            )
    return VerifiedArchive(info.previous, info.algorithm, digest, len(info.links))


def _check_names(found: list[str], linked: list[str]) -> None:
    if not linked and not found:
        raise InvalidArchive("it has no container")
    if found == linked:
        return
    if absent := sorted(set(linked) - set(found)):
        raise InvalidArchive(f"its linking info names {_some(absent)}, which it does not hold")
    if more := sorted(set(found) - set(linked)):
        raise InvalidArchive(f"it holds {_some(more)}, of which its linking info does not know")
    place = next(
        n for n, (one, other) in enumerate(zip(found, linked, strict=True)) if one != other
    )
    raise InvalidArchive(
        f"its containers stand in another order than in its linking info, from {found[place]} on"
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:240] for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _read_whole(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        data = entry.read(_MOST_LINKING_INFO + 1)
    if len(data) > _MOST_LINKING_INFO:
        raise InvalidArchive("its linking info is too long")
    return data


def _digest(archive: zipfile.ZipFile, name: str, algorithm: DigestAlgorithm) -> bytes:
    running = algorithm.new()
    with archive.open(name) as entry:
        for chunk in _chunks(entry.read):
            running.update(chunk)
    return running.digest()


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(_CHUNK):
        yield chunk
