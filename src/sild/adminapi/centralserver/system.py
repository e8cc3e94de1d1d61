"""What the Central Server is, where, and how its nodes fare."""

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, Instant
from sild.adminapi.centralserver.central import Central, CentralServer
from sild.adminapi.centralserver.initialization import Host, InitializationStatus
from sild.adminapi.operations import Operations
from sild.components.centralserver.cluster import NodeState
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("system")


class CentralServerAddress(Body):
    """Where this node is."""

    central_server_address: Host


class Version(Body):
    """Which version runs."""

    info: str


class HighAvailabilityStatus(Body):
    """Which node this is."""

    is_ha_configured: bool
    node_name: str


class SystemStatus(Body):
    """What was made, on which node."""

    initialization_status: InitializationStatus
    high_availability_status: HighAvailabilityStatus


class HighAvailabilityClusterNode(Body):
    """How a node fares."""

    node_name: str
    node_address: str
    configuration_generated: Instant | None = None
    status: NodeState


class HighAvailabilityClusterStatus(HighAvailabilityStatus):
    """How all nodes fare."""

    nodes: list[HighAvailabilityClusterNode]
    all_nodes_ok: bool


@OPERATIONS.get("/system/status", "getSystemStatus", permission=Permission.VIEW_VERSION)
async def get_system_status(central: Central) -> SystemStatus:
    """Show what was made, and on which node."""
    return await _status(central)


@OPERATIONS.get("/system/version", "getSystemVersion", permission=Permission.VIEW_VERSION)
async def get_system_version(central: Central) -> Version:
    """Show which version runs."""
    return Version(info=central.system.version)


@OPERATIONS.get(
    "/system/high-availability-cluster/status",
    "getHighAvailabilityClusterStatus",
    permission=Permission.VIEW_VERSION,
)
async def get_high_availability_cluster_status(central: Central) -> HighAvailabilityClusterStatus:
    """Show how all nodes fare."""
    nodes = await central.cluster.nodes()
    return HighAvailabilityClusterStatus(
        is_ha_configured=central.system.node.is_ha,
        node_name=central.system.node.name,
        nodes=[
            HighAvailabilityClusterNode(
                node_name=node.name,
                node_address=node.address,
                configuration_generated=node.generated,
                status=node.state,
            )
            for node in nodes
        ],
        all_nodes_ok=all(node.state is NodeState.OK for node in nodes),
    )


@OPERATIONS.put(
    "/system/server-address",
    "updateCentralServerAddress",
    permission=Permission.EDIT_CENTRAL_SERVER_ADDRESS,
    event=AuditEvent.EDIT_CENTRAL_SERVER_ADDRESS,
)
async def update_central_server_address(
    body: CentralServerAddress, asked: Asked, central: Central
) -> SystemStatus:
    """Give this node another address."""
    asked.tell(centralServerAddress=body.central_server_address)
    await central.system.change_address(body.central_server_address)
    return await _status(central)


async def _status(central: CentralServer) -> SystemStatus:
    node = central.system.node
    return SystemStatus(
        initialization_status=InitializationStatus.of(await central.initialization.status()),
        high_availability_status=HighAvailabilityStatus(
            is_ha_configured=node.is_ha, node_name=node.name
        ),
    )
