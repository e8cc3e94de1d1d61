"""Signed documents in files: one container, or a ZIP file of several."""

import asyncio
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sild.components.messagelog.containers import SignedDocument, SignedDocuments
from sild.model.messages import WantedDocuments
from sild.protocol.ids import file_name_part
from sild.runtime.files import write_private

_CONTAINER = "application/vnd.etsi.asic-e+zip"
_ZIP = "application/zip"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file that was written: where, how large, and under which name and type it is given."""

    path: Path
    name: str
    media_type: str
    size: int


async def write_bundle(
    documents: SignedDocuments, wanted: WantedDocuments, path: Path
) -> Bundle | None:
    """Write the documents that are wanted to a new private file; None where there are none.

    Raises NotTimestamped, what `Timestamping.stamp` raises, and OSError; nothing is left then.
    """
    found = await documents.find(wanted)
    if not found:
        return None
    try:
        if wanted.unique:
            document = await documents.export_record(found[0].id)
            await asyncio.to_thread(write_private, path, document.content)
            return _bundle(path, document.name, _CONTAINER)
        await asyncio.to_thread(write_private, path, b"")
        for summary in found:
            document = await documents.export_record(summary.id)
            await asyncio.to_thread(_append, path, document)
    except BaseException:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise
    return _bundle(path, _zip_name(wanted), _ZIP)


def _bundle(path: Path, name: str, media_type: str) -> Bundle:
    return Bundle(path, name, media_type, path.stat().st_size)


def _append(path: Path, document: SignedDocument) -> None:
    # Containers are compressed already.
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(document.name), document.content)


def _zip_name(wanted: WantedDocuments) -> str:
    query_id = file_name_part(wanted.query_id)[:_LONGEST_NAME]
    kinds = {None: "", False: "-request", True: "-response"}
    return f"{query_id}{kinds[wanted.is_response]}.zip"
