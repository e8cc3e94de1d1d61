"""The initialisation of a security server."""

from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Identifier
from sild.adminapi.operations import Operations
from sild.adminapi.problems import Deviation, WarningsDetected
from sild.adminapi.securityserver.client_bodies import told_client
from sild.adminapi.securityserver.server import Served
from sild.components.serverconf import initialization
from sild.components.serverconf.initialization import TokenInitStatus, Wanted
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("initialization")

_LONGEST_PIN = 255


class InitialServerConf(Body):
    """What is to be made; what is there already is left out."""

    owner_member_class: Identifier | None = None
    owner_member_code: Identifier | None = None
    security_server_code: Identifier | None = None
    software_token_pin: Annotated[
        # White space and all.
        Annotated[
            str,
            StringConstraints(strip_whitespace=False, min_length=1, max_length=_LONGEST_PIN),
        ]
        | None,
        Field(repr=False),
    ] = None
    ignore_warnings: bool = False

    @property
    def wanted(self) -> Wanted:
        """What is to be made."""
        return Wanted(
            self.owner_member_class,
            self.owner_member_code,
            self.security_server_code,
            self.software_token_pin,
        )


class InitializationStatus(Body):
    """What was made."""

    is_anchor_imported: bool
    is_server_code_initialized: bool
    is_server_owner_initialized: bool
    software_token_init_status: TokenInitStatus
    enforce_token_pin_policy: bool

    @classmethod
    def of(cls, status: initialization.InitializationStatus) -> "InitializationStatus":
        """Lay out what was made."""
        return cls(
            is_anchor_imported=status.anchor_imported,
            is_server_code_initialized=status.server is not None,
            is_server_owner_initialized=status.server is not None,
            software_token_init_status=status.token,
            enforce_token_pin_policy=status.enforces_pin_policy,
        )


@OPERATIONS.post(
    "/initialization",
    "initSecurityServer",
    permission=Permission.INIT_CONFIG,
    event=AuditEvent.INIT_SERVER_CONFIGURATION,
    status=201,
    also=(400, 404, 406, 409),
)
async def init_security_server(body: InitialServerConf, asked: Asked, server: Served) -> Response:
    """Make what is not there yet."""
    planned = await server.initialization.plan(body.wanted)
    asked.tell(ownerIdentifier=told_client(planned.owner), serverCode=planned.server_code)
    if not body.ignore_warnings:
        warned = await server.initialization.warnings(planned)
        if warned:
            raise WarningsDetected(
                *(
                    Deviation(each.warning.value, (each.about,) if each.about else ())
                    for each in warned
                )
            )
    await server.initialization.initialize(body.wanted)
    return Response(status_code=201)


@OPERATIONS.get(
    "/initialization/status", "getInitializationStatus", permission=None, also=(400, 404, 406, 409)
)
async def get_initialization_status(server: Served) -> InitializationStatus:
    """Show what was made."""
    return InitializationStatus.of(await server.initialization.status())
