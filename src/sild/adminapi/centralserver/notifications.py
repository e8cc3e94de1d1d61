"""What an administrator must be told of."""

from sild.adminapi.bodies import Body, Instant
from sild.adminapi.centralserver.central import Central
from sild.adminapi.operations import Operations

OPERATIONS = Operations("notifications")


class AlertData(Body):
    """An alert: a code that clients have a text for, and what the text speaks of."""

    errorCode: str  # noqa: N815 - what existing clients read
    metadata: list[Instant]


@OPERATIONS.get("/notifications/alerts", "checkAlerts", permission=None, also=())
async def check_alerts(central: Central) -> list[AlertData]:
    """List what is wrong; asking does not make a session last longer."""
    return [
        AlertData(errorCode=alert.code, metadata=[alert.since] if alert.since else [])
        for alert in await central.alerts.alerts()
    ]
