"""What of a server is backed up, gathered in a directory and put back from one."""

import json
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sild.components.backup.archive import MANIFEST, Manifest
from sild.components.backup.dump import SavedDatabase, dump_database, load_database
from sild.components.backup.errors import BackupRefused, RestoreFailed
from sild.runtime.database import DatabaseError
from sild.runtime.files import (
    FileError,
    make_private_directory,
    read_bounded,
    sync_directory,
    write_private,
)

_MARK = "restoring.json"
_STAGE = "stage"
_LARGEST_FILE = 1024 * 1024 * 1024
_LARGEST_MARK = 64 * 1024


@dataclass(frozen=True, slots=True)
class SavedServer:
    """A kind of server, which one it is, and what of it is saved.

    `identity` gives "DEV/node_0" and the like, and blank while the server has none. `files` are
    files and directories by the names that they have in backups; of a directory all files are
    saved, but no links. Those of the files that are `private` hold keys or passwords in clear,
    where what stands beside them says so: then they are saved encrypted for the server itself,
    whether its backups are encrypted or not.
    """

    kind: str
    identity: Callable[[], Awaitable[str]]
    version: str
    databases: tuple[SavedDatabase, ...]
    files: Mapping[str, Path]
    private: Mapping[str, Callable[[Path], bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What of a restoration is done otherwise than as a rule; each is for the command line."""

    force: bool = False
    """Restore the backup of another server of this kind, too."""
    plain: bool = False
    """The backup is a tar that GnuPG has not signed."""
    unsigned: bool = False
    """Verify no signature."""
    keep_files: bool = False
    """Keep files that the backup does not have."""
    skip_databases: bool = False
    """Restore files alone."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A restoration that is decided: whatever happens now, it is finished."""

    keep_files: bool
    skip_databases: bool


async def gather(server: SavedServer, stage: Path) -> None:
    """Write all that is saved of a server into an empty directory; raises OSError, FileError."""
    for saved in server.databases:
        await dump_database(saved, stage / "databases" / saved.name)
    for name, root in server.files.items():
        for path in _files_of(root):
            target = stage / "files" / name / path.relative_to(root)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(target, read_bounded(path, _LARGEST_FILE))


class Restoration:
    """A restoration in a work directory, from what was unpacked into `stage` there.

    It is decided by a mark that is on the disk before the databases are told to commit: killed
    before that, nothing has changed, and killed later, the next start finishes it.
    """

    def __init__(self, server: SavedServer, work: Path) -> None:
        self._server = server
        self._mark = work / _MARK
        self.stage = work / _STAGE

    @property
    def is_decided(self) -> bool:
        """Whether a restoration waits to be finished."""
        return self._mark.exists()

    def clear(self) -> None:
        """Make the stage an empty directory, unless a restoration waits to be finished."""
        if self.is_decided:
            raise RestoreFailed("a restoration waits to be finished: restart the server")
        shutil.rmtree(self.stage, ignore_errors=True)
        make_private_directory(self.stage)

    async def carry_out(self, manifest: Manifest, options: RestoreOptions) -> None:
        """Put what is staged in the place of what is there, all or nothing.

        Raises BackupRefused, and RestoreFailed where it will be finished at the next start.
        """
        self._check(manifest)
        await self._apply(_Mark(options.keep_files, options.skip_databases))

    async def finish(self) -> bool:
        """Finish what was decided and interrupted, if anything was; raises RestoreFailed."""
        if not self.is_decided:
            shutil.rmtree(self.stage, ignore_errors=True)
            return False
        try:
            mark = _Mark(**json.loads(read_bounded(self._mark, _LARGEST_MARK)))
            manifest = Manifest.from_json((self.stage / MANIFEST).read_bytes())
            self._check(manifest)
            await self._apply(mark)
        except (OSError, ValueError, TypeError, BackupRefused) as error:
            raise RestoreFailed(f"the restoration cannot be finished: {error}") from error
        return True

    def _check(self, manifest: Manifest) -> None:
        databases = {saved.name for saved in self._server.databases}
        for name in manifest.entries:
            area, known = name.split("/")[:2]
            if known not in (databases if area == "databases" else self._server.files):
                raise BackupRefused(f"this server has no place for {name}")
            if area != "databases" and name.count("/") > 1 and self._server.files[known].is_file():
                raise BackupRefused(f"{name} is below what is a file here")
        for root in self._server.files.values():
            parent = root if root.is_dir() else root.parent
            if parent.exists() and not os.access(parent, os.W_OK | os.X_OK):
                raise BackupRefused(f"{parent} cannot be written to")

    async def _apply(self, mark: _Mark) -> None:
        databases = () if mark.skip_databases else self._server.databases
        decided = False
        try:
            async with AsyncExitStack() as transactions:
                for saved in databases:
                    opening = saved.database.transaction()
                    connection = await transactions.enter_async_context(opening)
                    await load_database(connection, saved, self.stage / "databases" / saved.name)
                write_private(self._mark, json.dumps(asdict(mark)).encode())
                decided = True
            self._put_files(keep=mark.keep_files)
        except (OSError, FileError, DatabaseError) as error:
            later = "; it will be finished when the server starts" if decided else ""
            raise RestoreFailed(f"restoring failed{later}: {error}") from error
        self._mark.unlink()
        sync_directory(self._mark.parent)
        shutil.rmtree(self.stage, ignore_errors=True)

    def _put_files(self, *, keep: bool) -> None:
        for name, root in self._server.files.items():
            staged = self.stage / "files" / name
            restored = {path.relative_to(staged) for path in _files_of(staged)}
            if not keep:
                for path in _files_of(root):
                    if path.relative_to(root) not in restored:
                        path.unlink()
            for relative in sorted(restored):
                target = root / relative
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_private(target, read_bounded(staged / relative, _LARGEST_FILE))


def _files_of(root: Path) -> Iterator[Path]:
    if root.is_symlink():
        return
    if root.is_file():
        yield root
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path
