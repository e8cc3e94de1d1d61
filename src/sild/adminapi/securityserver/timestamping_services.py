"""Time-stamping services: those that are approved, and those that this server uses."""

from typing import Self

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import Body, ShortText
from sild.adminapi.operations import Operations
from sild.adminapi.securityserver.server import Served
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.chosen import UsableService
from sild.model.audit import AuditEvent
from sild.model.costs import Strategy
from sild.model.permissions import Permission
from sild.protocol.globalconf.shared_parameters import CostType

OPERATIONS = Operations("timestamping-services")


class NamedTimestampingService(Body):
    """A service to use or not to use; what it costs is for the global configuration to say."""

    name: ShortText
    url: ShortText
    cost_type: CostType | None = None

    def to_chosen(self) -> ChosenService:
        """Give the service that is meant."""
        return ChosenService(self.name, self.url)


class TimestampingService(Body):
    """A service."""

    name: str
    url: str
    cost_type: CostType

    @classmethod
    def of(cls, service: UsableService) -> Self:
        """Lay out a service."""
        return cls(name=service.name, url=service.url, cost_type=service.cost)


@OPERATIONS.get(
    "/timestamping-services",
    "getApprovedTimestampingServices",
    permission=Permission.VIEW_TSPS,
    also=(400, 404, 406, 409),
)
async def get_approved_timestamping_services(server: Served) -> list[TimestampingService]:
    """List the services that are approved."""
    return [TimestampingService.of(each) for each in server.timestamping.approved()]


@OPERATIONS.get(
    "/system/timestamping-services",
    "getConfiguredTimestampingServices",
    permission=Permission.VIEW_TSPS,
    also=(400, 404, 406, 409),
)
async def get_configured_timestamping_services(server: Served) -> list[TimestampingService]:
    """List the services that this server uses, first to last."""
    return [TimestampingService.of(each) for each in await server.timestamping.chosen()]


@OPERATIONS.post(
    "/system/timestamping-services",
    "addConfiguredTimestampingService",
    permission=Permission.ADD_TSP,
    event=AuditEvent.ADD_TSP,
    status=201,
    also=(400, 404, 406, 409),
)
async def add_configured_timestamping_service(
    body: NamedTimestampingService, asked: Asked, server: Served
) -> TimestampingService:
    """Use an approved service, after those that are used already."""
    _tell(body, asked)
    return TimestampingService.of(await server.timestamping.add(body.to_chosen()))


@OPERATIONS.post(
    "/system/timestamping-services/delete",
    "deleteConfiguredTimestampingService",
    permission=Permission.DELETE_TSP,
    event=AuditEvent.DELETE_TSP,
    status=204,
    also=(400, 404, 409),
)
async def delete_configured_timestamping_service(
    body: NamedTimestampingService, asked: Asked, server: Served
) -> None:
    """Use a service no more."""
    _tell(body, asked)
    await server.timestamping.remove(body.to_chosen())


@OPERATIONS.get(
    "/system/timestamping-services/prioritization-strategy",
    "getTimestampingPrioritizationStrategy",
    permission=Permission.VIEW_TSPS,
    also=(400, 409),
)
async def get_timestamping_prioritization_strategy(server: Served) -> Strategy:
    """Say how the costs of services decide about their use."""
    return server.timestamping.strategy


def _tell(body: NamedTimestampingService, asked: Asked) -> None:
    cost = (body.cost_type or CostType.UNDEFINED).value
    asked.tell(tspName=body.name, tspUrl=body.url, tspCostType=cost)
