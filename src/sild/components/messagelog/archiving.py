"""Move records into archives: linked ZIP files that survive being killed at any moment.

An archive is written under a temporary name and synced; then one transaction notes its name, the
new head of its chain, and that its records are archived; then it gets its name. Whoever starts
finishes or throws away what another has left: an archive that was noted gets its name, one that was
not is removed, and its records are archived again from the same head. No record is lost or doubled.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sild.components.messagelog.archivegroups import Group, Grouping
from sild.components.messagelog.archivestore import ArchiveStore
from sild.components.messagelog.containers import container_name, write_record
from sild.components.messagelog.errors import ArchivingFailed
from sild.components.messagelog.evidencefiles import EvidenceFile, EvidenceFiles, abort
from sild.components.messagelog.settings import MessageLogSettings
from sild.components.messagelog.store import MessageStore
from sild.protocol.asic.archive import ArchiveWriter, archive_name
from sild.runtime.files import make_private_directory, sync_directory
from sild.runtime.gnupg import GnupgError

_LOG = logging.getLogger(__name__)
_UNFINISHED = ".unfinished"
_ARCHIVES = "mlog-*.zip*"
_PLAIN, _ENCRYPTED = "zip", "zip.gpg"
_TRANSFER_SECONDS = 3600


@dataclass(slots=True)
class _Written:
    """An archive under its temporary name, and what it holds."""

    writer: ArchiveWriter
    records: list[int]


class Archiving:
    """Archives what is time-stamped."""

    def __init__(
        self,
        store: MessageStore,
        archives: ArchiveStore,
        settings: MessageLogSettings,
        directory: Path,
    ) -> None:
        self._store = store
        self._archives = archives
        self._settings = settings
        self._files = EvidenceFiles(settings)
        self._directory = settings.archive_path or directory
        self._grouping = Grouping(settings.archive_grouping)
        self._lock = asyncio.Lock()

    async def archive(self) -> int:
        """Archive all that is time-stamped; give how many records that were.

        Raises ArchivingFailed and OSError; what was archived before stays so.
        """
        async with self._lock:
            await self._recover()
            archived = 0
            for group in await self._archives.groups(self._grouping):
                async for count in self._archive_group(group):
                    archived += count
            if archived:
                _LOG.info("%d records were archived in %s", archived, self._directory)
            if await asyncio.to_thread(lambda: any(self._directory.glob(_ARCHIVES))):
                await self._transfer()
            return archived

    async def _recover(self) -> None:
        await asyncio.to_thread(make_private_directory, self._directory)
        for name in await self._archives.noted():
            await asyncio.to_thread(self._give_name, name)
            await self._archives.forget(name)
        for left in await asyncio.to_thread(lambda: list(self._directory.glob(f"*{_UNFINISHED}"))):
            _LOG.warning("%s was not finished; its records are archived again", left.name)
            await asyncio.to_thread(left.unlink)

    def _give_name(self, name: str) -> None:
        # Named already, if the process ended right after that.
        with suppress(FileNotFoundError):
            (self._directory / (name + _UNFINISHED)).rename(self._directory / name)
        sync_directory(self._directory)

    async def _archive_group(self, group: Group) -> AsyncIterator[int]:
        while True:
            head = await self._archives.head(group)
            # GnuPG may outlive a process that was killed, and still write to its file.
            temporary = self._directory / f"new-{os.getpid()}{_UNFINISHED}"
            written = await self._write(group, ArchiveWriter(head), temporary)
            if not written.records:
                return
            suffix = _ENCRYPTED if self._files.are_encrypted else _PLAIN
            writer = written.writer
            name = archive_name(writer.span, writer.last_digest, group.text, suffix)
            await asyncio.to_thread(_rename, temporary, self._directory / (name + _UNFINISHED))
            await self._archives.note(group, writer.head(name), written.records)
            await asyncio.to_thread(self._give_name, name)
            await self._archives.forget(name)
            yield len(written.records)

    async def _write(self, group: Group, writer: ArchiveWriter, path: Path) -> _Written:
        written = _Written(writer, [])
        file: EvidenceFile | None = None
        try:
            async for record_id in self._archives.waiting(group):
                kept = await self._store.get_record(record_id)
                if kept.timestamp is None:
                    continue
                container = await asyncio.to_thread(write_record, kept, kept.timestamp)
                file = file or await self._files.open(group, path)
                at = datetime.fromtimestamp(kept.record.time_ms / 1000, UTC)
                await file.write(writer.add(container_name(kept), container, at))
                written.records.append(record_id)
                if self._is_full(written):
                    break
            if file is not None:
                await file.write(writer.finish())
                await file.finish()
        except GnupgError as error:
            await abort(file)
            raise ArchivingFailed(f"an archive cannot be encrypted: {error}") from error
        except BaseException:
            await abort(file)
            raise
        return written

    def _is_full(self, written: _Written) -> bool:
        return (
            written.writer.size >= self._settings.archive_max_filesize
            or len(written.records) >= self._settings.archive_transaction_batch
        )

    async def _transfer(self) -> None:
        """Run the command that takes archives away; it finds them in its working directory."""
        command = self._settings.archive_transfer_command
        if not command:
            return
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_TRANSFER_SECONDS):
                told, _ = await process.communicate()
        except BaseException as error:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                message = f"the transfer of archives did not end within {_TRANSFER_SECONDS} s"
                raise ArchivingFailed(message) from None
            raise
        if process.returncode != 0:
            said = told.decode("utf-8", "replace").strip()[-1000:]
            message = f"the transfer of archives ended with code {process.returncode}: {said}"
            raise ArchivingFailed(message)


def _rename(one: Path, other: Path) -> None:
    one.rename(other)
    sync_directory(other.parent)
