"""The inside of a backup: a tar whose first entry, the manifest, says what else is in it.

    manifest.json                       format, kind and identity of the server, digests
    databases/<DATABASE>/<TABLE>.jsonl  the rows of a table
    files/<ROOT>/...                    a file, or those of a directory

What is read may be hostile: plain POSIX entries of files alone are accepted, each named in the
manifest, within limits, and none leads out of the directory that it is unpacked into.
"""

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sild.components.backup.errors import BackupFailed, BackupRefused

FORMAT = 1
MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 16 * 1024 * 1024
_BLOCK = 512
_PIECE = 256 * 1024
_LONGEST_TEXT = 2000
_ROOT = r"[a-z0-9_][a-z0-9._-]*"
_ENTRY = re.compile(rf"databases/{_ROOT}/[a-z0-9_]+\.jsonl|files/{_ROOT}(/[^/]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OCTAL = re.compile(rb"[0-7]+[ \0]?")


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How many bytes and how many files a backup may hold."""

    size: int
    entries: int = 50_000


@dataclass(frozen=True, slots=True)
class Entry:
    """How long a part of a backup is, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of: the kind of server, which one, its version, and the parts by name."""

    kind: str
    identity: str
    version: str
    made: datetime
    entries: Mapping[str, Entry]

    def to_json(self) -> bytes:
        """The manifest as the entry that it is."""
        return json.dumps(
            {
                "format": FORMAT,
                "kind": self.kind,
                "identity": self.identity,
                "version": self.version,
                "made": self.made.astimezone(UTC).isoformat(),
                "entries": {name: [e.size, e.sha256] for name, e in self.entries.items()},
            },
            indent=1,
        ).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """The manifest that an entry is; raises BackupRefused."""
        try:
            found = json.loads(content)
            if found["format"] != FORMAT:
                raise BackupRefused(f"a backup of format {found['format']!r} cannot be restored")
            return cls(
                kind=_text(found["kind"]),
                identity=_text(found["identity"]),
                version=_text(found["version"]),
                made=datetime.fromisoformat(_text(found["made"])),
                entries={name: _entry(name, *said) for name, said in found["entries"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BackupRefused("the manifest of the backup cannot be read") from error


def describe_entries(stage: Path) -> Mapping[str, Entry]:
    """What a directory holds that is to be a backup; raises BackupFailed."""
    found = {}
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            name = path.relative_to(stage).as_posix()
            if not _is_name(name):
                raise BackupFailed(f"a file named {name!r} cannot be backed up")
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[name] = Entry(path.stat().st_size, digest)
    return found


def write_archive(path: Path, manifest: Manifest, stage: Path) -> None:
    """Write a backup, whose parts stand in a directory, to a new private file.

    Raises BackupFailed and OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            told = manifest.to_json()
            (stage / MANIFEST).write_bytes(told)
            for name in (MANIFEST, *manifest.entries):
                _add(archive, name, stage / name, manifest.made)
        file.flush()
        os.fsync(file.fileno())


def unpack_archive(path: Path, stage: Path, limits: UnpackLimits) -> Manifest:
    """Unpack a backup within limits into an empty directory.

    Raises BackupRefused and OSError.
    """
    with path.open("rb") as file:
        entries = _entries(file, limits)
        name, content = next(entries, ("", iter(())))
        if name != MANIFEST:
            raise BackupRefused("a backup begins with its manifest")
        manifest = Manifest.from_json(b"".join(content))
        missing = dict(manifest.entries)
        for name, content in entries:
            expected = missing.pop(name, None)
            if expected is None:
                raise BackupRefused(f"the manifest does not name {name!r}, or once only")
            try:
                _unpack(stage, name, content, expected)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise BackupRefused(f"{name!r} is a file and a directory at once") from error
    if missing:
        raise BackupRefused(f"the backup lacks {next(iter(missing))!r}")
    (stage / MANIFEST).write_bytes(manifest.to_json())
    return manifest


def _add(archive: tarfile.TarFile, name: str, path: Path, made: datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = 0o600
    entry.mtime = int(made.timestamp())
    entry.size = path.stat().st_size
    try:
        with path.open("rb") as content:
            archive.addfile(entry, content)
    except ValueError as error:
        raise BackupFailed(f"{name} does not fit into a backup: {error}") from error


def _entries(file: IO[bytes], limits: UnpackLimits) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The entries of a tar in order; each must be read before the next."""
    count = total = 0
    while (header := _take(file, _BLOCK)) != bytes(_BLOCK):
        name, size = _read_header(header)
        count, total = count + 1, total + size
        if count > limits.entries:
            raise BackupRefused(f"the backup holds more than {limits.entries} files")
        if total > limits.size or (name == MANIFEST and size > _LARGEST_MANIFEST):
            raise BackupRefused(f"with {name!r} the backup holds more than {limits.size} bytes")
        yield name, _content(file, size)
        _take(file, -size % _BLOCK)


def _read_header(header: bytes) -> tuple[str, int]:
    if header[257:265] != b"ustar\x0000":
        raise BackupRefused("the backup is no plain POSIX tar")
    if header[156:157] != b"0":
        raise BackupRefused("the backup holds something that is no file")
    summed = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _octal(header[148:156].rstrip(b" \0")) != summed:
        raise BackupRefused("an entry of the backup is damaged")
    try:
        parts = [header[345:500], header[:100]]
        name = "/".join(part.split(b"\0", 1)[0].decode() for part in parts if part[0])
    except UnicodeDecodeError as error:
        raise BackupRefused("a name in the backup is no UTF-8") from error
    if name != MANIFEST and not _is_name(name):
        raise BackupRefused(f"{name!r} does not belong into a backup")
    return name, _octal(header[124:136])


def _octal(field: bytes) -> int:
    if not _OCTAL.fullmatch(field):
        raise BackupRefused("an entry of the backup is damaged")
    return int(field.rstrip(b" \0"), 8)


def _content(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = _take(file, min(size, _PIECE))
        size -= len(piece)
        yield piece


def _take(file: IO[bytes], size: int) -> bytes:
    taken = file.read(size)
    if len(taken) != size:
        raise BackupRefused("the backup is cut short")
    return taken


def _unpack(stage: Path, name: str, content: Iterator[bytes], expected: Entry) -> None:
    path = stage / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for piece in content:
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if Entry(size, digest.hexdigest()) != expected:
        raise BackupRefused(f"{name!r} is not what the manifest says")


def _is_name(name: str) -> bool:
    return (
        bool(_ENTRY.fullmatch(name))
        and name.isprintable()
        and not {".", ".."}.intersection(name.split("/"))
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise BackupRefused("the manifest of the backup cannot be read")
    return value


def _entry(name: str, size: Any, sha256: Any) -> Entry:
    if not _is_name(name) or type(size) is not int or not _SHA256.fullmatch(sha256):
        raise BackupRefused(f"the manifest cannot name {name!r} so")
    return Entry(size, sha256)
