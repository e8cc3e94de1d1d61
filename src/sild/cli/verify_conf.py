"""The configuration by which evidence is verified: a folder of a server, or a zip file of it."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sild.components.confclient.cache import read_verification_conf
from sild.protocol.errors import ProtocolError
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.trust import Trust

_MARK = "instance-identifier"
_FOLDERS = ("", "verificationconf", "current")
_NAME = re.compile(r"(?:verificationconf/)?((?:[\w%*+@=,. -]+/)?[\w%*+@=,. -]+)", re.ASCII)
_MOST_FILES = 1_000
_LARGEST_FILE = 64_000_000
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class UnreadableConfiguration(Exception):
    """There is no configuration, or one that cannot be used."""


def read_conf(path: Path, strength: Strength) -> Mapping[str, Trust]:
    """Whom each instance trusted; raises UnreadableConfiguration."""
    try:
        if path.is_dir():
            return _read_folder(path, strength)
        with tempfile.TemporaryDirectory(prefix="sild-conf-") as folder:
            _unpack(path, Path(folder))
            return _read_folder(Path(folder), strength, path)
    except (OSError, ProtocolError, *_ZIP_ERRORS) as error:
        raise UnreadableConfiguration(f"{path}: {_text(error)}") from None


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def _read_folder(path: Path, strength: Strength, named: Path | None = None) -> Mapping[str, Trust]:
    for name in _FOLDERS:
        if (path / name / _MARK).is_file():
            trusts = read_verification_conf(path / name)
            return {name: _for_evidence(trust, strength) for name, trust in trusts.items()}
    raise UnreadableConfiguration(
        f"{named or path} is no configuration directory: it has no {_MARK} (a server"
        " keeps it beside a folder for each instance)"
    )


def _for_evidence(trust: Trust, strength: Strength) -> Trust:
    """As old evidence is read: its moment is the time-stamp's, by another clock than OCSP's."""
    return replace(trust, ocsp=replace(trust.ocsp, ahead_seconds=None), strength=strength)


def _unpack(path: Path, folder: Path) -> None:
    if not path.exists():
        raise UnreadableConfiguration(f"{path}: No such file or directory")
    if not zipfile.is_zipfile(path):
        raise UnreadableConfiguration(f"{path} is neither a folder nor a zip file")
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > _MOST_FILES:
            raise UnreadableConfiguration(f"{path} holds {len(entries)} files")
        for entry in entries:
            name = _NAME.fullmatch(entry.filename)
            if name is None or not all(part.strip(".") for part in name[1].split("/")):
                raise UnreadableConfiguration(f"{path} holds a file named {entry.filename!r}")
            target = folder / name[1]
            target.parent.mkdir(exist_ok=True)
            with archive.open(entry) as file:
                content = file.read(_LARGEST_FILE + 1)
            if len(content) > _LARGEST_FILE:
                raise UnreadableConfiguration(f"{path}: {entry.filename} is too large")
            target.write_bytes(content)
