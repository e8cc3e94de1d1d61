"""The settings of backups, named as in the reference where it has them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sild.runtime.cron import Cron
from sild.runtime.settings import Between

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Where backups are kept, when they are made, and for whom they are encrypted."""

    backup_path: Path | None = None
    """The directory of backups; without it, one of the server's own."""
    backup_encryption_enabled: bool = False
    """Whether backups are encrypted; they are signed in any case."""
    backup_encryption_keyids: tuple[str, ...] = ()
    """For whom they are encrypted beside this server: keys imported into its GnuPG home."""
    backup_cron: str = "0 15 3 * * ?"
    """When automatic backups are made: a Quartz cron expression, in UTC."""
    backup_cleanup_cron: str = "0 10 * * * ?"
    """When old automatic backups are deleted: a Quartz cron expression, in UTC."""
    keep_automatic_backups_for: Annotated[int, Between(1, 36_500)] = 30
    """How many days automatic backups are kept; others are kept until somebody deletes them."""
    largest_backup: Annotated[int, Between(1)] = 16 * _GIB
    """How much a backup may hold, in bytes."""

    def __post_init__(self) -> None:
        Cron.read(self.backup_cron)
        Cron.read(self.backup_cleanup_cron)
