"""Where the server stands with the Central Server: its address, maintenance mode and owner.

What is asked for is kept as pending until the global configuration shows it, also over a restart.
A request that is not shown for long is given up: the Central Server may have been changed since.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sild.components.serverconf.pending_rows import PendingKind, PendingRequest, PendingRows
from sild.components.serverconf.ports import Tokens, World
from sild.components.serverconf.standing_errors import (
    AddressChangeSubmitted,
    MaintenanceAlreadyDisabled,
    MaintenanceAlreadyEnabled,
    MaintenanceChangeSubmitted,
    MaintenanceOfManagementServices,
    SameAddress,
)
from sild.components.serverconf.store import ConfigurationStore
from sild.model.maintenance import (
    PENDING,
    MaintenanceEvent,
    MaintenanceState,
    maintenance_after,
    maintenance_shown,
)
from sild.model.services import Client, InvalidMove
from sild.model.tokens import KeyUsage
from sild.protocol.errors import GlobalConfError
from sild.protocol.globalconf.lookup import GlobalConf, ServerEntry
from sild.protocol.ids import SecurityServerId
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)
_PATIENCE = timedelta(hours=1)
_REFUSALS = {
    MaintenanceState.PENDING_ENABLE: MaintenanceChangeSubmitted,
    MaintenanceState.PENDING_DISABLE: MaintenanceChangeSubmitted,
    MaintenanceState.ENABLED: MaintenanceAlreadyEnabled,
    MaintenanceState.DISABLED: MaintenanceAlreadyDisabled,
}

FindChanged = Callable[[SecurityServerId, Iterable[bytes], GlobalConf], SecurityServerId | None]
"""Tells of a server and its authentication certificates which other identifier it has by now."""


class Requests(Protocol):
    """Management requests about the server; each gives its id, or raises what became of it."""

    async def change_address(self, address: str) -> int:
        """Ask that the server be found elsewhere."""
        ...

    async def enable_maintenance(self, message: str | None = None) -> int:
        """Ask that nobody call the server."""
        ...

    async def disable_maintenance(self) -> int:
        """Ask that the server be called again."""
        ...


@dataclass(frozen=True, slots=True)
class StandingPorts:
    """What the use cases need of the rest of the server."""

    world: World
    requests: Requests
    tokens: Tokens
    find_changed: FindChanged


@dataclass(frozen=True, slots=True)
class AddressStanding:
    """The address that the global configuration has, and the one that was asked for."""

    current: str | None
    requested: str | None


@dataclass(frozen=True, slots=True)
class MaintenanceStanding:
    """The maintenance mode, what others are told of it, and whether this server may have it."""

    state: MaintenanceState
    message: str | None
    provides_management_services: bool


class ServerStanding:
    """The use cases."""

    def __init__(self, store: ConfigurationStore, ports: StandingPorts, clock: Clock) -> None:
        self._store = store
        self._ports = ports
        self._clock = clock
        self._changing = asyncio.Lock()

    def find_configuration_version(self) -> int | None:
        """The version of the global configuration in use, if any can be used."""
        try:
            conf = self._ports.world.global_conf()
        except GlobalConfError:
            return None
        return conf.instances[conf.instance].version

    async def address(self) -> AddressStanding:
        """Where the server is; raises ServerNotSet and what the global configuration does."""
        server, pending = await self._read(PendingKind.ADDRESS)
        found = self._ports.world.global_conf().server(server)
        requested = None if pending is None else pending.value
        return AddressStanding(found.address if found else None, requested)

    async def change_address(self, address: str) -> int:
        """Ask that the server be found elsewhere; give the request's id.

        Raises AddressChangeSubmitted, SameAddress and what sending does.
        """
        async with self._changing:
            standing = await self.address()
            if standing.requested is not None:
                raise AddressChangeSubmitted(f"the change to {standing.requested} is under way")
            if standing.current == address:
                raise SameAddress(f"the security server has the address {address}")
            number = await self._ports.requests.change_address(address)
            await self._note(PendingRequest(PendingKind.ADDRESS, address, self._clock.now()))
            return number

    async def maintenance(self) -> MaintenanceStanding:
        """The maintenance mode; raises ServerNotSet and what the global configuration does."""
        server, pending = await self._read(PendingKind.MAINTENANCE)
        conf = self._ports.world.global_conf()
        provides = conf.is_registered(conf.management_service.provider, server)
        if pending is not None:
            state = MaintenanceState(pending.value)
            return MaintenanceStanding(state, pending.message or None, provides)
        found = conf.server(server)
        if found is None or found.in_maintenance is None:
            return MaintenanceStanding(MaintenanceState.DISABLED, None, provides)
        return MaintenanceStanding(MaintenanceState.ENABLED, found.in_maintenance or None, provides)

    async def enable_maintenance(self, message: str | None = None) -> int:
        """Ask that nobody call the server; give the request's id.

        Raises MaintenanceOfManagementServices, MaintenanceChangeSubmitted,
        MaintenanceAlreadyEnabled and what sending does.
        """
        async with self._changing:
            standing = await self.maintenance()
            if standing.provides_management_services:
                raise MaintenanceOfManagementServices(
                    "management requests come through this server: it cannot be in maintenance"
                )
            after = _moved(standing.state, MaintenanceEvent.ENABLE)
            number = await self._ports.requests.enable_maintenance(message)
            await self._note_mode(after, message or "")
            return number

    async def disable_maintenance(self) -> int:
        """Ask that the server be called again; give the request's id.

        Raises MaintenanceChangeSubmitted, MaintenanceAlreadyDisabled and what sending does.
        """
        async with self._changing:
            standing = await self.maintenance()
            after = _moved(standing.state, MaintenanceEvent.DISABLE)
            number = await self._ports.requests.disable_maintenance()
            await self._note_mode(after, "")
            return number

    async def follow(self, conf: GlobalConf) -> None:
        """Let owner, address and maintenance mode follow the global configuration."""
        async with self._changing:
            await self._follow_owner(conf)
            async with self._store.reading() as own:
                server, rows = await own.find_server(), PendingRows(own.connection)
                pending = [found for kind in PendingKind if (found := await rows.find(kind))]
            if server is None:
                return
            settled = [each for each in pending if self._is_settled(each, server, conf)]
            if not settled:
                return
            async with self._store.transaction() as own:
                for each in settled:
                    await PendingRows(own.connection).remove(each.kind)

    async def _follow_owner(self, conf: GlobalConf) -> None:
        async with self._store.reading() as own:
            server = await own.find_server()
        if server is None or conf.server(server) is not None:
            return
        certificates = [
            entry.certificate
            for token in await self._ports.tokens.tokens()
            for key in token.keys
            if key.usage is KeyUsage.AUTHENTICATION
            for entry in key.certificates
            if entry.saved
        ]
        changed = self._ports.find_changed(server, certificates, conf)
        if changed is None:
            return
        async with self._store.transaction() as own:
            await own.set_server(changed)
            if await own.find_client(changed.owner) is None:
                await own.add_client(Client(changed.owner))
        _LOG.info("the owner of this security server has changed: it is %s now", changed)

    def _is_settled(
        self, pending: PendingRequest, server: SecurityServerId, conf: GlobalConf
    ) -> bool:
        """Whether the global configuration shows what was asked for, or will not any more."""
        found = conf.server(server)
        if found is not None and _shows(found, pending):
            _LOG.info("the global configuration shows the new %s", pending.kind.value)
            return True
        if self._clock.now() - pending.sent > _PATIENCE:
            asked = f"the {pending.kind.value} that was asked for at {pending.sent:%FT%TZ}"
            _LOG.warning("%s has not been shown, and is waited for no more", asked)
            return True
        return False

    async def _read(self, kind: PendingKind) -> tuple[SecurityServerId, PendingRequest | None]:
        async with self._store.reading() as own:
            return await own.get_server(), await PendingRows(own.connection).find(kind)

    async def _note_mode(self, state: MaintenanceState, message: str) -> None:
        kind, now = PendingKind.MAINTENANCE, self._clock.now()
        await self._note(PendingRequest(kind, state.value, now, message))

    async def _note(self, request: PendingRequest) -> None:
        async with self._store.transaction() as own:
            await PendingRows(own.connection).put(request)


def _moved(state: MaintenanceState, event: MaintenanceEvent) -> MaintenanceState:
    try:
        return maintenance_after(state, event)
    except InvalidMove as error:
        raise _REFUSALS[state](error.message) from None


def _shows(server: ServerEntry, pending: PendingRequest) -> bool:
    if pending.kind is PendingKind.ADDRESS:
        return server.address == pending.value
    event = maintenance_shown(enabled=server.in_maintenance is not None)
    return maintenance_after(MaintenanceState(pending.value), event) not in PENDING
