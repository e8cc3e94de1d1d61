"""Who may call the management service: its provider's security servers, and nobody else.

Deletions are signed by nobody: the security server that passes them on vouches for them. So whoever
can call the service can delete clients and certificates of every member.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from sild.runtime.addresses import AllowedAddresses, resolve
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.0/8", "::1")
_RESOLVED_SECONDS = 60.0
# A name server that is down for a moment cuts nobody off: what it said before is kept for so long.
_FAILED_SECONDS = 5.0
_KEPT_SECONDS = 600.0
_PATIENCE_SECONDS = 5.0

Resolve = Callable[[str], Awaitable[Iterable[str]]]


class ServerAddresses(Protocol):
    """What the registry says of where the management services are."""

    async def server_addresses(self) -> tuple[str, ...]:
        """The addresses of the security servers that have the provider for a client."""
        ...


class ListedCallers:
    """Addresses and networks that an administrator has listed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._allowed = AllowedAddresses(networks)

    async def may_call(self, address: str) -> bool:
        """Whether this address may call."""
        return address in self._allowed


@dataclass(frozen=True, slots=True)
class _Resolved:
    addresses: AllowedAddresses
    found: float
    until: float


class ProviderServers:
    """This machine, and the security servers that have the provider for a client.

    The registry is asked each time, so that a change in it counts at once; what its names resolve
    to is kept for a minute.
    """

    def __init__(
        self,
        registry: ServerAddresses,
        clock: Clock,
        *,
        always: Iterable[str] = LOOPBACK,
        resolve: Resolve = resolve,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._always = AllowedAddresses(always)
        self._resolve = resolve
        self._resolved: dict[str, _Resolved] = {}

    async def may_call(self, address: str) -> bool:
        """Whether this address may call; nobody else may while a name does not resolve."""
        if address in self._always:
            return True
        hosts = frozenset(await self._registry.server_addresses())
        self._resolved = {host: held for host, held in self._resolved.items() if host in hosts}
        found = await asyncio.gather(*map(self._addresses_of, hosts))
        return any(address in addresses for addresses in found)

    async def _addresses_of(self, host: str) -> AllowedAddresses:
        held = self._resolved.get(host)
        if held is None or held.until <= self._clock.monotonic():
            held = await self._look_up(host, held)
            self._resolved[host] = held
        return held.addresses

    async def _look_up(self, host: str, before: _Resolved | None) -> _Resolved:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await self._resolve(host)
        except (OSError, UnicodeError) as error:  # a TimeoutError is the first
            _LOG.warning("the management services' server %s cannot be found: %r", host, error)
            now = self._clock.monotonic()
            if before is not None and now < before.found + _KEPT_SECONDS:
                return replace(before, until=now + _FAILED_SECONDS)
            return _Resolved(AllowedAddresses(()), now, now + _FAILED_SECONDS)
        now = self._clock.monotonic()
        return _Resolved(AllowedAddresses(found), now, now + _RESOLVED_SECONDS)
