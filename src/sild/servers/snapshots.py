"""The snapshot file: how control tells the workers what the server's configuration is."""

from pathlib import Path

from sild.model.snapshot import ServerSnapshot
from sild.runtime.files import read_bounded, write_private
from sild.runtime.rpc import decode, encode

_LIMIT = 256 * 1024 * 1024


def write_snapshot(path: Path, snapshot: ServerSnapshot) -> None:
    """Replace the snapshot as a whole."""
    write_private(path, encode(snapshot))


def read_snapshot(path: Path) -> ServerSnapshot | None:
    """The snapshot that stands, if there is one; raises PackingError for another release's."""
    try:
        return decode(ServerSnapshot, read_bounded(path, _LIMIT))
    except FileNotFoundError:
        return None
