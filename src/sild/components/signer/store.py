"""The signer's list of keys, requests and certificates: one file, replaced as a whole.

MessagePack, so that the process with the keys needs no database library; the keys themselves are
not in it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sild.components.signer.errors import (
    CertificateNotFound,
    KeyConfUnreadable,
    KeyNotFound,
    RequestNotFound,
)
from sild.model.tokens import SOFT_TOKEN_ID, CertificateEntry, Key, RequestEntry
from sild.runtime.files import FileError, read_bounded, write_private
from sild.runtime.packing import PackingError, decode, encode

_LOG = logging.getLogger(__name__)

_FORMAT = 1
_LARGEST_FILE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SavedToken:
    """A hardware token that was seen once; the fields are those of `Token`."""

    id: str
    label: str
    type: str = ""
    serial_number: str | None = None
    device_label: str | None = None
    slot_index: int = 0


@dataclass(frozen=True, slots=True)
class KeyConf:
    """All that is known of keys and of hardware tokens; `label` is that of the software token."""

    format: int = _FORMAT
    label: str = "softToken-0"
    keys: tuple[Key, ...] = ()
    tokens: tuple[SavedToken, ...] = ()

    def get_key(self, key_id: str) -> Key:
        """The key with this id."""
        for key in self.keys:
            if key.id == key_id:
                return key
        raise KeyNotFound(f"there is no key {key_id!r}", key_id)

    def find_certificate(self, sha256: str) -> tuple[Key, CertificateEntry] | None:
        """The certificate with this digest and its key."""
        for key in self.keys:
            for entry in key.certificates:
                if entry.sha256 == sha256:
                    return key, entry
        return None

    def get_certificate(self, sha256: str) -> tuple[Key, CertificateEntry]:
        """The certificate with this digest and its key."""
        found = self.find_certificate(sha256)
        if found is None:
            raise CertificateNotFound(f"there is no certificate {sha256!r}")
        return found

    def get_request(self, request_id: str) -> tuple[Key, RequestEntry]:
        """The certificate signing request with this id and its key."""
        for key in self.keys:
            for request in key.requests:
                if request.id == request_id:
                    return key, request
        raise RequestNotFound(f"there is no certificate signing request {request_id!r}")

    def with_key(self, key: Key) -> "KeyConf":
        """The same with this key, in the place of an earlier one with its id."""
        if all(known.id != key.id for known in self.keys):
            return replace(self, keys=(*self.keys, key))
        return replace(
            self, keys=tuple(key if known.id == key.id else known for known in self.keys)
        )

    def without_key(self, key_id: str) -> "KeyConf":
        """The same without a key."""
        return replace(self, keys=tuple(key for key in self.keys if key.id != key_id))

    def with_token_label(self, token_id: str, label: str) -> "KeyConf":
        """The same with another friendly name of a token."""
        if token_id == SOFT_TOKEN_ID:
            return replace(self, label=label)
        tokens = (
            replace(token, label=label) if token.id == token_id else token for token in self.tokens
        )
        return replace(self, tokens=tuple(tokens))

    def without_token(self, token_id: str) -> "KeyConf":
        """The same without a hardware token and its keys."""
        return replace(
            self,
            tokens=tuple(token for token in self.tokens if token.id != token_id),
            keys=tuple(key for key in self.keys if key.token_id != token_id),
        )

    def with_certificate(self, entry: CertificateEntry) -> "KeyConf":
        """The same with a certificate in the place of the earlier state of it."""
        key, _ = self.get_certificate(entry.sha256)
        certificates = tuple(
            entry if known.sha256 == entry.sha256 else known for known in key.certificates
        )
        return self.with_key(replace(key, certificates=certificates))


class KeyConfStore:
    """The file and what it says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = asyncio.Lock()
        self._stamp = _stamp(path)
        self._conf = _read(path)

    @property
    def conf(self) -> KeyConf:
        """What is saved."""
        return self._conf

    async def change(self, change: Callable[[KeyConf], KeyConf]) -> KeyConf:
        """Save what the function makes of the present state, one change at a time.

        Where the function raises or the disk refuses, nothing has changed.
        """
        async with self._changing:
            changed = change(self._conf)
            await asyncio.to_thread(write_private, self._path, encode(changed))
            self._stamp = _stamp(self._path)
            self._conf = changed
        return changed

    async def reload(self) -> None:
        """Read the file again where another has written it, as on a server that follows another."""
        async with self._changing:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                try:
                    self._conf = await asyncio.to_thread(_read, self._path)
                    _LOG.info("the list of keys was changed by another, and is read again")
                except KeyConfUnreadable as error:
                    _LOG.error("the list of keys before stays: %s", error)
                self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _read(path: Path) -> KeyConf:
    try:
        conf = decode(KeyConf, read_bounded(path, _LARGEST_FILE))
    except FileNotFoundError:
        return KeyConf()
    except (OSError, FileError, PackingError) as error:
        raise KeyConfUnreadable(f"{path} cannot be read: {error}") from error
    if conf.format != _FORMAT:
        raise KeyConfUnreadable(f"{path} has format {conf.format}, this release knows {_FORMAT}")
    return conf
