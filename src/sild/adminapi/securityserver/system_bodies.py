"""What is said of the security server itself, as the contract lays it out."""

from enum import Enum
from typing import Annotated, Self

from pydantic import Field

from sild.adminapi.bodies import Body, HostAddress, Instant, Plain, ShortText
from sild.components.serverconf import standing
from sild.model.maintenance import MaintenanceState
from sild.protocol.globalconf import anchor as globalconf

_LONGEST = 255


class VersionInfo(Body):
    """Which version runs, on what.

    Existing clients read of a Java version. There is none: its numbers are 0, which is supported,
    and the texts say what runs instead.
    """

    info: str
    java_version: int
    min_java_version: int
    max_java_version: int
    using_supported_java_version: bool
    java_vendor: str
    java_runtime_version: str
    global_configuration_version: int | None = None


class NodeType(Enum):
    """Whether the server is one of several that share their configuration, and which of them."""

    PRIMARY = "PRIMARY"
    SECONDARY = "SECONDARY"
    STANDALONE = "STANDALONE"


class NodeTypeResponse(Body):
    """What kind of node this is."""

    node_type: NodeType


class Anchor(Body):
    """A configuration anchor, by what people compare."""

    hash: str
    created_at: Instant | None = None

    @classmethod
    def of(cls, anchor: globalconf.Anchor) -> Self:
        """Lay out an anchor."""
        return cls(hash=anchor.display_hash.replace(":", ""), created_at=anchor.generated_at)


class DistinguishedName(Body):
    """Whose certificate is asked for."""

    name: ShortText | None = None


class SecurityServerAddress(Body):
    """Where the server is to be found."""

    address: Annotated[HostAddress, Field(min_length=1)]


class ShownAddress(Body):
    """Where the server is found, whatever that looks like."""

    address: str


class SecurityServerAddressStatus(Body):
    """Where the server is found, and where it is to be."""

    current_address: ShownAddress | None = None
    requested_change: ShownAddress | None = None

    @classmethod
    def of(cls, found: standing.AddressStanding) -> Self:
        """Lay out the addresses."""
        return cls(
            current_address=None if found.current is None else ShownAddress(address=found.current),
            requested_change=(
                None if found.requested is None else ShownAddress(address=found.requested)
            ),
        )


class MaintenanceModeMessage(Body):
    """What others are told while the server is in maintenance."""

    message: (
        Annotated[
            str,
            Field(
                max_length=_LONGEST,
                pattern=r"^[a-zA-Z0-9\-_,.;:!? ]*$",
                # As published; what is checked is the same in another notation.
                json_schema_extra={"pattern": "^[a-zA-Z0-9-_,.;:!? ]*$"},
            ),
            Plain,
        ]
        | None
    ) = None


class MaintenanceMode(Body):
    """The maintenance mode of the server."""

    message: str | None = None
    status: MaintenanceState
    is_management_services_provider: bool

    @classmethod
    def of(cls, found: standing.MaintenanceStanding) -> Self:
        """Lay out the mode."""
        return cls(
            message=found.message,
            status=found.state,
            is_management_services_provider=found.provides_management_services,
        )
