"""Backups: made, kept in a folder, given, taken, restored, and cleared away when old."""

import asyncio
import fcntl
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sild.components.backup.archive import (
    Manifest,
    UnpackLimits,
    describe_entries,
    unpack_archive,
    write_archive,
)
from sild.components.backup.errors import (
    BackupBusy,
    BackupFailed,
    BackupKeyNotMade,
    BackupNotDeleted,
    BackupNotFound,
    BackupNotKept,
    BackupRefused,
    InvalidBackupName,
    NotABackup,
    NotYetInitialized,
    RestoreFailed,
)
from sild.components.backup.private import PrivateFiles
from sild.components.backup.saved import Restoration, RestoreOptions, SavedServer, gather
from sild.components.backup.settings import BackupSettings
from sild.runtime.clock import Clock
from sild.runtime.database import DatabaseError
from sild.runtime.files import (
    FileError,
    make_private_directory,
    read_bounded,
    sync_directory,
    write_private,
)
from sild.runtime.gnupg import GnupgError
from sild.runtime.gnupg_home import GnupgHome

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"(?!\.)[a-zA-Z0-9_.-]{1,251}\.gpg", re.ASCII)
_AUTOMATIC = "automatic-backup"
_KEY_FILE = "sild-backup-key"
_PRE_RESTORE = "conf_prerestore_backup.tar"
_LEFT_SECONDS = 20.0
"""How long programs that a killed process had begun may take to notice."""
_LOOK_SECONDS = 0.1
_PGP_PACKET = 0x80
_PGP_ARMOR = b"-----BEGIN PGP"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A backup in the folder."""

    name: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Running:
    """A backup or restoration that runs, and since when."""

    what: str
    since: datetime


@dataclass(frozen=True, slots=True)
class BackupPlaces:
    """Directories of their own: backups, the GnuPG home, and what is under way."""

    folder: Path
    gnupg: Path
    work: Path

    @property
    def pre_restore(self) -> Path:
        """The copy that each restoration makes before it changes anything, a plain tar."""
        return self.work / _PRE_RESTORE


async def _nothing() -> None:
    return None


class Backups:
    """The use cases; `restored` is awaited after each restoration, to start anew."""

    def __init__(
        self,
        server: SavedServer,
        places: BackupPlaces,
        settings: BackupSettings,
        clock: Clock,
        restored: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._server = server
        self._places = places
        self._settings = settings
        self._clock = clock
        self._restored = restored
        self._gnupg = GnupgHome(places.gnupg)
        self._private = PrivateFiles(server, self._gnupg, settings.largest_backup)
        self._restoration = Restoration(server, places.work)
        self.running: Running | None = None

    async def make_key(self, name: str) -> None:
        """Make the key that signs backups, unless there is one; raises BackupKeyNotMade."""
        try:
            if await asyncio.to_thread(self._find_key) is None:
                fingerprint = await self._gnupg.find_secret_key(name)
                fingerprint = fingerprint or await self._gnupg.make_key(name)
                key_file = self._places.gnupg / _KEY_FILE
                await asyncio.to_thread(write_private, key_file, fingerprint.encode())
        except (GnupgError, FileError, OSError) as error:
            raise BackupKeyNotMade(f"the key of backups could not be made: {error}") from error

    async def make_own_key(self) -> None:
        """Make the key, named after the server; raises NotYetInitialized and BackupKeyNotMade."""
        identity = await self._server.identity()
        if not identity:
            raise NotYetInitialized("the server is not initialised: nobody knows whose key it is")
        await self.make_key(identity)

    async def public_key(self) -> bytes:
        """The key that verifies backups elsewhere, in ASCII (BK-07); raises NotYetInitialized."""
        try:
            return await self._gnupg.export_key(await self._key())
        except GnupgError as error:
            raise NotYetInitialized(f"the key of backups cannot be read: {error}") from error

    async def import_recipient(self, key: bytes) -> None:
        """Take a public key for which backups are to be encrypted; raises BackupKeyNotMade."""
        try:
            await self._gnupg.import_key(key)
        except GnupgError as error:
            raise BackupKeyNotMade(f"the key cannot be imported: {error}") from error

    async def list(self) -> tuple[BackupFile, ...]:
        """The backups, the newest first."""
        return await asyncio.to_thread(self._list)

    def path_of(self, name: str) -> Path:
        """Where a backup is; raises BackupNotFound."""
        path = self._places.folder / name
        if not _NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise BackupNotFound(f"there is no backup {name!r}", name)
        return path

    def exists(self, name: str) -> bool:
        """Whether there is a backup of this name; raises InvalidBackupName."""
        self._check_name(name)
        return (self._places.folder / name).exists()

    async def create(self) -> BackupFile:
        """Make a backup.

        Raises NotYetInitialized, BackupBusy and BackupFailed.
        """
        return await self._create("conf_backup_%Y%m%d-%H%M%S.gpg")

    async def create_automatic(self) -> BackupFile | None:
        """Make a backup that is deleted when it is old; None before the initialisation (BK-05)."""
        if not await self._server.identity():
            return None
        return await self._create(f"{self._automatic}-%Y_%m_%d_%H%M%S.gpg")

    async def old(self) -> tuple[BackupFile, ...]:
        """The automatic backups that were kept long enough, the newest first."""
        oldest = self._clock.now() - timedelta(days=self._settings.keep_automatic_backups_for)
        return tuple(
            backup
            for backup in await self.list()
            if backup.name.startswith(self._automatic) and backup.created < oldest
        )

    async def keep(self, name: str, content: bytes) -> BackupFile:
        """Take a backup from elsewhere, in the place of one of this name.

        Whose it is shows when it is restored. Raises InvalidBackupName, NotABackup, BackupNotKept.
        """
        self._check_name(name)
        if not (content[:1] >= bytes([_PGP_PACKET]) or content.startswith(_PGP_ARMOR)):
            raise NotABackup(f"{name!r} was not written by GnuPG", name)
        try:
            await asyncio.to_thread(make_private_directory, self._places.folder)
            await asyncio.to_thread(write_private, self._places.folder / name, content)
        except (OSError, FileError) as error:
            raise BackupNotKept(f"{name!r} could not be kept: {error}") from error
        return self._described(self._places.folder / name)

    async def delete(self, name: str) -> None:
        """Delete a backup; raises BackupNotFound, BackupNotDeleted."""
        path = self.path_of(name)
        try:
            await asyncio.to_thread(path.unlink)
        except FileNotFoundError:
            raise BackupNotFound(f"there is no backup {name!r}", name) from None
        except OSError as error:
            raise BackupNotDeleted(f"{name!r} could not be deleted: {error}", name) from error

    async def restore(self, name: str) -> None:
        """Put what a backup of this server holds in the place of what is there.

        Raises BackupNotFound and what `restore_file` raises.
        """
        await self.restore_file(self.path_of(name), RestoreOptions())

    async def restore_file(self, path: Path, options: RestoreOptions) -> None:
        """Restore a file from anywhere.

        Raises BackupBusy, BackupRefused and RestoreFailed; nothing has changed then, unless the
        error says that the next start will finish it.
        """
        async with self._alone("restore"):
            self._restoration.clear()
            try:
                manifest = await self._unpack(path, options)
                await self._check_identity(manifest, options)
                await self._copy_before_restoring()
                await self._restoration.carry_out(manifest, options)
            except (OSError, FileError, DatabaseError) as error:
                raise RestoreFailed(f"restoring failed: {error}") from error
        _LOG.info("the backup %s of %s was restored", path.name, manifest.identity)
        await self._restored()

    async def finish_interrupted(self) -> bool:
        """Finish a restoration that was interrupted, before anything else starts.

        Says whether there was one. Raises BackupBusy and RestoreFailed.
        """
        # A program that the killed one had only just begun may still hold its lock.
        async with self._alone("restore", _LEFT_SECONDS):
            if self._restoration.is_decided:
                await self._private.show(self._restoration.stage / "files")
            return await self._restoration.finish()

    async def close(self) -> None:
        """Let go of what GnuPG left running."""
        await self._gnupg.stop_agent()

    @property
    def _automatic(self) -> str:
        return f"{self._server.kind[0]}s-{_AUTOMATIC}"

    async def _create(self, pattern: str) -> BackupFile:
        async with self._alone("backup"):
            identity = await self._server.identity()
            if not identity:
                raise NotYetInitialized("the server is not initialised: there is nothing to save")
            signer = await self._key()
            stage = self._places.work / "backup"
            try:
                await asyncio.to_thread(make_private_directory, self._places.folder)
                tar = await self._gathered(identity, stage, self._recipients(signer))
                return await self._seal(tar, signer, pattern)
            except (OSError, FileError, DatabaseError, GnupgError) as error:
                raise BackupFailed(f"the backup could not be made: {error}") from error
            finally:
                await asyncio.to_thread(shutil.rmtree, stage, ignore_errors=True)

    async def _gathered(self, identity: str, stage: Path, keys: Sequence[str]) -> Path:
        await asyncio.to_thread(shutil.rmtree, stage, ignore_errors=True)
        parts = stage / "parts"
        await asyncio.to_thread(make_private_directory, parts)
        await gather(self._server, parts)
        await self._private.hide(parts / "files", keys)
        entries = await asyncio.to_thread(describe_entries, parts)
        server = self._server
        manifest = Manifest(server.kind, identity, server.version, self._clock.now(), entries)
        tar = stage / "backup.tar"
        await asyncio.to_thread(write_archive, tar, manifest, parts)
        return tar

    async def _seal(self, tar: Path, signer: str, pattern: str) -> BackupFile:
        sealed = tar.with_suffix(".gpg")
        encrypts = self._settings.backup_encryption_enabled
        recipients = self._recipients(signer) if encrypts else ()
        await self._gnupg.seal(tar, sealed, signer, recipients)
        return await asyncio.to_thread(self._publish, sealed, pattern)

    def _recipients(self, signer: str) -> tuple[str, ...]:
        """For whom things are encrypted."""
        return (signer, *self._settings.backup_encryption_keyids)

    def _publish(self, sealed: Path, pattern: str) -> BackupFile:
        moment = self._clock.now().astimezone(UTC)
        while (target := self._places.folder / moment.strftime(pattern)).exists():
            moment += timedelta(seconds=1)
        # Not renamed: the folder may be on another disk than the work.
        incoming = self._places.folder / f".{target.name}.tmp"
        shutil.copyfile(sealed, incoming)
        incoming.chmod(0o600)
        with incoming.open("rb") as file:
            os.fsync(file.fileno())
        made = self._clock.now().timestamp()
        os.utime(incoming, (made, made))
        incoming.replace(target)
        sync_directory(self._places.folder)
        return self._described(target)

    async def _unpack(self, path: Path, options: RestoreOptions) -> Manifest:
        limit = self._settings.largest_backup
        stage = self._restoration.stage
        if options.plain:
            manifest = await asyncio.to_thread(unpack_archive, path, stage, UnpackLimits(limit))
            await self._private.show(stage / "files")
            return manifest
        opened = self._places.work / "opened.tar"
        try:
            signer = await self._gnupg.open(path, opened, limit, signed=not options.unsigned)
            # Whoever's secret key was imported here has not made backups of this server.
            if not options.unsigned and signer != await self._key():
                raise BackupRefused(
                    f"{path.name} is not signed by the key of this server's backups"
                )
            manifest = await asyncio.to_thread(unpack_archive, opened, stage, UnpackLimits(limit))
            await self._private.show(stage / "files")
            return manifest
        except GnupgError as error:
            raise BackupRefused(f"{path.name} cannot be trusted: {error}") from error
        finally:
            await asyncio.to_thread(opened.unlink, missing_ok=True)

    async def _check_identity(self, manifest: Manifest, options: RestoreOptions) -> None:
        if manifest.kind != self._server.kind:
            raise BackupRefused(f"the backup is of a {manifest.kind} server")
        identity = await self._server.identity()
        if manifest.identity != identity and not options.force:
            raise BackupRefused(
                f"the backup is of {manifest.identity!r}, and this server is {identity!r}"
            )

    async def _copy_before_restoring(self) -> None:
        stage = self._places.work / "before"
        try:
            identity = await self._server.identity() or "none"
            key = await asyncio.to_thread(self._find_key)
            tar = await self._gathered(identity, stage, () if key is None else (key,))
            await asyncio.to_thread(tar.replace, self._places.pre_restore)
        finally:
            await asyncio.to_thread(shutil.rmtree, stage, ignore_errors=True)

    async def _key(self) -> str:
        fingerprint = await asyncio.to_thread(self._find_key)
        if fingerprint is None:
            raise NotYetInitialized("there is no key to sign backups with")
        return fingerprint

    def _find_key(self) -> str | None:
        try:
            return read_bounded(self._places.gnupg / _KEY_FILE, 100).decode("ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def _list(self) -> tuple[BackupFile, ...]:
        try:
            paths = list(self._places.folder.iterdir())
        except FileNotFoundError:
            return ()
        found = [
            self._described(path)
            for path in paths
            if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink()
        ]
        return tuple(sorted(found, key=lambda each: (each.created, each.name), reverse=True))

    def _described(self, path: Path) -> BackupFile:
        return BackupFile(path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC))

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidBackupName(f"no backup can be named {name[:300]!r}", name[:300])

    @asynccontextmanager
    async def _alone(self, what: str, patience: float = 0.0) -> AsyncIterator[None]:
        """Keep every other backup and restoration away, those of other processes too."""
        await asyncio.to_thread(make_private_directory, self._places.work)
        descriptor = os.open(self._places.work / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        deadline = self._clock.monotonic() + patience
        try:
            while not _is_ours(descriptor):
                if self._clock.monotonic() >= deadline:
                    raise BackupBusy("another backup or restoration is under way")
                await self._clock.sleep(_LOOK_SECONDS)
            self.running = Running(what, self._clock.now())
            try:
                yield
            finally:
                self.running = None
        finally:
            os.close(descriptor)


def _is_ours(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
