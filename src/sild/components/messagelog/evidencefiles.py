"""The files in which evidence leaves the message log: plain, or signed and encrypted by GnuPG.

What is to be encrypted is never on the disk otherwise.
"""

import asyncio
import os
from pathlib import Path
from typing import Protocol

from sild.components.messagelog.archivegroups import Group, KeyMap
from sild.components.messagelog.errors import ArchivingFailed
from sild.components.messagelog.settings import MessageLogSettings
from sild.runtime.gnupg import EncryptedFile, Gnupg


class EvidenceFile(Protocol):
    """A file that is being written; `finish` or `abort` it."""

    async def write(self, data: bytes) -> None:
        """Take more of it."""
        ...

    async def finish(self) -> None:
        """Return when the file is whole and on the disk."""
        ...

    async def abort(self) -> None:
        """Give it up; what was written is of no use."""
        ...


async def abort(file: EvidenceFile | None) -> None:
    """Give a file up, if it was opened."""
    if file is not None:
        await file.abort()


class EvidenceFiles:
    """Opens such files as the settings of archives say."""

    def __init__(self, settings: MessageLogSettings) -> None:
        self._settings = settings

    @property
    def are_encrypted(self) -> bool:
        """Whether they have to be decrypted to be read."""
        return self._settings.archive_encryption_enabled

    async def open(self, group: Group, path: Path) -> EvidenceFile:
        """A file for whoever may read what is of this group.

        Raises ArchivingFailed, OSError, and GnupgError, as does all that is done with the file.
        """
        if not self.are_encrypted:
            return await asyncio.to_thread(_PlainFile, path)
        settings = self._settings
        home = settings.archive_gpg_home_directory
        if home is None:
            message = "archive-encryption-enabled needs archive-gpg-home-directory"
            raise ArchivingFailed(message)
        keys = await asyncio.to_thread(
            KeyMap.read,
            settings.archive_encryption_keys_config,
            settings.archive_default_encryption_key,
        )
        return await EncryptedFile.open(Gnupg(home), path, keys.of(group))


class _PlainFile:
    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self._file.write, data)

    async def finish(self) -> None:
        await asyncio.to_thread(self._sync)

    async def abort(self) -> None:
        self._file.close()

    def _sync(self) -> None:
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
