"""Operations that no published contract has, under /api/sild/v1."""

from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from pydantic import BaseModel

from sild.adminapi.asked import Asked
from sild.adminapi.operations import Operations
from sild.model.permissions import Permission

OPERATIONS = Operations("sild")

_WHOEVER_WAITS = (
    Permission.UPLOAD_ANCHOR,
    Permission.SEND_CLIENT_REG_REQ,
    Permission.ACTIVATE_DISABLE_AUTH_CERT,
)


class Refreshing(Protocol):
    """What a server does again and again, done now."""

    async def refresh_now(self, *, ocsp: bool) -> "Refreshed":
        """Download the global configuration and follow it; ask OCSP responders too, where wanted.

        Raises GlobalConfOutdated where none is valid.
        """
        ...


class Refreshed(BaseModel):
    """The global configuration that is used now."""

    expires_at: datetime


def refreshing_of(request: Request) -> Refreshing:
    """What this application was given."""
    refreshing: Refreshing = request.app.state.refreshing
    return refreshing


@OPERATIONS.post(
    "/api/sild/v1/refresh",
    "refreshServer",
    permission=_WHOEVER_WAITS,
    also=(400,),
)
async def refresh_server(
    asked: Asked,
    refreshing: Annotated[Refreshing, Depends(refreshing_of)],
    *,
    ocsp: bool = False,
) -> Refreshed:
    """Download the global configuration and follow it now, and with `ocsp` ask responders too.

    The audit log is not told: nothing is changed that the server would not do by itself in a
    moment, and whoever waits for something asks for it every second.
    """
    del asked
    return await refreshing.refresh_now(ocsp=ocsp)
