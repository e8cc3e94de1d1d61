"""Backups, as a security server answers them beside what every server does."""

from sild.adminapi.asked import Asked
from sild.adminapi.backups import Backup, Side
from sild.adminapi.operations import Operations
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("backups")


class BackupExt(Backup):
    """A backup, and whether there is a file of settings that no backup holds: here never."""

    local_conf_present: bool


@OPERATIONS.post(
    "/backups/ext",
    "addBackupExt",
    permission=Permission.BACKUP_CONFIGURATION,
    event=AuditEvent.BACKUP,
    status=201,
    also=(400, 404, 406, 409),
    blank=(202,),
)
async def add_backup_ext(asked: Asked, side: Side) -> BackupExt:
    """Make a backup, and say whether something was left out of it."""
    made = await side.backups.create()
    asked.tell(backupFileName=made.name)
    return BackupExt(filename=made.name, created_at=made.created, local_conf_present=False)
