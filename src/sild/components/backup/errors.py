"""What backing up and restoring are refused for.

Refusal
├── BadRequest
│   ├── InvalidBackupName      invalid_filename
│   ├── NotABackup             invalid_file_content_type
│   └── BackupRefused          restore_process_failed
├── NotFound
│   └── BackupNotFound         backup_file_not_found
├── Conflict
│   ├── BackupBusy             backup_or_restore_running
│   └── NotYetInitialized      backup_generation_failed
└── Failed
    ├── BackupFailed           backup_generation_failed
    ├── RestoreFailed          restore_process_failed
    ├── BackupNotKept          invalid_backup_file
    ├── BackupNotDeleted       backup_deletion_failed
    └── BackupKeyNotMade       gpg_key_generation_failed
"""

from sild.model.refusals import BadRequest, Conflict, Failed, NotFound


class InvalidBackupName(BadRequest):
    """No backup can have this name."""

    code = "invalid_filename"


class NotABackup(BadRequest):
    """Not a file that GnuPG wrote."""

    code = "invalid_file_content_type"


class BackupRefused(BadRequest):
    """Not a backup of this server, or one that cannot be trusted."""

    code = "restore_process_failed"


class BackupNotFound(NotFound):
    """No such backup."""

    code = "backup_file_not_found"


class BackupBusy(Conflict):
    """Another backup or restoration runs."""

    code = "backup_or_restore_running"


class NotYetInitialized(Conflict):
    """The server has nothing to back up, nor a key to sign it with."""

    code = "backup_generation_failed"


class BackupFailed(Failed):
    """The backup could not be made."""

    code = "backup_generation_failed"


class RestoreFailed(Failed):
    """The restoration could not be carried out."""

    code = "restore_process_failed"


class BackupNotKept(Failed):
    """A backup that was sent could not be kept."""

    code = "invalid_backup_file"


class BackupNotDeleted(Failed):
    """A backup could not be deleted."""

    code = "backup_deletion_failed"


class BackupKeyNotMade(Failed):
    """GnuPG did not make the key of backups."""

    code = "gpg_key_generation_failed"
