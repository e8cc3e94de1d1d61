"""What an administrator must be told of as long as it lasts."""

from typing import Self

from sild.adminapi.bodies import Body, Instant
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.server import Served
from sild.components.diagnostics.alerts import AlertState
from sild.model.permissions import Permission

OPERATIONS = Operations("notifications")


class AlertData(Body):
    """What there is to tell; a check that could not be made says so.

    Certificates are renewed by hand: no renewal has failed.
    """

    current_time: Instant | None = None
    backup_restore_running_since: Instant | None = None
    global_conf_valid: bool
    global_conf_valid_check_success: bool
    soft_token_pin_entered: bool
    soft_token_pin_entered_check_success: bool
    certificate_renewal_job_success: bool = True

    @classmethod
    def of(cls, state: AlertState) -> Self:
        """Lay out what there is to tell."""
        return cls(
            current_time=None if state.backup_since is None else state.now,
            backup_restore_running_since=state.backup_since,
            global_conf_valid=state.global_conf_valid,
            global_conf_valid_check_success=True,
            soft_token_pin_entered=state.pin_entered,
            soft_token_pin_entered_check_success=state.pin_known,
        )


@OPERATIONS.get("/notifications/alerts", "checkAlerts", permission=None, also=())
async def check_alerts(server: Served) -> AlertData:
    """Say what is wrong; asking does not make a session last longer."""
    return AlertData.of(await server.alerts.alerts())


@OPERATIONS.put(
    "/notifications/alerts/reset",
    "resetBackupRestoreRunningSince",
    permission=(Permission.BACKUP_CONFIGURATION, Permission.RESTORE_CONFIGURATION),
    status=204,
    also=(),
)
async def reset_backup_restore_running_since(server: Served) -> None:
    """Tell no more of the backup or restoration that runs now."""
    server.alerts.dismiss_backup()
