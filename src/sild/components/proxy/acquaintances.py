"""The addresses from which security servers are expected, when not everybody can be let in."""

from typing import TYPE_CHECKING, Final

from sild.components.proxy.ports import Views
from sild.runtime.clock import Clock

if TYPE_CHECKING:
    from sild.protocol.globalconf.lookup import GlobalConf

_REMEMBERED_SECONDS: Final = 3600.0
_MOST: Final = 10_000


class Acquaintances:
    """Knows the addresses of the global configuration, and those where peers proved themselves.

    A server may call from an address that nobody else knows; whoever has once come from there and
    proved to be a server, is expected again for a while.
    """

    def __init__(self, views: Views, clock: Clock) -> None:
        self._views = views
        self._clock = clock
        self._conf: GlobalConf | None = None
        self._listed: frozenset[str] = frozenset()
        self._met: dict[str, float] = {}

    def knows(self, address: str) -> bool:
        """Say whether a security server is expected at an address."""
        if self._met.get(address, 0.0) > self._clock.monotonic():
            return True
        view = self._views.latest
        if view is not None and view.conf is not self._conf:
            self._conf = view.conf
            self._listed = frozenset(each.address for each in view.conf.servers if each.address)
        return address in self._listed

    def meet(self, address: str) -> None:
        """Note that a security server has proved itself at an address."""
        if len(self._met) >= _MOST and address not in self._met:
            del self._met[next(iter(self._met))]
        self._met[address] = self._clock.monotonic() + _REMEMBERED_SECONDS
