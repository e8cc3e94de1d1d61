"""Operations that no published contract has, under /api/sild/v1."""

from datetime import datetime

from pydantic import BaseModel

from sild.adminapi.asked import Asked
from sild.adminapi.centralserver.central import Central
from sild.adminapi.operations import Operations
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import Conflict

OPERATIONS = Operations("sild")


class PublishedBody(BaseModel):
    """A round of generating global configuration that succeeded."""

    stamp: str
    expires_at: datetime
    versions: list[int]


@OPERATIONS.post(
    "/api/sild/v1/global-configuration",
    "publishGlobalConfiguration",
    permission=(Permission.UPLOAD_CONFIGURATION_PART, Permission.GENERATE_SIGNING_KEY),
    event=AuditEvent.PUBLISH_GLOBAL_CONFIGURATION,
    also=(409,),
)
async def publish_global_configuration(asked: Asked, central: Central) -> PublishedBody:
    """Generate, sign and publish global configuration now, and say what was published."""
    published = await central.publisher.publish()
    if published is None:
        raise Conflict("the Central Server has not been initialised yet")
    asked.tell(versions=list(published.versions), expiresAt=published.expires.isoformat())
    return PublishedBody(
        stamp=published.stamp, expires_at=published.expires, versions=list(published.versions)
    )
