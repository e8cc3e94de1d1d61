"""The parts of a reference security server's backup that something is made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from sild.components.takeover.archive import ArchiveEntry, ArchiveLimits, read_entries, read_whole
from sild.components.takeover.copytext import Row
from sild.components.takeover.dump import DumpLimits, read_dump
from sild.components.takeover.errors import BackupOfAnother, BackupUnreadable
from sild.components.takeover.findings import Finding, note

TABLES = frozenset(
    {
        "serverconf",
        "client",
        "identifier",
        "certificate",
        "servicedescription",
        "service",
        "endpoint",
        "accessright",
        "localgroup",
        "groupmember",
        "tsp",
        "apikey",
        "uiuser",
    }
)
"""The tables of the server's configuration that are read."""

_ROOT = "etc/xroad/"
_DUMP = "var/lib/xroad/dbdump.dat"
_LARGEST_FILE = 64 * 1024 * 1024
_SECURITY, _CENTRAL = "security_", "central_"
_VERSION = re.compile(r"XROAD_7\.\d+_")
_WANTED = re.compile(
    r"configuration-anchor\.xml"
    r"|signer/(keyconf\.xml|devices\.ini|softtoken/[^/]+\.p12)"
    r"|devices\.ini"
    r"|conf\.d/(local|override-[^/]+)\.ini"
    r"|ssl/(internal|proxy-ui-api)\.(key|crt|p12)"
)
_LEFT: tuple[tuple[str, str], ...] = (
    (r"autologin", "PINs are entered by a file or a command that [server] names: set it there"),
    (r"conf\.d/mail\.yml", "notifications by mail are set up anew"),
    (r"conf\.d/acme\.yml|ssl/acme\.p12", "accounts with certification authorities are made anew"),
    (r"services/local\.(properties|conf)", "it is about Java, and there is none here"),
    (r"jetty/.*", "it is about Jetty, and there is none here"),
    (r"db\.properties", "the database of the old server stays with it"),
    (r"ssl\.properties", "the TLS of the management API is set in sild.toml"),
    (r"monitor/.*|conf\.d/addons/.*", "add-ons have no files of their own here"),
)


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """How much of a backup is read."""

    archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    dump: DumpLimits = field(default_factory=DumpLimits)
    file: int = _LARGEST_FILE


@dataclass(frozen=True, slots=True)
class Bundle:
    """A backup: whose it says that it is, files by their names below /etc/xroad, and tables.

    `server` is the text form of the server's identifier; it ends early where it is long.
    """

    server: str
    files: Mapping[str, bytes]
    tables: Mapping[str, tuple[Row, ...]]
    left: tuple[Finding, ...]


def read_bundle(file: IO[bytes], limits: BundleLimits | None = None) -> Bundle:
    """What a backup holds; raises BackupUnreadable and BackupOfAnother."""
    limits = limits or BundleLimits()
    reader = _Reader(limits)
    for entry in read_entries(file, limits.archive):
        reader.take(entry)
    return reader.finish()


class _Reader:
    def __init__(self, limits: BundleLimits) -> None:
        self._limits = limits
        self._label: str | None = None
        self._files: dict[str, bytes] = {}
        self._tables: Mapping[str, tuple[Row, ...]] | None = None
        self._left: dict[str, Finding] = {}

    def take(self, entry: ArchiveEntry) -> None:
        """Take what is wanted of an entry."""
        if entry.is_label:
            self._take_label(entry.name)
        elif self._label is None:
            raise BackupOfAnother(
                f"the file begins with {entry.name!r}, and not with a label that says of which"
                " server it is: it is no backup of a security server"
            )
        elif entry.name == _DUMP:
            if self._tables is not None:
                raise BackupUnreadable("the backup holds two dumps of the database")
            _check_file(entry)
            self._tables = read_dump(entry.content, TABLES, self._limits.dump)
        elif entry.name.startswith(_ROOT):
            self._take_file(entry, entry.name.removeprefix(_ROOT))

    def finish(self) -> Bundle:
        """All that was taken."""
        if self._label is None:
            raise BackupUnreadable("the file holds nothing")
        if self._tables is None:
            raise BackupUnreadable(
                "the backup holds no dump of the database: it was made without one (option -S)"
            )
        server = self._label.split("_", 3)[-1]
        return Bundle(server, self._files, self._tables, tuple(self._left.values()))

    def _take_label(self, label: str) -> None:
        if self._label is not None:
            raise BackupUnreadable("the backup is labelled twice")
        _check_label(label)
        self._label = label

    def _take_file(self, entry: ArchiveEntry, name: str) -> None:
        if _WANTED.fullmatch(name):
            _check_file(entry)
            if name in self._files:
                raise BackupUnreadable(f"the backup holds {entry.name} twice")
            self._files[name] = read_whole(entry, self._limits.file)
        elif entry.is_file:
            self._left |= {found.what: found for found in _left(name)}


def _check_label(label: str) -> None:
    if label.startswith(_CENTRAL):
        raise BackupOfAnother("the backup is of a Central Server: only security servers come over")
    if not label.startswith(_SECURITY):
        raise BackupOfAnother(f"the backup says that it is {label[:100]!r}: no security server")
    if not _VERSION.match(label.removeprefix(_SECURITY)):
        raise BackupOfAnother(
            f"the backup says that it is {label[:100]!r}: only those of version 7 are read;"
            " upgrade the old server first"
        )


def _check_file(entry: ArchiveEntry) -> None:
    if not entry.is_file:
        raise BackupUnreadable(f"{entry.name!r} is a link or a directory where a file belongs")


def _left(name: str) -> list[Finding]:
    return [note(name, why) for pattern, why in _LEFT if re.fullmatch(pattern, name)]
