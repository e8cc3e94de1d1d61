"""What taking over a server is refused for.

Refusal
├── BadRequest
│   ├── BackupUnreadable     invalid_backup_file
│   ├── BackupOfAnother      invalid_backup_file
│   ├── SignatureNotShown    invalid_backup_file
│   └── PinRefused           pin_incorrect
└── Conflict
    ├── HomeNotEmpty         action_not_possible
    └── PartsLost            action_not_possible
"""

from sild.model.refusals import BadRequest, Conflict


class BackupUnreadable(BadRequest):
    """Not a backup, a damaged one, or one that was made to do harm."""

    code = "invalid_backup_file"


class BackupOfAnother(BadRequest):
    """A backup, but not of a security server that could be taken over."""

    code = "invalid_backup_file"


class SignatureNotShown(BadRequest):
    """Nothing shows who made the backup, or the key that opens it is not here."""

    code = "invalid_backup_file"


class PinRefused(BadRequest):
    """The PIN does not open the software token of the backup, or was not given."""

    code = "pin_incorrect"


class HomeNotEmpty(Conflict):
    """Where the server is to stand there is something already."""

    code = "action_not_possible"


class PartsLost(Conflict):
    """Something that the old server had could not come over, and nobody said that it may stay."""

    code = "action_not_possible"
