"""The initialisation of the Central Server."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from starlette.responses import Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Identifier
from sild.adminapi.centralserver.central import Central
from sild.adminapi.operations import Operations
from sild.adminapi.texts import check_host
from sild.components.centralserver import initialization
from sild.components.centralserver.initialization import TokenInitStatus, Wanted
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("initialization")

_LONGEST_PIN = 255
# What the contract shows; what is checked is a setting.
_PUBLISHED = "^[a-zA-Z0-9'()+,-.=?]*"

Host = Annotated[str, AfterValidator(check_host)]
"""A host's name or IPv4 address; the contract sets no length beside those that these have."""


class InitialServerConf(Body):
    """What is to be made."""

    instance_identifier: Annotated[Identifier, Field(json_schema_extra={"pattern": _PUBLISHED})]
    central_server_address: Host
    software_token_pin: Annotated[
        str,
        # White space and all.
        StringConstraints(strip_whitespace=False, min_length=1, max_length=_LONGEST_PIN),
        Field(repr=False),
    ]


class InitializationStatus(Body):
    """What was made; texts are blank where nothing was."""

    instance_identifier: str
    central_server_address: str
    software_token_init_status: TokenInitStatus

    @classmethod
    def of(cls, status: initialization.InitializationStatus) -> "InitializationStatus":
        """Lay out what was made."""
        return cls(
            instance_identifier=status.instance,
            central_server_address=status.address,
            software_token_init_status=status.token,
        )


# Existing clients are answered 200 and wait for it, where the contract says 201.
@OPERATIONS.post(
    "/initialization",
    "initCentralServer",
    permission=Permission.INIT_CONFIG,
    event=AuditEvent.INIT_CENTRAL_SERVER,
    also=(201, 400, 404, 409),
)
async def init_central_server(body: InitialServerConf, asked: Asked, central: Central) -> Response:
    """Make what is not there yet."""
    asked.tell(
        centralServerAddress=body.central_server_address,
        instanceIdentifier=body.instance_identifier,
        haNode=central.system.node.name,
    )
    await central.initialization.initialize(
        Wanted(body.instance_identifier, body.central_server_address, body.software_token_pin)
    )
    return Response()


@OPERATIONS.get("/initialization/status", "getInitializationStatus", permission=None)
async def get_initialization_status(central: Central) -> InitializationStatus:
    """Show what was made."""
    return InitializationStatus.of(await central.initialization.status())
