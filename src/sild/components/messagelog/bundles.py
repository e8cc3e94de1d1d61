"""Signed documents in files: one container, or a ZIP file of several, encrypted as archives are."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sild.components.messagelog.archivegroups import Group, Grouping
from sild.components.messagelog.containers import SignedDocuments
from sild.components.messagelog.errors import ArchivingFailed
from sild.components.messagelog.evidencefiles import EvidenceFile, EvidenceFiles, abort
from sild.components.messagelog.records import RecordSummary
from sild.components.messagelog.settings import MessageLogSettings
from sild.model.messages import WantedDocuments
from sild.protocol.asic.zipstream import ZipStream
from sild.protocol.ids import file_name_part
from sild.runtime.gnupg import GnupgError

_LOG = logging.getLogger(__name__)
_CONTAINER = "application/vnd.etsi.asic-e+zip"
_ZIP = "application/zip"
_ENCRYPTED = "application/octet-stream"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file that was written: where, how large, and under which name and type it is given."""

    path: Path
    name: str
    media_type: str
    size: int


class Bundles:
    """Writes bundles as the settings say."""

    def __init__(self, documents: SignedDocuments, settings: MessageLogSettings) -> None:
        self._documents = documents
        self._files = EvidenceFiles(settings)
        self._grouping = Grouping(settings.archive_grouping)

    async def write(self, wanted: WantedDocuments, path: Path) -> Bundle | None:
        """Write the documents that are wanted to a new private file; None where there are none.

        Raises NotTimestamped, ArchivingFailed, what `Timestamping.stamp` raises, and OSError;
        nothing is left then.
        """
        found = await self._documents.find(wanted)
        if not found:
            return None
        try:
            name = await self._write(found, wanted, path)
        except BaseException:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise
        media_type = _CONTAINER if wanted.unique else _ZIP
        if self._files.are_encrypted:
            name, media_type = f"{name}.gpg", _ENCRYPTED
        written = await asyncio.to_thread(path.stat)
        return Bundle(path, name, media_type, written.st_size)

    async def _write(
        self, found: tuple[RecordSummary, ...], wanted: WantedDocuments, path: Path
    ) -> str:
        """Write the file, and give its name as long as it is not encrypted."""
        file: EvidenceFile | None = None
        try:
            if wanted.unique:
                document = await self._documents.export_record(found[0].id)
                name, pieces = document.name, _whole(document.content)
            else:
                name, pieces = _zip_name(wanted), self._zipped(found)
            file = await self._files.open(Group.of(wanted.owner, self._grouping), path)
            async with aclosing(pieces):
                async for piece in pieces:
                    await file.write(piece)
            await file.finish()
        except (GnupgError, ArchivingFailed) as error:
            await abort(file)
            _LOG.error("signed documents of %s cannot be encrypted: %s", wanted.owner, error)
            message = "the signed documents cannot be encrypted; the server's log says why"
            raise ArchivingFailed(message) from error
        except BaseException:
            await abort(file)
            raise
        return name

    async def _zipped(self, found: tuple[RecordSummary, ...]) -> AsyncGenerator[bytes, None]:
        archive = ZipStream()
        for summary in found:
            document = await self._documents.export_record(summary.id)
            at = datetime.fromtimestamp(summary.time_ms / 1000, UTC)
            yield archive.add(document.name, document.content, at)
        yield archive.finish()


async def _whole(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


def _zip_name(wanted: WantedDocuments) -> str:
    query_id = file_name_part(wanted.query_id)[:_LONGEST_NAME]
    kinds = {None: "", False: "-request", True: "-response"}
    return f"{query_id}{kinds[wanted.is_response]}.zip"
