"""A ZIP file of containers that is written piece by piece, and needs no place to seek in."""

import zipfile
from datetime import datetime

from sild.protocol.asic.container import entry_header


class ZipStream:
    """Gives the bytes of a ZIP file as they come; holds no more than one entry."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")

    def add(self, name: str, content: bytes, time: datetime) -> bytes:
        """The bytes of one more entry, of this time."""
        header = entry_header(name, time)
        # Containers are compressed already.
        self._zip.writestr(header, content, compresslevel=0)
        header.external_attr = 0
        return self._sink.take()

    def finish(self) -> bytes:
        """The end of the file."""
        self._zip.close()
        return self._sink.take()


class _Sink:
    """What a zip file is written to, and its bytes taken from."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The bytes remain to be taken."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
