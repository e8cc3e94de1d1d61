"""Pick the security servers that may answer for a provider, the one that answered last first."""

from dataclasses import dataclass

from sild.protocol.errors import InvalidSecurityServer, MaintenanceMode, UnknownMember
from sild.protocol.globalconf.lookup import GlobalConf, ServerEntry
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.clock import Clock

# While one message finds the fastest again, others go on with the one of before.
_CHOOSING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Route:
    """The servers to try for a provider, in order.

    `afresh` is when the fastest is to be found again, whatever connections there are.
    """

    provider: ClientId
    servers: tuple[ServerEntry, ...]
    afresh: bool = False


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
        remembered, is_old = self._remembered(provider)
        keyed = sorted(
            servers,
            key=lambda server: (server.id != remembered, self._clock.random_bytes(8)),
        )
        return Route(provider, tuple(keyed), is_old)

    def _remembered(self, provider: ClientId) -> tuple[SecurityServerId | None, bool]:
        """The fastest server, if it is known; and whether it is time to find it again."""
        found = self._fastest.get(provider)
        if found is None:
            return None, False
        until, server = found
        now = self._clock.monotonic()
        if now < until:
            return server, False
        self._fastest[provider] = (now + _CHOOSING_SECONDS, server)
        return None, True

    def remember(self, route: Route, server: ServerEntry) -> None:
        """Note that this server was fastest; of a single one there is nothing to remember.

        That it is so still, makes the memory no longer: once it ends, all are tried again.
        """
        if len(route.servers) == 1 or not self._memory:
            return
        known = self._fastest.get(route.provider)
        if route.afresh or known is None or known[1] != server.id:
            self._fastest[route.provider] = (self._clock.monotonic() + self._memory, server.id)

    def forget(self, provider: ClientId, server: ServerEntry | None = None) -> None:
        """Note that the remembered server failed, if it is this one."""
        known = self._fastest.get(provider)
        if known is not None and (server is None or known[1] == server.id):
            del self._fastest[provider]
