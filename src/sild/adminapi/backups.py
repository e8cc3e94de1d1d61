"""Backups, the same on every server that has any."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, File, Path, Query, Request, UploadFile
from starlette.responses import FileResponse, Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Instant, read_upload
from sild.adminapi.operations import Operations
from sild.adminapi.problems import Deviation, WarningsDetected
from sild.components.backup.backups import BackupFile, Backups
from sild.components.backup.errors import InvalidBackupName
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.tokens import Token

OPERATIONS = Operations("backups")

_BINARY = "application/octet-stream"

Filename = Annotated[str, Path(min_length=1, max_length=255)]
IgnoreWarnings = Annotated[bool, Query()]


class Tokens(Protocol):
    """The tokens of a server, of which a restoration closes those in hardware."""

    async def tokens(self) -> tuple[Token, ...]:
        """Every token."""
        ...


@dataclass(frozen=True, slots=True)
class BackupSide:
    """What these operations act upon; a server's application has it as its state `backup_side`."""

    backups: Backups
    tokens: Tokens


def backup_side_of(request: Request) -> BackupSide:
    """What this application was given."""
    side = request.app.state.backup_side
    if not isinstance(side, BackupSide):
        raise TypeError("the application was made without backups")
    return side


Side = Annotated[BackupSide, Depends(backup_side_of)]


class Backup(Body):
    """A backup in the folder."""

    filename: str
    created_at: Instant

    @classmethod
    def of(cls, backup: BackupFile) -> "Backup":
        """Lay out a backup."""
        return cls(filename=backup.name, created_at=backup.created)


class BackupRestorationStatus(Body):
    """Whether hardware tokens must be opened again."""

    hsm_tokens_logged_out: bool


@OPERATIONS.get(
    "/backups", "getBackups", permission=Permission.BACKUP_CONFIGURATION, also=(400, 404, 406)
)
async def get_backups(side: Side) -> list[Backup]:
    """List the backups, the newest first."""
    return [Backup.of(each) for each in await side.backups.list()]


@OPERATIONS.post(
    "/backups",
    "addBackup",
    permission=Permission.BACKUP_CONFIGURATION,
    event=AuditEvent.BACKUP,
    status=201,
    also=(400, 404, 406, 409),
    blank=(202,),
)
async def add_backup(asked: Asked, side: Side) -> Backup:
    """Make a backup."""
    made = await side.backups.create()
    asked.tell(backupFileName=made.name)
    return Backup.of(made)


@OPERATIONS.post(
    "/backups/upload",
    "uploadBackup",
    permission=Permission.BACKUP_CONFIGURATION,
    event=AuditEvent.UPLOAD_BACKUP,
    status=201,
    also=(400, 404, 406, 409),
    blank=(202,),
)
async def upload_backup(
    asked: Asked,
    side: Side,
    file: Annotated[UploadFile | None, File()] = None,
    ignore_warnings: IgnoreWarnings = False,
) -> Backup:
    """Take a backup from elsewhere; one of this name gives way only when the caller says so."""
    name = (file and file.filename) or ""
    asked.tell(backupFileName=name)
    if file is None:
        raise InvalidBackupName("no file was sent", name)
    if side.backups.exists(name) and not ignore_warnings:
        raise WarningsDetected(Deviation("warning_file_already_exists", (name,)))
    return Backup.of(await side.backups.keep(name, await read_upload(file)))


@OPERATIONS.delete(
    "/backups/{filename}",
    "deleteBackup",
    permission=Permission.BACKUP_CONFIGURATION,
    event=AuditEvent.DELETE_BACKUP,
    status=204,
    also=(400, 404, 409),
)
async def delete_backup(filename: Filename, asked: Asked, side: Side) -> None:
    """Delete a backup."""
    asked.tell(backupFileName=filename)
    await side.backups.delete(filename)


@OPERATIONS.get(
    "/backups/{filename}/download",
    "downloadBackup",
    permission=Permission.BACKUP_CONFIGURATION,
    gives=_BINARY,
    also=(400, 404, 406),
)
async def download_backup(filename: Filename, side: Side) -> Response:
    """Hand out a backup."""
    return FileResponse(side.backups.path_of(filename), media_type=_BINARY, filename=filename)


@OPERATIONS.put(
    "/backups/{filename}/restore",
    "restoreBackup",
    permission=Permission.RESTORE_CONFIGURATION,
    event=AuditEvent.RESTORE_BACKUP,
    also=(400, 404, 406, 409),
)
async def restore_backup(filename: Filename, asked: Asked, side: Side) -> BackupRestorationStatus:
    """Restore a backup of this server."""
    asked.tell(backupFileName=filename)
    closes = any(not token.is_software for token in await side.tokens.tokens())
    await side.backups.restore(filename)
    return BackupRestorationStatus(hsm_tokens_logged_out=closes)
