"""Pick the security servers that may answer for a provider, the one that answered last first."""

from dataclasses import dataclass

from sild.protocol.errors import InvalidSecurityServer, MaintenanceMode, UnknownMember
from sild.protocol.globalconf.lookup import GlobalConf, ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Route:
    """The servers to try for a provider, in order."""

    provider: ClientId
    servers: tuple[ServerEntry, ...]


def candidates(
    conf: GlobalConf, provider: ClientId, wanted: SecurityServerId | None
) -> tuple[ServerEntry, ...]:
    """The provider's servers that are in service, or the one that the caller asks for.

    Raises UnknownMember, InvalidSecurityServer or MaintenanceMode.
    """
    servers = conf.servers_of(provider)
    if not servers:
        message = f"no security server offers {provider}: it is not in the global configuration"
        raise UnknownMember(message)
    if wanted is not None:
        servers = tuple(server for server in servers if server.id == wanted)
        if not servers:
            message = f"{wanted} is not a security server of {provider}"
            raise InvalidSecurityServer(message)
    reachable = tuple(server for server in servers if server.address)
    if not reachable:
        message = f"no security server of {provider} has an address in the global configuration"
        raise UnknownMember(message)
    serving = tuple(server for server in reachable if server.in_maintenance is None)
    if not serving:
        notices = "; ".join(f"{server.id}: {server.in_maintenance}" for server in reachable)
        message = f"all security servers of {provider} are in maintenance: {notices}"
        raise MaintenanceMode(message)
    return serving


class Routing:
    """Remembers which of several servers of a provider was fastest."""

    def __init__(self, clock: Clock, memory_seconds: float) -> None:
        self._clock = clock
        self._memory = memory_seconds
        self._fastest: dict[ClientId, tuple[float, SecurityServerId]] = {}

    def route(self, conf: GlobalConf, provider: ClientId, wanted: SecurityServerId | None) -> Route:
        """The servers to try, the remembered one first, the others in random order."""
        servers = candidates(conf, provider, wanted)
        if len(servers) == 1:
            return Route(provider, servers)
        remembered = self._remembered(provider)
        keyed = sorted(
            servers,
            key=lambda server: (server.id != remembered, self._clock.random_bytes(8)),
        )
        return Route(provider, tuple(keyed))

    def _remembered(self, provider: ClientId) -> SecurityServerId | None:
        found = self._fastest.get(provider)
        if found is None:
            return None
        until, server = found
        if self._clock.monotonic() >= until:
            del self._fastest[provider]
            return None
        return server

    def remember(self, route: Route, server: ServerEntry) -> None:
        """Note that this server answered; of a single one there is nothing to remember."""
        if len(route.servers) > 1:
            self._fastest[route.provider] = (self._clock.monotonic() + self._memory, server.id)

    def forget(self, provider: ClientId) -> None:
        """Note that the remembered server failed."""
        self._fastest.pop(provider, None)
