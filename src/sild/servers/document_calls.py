"""What workers ask of control about signed documents, and how they read the answer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sild.components.messagelog.errors import (
    ArchivingFailed,
    EncryptionKeyNotFound,
    NoTimestampingProvider,
    NotTimestamped,
    RecordNotFound,
)
from sild.components.proxy.ports import DocumentFile
from sild.model.messages import WantedDocuments
from sild.protocol.errors import GlobalConfOutdated, IoError, TimestampRefused
from sild.runtime.rpc import RpcError, RpcOptions

DOCUMENT_OPTIONS = RpcOptions(
    errors={
        error.__name__: error
        for error in (
            ArchivingFailed,
            RecordNotFound,
            NotTimestamped,
            NoTimestampingProvider,
            EncryptionKeyNotFound,
            TimestampRefused,
            GlobalConfOutdated,
        )
    },
    # Several time-stamping authorities may have to be waited for.
    timeouts={"write_documents": 300.0},
)
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class WrittenDocuments:
    """A private file that control has written; whoever asked for it takes it away."""

    path: str
    name: str
    media_type: str
    size: int


class DocumentCalls(Protocol):
    """What a worker may ask."""

    async def write_documents(self, wanted: WantedDocuments) -> WrittenDocuments | None:
        """Write the documents to a file; None where nothing was logged."""
        ...


class ControlDocuments:
    """Signed documents, from control."""

    def __init__(self, calls: DocumentCalls) -> None:
        self._calls = calls

    async def find(self, wanted: WantedDocuments) -> DocumentFile | None:
        """The documents in one file; raises ProtocolError."""
        try:
            written = await self._calls.write_documents(wanted)
        except RpcError as error:
            message = f"the message log cannot be asked: {error}"
            raise IoError(message) from error
        if written is None:
            return None
        chunks = _FileOnce(Path(written.path))
        return DocumentFile(written.name, written.media_type, written.size, chunks)


class _FileOnce:
    """The content of a file, which is gone from its directory before the first byte is read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        path.unlink()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await asyncio.to_thread(self._file.read, _PIECE)
        if not piece:
            self._file.close()
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Let go of the file, also where it was not read to its end."""
        self._file.close()
